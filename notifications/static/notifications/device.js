/**
 * <message-device>: whether this device tells of new messages while nobody looks at the site; and
 * how it does.
 */

import { define } from "./element.js";

const CHOICE = "message-notifications"; // in localStorage: "on" if this device shall notify

/** Whether this device shall notify, and may. `choice`: what the reader wants from now on. */
export const isWanted = (choice) => {
  try {
    if (choice) localStorage[CHOICE] = choice;
    return localStorage[CHOICE] === "on" && Notification.permission === "granted";
  } catch {
    return false; // a browser without storage, or without notifications
  }
};

/** Tell of the message in `row`; how to take it back. */
export const notify = (row, tag) => {
  const link = row.querySelector("a");
  const body = row.querySelector(".body").textContent.trim();
  const note = new Notification(link.textContent, { tag, body });
  note.onclick = () => {
    note.close();
    open(link.href, "messages"); // one window for all of them: this one may hold somebody's work
  };
  return () => note.close();
};

define("message-device", (device) => {
  const show = (isOn) => {
    const state = isOn ? "on" : Notification.permission === "denied" ? "denied" : "off";
    for (const line of device.querySelectorAll("p")) line.hidden = line.dataset.state !== state;
  };
  device.hidden = !window.Notification;
  // The browser asks its user here and nowhere else: at a click on a button that says what for.
  device.onclick = async ({ target: { value } }) => {
    if (!value) return;
    if (value === "on") await Notification.requestPermission();
    show(isWanted(value));
    device.querySelector("p:not([hidden]) button")?.focus();
  };
  if (!device.hidden) show(isWanted());
});
