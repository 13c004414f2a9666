/**
 * Toasts, and notifications by the system where nobody looks. Each message is told once a browser,
 * not once a tab, and no longer than it is unseen here and elsewhere.
 */

import { isWanted, notify } from "./device.js";
import { make, showContent } from "./row.js";

const MOST_TOASTS = 3; // toasts at a time
const SHORTEST = 6_000; // ms in sight
const READING = 90; // ms a character
const STEP = 500; // ms
const LATER = 300; // ms that hidden tabs leave to those in sight,
const LATE = 100; // and those without the message to one that shows it already
const HELD = 5_000; // ms, within which all tabs have heard of a message
const LOCK = "message-toast:"; // and the id: held by the tab that tells it
const TOGETHER = 1_000; // ms in which arrivals are said together
const IN_SIGHT = "message-center[data-first=true]:not([data-filter=archived])";

const isInSight = () => !document.hidden && document.querySelector(IN_SIGHT);

/** words: {url, many, info, ...}. region: a list, and what toasts are made from. status: says it. */
export const createToasts = (words, region, status) => {
  const [list, close, template] = region.children;
  const known = new Map(); // id -> {content, and of one that is told: renew(content), end()}
  let arrived = 0;
  let back; // what had the focus before

  /** messages: of those that have arrived, the unseen. What comes at once is told at once. */
  const update = (messages) => {
    for (const [id, toast] of known) {
      const message = messages.find((each) => each.id === id);
      if (!message) known.delete(id);
      if (!message || isInSight()) toast.end?.();
      else if (message.content !== toast.content) toast.renew?.((toast.content = message.content));
    }
    const fresh = messages.filter((each) => !known.has(each.id) && known.set(each.id, { ...each }));
    if (fresh.length) setTimeout(claim, document.hidden ? LATER : isInSight() ? 0 : LATE, fresh);
  };

  /** Whoever comes first tells it. */
  const claim = (arrivals) => {
    const fresh = arrivals.filter((each) => known.has(each.id)); // else dealt with elsewhere by now
    if (!fresh.length) return;
    const { locks } = navigator; // none over http in a local network: there each tab tells
    const take = (isFirst) => isFirst && tell(fresh);
    locks ? locks.request(LOCK + fresh[0].id, { ifAvailable: true }, take) : take(true);
  };

  /** Tell it here. Until what is returned is over, other tabs know that it was. */
  const tell = ([{ id, content }, ...others]) => {
    const many = others.length + 1;
    const row = make(template, id);
    const toast = { content };
    known.set(id, toast);
    // After a gap one says it for all.
    fill(row, many > 1 ? { ...content, title: sayMany(many), html: "" } : content);
    if (many > 1) row.querySelector("a").href = words.url;
    else toast.renew = (content) => fill(row, content);
    if (document.hidden) {
      if (isWanted()) toast.end = notify(row, id);
    } else if (!isInSight()) {
      say(row, many);
      toast.end = show(row);
    }
    return new Promise((resume) => {
      setTimeout(resume, HELD);
      addEventListener("pagehide", resume); // a held lock keeps a page from coming back
    });
  };

  const sayMany = (n) => words.many.replace("{n}", n);

  /** To those who do not see it; several at once. */
  const say = (row, many) => {
    if (!arrived) {
      setTimeout(() => {
        status.textContent = arrived > 1 ? sayMany(arrived) : row.querySelector("h3").textContent;
        arrived = 0;
      }, TOGETHER);
    }
    arrived += many;
  };

  const fill = (row, content) => {
    showContent(row, content, words);
    const body = row.querySelector(".body");
    body.textContent = body.textContent; // one link is enough: its own are on the page of the message
  };

  const show = (row) => {
    let left = Math.max(SHORTEST, READING * row.textContent.length);
    const timer = setInterval(() => {
      if (!document.hidden && !region.matches(":hover, :focus-within")) left -= STEP;
      if (left <= 0) end();
    }, STEP);
    const end = () => {
      const had = row.contains(document.activeElement);
      clearInterval(timer);
      row.remove();
      region.togglePopover(Boolean(list.firstChild));
      if (had) (list.querySelector("a") ?? back)?.focus();
    };
    row.append(close.cloneNode());
    row.lastChild.onclick = end;
    row.onkeydown = (event) => {
      if (event.key === "Escape") end();
    };
    list.prepend(row);
    list.children[MOST_TOASTS]?.lastChild.click();
    region.togglePopover(true);
    return end;
  };

  /** Focus the newest toast, if there is one. */
  const focus = () => {
    const link = list.querySelector("a");
    if (link && !list.contains(document.activeElement)) back = document.activeElement;
    link?.focus();
    return link;
  };

  return { update, focus };
};
