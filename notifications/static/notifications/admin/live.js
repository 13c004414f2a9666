// Renews the parts of a live page with what its stream brings. What is in them, the server says.

const SILENCE = 8000; // ms without an event, after which what is shown counts as old: four missed

class Live {
  constructor(root) {
    this.root = root;
    this.button = root.querySelector(".pause");
    this.button.hidden = false;
    this.button.addEventListener("click", () => this.pause(!this.paused));
    // A page that nobody sees costs nobody anything; and one that is left may be kept by the browser.
    document.addEventListener("visibilitychange", () => this.follow());
    addEventListener("pagehide", () => this.stop());
    addEventListener("pageshow", () => this.follow());
    this.pause(false);
  }

  pause(paused) {
    this.paused = paused;
    this.button.textContent = this.root.dataset[paused ? "resume" : "pause"];
    this.follow();
  }

  follow() {
    if (this.paused || document.hidden) {
      this.stop();
      this.say("paused");
    } else if (!this.source) {
      this.start();
    }
  }

  start() {
    this.say("connecting");
    this.source = new EventSource(this.root.dataset.stream);
    this.source.addEventListener("stats", (event) => this.show(JSON.parse(event.data)));
    this.source.addEventListener("trouble", () => this.say("failing"));
    this.source.addEventListener("error", () => {
      // Else it tries again by itself; what is old stays so meanwhile.
      if (this.source.readyState === EventSource.CLOSED) this.end();
      else if (this.root.dataset.state === "live") this.say("connecting");
    });
    this.wait();
  }

  stop() {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
  }

  end() {
    this.stop();
    this.say("over");
  }

  wait() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.say("stale"), SILENCE);
  }

  show({ at, parts }) {
    this.wait();
    this.say("live");
    this.root.querySelector("time").textContent = new Date(at).toISOString().slice(11, 19) + " UTC";
    for (const [name, html] of Object.entries(parts)) {
      const part = this.root.querySelector(`[data-part="${name}"]`);
      // Not under the fingers of somebody who is in it; it comes with the next change.
      if (part && !part.contains(document.activeElement)) part.innerHTML = html;
    }
  }

  say(state) {
    const now = this.root.querySelector(".now");
    this.root.dataset.state = state;
    // Only what is new: it is read aloud.
    if (now.textContent !== this.root.dataset[state]) now.textContent = this.root.dataset[state];
  }
}

new Live(document.querySelector("#live"));
