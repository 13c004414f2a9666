/**
 * The line from all tabs of a browser to one user's events. One of them leads: it holds a lock, has
 * the stream, and tells the others what comes. When it goes, the lock goes to the next, which goes
 * on from where it is itself. Where there are no locks (they need https), each tab leads itself.
 */

import { createSource } from "./source.js";

const OLD = 20_000; // ms since the last event: a ping is missing
const QUIET = 30_000; // ms without a word from who leads, until it is asked whether it is there
const ANSWER = 5_000; // ms until another takes its place; up to twice that, or all would at once

export const createLine = (url, user) => {
  const name = `messages ${user} ${url}`;
  const readers = new Set(); // {cursor, version, take(event)}; the events are those of the source
  let isOver = true; // nobody listens, or may
  let channel; // to the other tabs
  let request; // aborts the one for the lock
  let release; // gives the lock back; there is one while this tab leads
  let alarm;
  let heard; // when something was, at last
  let status;

  /** Whether it is the line to these events. Who does not say whose takes what comes. */
  const serves = (itsUrl, itsUser = source.user) => {
    if (itsUrl !== url) return false;
    source.user ??= itsUser;
    return itsUser == source.user; // a number, or its digits
  };

  const add = (reader) => {
    readers.add(reader);
    if (isOver) join();
    else queueMicrotask(hello); // nothing comes before `connect` has returned
  };

  const remove = (reader) => {
    readers.delete(reader);
    if (!readers.size) end();
  };

  /** Try it from here, now, whoever leads at the moment. */
  const retry = () => {
    if (release) open();
    else if (channel) lock({ steal: true });
    else join();
  };

  const end = () => {
    isOver = true;
    leave();
  };

  const wake = () => {
    if (!isOver) join();
  };

  const join = () => {
    leave();
    isOver = false;
    if (!navigator.locks) return lead();
    channel = new BroadcastChannel(name);
    channel.onmessage = ({ data }) => hear(data);
    lock();
    hello();
  };

  const leave = () => {
    clearTimeout(alarm);
    request?.abort();
    channel?.close();
    source.close();
    release?.();
    channel = release = undefined;
  };

  const lock = (how) => {
    request?.abort();
    request = new AbortController();
    const { signal } = request;
    navigator.locks
      .request(name, how ?? { signal }, () => signal.aborted || lead())
      // It was stolen. Or this page may have none.
      .catch(() => signal.aborted || (release ? join() : lead()));
  };

  const lead = () => {
    clearTimeout(alarm);
    return new Promise((resolve) => {
      release = resolve;
      open();
    });
  };

  const open = () => source.open([...readers][0]);

  /** Ask who leads how things stand. Without an answer, take its place. */
  const hello = () => {
    if (release) return source.say();
    channel?.postMessage("hello");
    expect(ANSWER * (1 + Math.random()), () => channel && retry());
  };

  const expect = (ms, otherwise) => {
    clearTimeout(alarm);
    alarm = setTimeout(otherwise, ms);
  };

  /** Who looks at this tab is not kept waiting. */
  const look = () => {
    if (document.hidden || (status === "live" && Date.now() - heard < OLD)) return;
    if (release) open();
    else hello();
  };

  const hear = (event) => {
    if (event === "hello") return release && (status === "reconnecting" ? open() : source.say());
    // Of others who say how things stand, it is who does not know yet that it leads no more.
    if (release && event.status !== "signed-out") return;
    expect(QUIET, hello);
    give(event);
  };

  const tell = (event) => {
    channel?.postMessage(event);
    give(event);
  };

  const give = (event) => {
    heard = Date.now();
    status = event.status ?? status;
    if (status === "signed-out") end();
    for (const reader of readers) reader.take(event);
  };

  const source = createSource(url, tell);
  source.user = user;
  const on = (type, act) => addEventListener(type, act, true);
  // A page with a lock or an open channel would not be kept for "back".
  on("pagehide", leave);
  on("freeze", leave);
  on("pageshow", ({ persisted }) => persisted && wake());
  on("resume", wake);
  on("visibilitychange", look);
  on("online", () => release && open());
  on("offline", () => release && source.lose());

  return { serves, add, remove, retry, tell, ask: source.ask };
};
