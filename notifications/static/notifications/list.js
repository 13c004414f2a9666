/** The rows of the page: one a message, in the order of the inbox, under the days they came. */

import { after, belongs } from "./inbox.js";
import { dayOf, makeRow, messageOf, showContent, showMarks, showTime } from "./row.js";

const CHANGING = 2 * 24 * 3_600_000; // ms: the words for older times stay as they are
const ROW = "li[data-id]";
const SHOWN = `${ROW}:not([hidden])`;

// What a key does: go so many rows on; or click on something, of the row (letters) or the page (signs).
const STEPS = { j: 1, ArrowDown: 1, PageDown: 1, k: -1, ArrowUp: -1, PageUp: -1, Home: -Infinity, End: Infinity };
const CLICKS = {
  Enter: ".title",
  o: ".title",
  r: ":is([value=read], [value=unread]):not([hidden])",
  e: "[value=archived]:not([hidden])",
  ".": ".pill:not([hidden])",
  "?": ".help",
};
const LETTERS = "message-letters"; // in localStorage: "off" if letters and signs do nothing

export class List {
  #page;
  #list;
  #rows = new Map(); // id -> {row, message}: the row, and the message that it shows
  #known = [];
  #upto; // the position up to which messages are shown: those after it wait
  #by = 0; // px by which the rows are about to move
  #current; // the row by which Tab comes into the list; nothing of the other rows is on its way

  /** page: the <message-center>, whose attributes say the filter and the words for the levels. */
  constructor(page) {
    this.#page = page;
    this.#list = page.querySelector(".list");
    this.#list.addEventListener("focusin", ({ target }) => this.#enter(target.closest(ROW)));
    this.#list.addEventListener("keydown", (event) => this.#key(event));
    const letters = page.querySelector("[name=letters]");
    letters.checked = localStorage[LETTERS] !== "off";
    letters.onchange = () => (localStorage[LETTERS] = letters.checked ? "on" : "off");
  }

  /** The messages of the rows in `page`: in this one, or in one that the server has just rendered. */
  read(page) {
    const { focused } = this;
    const grows = !this.#rows.size || this.#mayGrow;
    const had = this.#rows;
    const rows = [...page.querySelectorAll(ROW)];
    this.#rows = new Map();
    this.#known = rows.map(messageOf);
    this.#list.replaceChildren();
    rows.forEach((_, i) => this.#take(rows.at(~i), this.#known.at(~i), had)); // the oldest first
    if (grows) this.reveal();
    if (focused) this.focus(focused);
    return this.#known;
  }

  /** Show these; or let what is new wait. How many do. */
  render(known) {
    if (known !== this.#known) {
      const ids = new Set(known.map(({ id }) => id));
      for (const [id, { row }] of this.#rows) if (!ids.has(id)) this.#remove(id, row);
      const grows = known.some(({ id }) => !this.#rows.has(id)) && this.#mayGrow;
      const height = grows && this.#list.offsetHeight;
      this.#known = known;
      for (const message of known.toReversed()) this.#show(message); // what is new is newer than all
      if (grows) {
        this.reveal();
        this.#slide(this.#list.offsetHeight - height);
      }
    }
    this.#tidy();
    if (!this.#current?.isConnected || this.#current.hidden) {
      this.#enter(this.#list.querySelector(SHOWN));
    }
    return this.#waiting.length;
  }

  /** Show those that wait. The id of the newest of them. */
  reveal() {
    const waiting = this.#waiting;
    this.#upto = this.#known[0]?.position ?? 0;
    for (const { id } of waiting) this.#mark(this.#rows.get(id));
    this.#tidy();
    return waiting[0]?.id;
  }

  /** Show what `act` will do to one message, or to all, before the server has said so. */
  preview(act, id) {
    for (const { row, message } of this.#rows.values()) {
      if (!id || id === message.id) this.#mark({ row, message: after(message, act) });
    }
    this.#tidy();
  }

  /** Show again what is known. */
  restore() {
    for (const each of this.#rows.values()) this.#mark(each);
    this.#tidy();
  }

  /** Keep the words for times and days right. */
  tick() {
    const now = new Date();
    for (const time of this.#list.querySelectorAll("time")) {
      if (now - new Date(time.dateTime) > CHANGING) break;
      showTime(time, now, true);
    }
    for (const { dataset, firstElementChild } of this.#list.children) {
      firstElementChild.textContent = dayOf(new Date(dataset.day), now);
    }
  }

  shows(id) {
    return this.#rows.get(id)?.row.hidden === false;
  }

  /** The id of the message whose row has the focus. */
  get focused() {
    return Number(document.activeElement?.closest(ROW)?.dataset.id);
  }

  focus(id, preventScroll = true) {
    (this.#rows.get(id)?.row ?? this.#page.querySelector("h1")).focus({ preventScroll });
  }

  /** Whether new rows disturb nobody: the top of the list is in view, and the focus elsewhere. */
  get #mayGrow() {
    return !this.focused && this.#list.getBoundingClientRect().top >= 0;
  }

  get #waiting() {
    return this.#known.filter((each) => each.position > this.#upto && this.#belongs(each));
  }

  #belongs(message) {
    return belongs(message, this.#page.dataset.filter);
  }

  /** A row that the server has rendered. One that was here stays, and its place on the screen with it. */
  #take(fresh, message, had) {
    const { row = fresh } = had.get(message.id) ?? {};
    if (row !== fresh) {
      row.replaceChildren(...fresh.childNodes);
      row.className = ""; // not new any more
    }
    this.#place(row);
    this.#put(row, message);
  }

  #show(message) {
    let { row, message: shown } = this.#rows.get(message.id) ?? {};
    if (shown === message) return;
    row ??= makeRow(this.#page.querySelector("template"), message);
    if (message.content !== shown?.content) showContent(row, message.content, this.#page.dataset);
    if (!shown) this.#place(row);
    this.#put(row, message);
  }

  #put(row, message) {
    this.#rows.set(message.id, { row, message });
    showTime(row.querySelector("time"), new Date(), true);
    reach(row, row === this.#current);
    this.#mark({ row, message });
  }

  /** At the top, under its day. */
  #place(row) {
    const at = new Date(row.querySelector("time").dateTime);
    const day = at.toDateString();
    let section = this.#list.firstElementChild;
    if (section?.dataset.day !== day) {
      section = this.#page.querySelector("template.day").content.firstElementChild.cloneNode(true);
      section.dataset.day = day;
      section.firstElementChild.textContent = dayOf(at);
      this.#list.prepend(section);
    }
    section.lastElementChild.prepend(row);
  }

  /** Make room by a transform, which center.css lets go: nothing that is looked at jumps. */
  #slide(by) {
    this.#by += by;
    this.#page.style.setProperty("--by", `${-this.#by}px`);
    this.#page.classList.add("moving");
    requestAnimationFrame(() => requestAnimationFrame(() => {
      this.#page.classList.remove("moving");
      this.#by = 0;
    }));
  }

  /** No heading without rows. */
  #tidy() {
    for (const each of [...this.#list.children, this.#list]) each.hidden = !each.querySelector(SHOWN);
  }

  #remove(id, row) {
    if (this.focused === id) this.#focusBeside(row);
    row.remove();
    this.#rows.delete(id);
  }

  #mark({ row, message }) {
    const had = row.contains(document.activeElement) && document.activeElement;
    row.hidden = message.position > this.#upto || !this.#belongs(message);
    if (had && row.hidden) this.#focusBeside(row);
    showMarks(row, message);
    if (had?.hidden) row.querySelector(".acts :not([hidden])").focus();
  }

  /** Who has just dealt with this row goes on with the next; with the last gone, the one before. */
  #focusBeside(row) {
    const rows = [...this.#list.querySelectorAll(ROW)].filter((each) => each === row || !each.hidden);
    const here = rows.indexOf(row);
    this.focus(Number((rows[here + 1] ?? rows[here - 1])?.dataset.id));
  }

  #key(event) {
    const { key, target } = event;
    const row = target.closest(ROW);
    if (!row || event.isComposing || event.ctrlKey || event.altKey || event.metaKey) return;
    if (key.length > 1 ? key === "Enter" && target !== row : localStorage[LETTERS] === "off") return;
    if (STEPS[key]) this.#step(row, STEPS[key]);
    else if (CLICKS[key]) (/\w/.test(key) ? row : this.#page).querySelector(CLICKS[key])?.click();
    else return;
    event.preventDefault();
  }

  #step(row, by) {
    const rows = [...this.#list.querySelectorAll(SHOWN)];
    rows[Math.max(0, Math.min(rows.indexOf(row) + by, rows.length - 1))].focus();
  }

  #enter(row) {
    if (row === this.#current) return;
    reach(this.#current, false);
    reach(row, true);
    this.#current = row;
  }
}

/** Let Tab come to a row and what is in it, or pass them by. */
function reach(row, isReached) {
  for (const each of row ? [row, ...row.querySelectorAll("a, button")] : []) each.tabIndex = isReached ? 0 : -1;
}
