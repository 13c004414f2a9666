/**
 * One user's events, as docs/protocol.md has them, for any page. Nothing in here shows anything.
 *
 *   const connection = connect({ url: "/messages/", on: (type, data, id) => console.log(type, data) });
 */

import { positionOf } from "./cursor.js";
import { createLine } from "./line.js";
import { eventsOf } from "./source.js";

// Shared by all of this page who connect, also by another copy of this module.
const lines = (window.messageLines ??= []);

/**
 * url: where the message center is mounted; may be of another origin. cursor, version: of what the
 * caller shows; undefined: from now on. user: whose; undefined: whoever is logged in.
 * on(type, data, id): the events in order, those of the log at most once; and "status", with live,
 * reconnecting, offline, paused or signed-out. Never called before `connect` has returned.
 */
export const connect = ({ url, user, on, cursor, version }) => {
  const at = new URL(url, document.baseURI).href;
  let line = lines.find((each) => each.serves(at, user));
  if (!line) lines.push((line = createLine(at, user)));
  let status;
  let held; // what comes while it asks what it has missed
  let isBehind = false;

  /** isNext: nothing is missing before it, whatever it says. */
  const take = (news, isNext) => {
    const { event, id, data, from, told } = news;
    if (news.status && news.status !== status) give("status", (status = news.status));
    if (held) return held.push(news);
    reader.cursor ??= from;
    reader.version ??= told;
    const misses = positionOf(from) > positionOf(reader.cursor) || told > reader.version;
    if (event === "reset") {
      reader.cursor = reader.version = undefined; // even if it goes back
    } else if (!isNext && (isBehind || misses)) {
      return catchUp(news);
    }
    const isKnown = positionOf(id) <= positionOf(reader.cursor);
    if (isKnown && data.id) return; // it speaks of a message: so it is of the log
    if (id && !isKnown) reader.cursor = id;
    if (data?.version > reader.version) reader.version = data.version;
    if (event) give(event, data, id);
  };

  const catchUp = async (news) => {
    isBehind = true;
    held = [news];
    const answer = await line.ask(reader);
    const next = held;
    held = undefined;
    if (!answer) return; // the next event tries it again: what was held comes with the answer
    isBehind = false;
    for (const each of [...eventsOf(answer), ...next]) take(each, true);
  };

  const give = (...what) => {
    try {
      on(...what);
    } catch (error) {
      reportError(error); // whose fault is it? Nobody else's events
    }
  };

  // Up to its cursor this caller has everything. It gets what comes in, and first what it has
  // missed: it came late, or slept.
  const reader = { cursor, version, take };
  line.add(reader);
  return {
    /** Listen to nothing any more. */
    close() {
      on = () => {};
      line.remove(reader);
    },
    /** Try now what would be tried later. */
    retry: line.retry,
    /** A request has been answered with 401, or led to the log-in: tell all tabs. */
    signOut: () => line.tell({ status: "signed-out" }),
  };
};
