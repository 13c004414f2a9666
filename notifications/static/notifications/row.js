/**
 * One row of the list: read from, and written into, what templates/notifications/row.html made.
 * Times and days are told in the page's language, by the reader's own clock.
 */

const MINUTE = 60_000; // ms
const { lang } = document.documentElement;
const relative = new Intl.RelativeTimeFormat(lang, { numeric: "auto", style: "short" });
const exact = new Intl.DateTimeFormat(lang, { dateStyle: "full", timeStyle: "short" });
const clock = new Intl.DateTimeFormat(lang, { timeStyle: "short" });
const WEB = /^(https?:\/\/|\/(?![/\\]))/i; // http, https, or a path of this site: nothing that runs

/** {id, position, read, archived} as the server rendered it. */
export function messageOf({ dataset: { id, position, read, archived } }) {
  return { id: Number(id), position: Number(position), read: read === "true", archived: archived === "true" };
}

/** A new row for a message, from the template, in which each 0 stands for its id. */
export function makeRow(template, { id, position }) {
  const made = document.createElement("template");
  made.innerHTML = template.innerHTML.replace(/\b0\b/g, id);
  const row = made.content.firstElementChild;
  row.dataset.position = position;
  return row;
}

/** Unread in words too, and of the buttons those that make a difference. */
export function showMarks(row, { read: wasRead, archived }) {
  const read = wasRead || archived; // put away means dealt with
  Object.assign(row.dataset, { read, archived });
  row.querySelector(".unread").hidden = read;
  const useful = { read: !read, unread: read && !archived, archived: !archived, unarchived: archived };
  for (const button of row.querySelectorAll("[form]")) button.hidden = !useful[button.value];
}

/** Text goes in as text; only `html`, which the server has cleaned, is markup. */
export function showContent(row, { level, title, sender, link, html, edited_at, published_at }, words) {
  const find = (name) => row.querySelector(name);
  const href = WEB.test(link) ? link : "";
  row.dataset.level = level;
  for (const [name, text] of Object.entries({ level: words[level], title, sender, link: href })) {
    find(`.${name}`).textContent = text;
    find(`.${name}`).hidden = !text;
  }
  find(".link").href = href;
  find(".body").innerHTML = html;
  find(".body").hidden = !html;
  find(".edited").hidden = !edited_at;
  find("time").dateTime = published_at;
  showTime(find("time"));
}

/** How long ago, for a day; then the date, or the time where a heading says the day. */
export function showTime(time, now = new Date(), isUnderDay = false) {
  const at = new Date(time.dateTime);
  const minutes = Math.max(0, Math.floor((now - at) / MINUTE));
  let text = isUnderDay ? clock.format(at) : date(at, now, { month: "short" });
  if (daysSince(at, now) < 1) {
    if (minutes < 1) text = relative.format(0, "second");
    else if (minutes < 60) text = relative.format(-minutes, "minute");
    else text = relative.format(-Math.floor(minutes / 60), "hour");
  }
  if (time.textContent !== text) time.textContent = text;
  time.title = exact.format(at);
}

/** "today", "yesterday", or the date. */
export function dayOf(at, now = new Date()) {
  const days = daysSince(at, now);
  return days < 2 ? relative.format(-days, "day") : date(at, now, { weekday: "long", month: "long" });
}

function daysSince(at, now) {
  const midnight = (time) => new Date(time).setHours(0, 0, 0, 0);
  return Math.max(0, Math.round((midnight(now) - midnight(at)) / (24 * 60 * MINUTE)));
}

function date(at, now, style) {
  const year = at.getFullYear() === now.getFullYear() ? undefined : "numeric";
  return at.toLocaleDateString(lang, { day: "numeric", year, ...style });
}
