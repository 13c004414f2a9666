/**
 * Where the events come from: the stream; where that does not get through, a long poll; where that
 * is cut, too, a poll. Each has the same events, and none is lost from one to the other.
 */

const NAMES = ["ready", "message", "update", "withdrawn", "state", "reset", "ping", "bye"];
const PATIENCE = 2_000; // ms: a cut shorter than this is nobody's business
const FIRST_EVENT = 3_000; // ms until a stream must have spoken; else a proxy keeps what it says
const SILENCE = 40_000; // ms: two pings, which come every 15 s, are missing
const PAUSE = 180_000; // ms: the server asks who is one too many to stay away for up to 120 s
const STEADY = 20_000; // ms: a stream that is cut earlier is not left to the browser to reopen
const AGAIN = 600_000; // ms until a stream that did not get through is tried again
const FIRST_WAIT = 1_000; // ms until the second try; doubled up to the last, and jittered
const LAST_WAIT = 60_000;
const LONG = 20; // s that a poll may wait for news
const OFTEN = 4; // a poll that may not wait comes as after so many failures: every 8 to 16 s
const DEADLINE = 10_000; // ms for an answer, beyond the time it may wait

/** The position in a cursor, `word-position`. NaN, neither before nor after anything, of none. */
export const positionOf = (cursor) => Number(cursor?.split("-")[1]);

/** What an answer of `changes/` says, as a stream says it. */
export function eventsOf({ events, reset, cursor, user, ...state }) {
  return [
    ...(reset ? [{ type: "reset", id: cursor, data: { cursor, position: state.position } }] : []),
    ...events.map(({ event: type, id, data }) => ({ type, id, data })),
    { type: "state", id: "", data: state },
    { type: "ping", id: cursor, data: {} },
  ];
}

const delay = (failures) => Math.min(FIRST_WAIT * 2 ** failures, LAST_WAIT) * (0.5 + Math.random() / 2);

export class Source {
  #url;
  #user;
  #tell;
  #cursor; // up to here everything has been told
  #version;
  #status;
  #run; // aborts what is under way
  #patience;

  /**
   * url: of the message center. user: whose events are told; undefined: whose they are at first.
   * tell({type, id, data, from, told, status}): an event, and how things stood before it: cursor
   * and version of what had been told. Without a type: only how things stand.
   */
  constructor(url, user, tell) {
    this.#url = url;
    this.#user = user;
    this.#tell = tell;
  }

  /** Begin, or begin anew, after what is known up to `cursor` and `version`. */
  open({ cursor, version }) {
    this.close();
    this.#cursor = cursor;
    this.#version = version;
    this.#status = undefined;
    this.#run = new AbortController();
    this.#down();
    this.say();
    this.#follow(this.#run.signal);
  }

  close() {
    this.#run?.abort();
    this.#settle();
  }

  say(type, id, data) {
    this.#tell({ type, id, data, from: this.#cursor, told: this.#version, status: this.#status });
  }

  /** Reconnecting, or offline: until something comes in all the same. */
  lose() {
    this.#settle();
    this.#status = navigator.onLine ? "reconnecting" : "offline";
    this.say();
  }

  /** What `changes/` answers, after `cursor` and `version`; nothing if it does not, for now. */
  async ask({ cursor, version }, wait = 0, ...signals) {
    const deadline = AbortSignal.timeout(wait * 1_000 + DEADLINE);
    try {
      const answer = await fetch(this.#address("changes", { after: cursor, version, wait }), {
        credentials: "include",
        signal: AbortSignal.any([deadline, ...signals]),
      });
      if (answer.status === 401) this.#signOut();
      const data = answer.ok && (await answer.json());
      if (data && this.#isFor(data.user)) return data;
    } catch {
      // No network, or a site that lets no page of this origin read.
    }
  }

  #address(path, from) {
    const query = new URLSearchParams();
    for (const name in from) if (from[name] !== undefined) query.set(name, from[name]);
    return `${this.#url}${path}/?${query}`;
  }

  /** Whether the session still is this user's; if not, nothing of it is for those who listen. */
  #isFor(user) {
    this.#user ??= user;
    if (String(user) === String(this.#user)) return true;
    this.say("ready", "", { user });
    this.#signOut();
  }

  #signOut() {
    this.#tell({ status: "signed-out" });
  }

  async #follow(signal) {
    let next = 0; // when the stream is to be tried
    let lost = 0; // streams in a row that did not last
    let failures = 0; // answers in a row that did not come
    let cuts = 0; // long polls in a row that failed where a short one did not
    let wait = 0;
    while (!signal.aborted) {
      const start = Date.now();
      if (start >= next) {
        const began = await this.#listen(signal);
        const now = Date.now();
        lost = now - began > STEADY ? 0 : lost + 1;
        next = now + (began === Infinity && now - start >= FIRST_EVENT ? AGAIN : delay(lost));
        wait = 0;
      }
      // Why has it ended? And what has happened meanwhile, or happens until it is tried again?
      const answer = await this.ask({ cursor: this.#cursor, version: this.#version }, wait, signal);
      if (signal.aborted) return;
      let rest = 0;
      if (answer) {
        for (const { type, id, data } of eventsOf(answer)) this.#receive(type, id, data);
        failures = 0;
        if (wait) cuts = 0;
        if (cuts > 1) rest = delay(OFTEN);
        wait = rest ? 0 : Math.min(Math.max((next - Date.now()) / 1_000, 0), LONG);
      } else if (wait) {
        cuts += 1;
        wait = 0; // was that too long for a proxy, or is nobody there?
      } else {
        cuts = next = 0;
        this.#down();
        rest = delay(failures++);
      }
      await new Promise((resume) => {
        setTimeout(resume, rest);
        signal.onabort = resume;
      });
    }
  }

  /** Listen to the stream until it is of no more use; when it began to speak, or Infinity. */
  #listen(signal) {
    return new Promise((resume) => {
      if (!window.EventSource) return resume(Infinity);
      const url = this.#address("stream", { after: this.#cursor });
      const source = new EventSource(url, { withCredentials: true });
      let began = Infinity;
      let isPaused = false;
      let alarm;
      const end = () => {
        clearTimeout(alarm);
        source.close();
        this.#down();
        resume(began);
      };
      const endAfter = (ms) => {
        clearTimeout(alarm);
        alarm = setTimeout(end, ms);
      };
      for (const name of NAMES) {
        source.addEventListener(name, (event) => {
          const data = JSON.parse(event.data);
          isPaused = data.reason === "too-many";
          began = Math.min(began, Date.now());
          endAfter(isPaused ? PAUSE : SILENCE);
          this.#receive(name, event.lastEventId, data);
          if (data.reason === "signed-out") end();
        });
      }
      source.onerror = () => {
        const isSteady = isPaused || Date.now() - began > STEADY;
        // Else the browser comes back by itself, after the time that the server has told it.
        if (source.readyState === EventSource.CLOSED || !isSteady) end();
        else if (!isPaused) this.#down();
      };
      signal.onabort = end;
      endAfter(FIRST_EVENT);
    });
  }

  #receive(type, id, data) {
    if (type === "ready") {
      if (!this.#isFor(data.user)) return;
      this.#version = data.version; // who is behind it asks what that was
    }
    this.#settle();
    if (type !== "bye") this.#status = "live";
    else if (data.reason === "too-many") this.#status = "paused";
    this.say(type, id, data);
    if (type === "state") this.#version = data.version;
    const isBehind = positionOf(id) <= positionOf(this.#cursor);
    if (type === "reset" || (id && !isBehind)) this.#cursor = id;
  }

  /** It is not live. If that lasts, those who listen are told. */
  #down() {
    this.#patience ??= setTimeout(() => this.lose(), PATIENCE);
  }

  #settle() {
    clearTimeout(this.#patience);
    this.#patience = undefined;
  }
}
