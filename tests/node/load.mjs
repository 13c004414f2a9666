// Our modules as they are written, for Node, which takes files of that name for something else.

import { readFileSync } from "node:fs";

const folder = new URL("../../notifications/static/notifications/", import.meta.url);

/** The address of a module that has in it what it imports. */
export function load(name) {
  const text = readFileSync(new URL(name, folder), "utf8");
  const whole = text.replace(/from "\.\/(.*?)"/g, (_, other) => `from "${load(other)}"`);
  return `data:text/javascript,${encodeURIComponent(whole)}`;
}
