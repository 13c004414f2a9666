/** One row of the list: read from, and written into, what templates/notifications/row.html made. */

import { showTime } from "./time.js";

export { showTime };

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
