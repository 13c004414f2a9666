/**
 * <message-center>: keeps the page that the server rendered true, and spares it the reloads.
 *
 * The snapshot of a page is the page itself: fetched again, it says what the counts and this list
 * are (any filter, any search, any part of it), and one place alone knows how rows are made: the
 * template.
 */

import { connect } from "./connect.js";
import { define, isModified } from "./element.js";
import { createInbox, standing } from "./inbox.js";
import { createList } from "./list.js";
import { capped, MANY, showOutside } from "./outside.js";
import { exact } from "./row.js";
import { backoff, pause } from "./wait.js";

const SEEN_AFTER = 1_000; // ms in sight until the bell's number is cleared
const TELL_AFTER = 1_000; // ms in which what happens is told together
const UNDO = 6_000; // ms at least for who wants to take an archive back
const TICK = 60_000; // ms: times are told by the minute

/** The <message-center> of an answer with a page of the server's. Null if it has none. */
export const centerOf = async (answer) => {
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  return page.querySelector("message-center");
};

define("message-center", (center, signal) => {
  const { dataset } = center;
  const find = (selector) => center.querySelector(selector);
  const failure = find(".failure");
  const undo = find(".undo");
  const told = new Set(); // sentences
  let news = 0;
  let state; // of the connection
  let undoTimer;
  let isRefreshing;
  let renewed = pause(0); // what is fetched, one after the other
  let seen; // the cursor up to which the server has been told

  // ------------------------------------------------------------------------------- what comes in

  const receive = (name, data, id) => {
    if (name === "status") return showState(data);
    if (name === "ready" && !isFor(data.user)) return;
    if (name === "withdrawn" && data.reason === name && list.shows(data.id)) tell(dataset.withdrawn);
    inbox.receive(name, id, data);
    if (name === "message") {
      news += 1;
      tell(dataset.many);
    }
    render();
  };

  /** Whether the session still is this reader's; if not, nothing that is here is for who looks. */
  const isFor = (user) => {
    if (user == dataset.user) return true; // a number, or its digits
    location.reload();
  };

  /** What `page`, as the server has just rendered it, shows; from now on this one does. */
  const snapshot = (page) => ({
    ...standing(page.dataset),
    more: page.querySelector(".more a"),
    messages: list.read(page),
  });

  const refresh = async () => {
    if (isRefreshing) return;
    isRefreshing = true;
    for (let failures = 0; inbox.isStale && center.isConnected && state !== "signed-out"; failures += 1) {
      if (!(await renew())) await pause(backoff(failures));
    }
    isRefreshing = false;
  };

  /** Have the page as it is now, one fetch at a time. Whether the server has given it. */
  const renew = () => {
    return (renewed = renewed.then(async () => {
      inbox.isStale = true; // what comes meanwhile is held
      try {
        const fresh = await centerOf(await ask(dataset.page ?? location.href));
        if (!isFor(fresh.dataset.user)) return;
        find(".more a")?.remove();
        find(".more").prepend(...fresh.querySelector(".more").childNodes);
        inbox.replace(snapshot(fresh));
        render();
        return true;
      } catch {
        // No network, or no such page.
      }
    }));
  };

  const grow = async (link) => {
    const before = location.href;
    const oldest = inbox.messages.at(-1).position;
    history.replaceState(null, "", link.dataset.grown);
    find(".list").ariaBusy = true;
    const isGrown = await renew();
    find(".list").ariaBusy = false;
    if (isGrown) return list.focus(inbox.shown.find((each) => each.position < oldest)?.id, false);
    history.replaceState(null, "", before);
    fail(find(".more"), () => grow(find(".more a")));
    refresh();
  };

  // -------------------------------------------------------------------------------- what is shown

  const render = () => {
    const { unread, unseen } = inbox.counts;
    if (inbox.isStale) refresh();
    const waiting = list.render(inbox);
    const pill = find(".pill");
    pill.hidden = !waiting;
    pill.textContent = sayNew(capped(waiting));
    for (const number of center.querySelectorAll(".unread-count")) number.textContent = unread;
    const all = find("[value=all-read]");
    if (!unread && all === document.activeElement) list.focus();
    all.hidden = !unread;
    showOutside(unseen);
    countDown();
  };

  const sayNew = (n) => (n === 1 ? dataset.one : dataset.many.replace("{n}", n));

  const showState = (now) => {
    state = now;
    const isOut = state === "signed-out";
    for (const line of center.querySelectorAll(".lines [data-state]")) {
      line.hidden = line.dataset.state !== state;
      if (!line.hidden) (isOut ? alarm : tell)(line.firstElementChild.textContent);
    }
    for (const button of center.querySelectorAll("[form]")) button.disabled = isOut;
    find("h1").title = state === "live" ? dataset.live : "";
  };

  /** Say it to who does not see it: at once, or together with what else there is to say. */
  const say = (where, text) => (find(where).textContent = document.hidden ? "" : text);

  const alarm = (sentence) => say(".alert", sentence);

  const tell = (sentence) => {
    if (!told.size) setTimeout(speak, TELL_AFTER);
    told.add(sentence);
  };

  const speak = () => {
    say(".news", [...told].join(" ").replace(dataset.many, sayNew(news)));
    told.clear();
    news = 0;
  };

  /** Tell the server what has been seen, once it has been in sight for a while. */
  const countDown = () => {
    if (isNewInSight()) setTimeout(see, SEEN_AFTER);
  };

  const see = () => {
    if (!isNewInSight()) return;
    seen = inbox.cursor;
    post(dataset.seen);
  };

  const isNewInSight = () =>
    center.isConnected && !document.hidden && !inbox.isStale && inbox.counts.unseen && inbox.cursor !== seen;

  // ------------------------------------------------------------------------- what the reader does

  /** Show it at once; the stream will say what has become of it. What failed is taken back. */
  const act = async (button, value = button.value, url = button.formAction) => {
    const row = button.closest("li");
    failure.hidden = true;
    alarm("");
    if (value === "archived") offerUndo(row);
    if (!row) list.reveal(); // all that is marked has been shown
    const done = { act: value, ids: [row?.message.id], upto: inbox.position };
    list.acts.add(done);
    render();
    const at = row ?? center;
    const answer = await (at.posted = post(url, at.posted));
    done.version = answer?.version ?? 0; // of what has failed nothing is shown any more
    render();
    if (answer) return;
    undo.hidden = true;
    if (state === "signed-out") return;
    fail(row && list.shows(row.message.id) ? row : find("header"), () => act(button, value, url));
  };

  /** Say so beside it, with a button that does it once more. */
  const fail = (beside, again) => {
    beside.append(failure);
    failure.hidden = false;
    alarm(failure.firstElementChild.textContent);
    failure.lastElementChild.onclick = () => {
      (failure.closest("li") ?? failure.previousElementSibling).focus();
      failure.hidden = true;
      again();
    };
  };

  /** To have it as it was: also unread, if it was. */
  const offerUndo = (row) => {
    const wasRead = row.dataset.read === "true"; // also if nobody but this page knows it yet
    tell(undo.firstElementChild.textContent);
    undo.hidden = false;
    undo.lastElementChild.onclick = () => {
      const button = row.querySelector("[value=unarchived]");
      if (wasRead) act(button);
      else act(button, "undone", `${button.formAction}?unread=1`);
      undo.hidden = true;
      list.focus(row.message.id);
    };
    endUndo();
  };

  const endUndo = () => {
    clearTimeout(undoTimer);
    undoTimer = setTimeout(() => {
      if (undo.matches(":hover, :focus-within")) endUndo();
      else undo.hidden = true;
    }, UNDO);
  };

  /** The pill has been pressed. Instead of too many the list starts anew. */
  const showNew = () => {
    inbox.isStale ||= list.render(inbox) > MANY;
    const newest = list.reveal();
    render();
    list.focus(newest, false);
  };

  /** How things stand when it has been done, after what is `before` it; undefined if it has not. */
  const post = async (url, before) => {
    const form = find("#acts");
    form.upto.value = inbox.cursor;
    const body = new FormData(form);
    await before;
    try {
      const answer = await ask(url, { method: "POST", headers: { Accept: "application/json" }, body, keepalive: true });
      if (!answer.ok) return;
      const state = await answer.json();
      inbox.receive("answer", "", state);
      render();
      return state;
    } catch {
      // No network.
    }
  };

  const ask = async (url, options) => {
    const answer = await fetch(url, { redirect: "manual", ...options });
    // A page sends who is signed out to the log-in; scripts see that redirect as "opaque".
    if (answer.status === 401 || answer.type === "opaqueredirect") connection.signOut();
    return answer;
  };

  const list = createList(center);
  const inbox = createInbox(dataset.filter, dataset.first === "true", snapshot(center));
  const connection = connect({ ...dataset, ...inbox, on: receive });
  const clicks = {
    ".try-now": connection.retry,
    ".help": () => find("dialog").showModal(),
    ".pill": showNew,
    // Who follows the link has read the message.
    ".link": (link) => link.closest("li").querySelector("[value=read]:not([hidden])")?.click(),
    "[form]": (button, event) => {
      event.preventDefault();
      act(button);
    },
    "[data-grown]": (link, event) => {
      if (isModified(event)) return; // to another tab
      event.preventDefault();
      grow(link);
    },
  };

  center.onclick = (event) => {
    for (const selector in clicks) {
      const hit = event.target.closest(selector);
      if (hit) clicks[selector](hit, event);
    }
  };
  document.addEventListener("visibilitychange", countDown, { signal });
  // For the server, which cannot know it otherwise: so the next page is right at first sight.
  const zone = exact.resolvedOptions().timeZone;
  document.cookie = `timezone=${zone};path=/;max-age=31536000;samesite=lax`;
  const ticking = setInterval(list.tick, TICK);
  signal.onabort = () => {
    clearInterval(ticking);
    connection.close();
  };
  render();
});
