/**
 * <message-bell>: keeps the numbers of a plain link true, on any page of any project, tells what
 * arrives, and opens a dropdown: the message center, made small, fetched when it is wanted.
 */

import { connect } from "./connect.js";
import { Inbox } from "./inbox.js";
import { Toasts } from "./toast.js";

const MOST = 8; // rows in the dropdown
const MOST_SHOWN = 99; // on the badge
const KEPT = 20; // arrivals that are followed, lest they be told when they are no news
const WAIT = 5_000; // ms until counts that could not be fetched are asked for again; jittered
const TOUCH = matchMedia("(pointer: coarse) and (width < 36rem)"); // there the page is the better dropdown

class MessageBell extends HTMLElement {
  #link;
  #parts; // the dropdown, the toasts, the live region
  #inbox; // the counts, and the unread that have arrived since
  #connection;
  #toasts;
  #isAway; // signed out, or somebody else
  #isReplaying;
  #refreshing;
  #wasOpen;
  #prefix = "";
  #onKey = (event) => this.#key(event);

  connectedCallback() {
    const { url, user, cursor, ...words } = this.dataset;
    const [version, unread, unseen] = [words.version, words.unread, words.unseen].map(Number);
    this.#inbox = new Inbox("unread", true, { cursor, version, unread, unseen, messages: [] });
    this.#link = this.querySelector("a");
    this.#parts = [...this.querySelector("template").content.cloneNode(true).children];
    const [panel, toasts, status] = this.#parts;
    this.#toasts = new Toasts(this.dataset, toasts, status);
    document.body.append(toasts); // and not here, where the page has styles for its header
    // A page of messages has all that the dropdown has, and says what arrives.
    if (!document.querySelector("message-center")) {
      document.body.append(status, panel);
      panel.ontoggle = () => this.#toggled();
      this.#link.onpointerdown = () => void (this.#wasOpen = this.#isOpen);
      this.#link.onclick = (event) => this.#click(event);
      this.#link.setAttribute("aria-controls", panel.id);
      this.#toggled();
    }
    addEventListener("keydown", this.#onKey);
    const on = (type, data, id) => this.#receive(type, data, id);
    this.#connection = connect({ url, user, cursor, version, on });
    this.#render();
  }

  disconnectedCallback() {
    removeEventListener("keydown", this.#onKey);
    this.#connection.close();
    for (const part of this.#parts) part.remove();
    this.#link.onclick = null;
  }

  #receive(type, data, id) {
    if (type === "status") {
      this.#isAway = data === "signed-out";
    } else if (type === "ready" && String(data.user) !== this.dataset.user) {
      this.#isAway = true;
      this.#connection.close();
    } else {
      this.#inbox.receive(type, id, data);
      // Until its state has come, nobody knows what of a replay is news.
      this.#isReplaying = type === "ready" || (this.#isReplaying && type !== "state");
    }
    this.#render();
  }

  #render() {
    const { counts, isStale } = this.#inbox;
    const { unread, unseen } = this.#isAway ? {} : counts;
    const { name, named } = this.dataset;
    const badge = this.#link.lastElementChild;
    const shown = unseen > MOST_SHOWN ? `${MOST_SHOWN}+` : unseen;
    badge.textContent = shown;
    badge.hidden = !unseen;
    this.#link.ariaLabel = unread ? named.replace("{unseen}", unseen).replace("{unread}", unread) : name;
    this.#entitle(unseen ? `(${shown}) ` : "");
    navigator.setAppBadge?.(unseen ?? 0).catch(() => {}); // some refuse it until a site is installed
    if (!this.#isReplaying) this.#toasts.update(this.#inbox);
    if (isStale && !this.#isAway && this.isConnected) this.#refresh();
  }

  /** The page may have given itself another title since. */
  #entitle(prefix) {
    const { title } = document;
    document.title = prefix + (title.startsWith(this.#prefix) ? title.slice(this.#prefix.length) : title);
    this.#prefix = prefix;
  }

  #refresh() {
    this.#refreshing ??= fetch(`${this.dataset.url}snapshot/?counts=1`)
      .then((answer) => answer.json())
      .then((counts) => this.#inbox.replace({ ...counts, messages: this.#inbox.messages.slice(0, KEPT) }))
      .catch(() => new Promise((resume) => setTimeout(resume, WAIT * (0.5 + Math.random()))))
      .then(() => {
        this.#refreshing = null;
        this.#render();
      });
  }

  get #panel() {
    return this.#parts[0];
  }

  get #isOpen() {
    return this.#panel.matches(":popover-open");
  }

  /** A plain click opens the dropdown, or closes it; all others are the browser's. */
  #click(event) {
    const isPlain = !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
    if (!isPlain || TOUCH.matches || this.#isAway) return;
    event.preventDefault();
    this.#link.focus();
    // A pointer that went down outside of it has closed it by now.
    if (this.#isOpen || (event.detail && this.#wasOpen)) this.#panel.hidePopover();
    else this.#open().catch(() => location.assign(this.#link.href));
  }

  async #open() {
    const { url } = this.dataset;
    const [answer] = await Promise.all([fetch(url), import("./center.js")]);
    const html = await answer.text();
    const page = new DOMParser().parseFromString(html, "text/html").querySelector("message-center");
    for (const row of [...page.querySelectorAll("li[data-id]")].slice(MOST)) row.remove();
    page.querySelector(".foot")?.remove(); // what is of no use here
    page.dataset.page = url; // what it is fetched from again: not the page that it is shown on
    this.#clear();
    this.#panel.prepend(page);
    this.#panel.showPopover({ source: this.#link }); // its place in the order of the Tab key
    page.querySelector("h1").focus();
  }

  #toggled() {
    this.#link.ariaExpanded = this.#isOpen;
    if (!this.#isOpen) this.#clear(); // what nobody sees is not seen
  }

  #clear() {
    this.#panel.querySelector("message-center")?.remove();
  }

  #key(event) {
    if (event.key !== "F8") return;
    event.preventDefault();
    if (!this.#toasts.focus()) this.#link.focus();
  }
}

customElements.define("message-bell", MessageBell);
