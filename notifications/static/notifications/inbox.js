/**
 * What one page shows of a user's inbox, kept true by the events of the stream. No DOM in here.
 *
 * Counts and list each know as of which (position, version) they are true. When the list cannot be
 * kept true by what is known, `isStale` says so: fetch a snapshot and give it to `replace`. Until
 * then events and answers are held, and afterwards applied by the ordinary rules.
 */

import { positionOf } from "./cursor.js";

const MOST_MESSAGES = 1_200; // more than the server renders at most; a page that has grown so long starts anew

const MARKS = {
  read: { read: true },
  unread: { read: false },
  archived: { read: true, archived: true },
  unarchived: { archived: false },
  undone: { read: false, archived: false }, // an archive of what had been unread
  "all-read": { read: true },
};

/** `message` as it is after an act of its reader. What is archived counts as read, and is when it was archived. */
export const after = (message, { act, ids, upto }) =>
  (act === "all-read" ? message.position <= upto : ids.includes(message.id)) ? { ...message, ...MARKS[act] } : message;

export const belongs = (message, filter) =>
  filter === "archived" ? message.archived : !message.archived && !(filter === "unread" && message.read);

/** What attributes say as of which moment, as a snapshot has it. */
export const standing = ({ cursor, version, unread, unseen }) => ({
  cursor,
  version: Number(version),
  unread: Number(unread),
  unseen: Number(unseen),
});

/**
 * filter: all, unread or archived. isFirstPage: new messages come in at its top.
 * snapshot: {cursor, version, unread, unseen, more, messages: [{id, position, read, archived}]},
 * newest first; `more`: there are older ones on the next page.
 */
export const createInbox = (filter, isFirstPage, snapshot) => {
  const held = [];
  const replace = (snapshot) => {
    const position = positionOf(snapshot.cursor);
    Object.assign(inbox, snapshot, { position, counts: { ...snapshot, position }, isStale: false });
    for (const event of held.splice(0)) receive(...event);
  };

  /** An event of the stream: its name, the cursor that came with it, its data. Or "answer": that of a POST. */
  const receive = (...event) => {
    if (inbox.isStale) held.push(event);
    else apply(...event);
  };

  const apply = (name, id, data) => {
    if (name === "ready") {
      // Without a cursor of its own a `reset` follows.
      inbox.isStale = Boolean(data.cursor) && data.version !== inbox.version;
    } else if (name === "reset") {
      inbox.isStale = true;
    } else if (name === "answer") {
      if (data.position >= inbox.position) count(data); // else the list is beyond it
    } else if (name === "state") {
      count(data);
      follow(data);
    } else {
      const position = positionOf(id);
      if (!(position > inbox.position)) return; // had it already
      change(name, position, data);
      inbox.cursor = id;
      inbox.position = position;
    }
  };

  const change = (name, position, data) => {
    const { counts, messages } = inbox;
    if (name === "message") {
      if (position > counts.position) {
        inbox.counts = { ...counts, position, unread: counts.unread + 1, unseen: counts.unseen + 1 };
      }
      const message = { id: data.id, position, read: false, archived: false, content: data };
      if (isFirstPage && belongs(message, filter)) know([message, ...messages]);
    } else if (name === "update") {
      know(messages.map((each) => (each.id === data.id ? { ...each, content: data } : each)));
    } else if (name === "withdrawn") {
      know(messages.filter((each) => each.id !== data.id)); // its state follows
    }
  };

  const count = (state) => {
    const { position, version } = inbox.counts;
    if (state.position >= position && state.version >= version) inbox.counts = state;
  };

  /** Apply the acts above the list's version, in order; a gap or null: it is stale. */
  const follow = (state) => {
    for (const each of state.acts ?? []) {
      if (each.version !== inbox.version + 1) continue;
      enact(each);
      inbox.version = each.version;
    }
    if (inbox.version < state.version) inbox.isStale = true;
  };

  const enact = (done) => {
    const { act, ids } = done;
    const isKnown = (id) => inbox.messages.some((each) => each.id === id);
    // What these acts do may bring a message into a list that did not have it.
    if ((act === filter || act === "unarchived") && !ids.every(isKnown)) inbox.isStale = true;
    know(inbox.messages.map((each) => after(each, done)));
  };

  const know = (messages) => {
    inbox.messages = messages;
    if (messages.length > MOST_MESSAGES || (inbox.more && !inbox.shown.length)) inbox.isStale = true;
  };

  // Of the snapshot, and kept true: cursor, version, more, messages: also such as do not belong any
  // more (put away), which may come back. position: of the cursor. counts: {position, version,
  // unread, unseen}. isStale.
  const inbox = {
    replace,
    receive,
    /** What the list shows. */
    get shown() {
      return inbox.messages.filter((each) => belongs(each, filter));
    },
  };

  replace(snapshot);
  return inbox;
};
