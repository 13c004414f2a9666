/** The rows of the page: one a message, in the order of the inbox. */

import { after, belongs } from "./inbox.js";
import { makeRow, messageOf, showContent, showMarks, showTime } from "./row.js";

export class List {
  #page;
  #list;
  #rows = new Map(); // id -> {row, message}: the row, and the message that it shows

  /** page: the <message-center>, whose attributes say the filter and the words for the levels. */
  constructor(page) {
    this.#page = page;
    this.#list = page.querySelector("ul");
  }

  /** The messages of the rows that the server has rendered, which may have been replaced. */
  read() {
    this.#rows.clear();
    return [...this.#list.children].map((row) => {
      const message = messageOf(row);
      this.#rows.set(message.id, { row, message });
      showTime(row.querySelector("time"));
      return message;
    });
  }

  render(messages) {
    const ids = new Set(messages.map(({ id }) => id));
    for (const [id, { row }] of this.#rows) if (!ids.has(id)) this.#remove(id, row);
    // What is new is newer than all that is here.
    for (const message of [...messages].reverse()) this.#show(message);
  }

  /** Show what `act` will do to one message, or to all, before the server has said so. */
  preview(act, id) {
    for (const { row, message } of this.#rows.values()) {
      if (id === undefined || id === message.id) this.#mark(row, after(message, act));
    }
  }

  /** Show again what is known. */
  restore() {
    for (const { row, message } of this.#rows.values()) this.#mark(row, message);
  }

  /** The id of the message whose row has the focus. */
  get focused() {
    const row = document.activeElement?.closest("li[data-id]");
    return row && Number(row.dataset.id);
  }

  focus(id) {
    const to = this.#rows.get(id)?.row.querySelector("a") ?? this.#page.querySelector("h1");
    to.focus({ preventScroll: true });
  }

  #show(message) {
    let { row, message: shown } = this.#rows.get(message.id) ?? {};
    if (shown === message) return;
    if (!row) {
      row = makeRow(this.#page.querySelector("template"), message);
      this.#list.prepend(row);
    }
    if (message.content !== shown?.content) showContent(row, message.content, this.#page.dataset);
    this.#mark(row, message);
    this.#rows.set(message.id, { row, message });
  }

  #remove(id, row) {
    if (this.focused === id) this.#focusBeside(row);
    row.remove();
    this.#rows.delete(id);
  }

  #mark(row, message) {
    const had = row.contains(document.activeElement) && document.activeElement;
    row.hidden = !belongs(message, this.#page.dataset.filter);
    if (had && row.hidden) this.#focusBeside(row);
    showMarks(row, message);
    if (had?.hidden) row.querySelector("button:not([hidden])").focus();
  }

  /** Who has just dealt with this row goes on with the next; with the last gone, the one before. */
  #focusBeside(row) {
    const rows = [...this.#list.children].filter((each) => each === row || !each.hidden);
    const here = rows.indexOf(row);
    this.focus(Number((rows[here + 1] ?? rows[here - 1])?.dataset.id));
  }
}
