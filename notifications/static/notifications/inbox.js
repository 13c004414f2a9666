/**
 * What one page shows of a user's inbox, kept true by the events of the stream. No DOM in here.
 *
 * Counts and list each know as of which (position, version) they are true. When the list cannot be
 * kept true by what is known, `isStale` says so: fetch a snapshot and give it to `replace`. Until
 * then events and answers are held, and afterwards applied by the ordinary rules.
 */

const MOST = 1_200; // messages: more than the server renders at most; a page that has grown so long starts anew

const MARKS = {
  read: { read: true },
  unread: { read: false },
  archived: { read: true, archived: true },
  unarchived: { archived: false },
  undone: { read: false, archived: false }, // an archive of what had been unread
  "all-read": { read: true },
};

// The acts that may bring a message into a list that did not have it.
const ENTERS = { all: ["unarchived"], unread: ["unread", "unarchived"], archived: ["archived"] };

/** `message` as it is after `act`. What is archived counts as read, and is when it was archived. */
export function after(message, act) {
  return { ...message, ...MARKS[act] };
}

export function belongs(message, filter) {
  return filter === "archived" ? message.archived : !message.archived && !(filter === "unread" && message.read);
}

/** The position in a cursor, `word-position`. */
export function positionOf(cursor) {
  return Number(cursor.slice(cursor.lastIndexOf("-") + 1));
}

export class Inbox {
  isStale = false;
  #held = [];
  #filter;
  #isFirstPage;

  /**
   * filter: all, unread or archived. isFirstPage: new messages come in at its top.
   * snapshot: {cursor, version, unread, unseen, more, messages: [{id, position, read, archived}]},
   * newest first; `more`: there are older ones on the next page.
   */
  constructor(filter, isFirstPage, snapshot) {
    this.#filter = filter;
    this.#isFirstPage = isFirstPage;
    this.replace(snapshot);
  }

  replace({ cursor, version, unread, unseen, more, messages }) {
    const position = positionOf(cursor);
    this.cursor = cursor; // up to here the list has everything
    this.position = position;
    this.version = version; // of the list
    this.counts = { position, version, unread, unseen };
    this.known = messages;
    this.more = more;
    this.isStale = false;
    for (const apply of this.#held.splice(0)) this.#orHold(apply);
  }

  /** What the list shows. A known message that does not belong any more (put away) may come back. */
  get messages() {
    return this.known.filter((each) => belongs(each, this.#filter));
  }

  /** An event of the stream: its name, the cursor that came with it, its data. */
  receive(name, id, data) {
    this.#orHold(() => this.#receive(name, id, data));
  }

  /** The answer of a POST: it changes the counts only, and only if the list is not beyond it. */
  answer(state) {
    this.#orHold(() => state.position >= this.position && this.#count(state));
  }

  #orHold(apply) {
    if (this.isStale) this.#held.push(apply);
    else apply();
  }

  #receive(name, id, data) {
    if (name === "ready") {
      // Without a cursor of its own a `reset` follows.
      this.isStale = Boolean(data.cursor) && data.version !== this.version;
    } else if (name === "reset") {
      this.isStale = true;
    } else if (name === "state") {
      this.#count(data);
      this.#follow(data);
    } else if (name !== "bye") {
      const position = positionOf(id);
      if (!(position > this.position)) return; // had it already
      this.#change(name, position, data);
      this.cursor = id;
      this.position = position;
    }
  }

  #change(name, position, data) {
    if (name === "message") {
      const { counts } = this;
      if (position > counts.position) {
        this.counts = { ...counts, position, unread: counts.unread + 1, unseen: counts.unseen + 1 };
      }
      const message = { id: data.id, position, read: false, archived: false, content: data };
      if (this.#isFirstPage && belongs(message, this.#filter)) this.#know([message, ...this.known]);
    } else if (name === "update") {
      this.#know(this.known.map((each) => (each.id === data.id ? { ...each, content: data } : each)));
    } else if (name === "withdrawn") {
      this.#know(this.known.filter((each) => each.id !== data.id)); // its state follows
    }
  }

  #count({ position, version, unread, unseen }) {
    if (position < this.counts.position || version < this.counts.version) return;
    this.counts = { position, version, unread, unseen };
  }

  /** Apply the acts above the list's version, in order; a gap or null: it is stale. */
  #follow({ version, acts }) {
    for (const act of acts ?? []) {
      if (act.version !== this.version + 1) continue;
      this.#act(act);
      this.version = act.version;
    }
    if (this.version < version) this.isStale = true;
  }

  #act({ act, ids, upto }) {
    const isKnown = (id) => this.known.some((each) => each.id === id);
    if (ENTERS[this.#filter].includes(act) && !ids.every(isKnown)) this.isStale = true;
    const concerns = ({ id, position }) => (act === "all-read" ? position <= upto : ids.includes(id));
    this.#know(this.known.map((each) => (concerns(each) ? after(each, act) : each)));
  }

  #know(messages) {
    this.known = messages;
    if (messages.length > MOST || (this.more && !this.messages.length)) this.isStale = true;
  }
}
