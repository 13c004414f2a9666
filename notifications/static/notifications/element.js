/** What our elements have in common. */

/** `live(element, signal)` is called when one comes into a page; `signal` is aborted when it goes. */
export const define = (name, live) => {
  class Living extends HTMLElement {
    connectedCallback() {
      this.life = new AbortController();
      live(this, this.life.signal);
    }

    disconnectedCallback() {
      this.life.abort();
    }
  }
  customElements.define(name, Living);
};

/** Whether a key or a click is meant for the browser, or the system. */
export const isModified = (event) => event.ctrlKey || event.metaKey || event.altKey;
