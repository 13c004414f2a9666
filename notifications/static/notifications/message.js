/** <open-message>: the page of one message, kept true while it is open. */

import { connect } from "./connect.js";

const AGAIN = 5_000; // ms until it is asked for again, where there was no answer

class OpenMessage extends HTMLElement {
  #connection;

  connectedCallback() {
    const { url, user, cursor } = this.dataset;
    this.#connection = connect({ url, user, cursor, on: (type, data) => this.#receive(type, data) });
    this.#showTimes();
  }

  disconnectedCallback() {
    this.#connection.close();
  }

  #receive(type, data) {
    const { user, id } = this.dataset;
    // Another has logged in: nothing that is here is for who looks.
    if (type === "ready" && String(data.user) !== user) location.reload();
    else if (type === "reset" || String(data.id) === id) this.#renew();
  }

  /** The message as it is now, as the server shows it: corrected, or over. */
  async #renew() {
    // `Purpose`: it is open already; asked for once more, it is not read once more.
    const headers = { Accept: "text/html", Purpose: "prefetch" };
    const answer = await fetch(location.href, { headers, redirect: "manual" }).catch(() => null);
    const text = await answer?.text().catch(() => null);
    if (!this.isConnected) return;
    if (text == null) return setTimeout(() => this.#renew(), AGAIN);
    const page = new DOMParser().parseFromString(text, "text/html");
    const fresh = page.querySelector("open-message");
    if (!fresh) return location.reload(); // signed out meanwhile, which the server says better
    document.title = page.title;
    this.#show(fresh.querySelector("article"), !fresh.querySelector("form"));
  }

  /** Say it in words, too. Who was in the midst of what is gone is led to its heading. */
  #show(article, isOver) {
    const had = this.contains(document.activeElement);
    const before = this.querySelector("article");
    before.replaceWith(article);
    if (isOver) this.querySelector("form")?.remove();
    this.#showTimes();
    const heading = article.querySelector("h1");
    if (had && !this.contains(document.activeElement)) heading.focus();
    if (!isOver && before.dataset.edited === article.dataset.edited) return; // its end has moved
    const said = this.querySelector(".said");
    said.classList.toggle("aside", isOver); // eyes have the heading
    said.textContent = isOver ? heading.textContent : this.dataset.corrected;
  }

  /** By the reader's own clock, of which the server may know nothing. */
  #showTimes() {
    const { lang } = document.documentElement;
    for (const time of this.querySelectorAll("time")) {
      const at = new Date(time.dateTime);
      time.textContent = at.toLocaleString(lang, { dateStyle: "full", timeStyle: "short" });
    }
  }
}

customElements.define("open-message", OpenMessage);
