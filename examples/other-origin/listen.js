// What a page of another origin does to show a reader's messages: the list as it is, and then what
// comes. Text goes in as text. The reader's cookies go along, because the message center allows
// this very origin; which center is asked is written down in index.html, and is nobody's choice.

const { center } = document.body.dataset;
const list = document.querySelector("ul");
const rows = new Map(); // by the message's id

function say(state) {
  for (const line of document.querySelectorAll("[data-state]")) line.hidden = line.dataset.state !== state;
}

function show({ id, title, body }) {
  const row = rows.get(id) ?? document.querySelector("template").content.cloneNode(true).firstElementChild;
  row.querySelector("strong").textContent = title;
  row.querySelector("p").textContent = body;
  if (!rows.has(id)) list.prepend(row);
  rows.set(id, row);
}

function drop({ id }) {
  rows.get(id)?.remove();
  rows.delete(id);
}

const acts = {
  status: say,
  message: show,
  update: (message) => rows.has(message.id) && show(message),
  withdrawn: drop,
  reset: () => location.reload(),
};

/** Whether anybody is there: what may not be read has been answered all the same. */
async function isThere() {
  try {
    await fetch(`${center}/healthz`, { mode: "no-cors" });
    return true;
  } catch {
    return false;
  }
}

try {
  const answer = await fetch(`${center}/messages/snapshot/`, { credentials: "include" });
  if (answer.status === 401) {
    say("signed-out");
  } else {
    const { messages, cursor, version } = await answer.json();
    for (const message of messages.reverse()) show(message);
    const { connect } = await import(`${center}/static/notifications/connect.js`);
    connect({ url: `${center}/messages/`, cursor, version, on: (type, data) => acts[type]?.(data) });
  }
} catch {
  say((await isThere()) ? "refused" : "reconnecting");
  setTimeout(() => location.reload(), 30_000);
}
