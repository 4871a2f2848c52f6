// Jobs as they go on: the server tells of every change; where it has no line free, we ask.

const ASK_EVERY = 4000; // ms
const jobs = document.getElementById("jobs");
let last = null;

function show(html) {
  if (html === last) return;
  last = html;
  const focused = jobs.contains(document.activeElement) && document.activeElement.href;
  jobs.innerHTML = html;
  if (focused) [...jobs.querySelectorAll("a")].find(({ href }) => href === focused)?.focus();
}

async function ask() {
  const answer = await fetch(jobs.dataset.list);
  if (answer.ok) show(await answer.text());
}

/** One after the other: an answer that is late never takes the place of a newer one. */
async function keepAsking(left) {
  while (!left.aborted) {
    if (!document.hidden) await ask().catch(() => {}); // out of reach: it may come back
    await new Promise((done) => setTimeout(done, ASK_EVERY));
  }
}

function listen() {
  const left = new AbortController();
  const events = new EventSource(jobs.dataset.events);
  events.addEventListener("message", (event) => show(event.data));
  events.addEventListener("error", () => {
    // Between two streams it connects again by itself; closed, it was told to stay away.
    if (events.readyState === EventSource.CLOSED) keepAsking(left.signal);
  });
  addEventListener(
    "pagehide",
    () => {
      left.abort();
      events.close();
    },
    { once: true },
  );
}

listen();
// Back on a page that the browser has kept whole.
addEventListener("pageshow", (event) => event.persisted && listen());
