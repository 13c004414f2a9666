// The page's inbox (static/notifications/inbox.js) against a server of a few lines that knows the
// truth: whatever is sent, done, lost and replayed, in the end the page shows what a snapshot says.

import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./load.mjs";

const { createInbox, belongs } = await import(load("inbox.js"));

const cursor = (position) => `word-${position}`;

class Server {
  log = []; // {name, id, data}, at position index + 1
  acts = [];
  messages = [];
  seen = 0;

  get state() {
    const unread = this.messages.filter((each) => !each.read && !each.archived);
    const unseen = unread.filter(({ position }) => position > this.seen);
    const { length: position } = this.log;
    return { position, version: this.acts.length, unread: unread.length, unseen: unseen.length };
  }

  snapshot(filter = "all") {
    const messages = this.messages.map((each) => ({ ...each, read: each.read || each.archived }));
    const shown = messages.filter((each) => belongs(each, filter)).map(({ content, ...marks }) => marks);
    return { ...this.state, cursor: cursor(this.log.length), more: false, messages: shown };
  }

  stateEvent(told, known = Infinity) {
    const missed = this.acts.slice(told);
    return ["state", "", { ...this.state, acts: missed.length > known ? null : missed }];
  }

  #append(name, message, data) {
    const position = this.log.length + 1;
    this.log.push([name, cursor(position), { id: message.id, position: message.position, ...data }]);
  }

  send() {
    const position = this.log.length + 1;
    const message = { id: position * 7, position, read: false, archived: false };
    this.messages.unshift(message);
    this.#append("message", message, { title: `number ${position}` });
  }

  edit(message) {
    this.#append("update", message, { title: "better" });
  }

  withdraw(message) {
    this.messages = this.messages.filter((each) => each !== message);
    this.#append("withdrawn", message, { reason: "withdrawn" });
  }

  act(act, message) {
    const version = this.acts.length + 1;
    const upto = message?.position ?? this.log.length;
    const ids = message && act !== "seen" ? [message.id] : [];
    if (act === "seen") this.seen = Math.max(this.seen, upto);
    if (act === "all-read") for (const each of this.messages) each.read ||= each.position <= upto;
    if (act === "read" || act === "archived") message.read = true;
    if (act === "unread") message.read = false;
    if (act === "archived" || act === "unarchived") message.archived = act === "archived";
    this.acts.push({ version, act, ids, upto });
  }
}

/** What the page shows, without what only its rows know. Archived shows as read. */
function shown(inbox) {
  const { unread, unseen } = inbox.counts;
  const list = inbox.shown.map(({ id, position, read, archived }) => ({ id, position, read: read || archived, archived }));
  return { unread, unseen, messages: list };
}

function truth(server, filter) {
  const { unread, unseen, messages } = server.snapshot(filter);
  return { unread, unseen, messages };
}

function open(server, filter = "all") {
  return createInbox(filter, true, server.snapshot(filter));
}

function serverWith(count) {
  const server = new Server();
  for (let i = 0; i < count; i += 1) server.send();
  return server;
}

test("a message comes in at the top and counts once, however often it is told", () => {
  const server = serverWith(1);
  const inbox = open(server);
  server.send();
  inbox.receive(...server.log[1]);
  inbox.receive(...server.log[1]);
  assert.deepEqual(shown(inbox), truth(server));
  assert.equal(inbox.cursor, "word-2");
  assert.equal(inbox.shown[0].content.title, "number 2");
});

test("an edited message stays in its place and counts nothing; a withdrawn one goes", () => {
  const server = serverWith(2);
  const inbox = open(server);
  server.edit(server.messages[1]);
  inbox.receive(...server.log[2]);
  assert.equal(inbox.shown[1].content.title, "better");
  server.withdraw(server.messages[0]);
  inbox.receive(...server.log[3]);
  inbox.receive(...server.stateEvent(0));
  assert.deepEqual(shown(inbox), truth(server));
});

test("acts of another tab apply in order above the list's version", () => {
  const server = serverWith(3);
  const inbox = open(server);
  server.act("read", server.messages[0]);
  server.act("archived", server.messages[1]);
  server.act("unread", server.messages[0]);
  inbox.receive(...server.stateEvent(0));
  assert.equal(inbox.isStale, false);
  assert.deepEqual(shown(inbox), truth(server));
});

test("a gap in the acts, or acts that are no longer known, ask for a snapshot", () => {
  for (const gap of [(server) => server.stateEvent(1), (server) => server.stateEvent(0, 1)]) {
    const server = serverWith(3);
    const inbox = open(server);
    server.act("read", server.messages[0]);
    server.act("read", server.messages[1]);
    inbox.receive(...gap(server));
    assert.equal(inbox.isStale, true);
    assert.equal(inbox.counts.unread, 1);
    inbox.replace(server.snapshot());
    assert.deepEqual(shown(inbox), truth(server));
  }
});

test("all read up to a position leaves what came after it unread", () => {
  const server = serverWith(3);
  const inbox = open(server);
  server.act("all-read", server.messages[1]);
  inbox.receive(...server.stateEvent(0));
  assert.deepEqual(inbox.shown.map(({ read }) => read), [false, true, true]);
});

test("while a snapshot is under way events and answers are held, then applied", () => {
  const server = serverWith(1);
  const inbox = open(server);
  inbox.receive("reset", "word-1", {});
  const early = server.snapshot();
  server.send();
  inbox.receive(...server.log[1]);
  server.act("read", server.messages[0]);
  inbox.receive("answer", "", server.state);
  inbox.receive(...server.stateEvent(0));
  assert.deepEqual(shown(inbox).messages.length, 1);
  inbox.replace(early);
  assert.equal(inbox.isStale, false);
  assert.deepEqual(shown(inbox), truth(server));
});

test("a snapshot that is ahead of the stream is not taken back by what the stream says later", () => {
  const server = serverWith(1);
  const inbox = open(server);
  server.act("read", server.messages[0]);
  const late = server.stateEvent(0);
  server.send();
  inbox.replace(server.snapshot());
  inbox.receive(...late);
  inbox.receive(...server.log[1]);
  assert.deepEqual(shown(inbox), truth(server));
});

test("the answer of a POST changes the counts only, and not when the list is beyond it", () => {
  const server = serverWith(2);
  const inbox = open(server);
  server.act("read", server.messages[0]);
  const answer = server.state;
  inbox.receive("answer", "", answer);
  assert.deepEqual([inbox.counts.unread, inbox.shown[0].read, inbox.version], [1, false, 0]);
  server.send();
  inbox.receive(...server.log[2]);
  inbox.receive("answer", "", answer);
  assert.equal(inbox.counts.unread, 2);
  const tooEarly = { ...server.state, unread: 99 };
  server.withdraw(server.messages[0]);
  inbox.receive(...server.log[3]);
  inbox.receive("answer", "", tooEarly);
  assert.equal(inbox.counts.unread, 2);
});

test("an answer that is ahead of the stream counts the messages on their way already", () => {
  const server = serverWith(1);
  const inbox = open(server);
  server.send();
  server.act("read", server.messages[1]);
  inbox.receive("answer", "", server.state);
  inbox.receive(...server.log[1]);
  assert.equal(inbox.counts.unread, 1);
  assert.equal(inbox.shown.length, 2);
});

test("a stream that stands at another version than the list asks for a snapshot", () => {
  const server = serverWith(1);
  const ready = (version, cursor) => ["ready", "", { version, cursor, position: 1, user: 1 }];
  const inbox = open(server);
  inbox.receive(...ready(0, "word-1"));
  assert.equal(inbox.isStale, false);
  inbox.receive(...ready(1, null)); // cannot be resumed: its reset follows
  assert.equal(inbox.isStale, false);
  inbox.receive(...ready(1, "word-1"));
  assert.equal(inbox.isStale, true);
});

test("a ping moves the cursor of a quiet reader, and never backwards", () => {
  const inbox = open(serverWith(5));
  inbox.receive("ping", "word-9", {});
  inbox.receive("ping", "word-7", {});
  assert.equal(inbox.cursor, "word-9");
});

test("a message that comes back into the list from elsewhere asks for a snapshot", () => {
  const server = serverWith(2);
  server.act("archived", server.messages[1]);
  const inbox = open(server);
  server.act("unarchived", server.messages[1]);
  inbox.receive(...server.stateEvent(1));
  assert.equal(inbox.isStale, true);
});

test("older pages take no new messages, and a page that has become empty starts anew", () => {
  const server = serverWith(2);
  const older = { ...server.snapshot(), more: true };
  older.messages = older.messages.slice(1);
  const inbox = createInbox("all", false, older);
  server.send();
  inbox.receive(...server.log[2]);
  assert.deepEqual([inbox.shown.length, inbox.counts.unread], [1, 3]);
  server.withdraw(server.messages[2]);
  inbox.receive(...server.log[3]);
  assert.equal(inbox.isStale, true);
});

test("an open page does not grow for ever", () => {
  const server = serverWith(1);
  const inbox = open(server);
  for (let i = 1; !inbox.isStale; i += 1) {
    assert.ok(i < 2_000);
    server.send();
    inbox.receive(...server.log[i]);
  }
});

// ------------------------------------------------------------------------------- any order at all

/** Numbers by chance that come again with the same seed (mulberry32). */
function chance(seed) {
  return (limit) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % limit;
  };
}

/** One open page: its stream delivers when it is let, is cut, and replays from the cursor. */
class Page {
  constructor(server, filter) {
    this.server = server;
    this.filter = filter;
    this.inbox = open(server, filter);
    this.connect();
  }

  connect() {
    const told = this.server.acts.length;
    const at = this.inbox.position;
    this.told = told;
    this.next = at;
    this.inbox.receive("ready", cursor(at), { version: told, cursor: cursor(at) });
  }

  /** Changes up to the end, then the state: the order of a look. */
  deliver(count = Infinity) {
    while (this.next < this.server.log.length && count-- > 0) this.inbox.receive(...this.server.log[this.next++]);
    if (this.next < this.server.log.length) return;
    this.inbox.receive(...this.server.stateEvent(this.told, 3));
    this.told = this.server.acts.length;
  }

  refresh() {
    if (this.inbox.isStale) this.inbox.replace(this.server.snapshot(this.filter));
  }
}

function step(server, pages, pick) {
  const { messages } = server;
  const message = messages[pick(messages.length || 1)];
  const page = pages[pick(pages.length)];
  const acts = ["read", "unread", "archived", "unarchived", "all-read", "seen"];
  const does = [
    () => server.send(),
    () => message && server.edit(message),
    () => message && server.withdraw(message),
    ...Array(5).fill(() => message && server.act(acts[pick(acts.length)], message)),
    () => page.inbox.receive("answer", "", server.state),
    () => page.deliver(pick(3)),
    () => page.deliver(),
    () => page.connect(),
    () => page.refresh(),
    () => page.inbox.receive("reset", cursor(server.log.length), {}),
  ];
  does[pick(does.length)]();
}

test("in whatever order things happen, every page ends at the truth", () => {
  for (let seed = 1; seed <= 2_000; seed += 1) {
    const pick = chance(seed);
    const server = serverWith(pick(4));
    const pages = ["all", "unread", "archived", "all"].map((filter) => new Page(server, filter));
    for (let i = pick(60); i > 0; i -= 1) step(server, pages, pick);
    for (const page of pages) {
      while (page.inbox.isStale) page.refresh();
      page.deliver();
      while (page.inbox.isStale) page.refresh();
      assert.deepEqual(shown(page.inbox), truth(server, page.filter), `seed ${seed}, ${page.filter}`);
    }
  }
});
