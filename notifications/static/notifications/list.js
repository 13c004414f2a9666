/** The rows of the page: one a message, in the order of the inbox, under the days they came. */

import { isModified } from "./element.js";
import { after, belongs } from "./inbox.js";
import { dayOf, make, messageOf, showContent, showMarks, showTime } from "./row.js";

const ROW = "li[data-id]";
const SHOWN = `${ROW}:not([hidden])`;

// What a key does: go so many rows on; or click on something, of the row (letters) or the page (signs).
const KEYS = {
  j: 1,
  ArrowDown: 1,
  PageDown: 1,
  k: -1,
  ArrowUp: -1,
  PageUp: -1,
  Home: -Infinity,
  End: Infinity,
  Enter: ".title",
  o: ".title",
  r: "[value$=read]",
  e: "[value=archived]",
  ".": ".pill",
  "?": ".help",
};
const BELOW = ".list > :first-child > ul, .list > * + *, .list ~ div"; // a new row
const PACE = 0.75; // of the way that is left, after a frame
const LETTERS = "message-letters"; // in localStorage: "off" if letters and signs do nothing

/** page: the <message-center>, whose attributes say the filter and the words for the levels. */
export const createList = (page) => {
  const list = page.querySelector(".list");
  const letters = page.querySelector("[name=letters]");
  let rows = new Map(); // by id; `message` of a row is what it shows
  let known = [];
  const acts = new Set(); // {act, ids, upto}, shown before they are known: as of `version`, as soon as that is
  let upto; // the position up to which messages are shown: those after it wait
  let below; // what is on its way,
  let by = 0; // px above its place
  let isFresh; // has not been shown there yet
  let current; // the row by which Tab comes into the list; nothing of the other rows is on its way

  /** The messages of the rows in `source`: in this page, or in one that the server has just rendered. */
  const read = (source) => {
    const at = focused();
    const grows = !rows.size || mayGrow();
    const had = rows;
    const fresh = [...source.querySelectorAll(ROW)];
    rows = new Map();
    known = fresh.map(messageOf);
    list.replaceChildren();
    // The oldest first. One that was here stays, and its place on the screen with it.
    for (const message of known.toReversed()) {
      const made = fresh.pop();
      const row = had.get(message.id) ?? made;
      if (row !== made) {
        row.replaceChildren(...made.childNodes);
        row.className = ""; // not new any more
      }
      place(row);
      put(row, message);
    }
    if (grows) reveal();
    if (at) focus(at);
    return known;
  };

  /** Show these, as of that version; or let what is new wait. How many do. */
  const render = ({ messages, version }) => {
    if (messages !== known) {
      const ids = new Set(messages.map((each) => each.id));
      for (const [id, row] of rows) {
        if (ids.has(id)) continue;
        if (focused() === id) focusBeside(row);
        row.remove();
        rows.delete(id);
      }
      const grows = messages.some((each) => !rows.has(each.id)) && mayGrow();
      const first = grows && !document.hidden && list.querySelector(SHOWN);
      const top = first && topOf(first);
      known = messages;
      for (const message of known.toReversed()) show(message); // what is new is newer than all
      if (grows) reveal();
      if (first) slide(top - topOf(first));
    }
    for (const act of acts) {
      if (act.version <= version) acts.delete(act);
      for (const row of rows.values()) if (after(row.message, act) !== row.message) mark(row);
    }
    tidy();
    if (!current?.isConnected || current.hidden) enter(list.querySelector(SHOWN));
    return waiting().length;
  };

  /** Show those that wait. The id of the newest of them. */
  const reveal = () => {
    const all = waiting();
    upto = known[0]?.position ?? 0;
    for (const each of all) mark(rows.get(each.id));
    tidy();
    return all[0]?.id;
  };

  /** Keep the words for times and days right. */
  const tick = () => {
    for (const row of rows.values()) showTime(row);
    for (const section of list.children) {
      section.firstElementChild.textContent = dayOf(new Date(section.dataset.day));
    }
  };

  const shows = (id) => rows.get(id)?.hidden === false;

  /** The id of the message whose row has the focus. */
  const focused = () => document.activeElement?.closest(ROW)?.message?.id;

  const focus = (id, preventScroll = true) => (rows.get(id) ?? page.querySelector("h1")).focus({ preventScroll });

  /** Whether new rows disturb nobody: the top of the list is in view, and the focus elsewhere. */
  const mayGrow = () => !focused() && topOf(list) >= 0;

  const isShown = (message) => belongs(message, page.dataset.filter);

  const waiting = () => known.filter((each) => each.position > upto && isShown(each));

  const show = (message) => {
    const had = rows.get(message.id);
    if (had?.message === message) return;
    const row = had ?? make(page.querySelector("template"), message.id);
    if (message.content !== had?.message.content) showContent(row, message.content, page.dataset);
    if (!had) place(row);
    put(row, message);
  };

  const put = (row, message) => {
    rows.set(message.id, row);
    row.message = message;
    showTime(row);
    reach(row, row === current);
    mark(row);
  };

  /** At the top, under its day. */
  const place = (row) => {
    const at = new Date(row.querySelector("time").dateTime);
    const day = at.toDateString();
    let section = list.firstElementChild;
    if (section?.dataset.day !== day) {
      section = make(page.querySelector("template.day"));
      section.dataset.day = day;
      section.firstElementChild.textContent = dayOf(at);
      list.prepend(section);
    }
    section.lastElementChild.prepend(row);
  };

  /** Have all begin where it was, and come down: nothing that is looked at jumps. */
  const slide = (way) => {
    if (!by) {
      below = page.querySelectorAll(BELOW);
      requestAnimationFrame(move);
    }
    by += way;
    isFresh = true;
  };

  /** Frame by frame: a jump is a jump, for browsers and eyes, under a transition that is on its way. */
  const move = () => {
    if (!isFresh) by = by < -1 && !matchMedia("(prefers-reduced-motion)").matches ? by * PACE : 0;
    isFresh = false;
    for (const each of below) each.style.translate = by && `0 ${by}px`;
    if (by) requestAnimationFrame(move);
  };

  /** No heading without rows. */
  const tidy = () => {
    for (const each of [...list.children, list]) each.hidden = !each.querySelector(SHOWN);
  };

  const mark = (row) => {
    const message = [...acts].reduce(after, row.message);
    const had = row.contains(document.activeElement) && document.activeElement;
    row.hidden = message.position > upto || !isShown(message);
    if (had && row.hidden) focusBeside(row);
    showMarks(row, message);
    if (had?.hidden) row.querySelector(".acts :not([hidden])").focus();
  };

  /** Who has just dealt with this row goes on with the next; with the last gone, the one before. */
  const focusBeside = (row) => {
    const all = [...list.querySelectorAll(ROW)].filter((each) => each === row || !each.hidden);
    const here = all.indexOf(row);
    focus((all[here + 1] ?? all[here - 1])?.message.id);
  };

  const onKey = (event) => {
    const { key } = event;
    const row = event.target.closest(ROW);
    const does = KEYS[key];
    if (!row || !does || event.isComposing || isModified(event)) return;
    if (key.length > 1 ? key === "Enter" && event.target !== row : !letters.checked) return;
    event.preventDefault();
    if (typeof does === "string") {
      return (/\w/.test(key) ? row : page).querySelector(`${does}:not([hidden])`)?.click();
    }
    const all = [...list.querySelectorAll(SHOWN)];
    all[Math.max(0, Math.min(all.indexOf(row) + does, all.length - 1))].focus();
  };

  const enter = (row) => {
    if (row === current) return;
    reach(current, false);
    reach(row, true);
    current = row;
  };

  list.addEventListener("focusin", (event) => enter(event.target.closest(ROW)));
  list.addEventListener("keydown", onKey);
  letters.checked = localStorage[LETTERS] !== "off";
  letters.onchange = () => (localStorage[LETTERS] = letters.checked ? "on" : "off");

  return { acts, read, render, reveal, tick, shows, focus };
};

const topOf = (element) => element.getBoundingClientRect().top;

/** Let Tab come to a row and what is in it, or pass them by. */
const reach = (row, isReached) => {
  for (const each of row ? [row, ...row.querySelectorAll("a, button")] : []) each.tabIndex = isReached ? 0 : -1;
};
