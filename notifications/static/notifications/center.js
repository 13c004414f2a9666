/**
 * <message-center>: keeps the page that the server rendered true, and spares it the reloads.
 *
 * The snapshot of a page is the page itself: fetched again, it says what the counts and this list
 * are (any filter, any search, any part of it), and one place alone knows how rows are made: the
 * template.
 */

import { connect } from "./connect.js";
import { Inbox } from "./inbox.js";
import { List } from "./list.js";

const SEEN_AFTER = 1_000; // ms in sight until the bell's number is cleared
const TELL_AFTER = 1_000; // ms in which what happens is told together
const UNDO = 6_000; // ms at least for who wants to take an archive back
const TICK = 60_000; // ms: times are told by the minute
const MANY = 99; // new messages that are shown at once; beyond, the list starts anew
const FIRST_WAIT = 1_000; // ms until a snapshot that failed is asked for again; doubled, jittered
const LAST_WAIT = 60_000;

class MessageCenter extends HTMLElement {
  #list;
  #inbox;
  #connection;
  #state; // of the connection
  #failure;
  #again; // does what has failed once more
  #archived; // the row that "Undo" is about
  #grown; // {before, oldest} while older messages are asked for: the page's address, the last position
  #isRefreshing = false;
  #news = 0;
  #told = new Set(); // sentences
  #seen = ""; // the cursor up to which the server has been told
  #timers = {};
  #listeners = new AbortController();
  #title = document.title;

  connectedCallback() {
    const { filter, first, url, user } = this.dataset;
    this.#failure = this.#find(".failure");
    this.#list = new List(this);
    this.#inbox = new Inbox(filter, first === "true", this.#snapshot(this));
    const { cursor, version } = this.#inbox;
    const on = (name, data, id) => (name === "status" ? this.#showState(data) : this.#receive(name, id, data));
    this.#connection = connect({ url, cursor, version, user, on });
    const { signal } = this.#listeners;
    this.addEventListener("submit", (event) => this.#submit(event), { signal });
    this.addEventListener("click", (event) => this.#click(event), { signal });
    document.addEventListener("visibilitychange", () => this.#countDown(), { signal });
    // For the server, which cannot know it otherwise: so the next page is right at first sight.
    const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
    document.cookie = `timezone=${timeZone};path=/;max-age=31536000;samesite=lax`;
    this.#timers.tick = setInterval(() => this.#list.tick(), TICK);
    this.#render();
  }

  disconnectedCallback() {
    this.#listeners.abort();
    this.#connection.close();
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
  }

  #find(selector) {
    return this.querySelector(selector);
  }

  // ------------------------------------------------------------------------------- what comes in

  #receive(name, id, data) {
    if (name === "ready" && !this.#isFor(String(data.user))) return;
    const { position } = this.#inbox;
    if (name === "withdrawn" && data.reason === name && this.#list.shows(data.id)) this.#tell(this.dataset.withdrawn);
    this.#inbox.receive(name, id, data);
    if (name === "message" && this.#inbox.position > position) {
      this.#news += 1;
      this.#tell();
    }
    this.#render();
  }

  /** Whether the session still is this reader's; if not, nothing that is here is for who looks. */
  #isFor(user) {
    if (user === this.dataset.user) return true;
    this.#connection.close();
    location.reload();
    return false;
  }

  /** What `page`, as the server has just rendered it, shows; from now on this one does. */
  #snapshot(page) {
    const { cursor, version, unread, unseen } = page.dataset;
    const numbers = { version: Number(version), unread: Number(unread), unseen: Number(unseen) };
    return { cursor, ...numbers, more: Boolean(page.querySelector(".more a")), messages: this.#list.read(page) };
  }

  async #refresh() {
    if (this.#isRefreshing) return;
    this.#isRefreshing = true;
    for (let wait = FIRST_WAIT; this.#needsRefresh; wait = Math.min(2 * wait, LAST_WAIT)) {
      const grown = this.#grown;
      const fresh = await this.#fetchPage().catch(() => null);
      if (fresh) this.#adopt(fresh);
      if (grown) this.#haveGrown(grown, fresh);
      else if (!fresh) await new Promise((resume) => setTimeout(resume, wait * (0.5 + Math.random() / 2)));
    }
    this.#isRefreshing = false;
  }

  get #needsRefresh() {
    return (this.#inbox.isStale ||= Boolean(this.#grown)) && this.isConnected && !this.#isSignedOut;
  }

  get #isSignedOut() {
    return this.#state === "signed-out";
  }

  async #fetchPage() {
    const answer = await this.#fetch(this.dataset.page ?? location.href, { headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    return answer.ok && page.querySelector("message-center");
  }

  #adopt(fresh) {
    if (!this.#isFor(fresh.dataset.user)) return;
    const failure = this.#find(".more > .failure") ?? "";
    this.#find(".more").replaceChildren(...fresh.querySelector(".more").cloneNode(true).childNodes, failure);
    this.#inbox.replace(this.#snapshot(fresh));
    this.#render();
  }

  // ---------------------------------------------------------------------------- older messages

  #grow(link) {
    this.#grown = { before: location.href, oldest: this.#inbox.known.at(-1).position };
    history.replaceState(null, "", link.dataset.grown);
    this.#find(".list").ariaBusy = true;
    this.#refresh();
  }

  #haveGrown({ before, oldest }, fresh) {
    this.#grown = undefined;
    this.#find(".list").ariaBusy = false;
    if (fresh) return this.#list.focus(this.#inbox.messages.find(({ position }) => position < oldest)?.id, false);
    history.replaceState(null, "", before);
    this.#fail(this.#find(".more"), () => this.#grow(this.#find(".more a")));
  }

  // -------------------------------------------------------------------------------- what is shown

  #render() {
    const { known, messages, counts, isStale } = this.#inbox;
    if (isStale) this.#refresh();
    const waiting = this.#list.render(known);
    const pill = this.#find(".pill");
    pill.hidden = !waiting;
    pill.textContent = this.#sayNew(waiting > MANY ? `${MANY}+` : waiting);
    for (const number of this.querySelectorAll(".unread-count")) number.textContent = counts.unread;
    const all = this.#find("[value=all-read]");
    if (!counts.unread && all === document.activeElement) this.#list.focus();
    all.hidden = !counts.unread;
    this.#find(".empty").hidden = messages.length;
    if (!document.querySelector("message-bell")) {
      document.title = counts.unseen ? `(${counts.unseen}) ${this.#title}` : this.#title;
    }
    this.#countDown();
  }

  #sayNew(n) {
    const { one, many } = this.dataset;
    return n === 1 ? one : many.replace("{n}", n);
  }

  #showState(state) {
    this.#state = state;
    const isOut = this.#isSignedOut;
    for (const line of this.querySelectorAll(".lines [data-state]")) {
      line.hidden = line.dataset.state !== state;
      if (!line.hidden) this.#tell(line.firstElementChild.textContent, isOut);
    }
    for (const button of this.querySelectorAll("[form]")) button.disabled = isOut;
    this.#find("h1").title = state === "live" ? this.dataset.live : "";
  }

  /** Say it to who does not see it; what is not urgent together with what else there is to say. */
  #tell(sentence, isUrgent) {
    const say = (where, text) => (this.#find(where).textContent = document.hidden ? "" : text);
    if (isUrgent) return say(".alert", sentence);
    if (sentence) this.#told.add(sentence);
    this.#later("tell", TELL_AFTER, () => {
      if (this.#news) this.#told.add(this.#sayNew(this.#news));
      say(".news", [...this.#told].join(" "));
      this.#told.clear();
      this.#news = 0;
    });
  }

  #later(name, delay, work) {
    this.#timers[name] ??= setTimeout(() => {
      this.#timers[name] = undefined;
      work();
    }, delay);
  }

  /** Tell the server what has been seen, once it has been in sight for a while. */
  #countDown() {
    const { counts, cursor, isStale } = this.#inbox;
    if (document.hidden || isStale || !counts.unseen || cursor === this.#seen) {
      clearTimeout(this.#timers.seen);
      this.#timers.seen = undefined;
      return;
    }
    this.#later("seen", SEEN_AFTER, () => {
      this.#seen = this.#inbox.cursor;
      this.#post(this.dataset.seen);
    });
  }

  // ------------------------------------------------------------------------- what the reader does

  #submit(event) {
    if (event.target.id !== "acts") return;
    event.preventDefault();
    this.#act(event.submitter);
  }

  #click(event) {
    const { target } = event;
    for (const [selector, does] of Object.entries(this.#clicks)) {
      const hit = target.closest(selector);
      if (hit) does(hit, event);
    }
  }

  #clicks = {
    ".try-now": () => this.#connection.retry(),
    ".help": () => this.#find("dialog").showModal(),
    ".pill": () => this.#showNew(),
    ".undo button": () => this.#undo(),
    ".retry": () => this.#retry(),
    // Who follows the link has read the message.
    ".link": (link) => {
      const button = link.closest("li").querySelector("[value=read]:not([hidden])");
      if (button) this.#act(button);
    },
    "[data-grown]": (link, event) => {
      if (event.ctrlKey || event.metaKey) return; // to another tab
      event.preventDefault();
      this.#grow(link);
    },
  };

  /** Show it at once; the stream will say what has become of it. What failed is taken back. */
  async #act(button, value = button.value, url = button.formAction) {
    const row = button.closest("li");
    this.#failure.hidden = true;
    this.#tell("", true);
    if (value === "archived") this.#offerUndo(row);
    if (!row) this.#list.reveal(); // all that is marked has been shown
    this.#list.preview(value, Number(row?.dataset.id));
    if (await this.#post(url)) return;
    this.#find(".undo").hidden = true;
    this.#list.restore();
    if (this.#isSignedOut) return;
    const beside = row?.checkVisibility() ? row : this.#find("header");
    this.#fail(beside, () => this.#act(button, value, url));
  }

  #fail(beside, again) {
    this.#again = again;
    this.#failure.hidden = false;
    beside.append(this.#failure);
    this.#tell(this.#failure.firstElementChild.textContent, true);
  }

  #retry() {
    (this.#failure.closest("li") ?? this.#failure.previousElementSibling).focus();
    this.#failure.hidden = true;
    this.#again();
  }

  #offerUndo(row) {
    const line = this.#find(".undo");
    this.#archived = { row, wasRead: row.dataset.read === "true" };
    this.#tell(line.firstElementChild.textContent);
    line.hidden = false;
    const end = () => {
      if (!(line.hidden = !line.matches(":hover, :focus-within"))) this.#timers.undo = setTimeout(end, UNDO);
    };
    clearTimeout(this.#timers.undo);
    this.#timers.undo = setTimeout(end, UNDO);
  }

  /** As it was: also unread, if it was. */
  #undo() {
    const { row, wasRead } = this.#archived;
    const button = row.querySelector("[value=unarchived]");
    if (wasRead) this.#act(button);
    else this.#act(button, "undone", `${button.formAction}?unread=1`);
    this.#find(".undo").hidden = true;
    this.#list.focus(Number(row.dataset.id));
  }

  /** The pill has been pressed. */
  #showNew() {
    this.#inbox.isStale ||= this.#list.render(this.#inbox.known) > MANY;
    const newest = this.#list.reveal();
    this.#render();
    this.#list.focus(newest, false);
  }

  async #post(url) {
    const form = this.#find("#acts");
    form.elements.upto.value = this.#inbox.cursor;
    const headers = { Accept: "application/json" };
    const request = { method: "POST", headers, body: new FormData(form), keepalive: true };
    try {
      const answer = await this.#fetch(url, request);
      if (!answer.ok) return false;
      this.#inbox.answer(await answer.json());
      this.#render();
      return true;
    } catch {
      return false; // no network
    }
  }

  async #fetch(url, options) {
    const answer = await fetch(url, { redirect: "manual", ...options });
    // A page sends who is signed out to the log-in; scripts see that redirect as "opaque".
    if (answer.status === 401 || answer.type === "opaqueredirect") this.#connection.signOut();
    return answer;
  }
}

customElements.define("message-center", MessageCenter);
