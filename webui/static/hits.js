// Rows of pictures: arrows move among them, and the next page comes of itself.

const NEAR = "2400px"; // so far below that nobody sees the last row make room
const onPicture = document.querySelector(".stage") !== null; // whose keys turn pictures over

function tiles() {
  return [...document.querySelectorAll(".tile .open")].filter((tile) => tile.checkVisibility());
}

const middle = (box) => box.left + box.width / 2;

/** The tile nearest to `from`'s middle in the row above or below. */
function inNextRow(all, from, down) {
  const here = from.getBoundingClientRect();
  let best = null;
  let row = null;
  for (const tile of down ? all : all.toReversed()) {
    const box = tile.getBoundingClientRect();
    if (down ? box.top < here.bottom - 1 : box.bottom > here.top + 1) continue;
    row ??= box.top;
    if (Math.abs(box.top - row) > 1) break;
    const distance = Math.abs(middle(box) - middle(here));
    if (!best || distance < best.distance) best = { tile, distance };
  }
  return best?.tile;
}

function target(key, from) {
  const all = tiles();
  const at = all.indexOf(from);
  const forward = getComputedStyle(from).direction === "rtl" ? "ArrowLeft" : "ArrowRight";
  if (key === "ArrowLeft" || key === "ArrowRight") return all[key === forward ? at + 1 : at - 1];
  return inNextRow(all, from, key === "ArrowDown");
}

addEventListener("keydown", (event) => {
  if (!/^Arrow/.test(event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
  const from = event.target.closest?.(".tile")?.querySelector(".open");
  const words = document.querySelector("#search .words");
  if (from) {
    const to = target(event.key, from);
    if (to) {
      event.preventDefault();
      to.focus();
    } else if (event.key === "ArrowUp") {
      event.preventDefault();
      words.focus();
    }
  } else if (event.key === "ArrowDown" && event.target === words) {
    const ended = words.selectionEnd === words.value.length;
    if (!ended || event.isComposing) return;
    event.preventDefault();
    (tiles()[0] ?? document.querySelector("#rest summary"))?.focus();
  } else if (event.target === document.body && event.key === "ArrowRight" && !onPicture) {
    tiles()[0]?.focus();
  }
});

addEventListener("click", (event) => {
  const opened = event.target.closest(".tile .open")?.querySelector("img");
  if (!opened) return;
  // The one picture that grows out of its tile.
  const shown = document.getElementById("shown");
  if (shown) shown.style.viewTransitionName = "none";
  for (const tile of tiles()) tile.querySelector("img").style.viewTransitionName = "";
  opened.style.viewTransitionName = "picture";
  // For coming back to this very place, pages that came of themselves and all.
  const open = document.getElementById("rest")?.open ?? false;
  history.replaceState({ open, tiles: count(), top: scrollY }, "");
});

const count = () => document.querySelectorAll("main .tile").length;

/** A page's document; the shapes and colours of its tiles come to hold here. */
function adopt(html) {
  const sheet = new CSSStyleSheet();
  // Its <style> has another nonce than ours, so it may not be parsed as one.
  const rest = html.replace(/<style[^>]*>([^<]*)<\/style>/, (_, shapes) => {
    sheet.replaceSync(shapes);
    return "";
  });
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  return new DOMParser().parseFromString(rest, "text/html");
}

/** Puts what `page` has in #hits or #rest after what is there. */
function append(page, id) {
  const there = document.querySelector(`#${id} .rows`);
  const came = page.querySelector(`#${id}`);
  if (!came) return;
  if (there) {
    there.append(...came.querySelectorAll(".tile"));
  } else {
    came.open = false;
    document.querySelector("main").append(came);
  }
}

async function more(place, andWatch = true) {
  place.setAttribute("aria-busy", "true");
  const answer = await fetch(place.querySelector("a").href);
  if (!answer.ok) throw new Error(`The next page answered ${answer.status}.`);
  const page = adopt(await answer.text());
  const next = page.querySelector(".next");
  append(page, "hits");
  append(page, "rest");
  place.remove();
  const last = document.getElementById("rest") ?? document.querySelector("main");
  if (next) last.append(next);
  if (andWatch) watch();
}

function watch() {
  const place = document.querySelector("main .next");
  if (!place) return;
  const observer = new IntersectionObserver(
    ([entry]) => {
      if (!entry.isIntersecting) return;
      observer.disconnect();
      // The link stays, for another try by hand.
      more(place).catch(() => place.removeAttribute("aria-busy"));
    },
    { rootMargin: NEAR },
  );
  observer.observe(place);
}

/** As it stood when a picture was opened from here, where the browser has not kept it so. */
async function restore({ open, tiles: wanted, top }) {
  while (count() < wanted && document.querySelector("main .next")) {
    await more(document.querySelector("main .next"), false);
  }
  const rest = document.getElementById("rest");
  if (rest) rest.open = open;
  scrollTo({ top, behavior: "instant" });
}

const [came] = performance.getEntriesByType("navigation");
if (came?.type === "back_forward" && history.state?.tiles) {
  restore(history.state)
    .catch(() => {})
    .finally(watch);
} else {
  watch();
}
