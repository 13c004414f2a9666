/** The keyboard in the list. Single letters and signs can be switched off: page.querySelector("[name=letters]"). */

const LETTERS = "message-letters"; // in localStorage: "off" when they do nothing
const ROW = "li[data-id]";

// What a key does: go so many rows on; or click on something, of the row (letters) or the page (signs).
const STEPS = { j: 1, ArrowDown: 1, PageDown: 1, k: -1, ArrowUp: -1, PageUp: -1, Home: -Infinity, End: Infinity };
const CLICKS = {
  Enter: ".title",
  o: ".title",
  r: ":is([value=read], [value=unread]):not([hidden])",
  e: "[value=archived]:not([hidden])",
  ".": ".pill:not([hidden])",
  "?": ".help",
};

export function press(event, page) {
  const { key, target } = event;
  const row = target.closest(ROW);
  if (!row || event.isComposing || event.ctrlKey || event.altKey || event.metaKey) return;
  if (key.length > 1 ? key === "Enter" && target !== row : localStorage[LETTERS] === "off") return;
  if (STEPS[key]) step(row, STEPS[key], page);
  else if (CLICKS[key]) (/\w/.test(key) ? row : page).querySelector(CLICKS[key])?.click();
  else return;
  event.preventDefault();
}

function step(row, by, page) {
  const rows = [...page.querySelectorAll(`${ROW}:not([hidden])`)];
  rows[Math.max(0, Math.min(rows.indexOf(row) + by, rows.length - 1))].focus();
}

/** The checkbox that says whether letters are shortcuts, remembered on this device. */
export function remember(checkbox) {
  checkbox.checked = localStorage[LETTERS] !== "off";
  checkbox.onchange = () => (localStorage[LETTERS] = checkbox.checked ? "on" : "off");
}
