/**
 * Toasts, and notifications by the system where nobody looks. Each message is told once a browser,
 * not once a tab, and no longer than it is unread.
 */

import { makeRow, showContent } from "./row.js";

const MOST = 3; // toasts at a time
const SHORTEST = 6_000; // ms in sight
const READING = 90; // ms a character
const TICK = 500; // ms
const LATER = 300; // ms that hidden tabs leave to those in sight,
const LATE = 100; // and those without the message to one that shows it already
const HELD = 5_000; // ms, within which all tabs have heard of a message
const LOCK = "message-toast:"; // and the id: held by the tab that tells it
const TOGETHER = 1_000; // ms in which arrivals are said together
const IN_SIGHT = "message-center[data-first=true]:not([data-filter=archived])";
const CHOICE = "message-notifications"; // in localStorage: "on" if this device shall notify

/** Whether this device shall notify, and may. `choice`: what the reader wants from now on. */
export function isWanted(choice) {
  try {
    if (choice) localStorage[CHOICE] = choice;
    return localStorage[CHOICE] === "on" && Notification.permission === "granted";
  } catch {
    return false; // a browser without storage, or without notifications
  }
}

export class Toasts {
  #words;
  #region;
  #list;
  #status;
  #known = new Map(); // id -> how to take it back
  #arrived = 0;
  #timer;
  #back; // what had the focus before

  /** words: {url, many, info, ...}. region: a list, and what toasts are made from. status: says it. */
  constructor(words, region, status) {
    this.#words = words;
    this.#region = region;
    this.#list = region.firstElementChild;
    this.#status = status;
  }

  /** inbox: its messages are the unread that have arrived. What comes at once is told at once. */
  update(inbox) {
    // Dealt with elsewhere by now: no news, whatever comes next.
    if (!inbox.counts.unseen) for (const { id } of inbox.messages) this.#knows(id);
    const wait = document.hidden ? LATER : document.querySelector(IN_SIGHT) ? 0 : LATE;
    this.#timer ??= setTimeout(() => this.#update(inbox.messages), wait);
  }

  #knows(id) {
    return this.#known.has(id) || !this.#known.set(id, () => {});
  }

  async #update(unread) {
    this.#timer = undefined;
    for (const [id, takeBack] of this.#known) {
      if (!unread.some((each) => each.id === id) && this.#known.delete(id)) takeBack();
    }
    const arrived = unread.filter(({ id }) => !this.#knows(id));
    const { locks } = navigator; // none over http in a local network: there each tab tells
    const told = (await locks?.query())?.held.map(({ name }) => name) ?? [];
    const fresh = arrived.filter(({ id }) => !told.includes(LOCK + id));
    if (!fresh.length) return;
    const [{ id, content }] = fresh;
    const tell = (isFirst) => isFirst && this.#tell(id, content, fresh.length);
    locks ? locks.request(LOCK + id, { ifAvailable: true }, tell) : tell(true);
  }

  /** Focus the newest toast, if there is one. */
  focus() {
    const link = this.#list.querySelector("a");
    if (link && !this.#list.contains(document.activeElement)) this.#back = document.activeElement;
    link?.focus();
    return link;
  }

  /** Tell it here. Until what is returned is over, other tabs know that it was. */
  #tell(id, content, many) {
    const row = makeRow(this.#region.lastElementChild, content);
    const title = this.#words.many.replace("{n}", many);
    // After a gap one says it for all.
    showContent(row, many > 1 ? { ...content, title, html: "" } : content, this.#words);
    if (many > 1) row.querySelector("a").href = this.#words.url;
    if (document.hidden) {
      if (isWanted()) this.#known.set(id, notify(row, id));
    } else if (!document.querySelector(IN_SIGHT)) {
      this.#say(row, many);
      this.#known.set(id, this.#show(row));
    }
    return new Promise((resume) => {
      setTimeout(resume, HELD);
      addEventListener("pagehide", resume); // a held lock keeps a page from coming back
    });
  }

  /** To those who do not see it; several at once. */
  #say(row, many) {
    if (!this.#arrived) {
      setTimeout(() => {
        const text = this.#words.many.replace("{n}", this.#arrived);
        this.#status.textContent = this.#arrived > 1 ? text : row.querySelector("a").parentNode.textContent;
        this.#arrived = 0;
      }, TOGETHER);
    }
    this.#arrived += many;
  }

  #show(row) {
    const body = row.querySelector(".body");
    body.textContent = body.textContent; // one link is enough: its own are on the page of the message
    let left = Math.max(SHORTEST, READING * row.textContent.length);
    const close = () => {
      const had = row.contains(document.activeElement);
      clearInterval(timer);
      row.remove();
      this.#region.togglePopover(this.#list.childElementCount > 0);
      if (had) (this.#list.querySelector("a") ?? this.#back)?.focus();
    };
    const timer = setInterval(() => {
      if (!document.hidden && !this.#region.matches(":hover, :focus-within")) left -= TICK;
      if (left <= 0) close();
    }, TICK);
    row.append(this.#region.children[1].cloneNode());
    row.lastChild.onclick = close;
    row.onkeydown = ({ key }) => {
      if (key === "Escape") close();
    };
    this.#list.prepend(row);
    this.#list.children[MOST]?.lastChild.click();
    this.#region.togglePopover(true);
    return close;
  }
}

function notify(row, id) {
  const { textContent, href } = row.querySelector("a");
  const body = row.querySelector(".body").textContent.trim();
  const note = new Notification(textContent, { tag: id, body });
  note.onclick = () => {
    note.close();
    open(href, "messages"); // one window for all of them: this one may hold somebody's work
  };
  return () => note.close();
}
