// Jobs as they go on: the server tells of every change; where it has no line free, we ask.

const ASK_EVERY = 4000; // ms
const jobs = document.getElementById("jobs");

function show(html) {
  if (jobs.innerHTML !== html) jobs.innerHTML = html;
}

async function ask() {
  const answer = await fetch(jobs.dataset.list);
  if (answer.ok) show(await answer.text());
}

const events = new EventSource(jobs.dataset.events);
events.addEventListener("message", (event) => show(event.data));
events.addEventListener("error", () => {
  // Between two streams it connects again by itself; closed, it was told to stay away.
  if (events.readyState !== EventSource.CLOSED) return;
  setInterval(() => document.hidden || ask().catch(() => {}), ASK_EVERY);
});
addEventListener("pagehide", () => events.close());
