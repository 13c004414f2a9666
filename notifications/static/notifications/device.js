/** <message-device>: whether this device tells of new messages while nobody looks at the site. */

import { isWanted } from "./toast.js";

class MessageDevice extends HTMLElement {
  connectedCallback() {
    this.hidden = !("Notification" in window);
    this.onclick = ({ target: { value } }) => value && this.#choose(value);
    if (!this.hidden) this.#show(isWanted());
  }

  /** The browser asks its user here and nowhere else: at a click on a button that says what for. */
  async #choose(choice) {
    if (choice === "on") await Notification.requestPermission();
    this.#show(isWanted(choice));
    this.querySelector("p:not([hidden]) button")?.focus();
  }

  #show(isOn) {
    const state = isOn ? "on" : Notification.permission === "denied" ? "denied" : "off";
    for (const line of this.querySelectorAll("p")) line.hidden = line.dataset.state !== state;
  }
}

customElements.define("message-device", MessageDevice);
