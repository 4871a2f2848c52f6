// Searches that stay on the page: what is found takes the place of what stood here, more of it
// comes of itself, and Back finds all as it was. All of it is links and forms without this.

const NEAR = "2400px"; // how far below the next page is asked for
const KEPT = 12; // searches that Back shows at once

const form = document.getElementById("search");
const byPicture = document.getElementById("by-picture");
const words = form.querySelector(".words"); // made a text area by box.js, which comes first
const told = document.getElementById("told");
const main = () => document.querySelector("main");
const count = () => document.querySelectorAll("main .tile").length;

/** What a page shows, for going on from it or back to it. */
function viewOf(page, sheets) {
  const { defaultValue, placeholder, autofocus } = page.querySelector("#search .words");
  return {
    parts: ["#search .asked", ".aside", "main"].map((name) => [name, page.querySelector(name)]),
    action: page.getElementById("by-picture").getAttribute("action"),
    title: page.title,
    value: defaultValue,
    placeholder,
    autofocus,
    sheets,
  };
}

/** view.typedOn: letters have been typed since it was asked for; they stay. */
function show(view) {
  const scrolled = document.querySelector(".filters")?.scrollTop;
  for (const [name, part] of view.parts) document.querySelector(name).replaceWith(part);
  byPicture.setAttribute("action", view.action);
  document.title = view.title;
  document.adoptedStyleSheets = view.sheets;
  words.defaultValue = view.value;
  if (!view.typedOn) words.value = view.value;
  words.placeholder = view.placeholder;
  words.dispatchEvent(new Event("input"));
  const filters = document.querySelector(".filters");
  if (filters && scrolled) filters.scrollTop = scrolled;
  const said = document.querySelector("main .word, .took");
  told.textContent = said?.textContent ?? "";
  watch();
}

/** A page's document, and the sheet of its tiles' shapes and colours. */
function parse(html) {
  const sheet = new CSSStyleSheet();
  // Its <style> has another nonce than ours, so it may not be parsed as one.
  const rest = html.replace(/<style[^>]*>([^<]*)<\/style>/, (_, shapes) => {
    sheet.replaceSync(shapes);
    return "";
  });
  return { page: new DOMParser().parseFromString(rest, "text/html"), sheet };
}

// Going from one search to another.

const kept = new Map(); // what was shown, by the name of its entry in the history
const fresh = () => String(Math.random());
let here = history.state?.entry ?? fresh();
let standing = here; // whose search stands here: not yet that of `here` while Back waits for it
let shown = location.pathname + location.search;
let going = null; // the request under way

/** Notes in the history where one is, for a document that has to be made anew. */
function note() {
  if (standing !== here) return;
  const open = document.getElementById("rest")?.open ?? false;
  history.replaceState({ entry: here, open, tiles: count(), top: scrollY }, "");
}

function keep() {
  document.querySelector(".trouble")?.remove();
  kept.delete(standing);
  kept.set(standing, { ...viewOf(document, [...document.adoptedStyleSheets]), top: scrollY });
  if (kept.size > KEPT) kept.delete(kept.keys().next().value);
}

/** Goes on by key from what is now in the place of the link or button that was pressed. */
function successor(pressed) {
  const names = ["#search", ".aside", ".filters", "main"];
  const area = names.find((name) => pressed.closest(name));
  const named = (each) => each.getAttribute("aria-label") ?? each.textContent.trim();
  const name = named(pressed);
  return () => {
    if (document.activeElement !== document.body) return; // one has gone on elsewhere
    const all = [...document.querySelectorAll(`${area} :is(a, button)`)];
    const same = area !== "main" && all.find((each) => named(each) === name);
    (same || main()).focus({ preventScroll: true });
  };
}

/** Fetches a page and hands it on; null where it is not one of ours, and has been gone to. */
async function fetched(url) {
  going?.abort();
  const own = (going = new AbortController());
  const left = main();
  const typed = words.value;
  left.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(url, { signal: own.signal });
    const { page, sheet } = parse(await answer.text());
    if (isSearch(new URL(answer.url)) && page.querySelector("#search .asked")) {
      return { ...viewOf(page, [sheet]), typedOn: words.value !== typed };
    }
    location.assign(url);
    return null;
  } finally {
    if (going === own) left.removeAttribute("aria-busy"); // it may be kept, for Forward
  }
}

async function visit(url, focus) {
  const view = await fetched(url);
  if (!view) return;
  note();
  keep();
  const again = url === location.href;
  here = standing = fresh();
  // Before anything changes: the browser notes how far down one was.
  history[again ? "replaceState" : "pushState"]({ entry: here }, "", url);
  shown = location.pathname + location.search;
  show(view);
  scrollTo({ top: 0, behavior: "instant" });
  if (view.autofocus) words.focus({ preventScroll: true });
  else focus?.();
}

/** Does it; says so where the server can't be reached, with a button that tries again. */
async function attempt(act, where = main()) {
  document.querySelector(".trouble")?.remove();
  try {
    await act();
  } catch (error) {
    if (error.name === "AbortError") return;
    document.querySelector(".trouble")?.remove();
    const said = document.getElementById("unreachable").content.cloneNode(true).firstElementChild;
    said.querySelector("button").addEventListener("click", () => attempt(act, where));
    if (where.matches("main")) main().prepend(said);
    else where.after(said);
    if (where.matches("main")) scrollTo({ top: 0, behavior: "instant" });
  }
}

function isSearch(url) {
  return url.origin === location.origin && url.pathname === location.pathname;
}

addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button) return;
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  const link = event.target.closest?.("a[href]");
  if (!link) return;
  if (link.matches(".tile .open")) note();
  const url = new URL(link.getAttribute("href"), location.href);
  if (!isSearch(url) || url.hash) return;
  event.preventDefault();
  const next = link.closest("main .next");
  if (next) attempt(() => more(next), next);
  else attempt(() => visit(url.href, successor(link)));
});

addEventListener("submit", (event) => {
  const sent = event.target;
  const url = new URL(sent.action);
  if (sent.method !== "get" || !isSearch(url)) return;
  event.preventDefault();
  const filled = [...new FormData(sent)].filter(([, value]) => value.trim());
  url.search = new URLSearchParams(filled);
  for (const field of sent.elements) field.disabled = false;
  for (const open of form.querySelectorAll("details[open]")) {
    // Before it is folded away: a key that follows at once is heard.
    if (open.contains(document.activeElement)) words.focus({ preventScroll: true });
    open.open = false;
    open.querySelector("input").value = "";
  }
  if (matchMedia("(pointer: coarse)").matches) words.blur(); // and the keyboard makes room
  attempt(() => visit(url.href, successor(event.submitter ?? sent)));
});

addEventListener("popstate", ({ state }) => {
  if (location.pathname + location.search === shown) return; // a place on this page
  keep();
  here = state?.entry ?? fresh();
  shown = location.pathname + location.search;
  const held = kept.get(here);
  if (held) {
    going?.abort();
    standing = here;
    show(held);
    scrollTo({ top: held.top, behavior: "instant" });
  } else {
    attempt(async () => {
      const view = await fetched(location.href);
      if (!view) return;
      standing = here;
      show(view);
      await restore(state ?? {});
    });
  }
});

// The next page comes while one scrolls.

/** Puts what `page` has in #hits or #rest after what is there. */
function append(page, id) {
  const there = document.querySelector(`#${id} .rows`);
  const came = page.querySelector(`#${id}`);
  if (!came) return;
  if (there) {
    there.append(...came.querySelectorAll(".tile"));
  } else {
    came.open = false;
    (document.querySelector(".found") ?? main()).append(came);
  }
}

const coming = new WeakMap(); // promises of next pages, by the link to them

/** Whoever asks for a page that is on its way waits for it. */
function more(next) {
  if (!coming.has(next)) coming.set(next, bring(next).finally(() => coming.delete(next)));
  return coming.get(next);
}

async function bring(next) {
  next.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(next.querySelector("a").href);
    if (!answer.ok) throw new Error(`The next page answered ${answer.status}.`);
    const { page, sheet } = parse(await answer.text());
    if (!next.isConnected) return; // another search stands here by now
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
    const after = page.querySelector(".next");
    append(page, "hits");
    append(page, "rest");
    next.remove();
    const last = document.getElementById("rest") ?? document.querySelector(".found") ?? main();
    if (after) last.append(after);
    watch();
  } finally {
    next.removeAttribute("aria-busy");
  }
}

const nearing = new IntersectionObserver(
  (entries) => {
    // A busy browser tells of several changes at once, the last of them last.
    const { isIntersecting, target } = entries.at(-1);
    if (!isIntersecting || !target.isConnected) return;
    nearing.disconnect();
    attempt(() => more(target), target);
  },
  { rootMargin: NEAR },
);

/** The last row waits out of sight for what fills it, so that nothing that is seen moves. */
const lastRows = new ResizeObserver(([{ target: list }]) => {
  const held = [...list.querySelectorAll(".held")];
  const tiles = [...list.children];
  const last = tiles.at(-1);
  const row = [];
  if (document.querySelector("main .next") && last && !reachesEnd(last, list)) {
    for (const tile of tiles.toReversed()) {
      if (tile.offsetTop !== last.offsetTop) break;
      row.push(tile);
    }
  }
  if (row.length === tiles.length) row.length = 0; // better one row that moves than none
  for (const tile of held) if (!row.includes(tile)) tile.classList.remove("held");
  for (const tile of row) tile.classList.add("held");
});

function reachesEnd(tile, list) {
  const [one, all] = [tile.getBoundingClientRect(), list.getBoundingClientRect()];
  return (document.dir === "rtl" ? one.left - all.left : all.right - one.right) < 2;
}

function watch() {
  nearing.disconnect();
  lastRows.disconnect();
  const next = document.querySelector("main .next");
  const list = document.querySelector("#rest .rows") ?? document.querySelector("#hits .rows");
  // Nothing comes any more after hits that others stand below.
  for (const tile of document.querySelectorAll("#hits:has(~ #rest) .held")) {
    tile.classList.remove("held");
  }
  // It tells at once of what it is given, after the layout and before the paint.
  if (list) lastRows.observe(list);
  if (next) nearing.observe(next);
}

/** As it stood when a picture was opened from here, where the browser has not kept it so. */
async function restore({ open = false, tiles: wanted = 0, top = 0 }) {
  const own = main();
  const moved = new AbortController();
  for (const kind of ["wheel", "touchmove", "keydown"]) {
    addEventListener(kind, () => moved.abort(), { passive: true, signal: moved.signal });
  }
  for (let next; count() < wanted && (next = document.querySelector("main .next")); ) {
    await more(next);
    if (!own.isConnected) return; // another search stands here by now
  }
  const rest = document.getElementById("rest");
  if (rest) rest.open = open;
  if (!moved.signal.aborted) scrollTo({ top, behavior: "instant" });
  moved.abort();
}

watch();
const [came] = performance.getEntriesByType("navigation");
if (came?.type === "back_forward" && history.state?.tiles) {
  restore(history.state).catch(() => {});
}
