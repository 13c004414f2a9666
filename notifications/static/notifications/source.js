/**
 * Where the events come from: the stream; where that does not get through, a long poll; where that
 * is cut, too, a poll. Each has the same events, and none is lost from one to the other.
 */

import { positionOf } from "./cursor.js";
import { backoff, pause } from "./wait.js";

const NAMES = ["ready", "message", "update", "withdrawn", "state", "reset", "ping", "bye"];
const PATIENCE = 2_000; // ms: a cut shorter than this is nobody's business
const FIRST_EVENT = 3_000; // ms until a stream must have spoken; else a proxy keeps what it says
const SILENCE = 40_000; // ms: two pings, which come every 15 s, are missing
const PAUSE = 180_000; // ms: the server asks who is one too many to stay away for up to 120 s
const STEADY = 20_000; // ms: a stream that is cut earlier is not left to the browser to reopen
const RARELY = 20; // times as long until a stream that has kept silent is tried again: 20 to 40 s, ... 20 min
const LONG = 20; // s that a poll may wait for news
const OFTEN = 4; // a poll that may not wait comes as after so many failures: every 8 to 16 s
const DEADLINE = 10_000; // ms for an answer, beyond the time it may wait

/** What an answer of `changes/` says, as a stream says it. */
export const eventsOf = ({ events, reset, cursor, user, ...state }) => [
  ...(reset ? [{ event: "reset", id: cursor, data: { cursor, position: state.position } }] : events),
  { event: "state", data: state },
  { event: "ping", id: cursor, data: {} },
];

/**
 * url: of the message center. `user` of what is returned: whose events are told; undefined: whose
 * they are at first.
 * tell({event, id, data, from, told, status}): an event, and how things stood before it: cursor
 * and version of what had been told. Without an event: only how things stand.
 */
export const createSource = (url, tell) => {
  let cursor; // up to here everything has been told
  let version;
  let status;
  let run; // aborts what is under way
  let patience;
  let again; // whether there has been a stream before

  const say = (event) => tell({ ...event, from: cursor, told: version, status });

  /** Begin, or begin anew, after what is known up to `known.cursor` and `known.version`. */
  const open = (known) => {
    close();
    ({ cursor, version } = known);
    status = undefined;
    run = new AbortController();
    down();
    say();
    follow(run.signal);
  };

  const close = () => {
    run?.abort();
    settle();
  };

  /** Reconnecting, or offline: until something comes in all the same. */
  const lose = () => {
    settle();
    status = navigator.onLine ? "reconnecting" : "offline";
    say();
  };

  /** It is not live. If that lasts, those who listen are told. */
  const down = () => {
    patience ??= setTimeout(lose, PATIENCE);
  };

  const settle = () => {
    patience = clearTimeout(patience);
  };

  /** What `changes/` answers, after `known`; nothing if it does not, for now. */
  const ask = async (known, wait = 0, ...signals) => {
    try {
      const answer = await fetch(address("changes", { after: known.cursor, version: known.version, wait }), {
        credentials: "include",
        signal: AbortSignal.any([AbortSignal.timeout(wait * 1_000 + DEADLINE), ...signals]),
      });
      if (answer.status === 401) signOut();
      const data = answer.ok && (await answer.json());
      if (data && isFor(data)) return data;
    } catch {
      // No network, or a site that lets no page of this origin read.
    }
  };

  // By way of JSON: without what is undefined.
  const address = (path, query) => `${url}${path}/?${new URLSearchParams(JSON.parse(JSON.stringify(query)))}`;

  /** Whether the session still is this user's; if not, nothing of it is for those who listen. */
  const isFor = (data) => {
    source.user ??= data.user;
    if (source.user == data.user) return true; // a number, or its digits
    say({ event: "ready", data });
    signOut();
  };

  const signOut = () => tell({ status: "signed-out" });

  const follow = async (signal) => {
    let next = 0; // when the stream is to be tried
    let lost = 0; // streams in a row that did not last
    let failures = 0; // answers in a row that did not come
    let cuts = 0; // long polls in a row that failed where a short one did not
    let wait = 0;
    while (!signal.aborted) {
      if (Date.now() >= next) {
        const began = await listen(signal);
        const now = Date.now();
        lost = now - began > STEADY ? 0 : lost + 1;
        next = now + backoff(lost) * (began === Infinity ? RARELY : 1);
        wait = 0;
      }
      // Why has it ended? And what has happened meanwhile, or happens until it is tried again?
      const answer = await ask({ cursor, version }, wait, signal);
      if (signal.aborted) return;
      let rest = 0;
      if (answer) {
        eventsOf(answer).forEach(receive);
        failures = 0;
        if (wait) cuts = 0;
        if (cuts > 1) rest = backoff(OFTEN);
        wait = rest ? 0 : Math.min(Math.max((next - Date.now()) / 1_000, 0), LONG);
      } else if (wait) {
        cuts += 1;
        wait = 0; // was that too long for a proxy, or is nobody there?
      } else {
        cuts = next = 0;
        down();
        rest = backoff(failures++);
      }
      await pause(rest);
    }
  };

  /** Listen to the stream until it is of no more use. When it began to speak; Infinity: it kept silent. */
  const listen = (signal) =>
    new Promise((resume) => {
      if (!window.EventSource) return resume(Infinity);
      const stream = new EventSource(address("stream", { after: cursor, again }), { withCredentials: true });
      let began;
      let alarm;
      let isPaused;
      const end = () => {
        clearTimeout(alarm);
        stream.close();
        down();
        resume(began);
      };
      const endAfter = (ms) => {
        clearTimeout(alarm);
        alarm = setTimeout(() => {
          began ??= Infinity;
          end();
        }, ms);
      };
      for (const event of NAMES) {
        stream.addEventListener(event, ({ data, lastEventId: id }) => {
          data = JSON.parse(data);
          began ??= Date.now();
          again = 1;
          isPaused = data.reason === "too-many";
          endAfter(isPaused ? PAUSE : SILENCE);
          receive({ event, id, data });
          if (data.reason === "signed-out") end();
        });
      }
      stream.onerror = () => {
        const isSteady = isPaused || Date.now() - began > STEADY;
        // Else the browser comes back by itself, after the time that the server has told it.
        if (stream.readyState === EventSource.CLOSED || !isSteady) end();
        else if (!isPaused) down();
      };
      signal.onabort = end;
      endAfter(FIRST_EVENT);
    });

  const receive = (news) => {
    const { event, id, data } = news;
    if (event === "ready") {
      if (!isFor(data)) return;
      version = data.version; // who is behind it asks what that was
    }
    settle();
    if (!navigator.onLine) down(); // it was on its way when the network went
    if (event !== "bye") status = "live";
    else if (data.reason === "too-many") status = "paused";
    say(news);
    if (event === "state") version = data.version;
    const isBehind = positionOf(id) <= positionOf(cursor);
    if (event === "reset" || (id && !isBehind)) cursor = id;
  };

  const source = { open, close, say, lose, ask };
  return source;
};
