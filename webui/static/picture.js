// A picture's page: arrows and swipes go on through what was found, Escape goes back to it.

const FAR_ENOUGH = 48; // pixels of a swipe

const stage = document.querySelector(".stage");
const shown = document.getElementById("shown");
const rtl = document.dir === "rtl";

function follow(selector) {
  const link = document.querySelector(selector);
  // One page, however many pictures one has turned over: Back closes the picture.
  if (link) location.replace(link.href);
  return link !== null;
}

function turn(onward) {
  return follow(onward ? ".turn.after" : ".turn.before");
}

for (const link of document.querySelectorAll(".turn")) {
  link.addEventListener("click", (event) => {
    if (event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    location.replace(link.href);
  });
}

function entryBefore() {
  return window.navigation?.entries()[navigation.currentEntry.index - 1];
}

/** Of the page that Back leads to, as far as the browser tells; "" where it does not. */
function pathBefore() {
  const url = window.navigation ? entryBefore()?.url : document.referrer;
  return url?.startsWith(location.origin) ? new URL(url).pathname : "";
}

/** Back in history where the results are what we came from, so that they stand as they were. */
function close() {
  const back = document.querySelector(".back a");
  if (!back) return;
  if (pathBefore() !== new URL(back.href).pathname) location.href = back.href;
  // By its name, where the browser knows one: asked twice it still goes one page back.
  else if (entryBefore()) navigation.traverseTo(entryBefore().key);
  else history.back();
}

document.querySelector(".back a")?.addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  close();
});

addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest?.("input, textarea, .tile, details")) return;
  if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
    if (turn((event.key === "ArrowRight") !== rtl)) event.preventDefault();
  } else if (zoomBy[event.key]) {
    event.preventDefault();
    zoomBy[event.key]();
  } else if (event.key === "Escape") {
    if (view.scale > 1) zoom(1);
    else close();
  }
});

// Zoom: by wheel, pinch, double click, keys and buttons; a picture that is zoomed is dragged.

const frame = document.querySelector(".window");
const MOST = 8;
const view = { scale: 1, x: 0, y: 0 };

function draw() {
  const zoomed = view.scale > 1;
  frame.classList.toggle("zoomed", zoomed);
  const least = 1 - view.scale;
  view.x = Math.min(0, Math.max(view.x, least * shown.offsetWidth));
  view.y = Math.min(0, Math.max(view.y, least * shown.offsetHeight));
  shown.style.transform = zoomed ? `translate(${view.x}px, ${view.y}px) scale(${view.scale})` : "";
}

/** What lies under the point (of the screen; the middle without one) stays there. */
function zoom(scale, point) {
  const box = shown.getBoundingClientRect();
  const left = box.left - view.x;
  const top = box.top - view.y;
  const at = point ?? { clientX: left + shown.offsetWidth / 2, clientY: top + shown.offsetHeight / 2 };
  const next = Math.min(Math.max(scale, 1), MOST);
  const grown = next / view.scale;
  view.x = at.clientX - left - (at.clientX - left - view.x) * grown;
  view.y = at.clientY - top - (at.clientY - top - view.y) * grown;
  view.scale = next;
  draw();
}

const STEP = 1.5;
const zoomBy = {
  "+": () => zoom(view.scale * STEP),
  "=": () => zoom(view.scale * STEP),
  "-": () => zoom(view.scale / STEP),
  0: () => zoom(1),
};

document.querySelector(".zoom").hidden = false;
document.querySelector(".zoom").addEventListener("click", (event) => {
  zoomBy[event.target.closest("button")?.value]?.();
});

frame.addEventListener(
  "wheel",
  (event) => {
    // A wheel alone scrolls the page, until one has begun to look closer.
    if (!event.ctrlKey && view.scale === 1) return;
    event.preventDefault();
    zoom(view.scale * Math.exp(-event.deltaY / 300), event);
  },
  { passive: false },
);
frame.addEventListener("dblclick", (event) => zoom(view.scale > 1 ? 1 : 2.5, event));

const fingers = new Map();
let from = null; // where a swipe began

const apart = ([one, other]) =>
  Math.max(1, Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY));
const between = ([one, other]) => ({
  clientX: (one.clientX + other.clientX) / 2,
  clientY: (one.clientY + other.clientY) / 2,
});

frame.addEventListener("pointerdown", (event) => {
  fingers.set(event.pointerId, event);
  if (view.scale > 1) {
    frame.setPointerCapture(event.pointerId);
    event.preventDefault();
  }
});
frame.addEventListener("pointermove", (event) => {
  const before = fingers.get(event.pointerId);
  if (!before) return;
  const stood = [...fingers.values()];
  fingers.set(event.pointerId, event);
  if (fingers.size === 2) {
    const stand = [...fingers.values()];
    const [there, here] = [between(stood), between(stand)];
    zoom((view.scale * apart(stand)) / apart(stood), there);
    view.x += here.clientX - there.clientX;
    view.y += here.clientY - there.clientY;
    draw();
  } else if (view.scale > 1) {
    view.x += event.clientX - before.clientX;
    view.y += event.clientY - before.clientY;
    draw();
  }
});
for (const end of ["pointerup", "pointercancel", "pointerleave"]) {
  frame.addEventListener(end, (event) => {
    fingers.delete(event.pointerId);
  });
}
frame.addEventListener("dragstart", (event) => event.preventDefault());
addEventListener("resize", draw);

stage.addEventListener("touchstart", (event) => {
  from = event.touches.length === 1 && view.scale === 1 ? event.touches[0] : null;
});
stage.addEventListener("touchend", (event) => {
  if (!from || visualViewport.scale > 1.01) return;
  const across = event.changedTouches[0].clientX - from.clientX;
  const along = event.changedTouches[0].clientY - from.clientY;
  from = null;
  if (Math.abs(across) > FAR_ENOUGH && Math.abs(across) > 2 * Math.abs(along)) {
    turn(across < 0 !== rtl);
  }
});

if (navigator.clipboard) {
  for (const button of document.querySelectorAll(".copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.dataset.copy);
      document.getElementById("said").textContent = button.dataset.done;
    });
  }
}

// A file that the browser can't show after all: what was indexed of it can be shown.
function showThumbnail() {
  const thumbnail = shown.src.replace(/\/file$/, "/thumbnail?size=2048");
  if (shown.src !== thumbnail) shown.src = thumbnail;
}

shown.addEventListener("error", showThumbnail);
if (shown.complete && !shown.naturalWidth) showThumbnail(); // it failed before this ran
