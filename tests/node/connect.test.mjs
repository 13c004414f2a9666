// What a caller of static/notifications/connect.js is told, with the order of things driven by hand:
// a stream, and answers of changes/, that speak when the test wants it.

import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { load } from "./load.mjs";

// A browser without locks: each tab leads itself.
Object.assign(globalThis, { window: globalThis, addEventListener() {}, reportError() {} });
globalThis.document = { baseURI: "http://localhost/" };
Object.defineProperty(globalThis, "navigator", { value: { onLine: true }, configurable: true });

let stream;
globalThis.EventSource = class extends EventTarget {
  static CLOSED = 2;

  constructor(url) {
    super();
    stream = this;
    this.url = url;
  }

  close() {
    this.readyState = 2;
  }

  say(type, position, data = type === "message" ? { id: position } : {}) {
    if (this.readyState === 2) return;
    const lastEventId = position === undefined ? "" : `word-${position}`;
    this.dispatchEvent(Object.assign(new Event(type), { lastEventId, data: JSON.stringify(data) }));
  }
};

let asked = []; // {url, answer(data), fail()}
globalThis.fetch = (url, { signal }) =>
  new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const answer = (data) => resolve({ ok: true, status: 200, json: () => data });
    asked.push({ url, answer, fail: () => reject(new Error("no network")) });
  });

const { connect } = await import(load("connect.js"));

const opened = [];
afterEach(() => {
  for (const connection of opened.splice(0)) connection.close();
  asked = [];
});

/** What it hears, as "message 3", "state", ... without what only keeps it up. */
function listen(position, version = 0) {
  const heard = [];
  const on = (type, data, id) => {
    if (type === "status") heard.push(data);
    else if (!["ping", "ready"].includes(type)) heard.push(id ? `${type} ${id.slice(5)}` : type);
  };
  const cursor = position && `word-${position}`;
  opened.push(connect({ url: "/messages/", cursor, version, user: 1, on }));
  return heard;
}

const ready = (position, version = 0) => stream.say("ready", position, { user: 1, version, position });

function answerOf(events, position, more = {}) {
  const told = events.map((at) => ({ event: "message", id: `word-${at}`, data: { id: at } }));
  const state = { position, version: 0, unread: 0, unseen: 0, acts: [] };
  return { events: told, reset: false, cursor: `word-${position}`, user: 1, ...state, ...more };
}

const turn = () => new Promise((resume) => setImmediate(resume));

test("what comes while a caller asks for what it has missed is told after it, and once", async () => {
  const first = listen(3);
  ready(3);
  stream.say("message", 4);
  const late = listen(1);
  await turn();
  assert.match(asked[0].url, /changes\/\?after=word-1&version=0&wait=0$/);
  stream.say("message", 5);
  stream.say("message", 6);
  assert.deepEqual(late, ["live"]);
  asked[0].answer(answerOf([2, 3, 4, 5], 5));
  await turn();
  assert.deepEqual(late, ["live", "message 2", "message 3", "message 4", "message 5", "state", "message 6"]);
  stream.say("message", 7);
  assert.deepEqual(first, ["live", "message 4", "message 5", "message 6", "message 7"]);
  assert.deepEqual(late.at(-1), "message 7");
  assert.equal(asked.length, 1);
});

test("without an answer nothing is told, and the next event asks again", async () => {
  listen(3);
  ready(3);
  const late = listen(1);
  await turn();
  stream.say("message", 4);
  asked[0].fail();
  await turn();
  assert.deepEqual(late, ["live"]);
  stream.say("ping", 4);
  asked[1].answer(answerOf([2, 4], 4));
  await turn();
  assert.deepEqual(late, ["live", "message 2", "message 4", "state"]);
});

test("acts that were missed are asked for, too", async () => {
  const heard = listen(3, 5);
  ready(3, 6);
  assert.match(asked[0].url, /after=word-3&version=5/);
  asked[0].answer(answerOf([], 3, { version: 6, acts: [{ version: 6 }] }));
  await turn();
  stream.say("state", undefined, { position: 3, version: 7, acts: [{ version: 7 }] });
  assert.deepEqual(heard, ["live", "state", "state"]);
  assert.equal(asked.length, 1);
});

test("a reset goes back, also to those who have not caught up yet", async () => {
  const first = listen(9);
  ready(9);
  const late = listen(1);
  await turn();
  stream.say("reset", 4);
  stream.say("message", 5);
  asked[0].answer(answerOf([], 4, { reset: true }));
  await turn();
  assert.deepEqual(first, ["live", "reset 4", "message 5"]);
  assert.deepEqual(late, ["live", "reset 4", "state", "reset 4", "message 5"]);
});

test("what is replayed is not told again, whatever the stream repeats", () => {
  const heard = listen(3);
  ready(3);
  for (const position of [4, 5, 4, 5, 6]) stream.say("message", position);
  assert.deepEqual(heard, ["live", "message 4", "message 5", "message 6"]);
});

test("a caller that fails, or closes, keeps nothing from the others", () => {
  const on = (type) => {
    if (type === "message") throw new Error("mine alone");
  };
  opened.push(connect({ url: "/messages/", cursor: "word-3", version: 0, user: 1, on }));
  const heard = listen(3);
  ready(3);
  stream.say("message", 4);
  opened[0].close();
  stream.say("message", 5);
  assert.deepEqual(heard, ["live", "message 4", "message 5"]);
});

test("the stream begins where the caller stands, and ends with the last of them", () => {
  listen(3);
  listen(3);
  // It is not the first of this page: those of the tests before have come to an end.
  assert.equal(stream.url, "http://localhost/messages/stream/?after=word-3&again=1");
  opened.shift().close();
  assert.notEqual(stream.readyState, 2);
  opened.shift().close();
  assert.equal(stream.readyState, 2);
});

test("with and without a user it is one line, and with another it is not", async () => {
  const first = listen(3);
  const hers = stream;
  const heard = [];
  opened.push(connect({ url: "/messages/", cursor: "word-3", version: 0, on: (type) => heard.push(type) }));
  assert.equal(stream, hers);
  ready(3);
  stream.say("message", 4);
  assert.deepEqual(first, ["live", "message 4"]);
  assert.deepEqual(heard, ["status", "ready", "message"]);
  const his = [];
  opened.push(connect({ url: "/messages/", cursor: "word-3", version: 0, user: 2, on: (type) => his.push(type) }));
  assert.notEqual(stream, hers);
  hers.say("message", 5);
  assert.deepEqual(his, []);
  assert.equal(heard.at(-1), "message");
});

test("another user's session ends it", () => {
  const heard = listen(3);
  stream.say("ready", 3, { user: 2, version: 0 });
  stream.say("message", 4);
  assert.deepEqual(heard, ["signed-out"]);
});
