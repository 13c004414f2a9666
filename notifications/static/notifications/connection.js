/**
 * One EventSource that comes back whatever happens: also where the browser gives up for ever (at
 * anything but 200) or does not notice (sleep, a dead network).
 */

const NAMES = ["ready", "message", "update", "withdrawn", "state", "reset", "ping", "bye"];
const PATIENCE = 2_000; // ms: a cut shorter than this is nobody's business
const SILENCE = 40_000; // ms: two pings, which come every 15 s, are missing
const LOOK = 10_000; // ms between looks whether it has become silent
const FIRST_WAIT = 1_000; // ms until the second try; doubled up to the last, and jittered
const LAST_WAIT = 60_000;

export class Connection {
  #options;
  #state = "down"; // down, live, paused, signed-out
  #source = null;
  #heard = 0;
  #failures = 0;
  #retry;
  #patience;
  #look;
  #listeners = new AbortController();

  /**
   * stream, check: URLs; `check` answers 401 when signed out. cursor(): from where to go on.
   * receive(name, id, data): an event. show(state): live, reconnecting, offline, paused, signed-out.
   */
  constructor(options) {
    this.#options = options;
    const { signal } = this.#listeners;
    addEventListener("online", () => this.open(), { signal });
    addEventListener("offline", () => this.#tell("offline"), { signal });
    addEventListener("pageshow", (event) => event.persisted && this.open(), { signal });
    addEventListener("pagehide", () => this.#close(), { signal });
    document.addEventListener("visibilitychange", () => this.#wake(), { signal });
    this.#look = setInterval(() => this.#isSilent(SILENCE) && this.open(), LOOK);
    this.open();
  }

  /** Open it now, from the page's cursor, instead of the one that is there. */
  open() {
    if (this.isSignedOut) return;
    this.#close();
    this.#down();
    this.#heard = Date.now();
    const { stream, cursor } = this.#options;
    const source = new EventSource(`${stream}?after=${encodeURIComponent(cursor())}`);
    for (const name of NAMES) source.addEventListener(name, (event) => this.#receive(name, event));
    source.addEventListener("error", () => this.#lose(source));
    this.#source = source;
  }

  get isSignedOut() {
    return this.#state === "signed-out";
  }

  /** The session is gone: there is nothing to come back for. */
  signOut() {
    this.#close();
    this.#enter("signed-out");
  }

  /** Close it, and listen to nothing any more. */
  end() {
    this.#listeners.abort();
    clearInterval(this.#look);
    this.#close();
  }

  #close() {
    this.#source?.close();
    this.#source = null;
    clearTimeout(this.#retry);
    clearTimeout(this.#patience);
  }

  #enter(state) {
    clearTimeout(this.#patience);
    this.#state = state;
    this.#tell(state);
  }

  #tell(state) {
    if (this.isSignedOut && state !== "signed-out") return;
    this.#options.show(state === "reconnecting" && !navigator.onLine ? "offline" : state);
  }

  #down() {
    this.#state = "down";
    clearTimeout(this.#patience);
    this.#patience = setTimeout(() => this.#tell("reconnecting"), PATIENCE);
  }

  #receive(name, event) {
    const data = JSON.parse(event.data);
    this.#heard = Date.now();
    if (name === "ready") {
      this.#failures = 0;
      this.#enter("live");
    } else if (name === "bye" && data.reason === "too-many") {
      this.#enter("paused"); // the browser comes back after the minutes that the server told it
    } else if (name === "bye" && data.reason === "signed-out") {
      this.#isSignedIn();
    }
    this.#options.receive(name, event.lastEventId, data);
  }

  #lose(source) {
    if (source !== this.#source) return;
    if (this.#state === "live") this.#down();
    if (source.readyState !== EventSource.CLOSED) return; // the browser comes back by itself
    const wait = Math.min(FIRST_WAIT * 2 ** this.#failures++, LAST_WAIT) * (0.5 + Math.random() / 2);
    clearTimeout(this.#retry);
    this.#retry = setTimeout(async () => (await this.#isSignedIn()) && this.open(), wait);
  }

  /** Whether there is still a session, as far as one can tell: an EventSource hides why it failed. */
  async #isSignedIn() {
    try {
      const answer = await fetch(this.#options.check, { headers: { Accept: "application/json" } });
      if (answer.status === 401) this.signOut();
    } catch {
      // No network says nothing about the session.
    }
    return !this.isSignedOut;
  }

  #isSilent(limit) {
    return navigator.onLine && this.#state !== "paused" && Date.now() - this.#heard > limit;
  }

  /** Back from another tab, or from sleep: the one who looks is not kept waiting. */
  #wake() {
    if (document.visibilityState !== "visible") return;
    if (this.#state !== "live" || this.#isSilent(SILENCE / 2)) this.open();
  }
}
