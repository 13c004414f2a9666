/**
 * The line from all tabs of a browser to one user's events. One of them leads: it holds a lock, has
 * the stream, and tells the others what comes. When it goes, the lock goes to the next, which goes
 * on from where it is itself. Where there are no locks (they need https), each tab leads itself.
 */

import { Source } from "./source.js";

const OLD = 20_000; // ms since the last event: a ping is missing
const QUIET = 30_000; // ms without a word from who leads, until it is asked whether it is there
const ANSWER = 5_000; // ms until another takes its place; up to twice that, or all would at once

export class Line {
  #name;
  #source;
  #readers = new Set();
  #channel; // to the other tabs
  #request; // aborts the one for the lock
  #release; // gives the lock back; there is one while this tab leads
  #alarm;
  #heard; // when something was, at last
  #status;
  #listeners;

  constructor(url, user) {
    this.#name = `messages ${user} ${url}`;
    this.#source = new Source(url, user, (event) => this.#tell(event));
  }

  /** reader: {cursor, version, take(event)}; the events are those of `Source`. */
  add(reader) {
    this.#readers.add(reader);
    if (this.#readers.size === 1) this.#begin();
    else queueMicrotask(() => this.#hello()); // nothing comes before `connect` has returned
  }

  remove(reader) {
    this.#readers.delete(reader);
    if (!this.#readers.size) this.#end();
  }

  /** What it has missed: an answer of `changes/`, or nothing. */
  ask(reader) {
    return this.#source.ask(reader);
  }

  /** Try it from here, now, whoever leads at the moment. */
  retry() {
    if (this.#release) this.#open();
    else if (this.#channel) this.#lock({ steal: true });
    else this.#begin();
  }

  signOut() {
    this.#tell({ status: "signed-out" });
  }

  #begin() {
    this.#listeners = new AbortController();
    const { signal } = this.#listeners;
    const on = (types, act) => {
      for (const type of types) addEventListener(type, act, { signal, capture: true });
    };
    // A page with a lock or an open channel would not be kept for "back".
    on(["pagehide", "freeze"], () => this.#leave());
    on(["pageshow", "resume"], ({ persisted }) => persisted === false || this.#join());
    on(["visibilitychange"], () => document.hidden || this.#look());
    on(["online"], () => this.#release && this.#open());
    on(["offline"], () => this.#release && this.#source.lose());
    this.#join();
  }

  #end() {
    this.#listeners.abort();
    this.#leave();
  }

  #join() {
    this.#leave();
    if (!navigator.locks) return this.#lead();
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.onmessage = ({ data }) => this.#hear(data);
    this.#lock();
    this.#hello();
  }

  #leave() {
    clearTimeout(this.#alarm);
    this.#request?.abort();
    this.#channel?.close();
    this.#source.close();
    this.#release?.();
    this.#channel = this.#release = undefined;
  }

  #lock(how) {
    this.#request?.abort();
    this.#request = new AbortController();
    const { signal } = this.#request;
    navigator.locks
      .request(this.#name, how ?? { signal }, () => signal.aborted || this.#lead())
      // It was stolen. Or this page may have none.
      .catch(() => signal.aborted || (this.#release ? this.#join() : this.#lead()));
  }

  #lead() {
    clearTimeout(this.#alarm);
    const over = new Promise((release) => (this.#release = release));
    this.#open();
    return over;
  }

  #open() {
    const [reader] = this.#readers;
    this.#source.open(reader);
  }

  /** Ask who leads how things stand. Without an answer, take its place. */
  #hello() {
    if (this.#release) return this.#source.say();
    this.#channel?.postMessage("hello");
    this.#expect(ANSWER * (1 + Math.random()), () => this.#channel && this.retry());
  }

  #expect(ms, otherwise) {
    clearTimeout(this.#alarm);
    this.#alarm = setTimeout(otherwise, ms);
  }

  /** Who looks at this tab is not kept waiting. */
  #look() {
    if (this.#status === "live" && Date.now() - this.#heard < OLD) return;
    if (this.#release) this.#open();
    else this.#hello();
  }

  #hear(event) {
    if (this.#release) {
      if (event === "hello") this.#status === "reconnecting" ? this.#open() : this.#source.say();
      // Of others who say how things stand, it is who does not know yet that it leads no more.
      if (event.status !== "signed-out") return;
    }
    if (event === "hello") return;
    this.#expect(QUIET, () => this.#hello());
    this.#give(event);
  }

  #tell(event) {
    this.#channel?.postMessage(event);
    this.#give(event);
  }

  #give(event) {
    this.#heard = Date.now();
    this.#status = event.status ?? this.#status;
    if (this.#status === "signed-out") this.#end();
    for (const reader of this.#readers) reader.take(event);
  }
}
