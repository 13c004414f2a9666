/**
 * One user's events, as docs/protocol.md has them, for any page. Nothing in here shows anything.
 *
 *   const connection = connect({ url: "/messages/", on: (type, data, id) => console.log(type, data) });
 */

import { Line } from "./line.js";
import { eventsOf, positionOf } from "./source.js";

const LOG = ["message", "update", "withdrawn"];

const lines = {}; // by user and url: shared by all of this tab who connect

/**
 * url: where the message center is mounted; may be of another origin. cursor, version: of what the
 * caller shows; undefined: from now on. user: whose; undefined: whoever is logged in.
 * on(type, data, id): the events in order, those of the log at most once; and "status", with live,
 * reconnecting, offline, paused or signed-out. Never called before `connect` has returned.
 */
export function connect({ url, user, on, ...from }) {
  const at = new URL(url, document.baseURI).href;
  const line = (lines[`${user} ${at}`] ??= new Line(at, user));
  const reader = new Reader(line, from, on);
  line.add(reader);
  return {
    /** Listen to nothing any more. */
    close: () => reader.close(),
    /** Try now what would be tried later. */
    retry: () => line.retry(),
    /** A request has been answered with 401, or led to the log-in: tell all tabs. */
    signOut: () => line.signOut(),
  };
}

/** One caller, who gets what comes in, and first what it has missed: it came late, or slept. */
class Reader {
  #line;
  #on;
  #status;
  #held; // what comes while it asks what it has missed
  #isBehind = false;

  constructor(line, { cursor, version }, on) {
    this.#line = line;
    this.cursor = cursor; // up to here it has everything
    this.version = version;
    this.#on = on;
  }

  close() {
    this.#on = () => {};
    this.#line.remove(this);
  }

  /** isNext: nothing is missing before it, whatever it says. */
  take(event, isNext) {
    const { type, id, data, from, told, status = this.#status } = event;
    if (status !== this.#status) {
      this.#status = status;
      this.#give("status", status);
    }
    if (this.#held) return this.#held.push(event);
    this.cursor ??= from;
    this.version ??= told;
    if (type === "reset") {
      this.cursor = this.version = undefined; // even if it goes back
    } else if (!isNext && (this.#isBehind || this.#misses(from, told))) {
      return this.#catchUp(event);
    }
    const isKnown = positionOf(id) <= positionOf(this.cursor);
    if (isKnown && LOG.includes(type)) return;
    if (id && !isKnown) this.cursor = id;
    if (data?.version > this.version) this.version = data.version;
    if (type) this.#give(type, data, id);
  }

  #misses(from, told) {
    return positionOf(from) > positionOf(this.cursor) || told > this.version;
  }

  async #catchUp(event) {
    this.#isBehind = true;
    this.#held = [event];
    const answer = await this.#line.ask(this);
    const held = this.#held;
    this.#held = undefined;
    if (!answer) return; // the next event tries it again: what was held comes with the answer
    this.#isBehind = false;
    for (const each of [...eventsOf(answer), ...held]) this.take(each, true);
  }

  #give(type, data, id) {
    try {
      this.#on(type, data, id);
    } catch (error) {
      reportError(error); // whose fault is it? Nobody else's events
    }
  }
}
