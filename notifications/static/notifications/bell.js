/**
 * <message-bell>: keeps the numbers of a plain link true, on any page of any project, tells what
 * arrives, and opens a dropdown: the message center, made small, fetched when it is wanted.
 */

import { centerOf } from "./center.js";
import { connect } from "./connect.js";
import { define, isModified } from "./element.js";
import { createInbox, standing } from "./inbox.js";
import { capped, showOutside } from "./outside.js";
import { createToasts } from "./toast.js";

const MOST_ROWS = 8; // rows in the dropdown
const KEPT = 20; // arrivals that are followed, lest they be told when they are no news
const TOUCH = "(pointer:coarse) and (width<36rem)"; // there the page is the better dropdown

define("message-bell", (bell, signal) => {
  const { dataset } = bell;
  const { url, name, named } = dataset;
  const inbox = createInbox("unread", true, { ...standing(dataset), messages: [] });
  const link = bell.querySelector("a");
  const badge = link.lastElementChild;
  const parts = [...bell.querySelector("template").content.cloneNode(true).children];
  const [panel, region, status] = parts;
  const toasts = createToasts(dataset, region, status);
  let isAway; // signed out, or somebody else
  let isReplaying;
  let wasOpen;

  const receive = (type, data, id) => {
    if (type === "status") isAway = data === "signed-out";
    else inbox.receive(type, id, data);
    // Numbers need no snapshot: after all that could not be continued comes the state.
    if (inbox.isStale) {
      const { counts, cursor, shown } = inbox;
      inbox.replace({ ...counts, cursor: id || cursor, version: data.version ?? 0, messages: shown.slice(0, KEPT) });
    }
    // Until its state has come, nobody knows what of a replay is news.
    isReplaying = type === "ready" || (isReplaying && type !== "state");
    render();
  };

  const render = () => {
    const { unread, unseen } = isAway ? { unseen: 0 } : inbox.counts;
    badge.textContent = capped(unseen);
    badge.hidden = !unseen;
    link.ariaLabel = unread ? named.replace("{unseen}", unseen).replace("{unread}", unread) : name;
    showOutside(unseen);
    // The unseen are the newest of the unread.
    if (!isReplaying) toasts.update(inbox.shown.slice(0, unseen));
  };

  const isOpen = () => panel.matches(":popover-open");

  /** A plain click opens the dropdown, or closes it; all others are the browser's. */
  const click = (event) => {
    if (isModified(event) || event.shiftKey || matchMedia(TOUCH).matches || isAway) return;
    event.preventDefault();
    link.focus();
    // A pointer that went down outside of it has closed it by now.
    if (isOpen() || (event.detail && wasOpen)) panel.hidePopover();
    else open().catch(() => location.assign(url));
  };

  const open = async () => {
    const page = await centerOf(await fetch(url));
    for (const row of [...page.querySelectorAll("li[data-id]")].slice(MOST_ROWS)) row.remove();
    page.querySelector(".foot").remove(); // what is of no use here
    page.dataset.page = url; // what it is fetched from again: not the page that it is shown on
    clear();
    panel.prepend(page);
    panel.showPopover({ source: link }); // its place in the order of the Tab key
    page.querySelector("h1").focus();
  };

  const toggled = () => {
    link.ariaExpanded = isOpen();
    if (!isOpen()) clear(); // what nobody sees is not seen
    render();
  };

  const clear = () => panel.querySelector("message-center")?.remove();

  const onKey = (event) => {
    if (event.key !== "F8") return;
    event.preventDefault();
    if (!toasts.focus()) link.focus();
  };

  const connection = connect({ ...dataset, ...inbox, on: receive });
  document.body.append(region); // and not here, where the page has styles for its header
  addEventListener("keydown", onKey, { signal });
  signal.onabort = () => {
    connection.close();
    for (const part of parts) part.remove();
  };
  // A page of messages has all that the dropdown has, and says what arrives.
  if (document.querySelector("message-center")) return render();
  document.body.append(status, panel);
  panel.ontoggle = toggled;
  link.onpointerdown = () => {
    wasOpen = isOpen();
  };
  link.onclick = click;
  link.setAttribute("aria-controls", panel.id);
  toggled();
});
