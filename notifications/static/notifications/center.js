/**
 * <message-center>: keeps the page that the server rendered true, and spares it the reloads.
 *
 * The snapshot of a page is the page itself: fetched again, it says what the counts and this list
 * are (any filter, any page of it), and one place alone knows how rows are made: the template.
 */

import { connect } from "./connect.js";
import { Inbox } from "./inbox.js";
import { List } from "./list.js";

const SEEN_AFTER = 1_000; // ms in sight until the bell's number is cleared
const TELL_AFTER = 1_000; // ms in which arrivals are told together
const FIRST_WAIT = 1_000; // ms until a snapshot that failed is asked for again; doubled, jittered
const LAST_WAIT = 60_000;

class MessageCenter extends HTMLElement {
  #list;
  #inbox;
  #connection;
  #state;
  #isRefreshing = false;
  #arrived = 0;
  #seen = ""; // the cursor up to which the server has been told
  #timers = {};
  #listeners = new AbortController();
  #title = document.title;

  connectedCallback() {
    const { filter, first, url, user } = this.dataset;
    this.#list = new List(this);
    this.#inbox = new Inbox(filter, first === "true", this.#snapshot());
    const { signal } = this.#listeners;
    this.addEventListener("submit", (event) => this.#submit(event), { signal });
    this.addEventListener("click", (event) => this.#click(event), { signal });
    document.addEventListener("visibilitychange", () => this.#countDown(), { signal });
    const { cursor, version } = this.#inbox;
    const on = (name, data, id) => (name === "status" ? this.#showState(data) : this.#receive(name, id, data));
    this.#connection = connect({ url, cursor, version, user, on });
    this.#render();
  }

  disconnectedCallback() {
    this.#listeners.abort();
    this.#connection.close();
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
  }

  // ------------------------------------------------------------------------------- what comes in

  #receive(name, id, data) {
    if (name === "ready" && !this.#isFor(String(data.user))) return;
    const { position } = this.#inbox;
    this.#inbox.receive(name, id, data);
    if (name === "message" && this.#inbox.position > position) this.#announce();
    this.#render();
  }

  /** Whether the session still is this reader's; if not, nothing that is here is for who looks. */
  #isFor(user) {
    if (user === this.dataset.user) return true;
    this.#connection.close();
    location.reload();
    return false;
  }

  /** What this page, as the server has just rendered it, shows. */
  #snapshot() {
    const { cursor, version, unread, unseen } = this.dataset;
    const numbers = { version: Number(version), unread: Number(unread), unseen: Number(unseen) };
    const more = this.querySelector(".more").childElementCount > 0;
    return { cursor, ...numbers, more, messages: this.#list.read() };
  }

  async #refresh() {
    if (this.#isRefreshing) return;
    this.#isRefreshing = true;
    for (let wait = FIRST_WAIT; this.#needsRefresh; wait = Math.min(2 * wait, LAST_WAIT)) {
      const fresh = await this.#fetchPage().catch(() => null);
      if (fresh) this.#adopt(fresh);
      else await new Promise((resume) => setTimeout(resume, wait * (0.5 + Math.random() / 2)));
    }
    this.#isRefreshing = false;
  }

  get #needsRefresh() {
    return this.#inbox.isStale && this.isConnected && this.#state !== "signed-out";
  }

  async #fetchPage() {
    const answer = await this.#fetch(location.href, { headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    return answer.ok && page.querySelector("message-center");
  }

  #adopt(fresh) {
    if (!this.#isFor(fresh.dataset.user)) return;
    const { focused } = this.#list;
    Object.assign(this.dataset, fresh.dataset);
    for (const part of ["ul", ".more"]) {
      this.querySelector(part).replaceChildren(...fresh.querySelector(part).childNodes);
    }
    this.#inbox.replace(this.#snapshot());
    this.#render();
    if (focused) this.#list.focus(focused);
  }

  // -------------------------------------------------------------------------------- what is shown

  #render() {
    const { messages, counts, isStale } = this.#inbox;
    if (isStale) this.#refresh();
    this.#list.render(messages);
    for (const number of this.querySelectorAll(".unread-count")) number.textContent = counts.unread;
    this.querySelector("[value=all-read]").hidden = counts.unread === 0;
    this.querySelector(".empty").hidden = messages.length > 0;
    document.title = counts.unseen ? `(${counts.unseen}) ${this.#title}` : this.#title;
    this.#countDown();
  }

  #showState(state) {
    this.#state = state;
    for (const line of this.querySelectorAll("[data-state]")) line.hidden = line.dataset.state !== state;
    for (const button of this.querySelectorAll("[form]")) button.disabled = state === "signed-out";
  }

  /** Tell those who do not see it what has arrived, several at once. */
  #announce() {
    this.#arrived += 1;
    this.#timers.tell ??= setTimeout(() => {
      const { one, many } = this.dataset;
      const text = this.#arrived === 1 ? one : many.replace("{n}", this.#arrived);
      if (!document.hidden) this.querySelector(".news").textContent = text;
      this.#arrived = 0;
      this.#timers.tell = undefined;
    }, TELL_AFTER);
  }

  /** Tell the server what has been seen, once it has been in sight for a while. */
  #countDown() {
    const { counts, cursor, isStale } = this.#inbox;
    if (document.hidden || isStale || !counts.unseen || cursor === this.#seen) {
      clearTimeout(this.#timers.seen);
      this.#timers.seen = undefined;
      return;
    }
    this.#timers.seen ??= setTimeout(() => {
      this.#timers.seen = undefined;
      this.#seen = this.#inbox.cursor;
      this.#post(this.dataset.seen);
    }, SEEN_AFTER);
  }

  // ------------------------------------------------------------------------- what the reader does

  #submit(event) {
    event.preventDefault();
    this.#act(event.submitter);
  }

  #click({ target }) {
    if (target.closest(".try-now")) this.#connection.retry();
    const row = target.closest(".link")?.closest("li");
    const button = row?.querySelector("[value=read]:not([hidden])");
    if (button) this.#act(button); // who follows the link has read the message
  }

  /** Show it at once; the stream will say what has become of it. What failed is taken back. */
  async #act(button) {
    const row = button.closest("li");
    const alert = this.querySelector(".failure");
    alert.textContent = "";
    this.#list.preview(button.value, row ? Number(row.dataset.id) : undefined);
    if (await this.#post(button.formAction)) return;
    alert.textContent = this.dataset.failed;
    this.#list.restore();
  }

  async #post(url) {
    const form = this.querySelector("form");
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
