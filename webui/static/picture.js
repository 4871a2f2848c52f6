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

/** Of the page that Back leads to, as far as the browser tells; "" where it does not. */
function pathBefore() {
  const { navigation } = window;
  const url = navigation
    ? navigation.entries()[navigation.currentEntry.index - 1]?.url
    : document.referrer;
  return url?.startsWith(location.origin) ? new URL(url).pathname : "";
}

/** Back in history where the results are what we came from, so that they stand as they were. */
function close() {
  const back = document.querySelector(".back a");
  if (!back) return;
  if (pathBefore() === new URL(back.href).pathname) history.back();
  else location.href = back.href;
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
  } else if (event.key === "Escape") {
    close();
  }
});

let from = null;
stage.addEventListener("touchstart", (event) => {
  from = event.touches.length === 1 ? event.touches[0] : null;
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

// A file that the browser can't show after all: what was indexed of it can be shown.
shown.addEventListener("error", () => {
  const thumbnail = shown.src.replace(/\/file$/, "/thumbnail?size=2048");
  if (shown.src !== thumbnail) shown.src = thumbnail;
});
