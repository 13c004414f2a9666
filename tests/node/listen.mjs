// Listens to a stream as any page would: node listen.mjs URL COOKIE. Writes the titles, a line each.
import { EventSource } from "eventsource";

const [url, cookie] = process.argv.slice(2);
const source = new EventSource(url, {
  fetch: (input, init) => fetch(input, { ...init, headers: { ...init.headers, cookie } }),
});
source.addEventListener("ready", () => console.log("ready"));
source.addEventListener("message", (event) => console.log(JSON.parse(event.data).title));
