// Rows of pictures: arrows move among them, and one that is opened grows out of its tile.

const onPicture = document.querySelector(".stage") !== null; // whose keys turn pictures over

function tiles() {
  return [...document.querySelectorAll(".tile .open")].filter((tile) =>
    tile.checkVisibility({ visibilityProperty: true }),
  );
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
  } else if (event.target.matches("body, main") && event.key === "ArrowRight" && !onPicture) {
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
});
