/** One row of the list: read from, and written into, what templates/notifications/row.html made. */

const WEB = /^(https?:\/\/|\/(?![/\\]))/i; // http, https, or a path of this site: nothing that runs

/** {id, position, read, archived} as the server rendered it. */
export function messageOf(row) {
  return {
    id: Number(row.dataset.id),
    position: Number(row.dataset.position),
    read: row.dataset.read === "true",
    archived: row.dataset.archived === "true",
  };
}

/** A new row for a message, from the template, whose addresses are those of message 0. */
export function makeRow(template, { id, position }) {
  const row = template.content.firstElementChild.cloneNode(true);
  Object.assign(row.dataset, { id, position });
  for (const name of ["href", "formaction"]) {
    for (const element of row.querySelectorAll(`[${name}*="/0/"]`)) {
      element.setAttribute(name, element.getAttribute(name).replace("/0/", `/${id}/`));
    }
  }
  return row;
}

/** Unread in words too, and of the buttons those that make a difference. */
export function showMarks(row, { read, archived }) {
  Object.assign(row.dataset, { read, archived });
  row.querySelector(".unread").hidden = read;
  const useful = { read: !read, unread: read && !archived, archived: !archived, unarchived: archived };
  for (const button of row.querySelectorAll("button")) button.hidden = !useful[button.value];
}

/** Text goes in as text; only `html`, which the server has cleaned, is markup. */
export function showContent(row, content, words) {
  const link = WEB.test(content.link) ? content.link : "";
  row.dataset.level = content.level;
  setText(row, ".level", words[content.level]);
  setText(row, ".title", content.title);
  setText(row, ".sender", content.sender);
  setText(row, ".link", link);
  row.querySelector(".link").href = link;
  row.querySelector(".body").innerHTML = content.html;
  row.querySelector(".body").hidden = !content.html;
  row.querySelector(".edited").hidden = !content.edited_at;
  row.querySelector("time").dateTime = content.published_at;
  showTime(row.querySelector("time"));
}

/** The time by the reader's own clock, of which the server knows nothing. */
export function showTime(time, now = new Date()) {
  const at = new Date(time.dateTime);
  const language = document.documentElement.lang;
  const day = { month: "short", day: "numeric" };
  if (at.getFullYear() !== now.getFullYear()) day.year = "numeric";
  const isToday = at.toDateString() === now.toDateString();
  time.textContent = at.toLocaleString(language, isToday ? { timeStyle: "short" } : day);
  time.title = at.toLocaleString(language, { dateStyle: "full", timeStyle: "short" });
}

function setText(row, selector, text) {
  const element = row.querySelector(selector);
  element.textContent = text;
  element.hidden = !text;
}
