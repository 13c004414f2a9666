/**
 * Where staff write a message. Without this the page is complete: what it shows while one writes,
 * its buttons show, too.
 */

const PAUSE = 250; // ms in which nothing is typed, before the server is asked
const DOUBT = 30; // ms without the number of people, then an estimate is asked for, too
const LONG = 90; // ms without it, then the estimate is shown

const form = document.getElementById("compose");
const sent = document.getElementById("sent");

if (form) compose();
if (sent) countDown();

function compose() {
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  document.cookie = `timezone=${timeZone};path=/;max-age=31536000;samesite=lax`;
  form.querySelector(".preview").hidden = true;
  const count = later(showCount);
  const preview = later(showPreview);
  form.addEventListener("input", ({ target }) => {
    if (target.closest(".who")) count();
    if (target.closest(".what")) preview();
    showLengths();
    showUtc(timeZone);
  });
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    form.requestSubmit(form.elements._review);
  });
  addFinders(count);
  showLengths();
  showUtc(timeZone);
}

/** `work(signal)` once nothing has happened for a while; what is under way is no longer wanted. */
function later(work) {
  let timer;
  let asked;
  return () => {
    clearTimeout(timer);
    asked?.abort();
    timer = setTimeout(() => {
      asked = new AbortController();
      work(asked.signal).catch(() => {}); // what was shown stays; the review counts again
    }, PAUSE);
  };
}

async function ask(url, signal) {
  const answer = await fetch(url, { method: "POST", body: new FormData(form), signal });
  if (!answer.ok || answer.redirected) throw new Error(answer.status);
  return answer;
}

async function showCount(signal) {
  const output = form.querySelector(".headcount");
  const counted = new AbortController();
  output.ariaBusy = "true";
  showEstimate(output, AbortSignal.any([signal, counted.signal])).catch(() => {});
  try {
    output.innerHTML = await (await ask(form.dataset.count, signal)).text();
  } finally {
    counted.abort();
    output.ariaBusy = "false";
  }
}

/** Where there are so many people that to count them takes longer than it should: about how many. */
async function showEstimate(output, signal) {
  await wait(DOUBT);
  const asked = ask(form.dataset.estimate, signal).then((answer) => answer.text());
  const [html] = await Promise.all([asked, wait(LONG - DOUBT)]);
  if (html && !signal.aborted) output.innerHTML = html;
}

function wait(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function showPreview(signal) {
  const pages = await (await ask(form.dataset.preview, signal)).json();
  for (const [theme, html] of Object.entries(pages)) form.querySelector(`iframe.${theme}`).srcdoc = html;
}

function showLengths() {
  for (const field of form.querySelectorAll(".counted [maxlength]")) {
    const { parentElement, maxLength, value } = field;
    const output = parentElement.querySelector("output") ?? parentElement.appendChild(document.createElement("output"));
    // As the server counts: characters, and two for the end of a line.
    const length = [...value.replaceAll("\n", "\r\n")].length;
    output.textContent = `${length}/${maxLength}`;
    output.classList.toggle("over", length > maxLength);
  }
}

/** The browser knows what time that is elsewhere if the form speaks of its own zone. */
function showUtc(timeZone) {
  const isHere = form.elements.zone.value === timeZone;
  for (const output of form.querySelectorAll(".utc")) {
    const { value } = form.elements[output.htmlFor.value.slice(3)];
    output.textContent = isHere && value ? `= ${new Date(value).toISOString().slice(0, 16).replace("T", " ")} UTC` : "";
  }
}

/** Beside a box of names, for who may see them: one that finds them. */
function addFinders(changed) {
  const { people, find, add } = form.dataset;
  if (!people) return;
  for (const names of form.querySelectorAll("textarea.names")) {
    const finder = document.createElement("div");
    finder.className = "finder";
    finder.innerHTML = `<input class="vTextField" autocomplete="off"><datalist></datalist><button type="button" class="button"></button>`;
    const [input, list, button] = finder.children;
    list.id = `${names.id}-found`;
    input.setAttribute("list", list.id);
    input.ariaLabel = input.placeholder = find;
    button.textContent = add;
    const search = later(async (signal) => {
      const answer = await fetch(`${people}?${new URLSearchParams({ q: input.value })}`, { signal });
      list.replaceChildren(...(await answer.json()).names.map((name) => new Option(name, name)));
    });
    const take = () => {
      if (!input.value.trim()) return;
      names.value = [...names.value.split("\n"), input.value].map((name) => name.trim()).filter(Boolean).join("\n");
      input.value = "";
      input.focus();
      changed();
    };
    input.addEventListener("input", (event) => {
      event.stopPropagation();
      search();
    });
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      take();
    });
    button.addEventListener("click", take);
    names.after(finder);
  }
}

/** When it is out, the server says what has become of it. */
function countDown() {
  const end = performance.now() + sent.dataset.seconds * 1000;
  const shown = sent.querySelector(".countdown span");
  const timer = setInterval(() => {
    const left = Math.ceil((end - performance.now()) / 1000);
    shown.textContent = Math.max(0, left);
    if (left > 0) return;
    clearInterval(timer);
    location.reload();
  }, 250);
}
