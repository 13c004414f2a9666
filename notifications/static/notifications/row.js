/**
 * One row of the list: read from, and written into, what templates/notifications/row.html made.
 * Times and days are told in the page's language, by the reader's own clock.
 */

const MINUTE = 60_000; // ms
const DAY = 24 * 60 * MINUTE;
const { lang } = document.documentElement;
const relative = new Intl.RelativeTimeFormat(lang, { numeric: "auto", style: "short" });
export const exact = new Intl.DateTimeFormat(lang, { dateStyle: "full", timeStyle: "short" });
const clock = new Intl.DateTimeFormat(lang, { timeStyle: "short" });
const date = new Intl.DateTimeFormat(lang, { dateStyle: "full" });

/** {id, position, read, archived} as the server rendered it. */
export const messageOf = ({ dataset }) => ({
  id: Number(dataset.id),
  position: Number(dataset.position),
  read: dataset.read === "true",
  archived: dataset.archived === "true",
});

/** What is in a template, made anew; each 0 in it stands for `id`. */
export const make = (template, id) => {
  const made = document.createElement("template");
  made.innerHTML = template.innerHTML.replace(/\b0\b/g, id);
  return made.content.firstElementChild;
};

/** Unread in words too, and of the buttons those that make a difference. */
export const showMarks = (row, { read: wasRead, archived }) => {
  const read = wasRead || archived; // put away means dealt with
  Object.assign(row.dataset, { read, archived });
  row.querySelector(".unread").hidden = read;
  const useful = { read: !read, unread: read && !archived, archived: !archived, unarchived: archived };
  for (const button of row.querySelectorAll("[form]")) button.hidden = !useful[button.value];
};

/** Text goes in as text; only `html`, which the server has cleaned, is markup. */
export const showContent = (row, content, words) => {
  const show = (name, value, as = "textContent") => {
    const part = row.querySelector(`.${name}`);
    part[as] = value;
    part.hidden = !value;
    return part;
  };
  row.dataset.level = content.level;
  show("level", words[content.level]);
  show("title", content.title);
  show("sender", content.sender);
  show("body", content.html, "innerHTML");
  show("link", content.link).href = content.link; // http, https, a path of this site: the server takes nothing that runs
  row.querySelector(".edited").hidden = !content.edited_at;
  row.querySelector("time").dateTime = content.published_at;
};

/** How long ago, for today; then the time: a heading says the day. */
export const showTime = (row) => {
  const time = row.querySelector("time");
  const at = new Date(time.dateTime);
  const text = daysSince(at) ? clock.format(at) : ago(at);
  if (time.textContent === text) return;
  time.textContent = text;
  time.title = exact.format(at);
};

const ago = (at) => {
  const minutes = Math.floor((Date.now() - at) / MINUTE);
  if (minutes < 1) return relative.format(0, "second");
  return minutes < 60 ? relative.format(-minutes, "minute") : relative.format(-Math.floor(minutes / 60), "hour");
};

/** "today", "yesterday", or the date. */
export const dayOf = (at) => {
  const days = daysSince(at);
  return days < 2 ? relative.format(-days, "day") : date.format(at);
};

const daysSince = (at) => {
  const nights = (new Date().setHours(0, 0, 0, 0) - new Date(at).setHours(0, 0, 0, 0)) / DAY;
  return Math.max(0, Math.round(nights)); // some days are an hour longer or shorter
};
