// The search box: in reach by key, as tall as the query, open to pictures dropped and pasted.

const form = document.getElementById("search");
const pictureForm = document.getElementById("by-picture");
const picker = document.getElementById("picker");
const chosen = document.getElementById("picture");
const words = grown(form.elements.namedItem("q"));

/** A text area in place of the one-line field, which stays where there is no script. */
function grown(field) {
  const area = document.createElement("textarea");
  for (const { name, value } of field.attributes) {
    if (!["type", "value", "autofocus"].includes(name)) area.setAttribute(name, value);
  }
  area.rows = 1;
  area.defaultValue = field.defaultValue;
  // Typed before this ran: not what was asked here.
  if (field.value !== field.defaultValue) area.value = field.value;
  const { activeElement } = document;
  field.replaceWith(area);
  if (activeElement === field || (field.autofocus && activeElement === document.body)) {
    area.focus({ preventScroll: true });
    area.setSelectionRange(area.value.length, area.value.length);
  }
  return area;
}

function fit() {
  if (CSS.supports("field-sizing", "content")) return;
  words.style.blockSize = "auto";
  words.style.blockSize = `${words.scrollHeight}px`;
}

function isTyping(target) {
  return target.closest("input, textarea, select, [contenteditable]") !== null;
}

words.addEventListener("input", fit);
addEventListener("resize", fit);
fit();

words.addEventListener("keydown", (event) => {
  // Enter that ends a word in an input method is not yet the end of the query.
  if (event.isComposing || event.keyCode === 229) return;
  if (event.key === "Enter" && !event.shiftKey) {
    event.preventDefault();
    form.requestSubmit();
  } else if (event.key === "Escape") {
    event.preventDefault();
    if (words.value) {
      words.value = "";
      fit();
    } else {
      words.blur();
    }
  } else if (event.key === "Backspace" && words.selectionEnd === 0) {
    const chips = form.querySelectorAll(".chip a");
    if (chips.length) chips[chips.length - 1].click();
  }
});

const fields = () => [...form.elements].filter((field) => field.name && field !== chosen);

form.addEventListener("submit", () => {
  // What was left empty has no place in the address.
  for (const field of fields()) field.disabled = !field.value.trim();
});
addEventListener("pageshow", () => {
  for (const field of fields()) field.disabled = false;
});

addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey) {
    if (isTyping(event.target)) return;
    event.preventDefault();
    words.focus();
    words.select();
  } else if (event.key === "Escape") {
    const open = form.querySelector("details[open]");
    if (!open) return;
    event.preventDefault();
    open.open = false;
    open.querySelector("summary").focus();
  }
});

addEventListener("pointerdown", (event) => {
  for (const open of form.querySelectorAll("details[open]")) {
    if (!open.contains(event.target)) open.open = false;
  }
});

for (const tool of form.querySelectorAll("details:not(#picker)")) {
  tool.querySelector("summary").addEventListener("click", (event) => {
    event.preventDefault();
    tool.open = !tool.open;
    // At once, so that no letter typed goes astray.
    if (tool.open) tool.querySelector("input").focus();
  });
}

// Pictures: choosing one is enough, and so is dropping or pasting it.

function searchBy(files) {
  const picture = [...files].find((file) => file.type.startsWith("image/"));
  if (!picture) return false;
  const held = new DataTransfer();
  held.items.add(picture);
  chosen.files = held.files;
  sendPicture();
  return true;
}

function sendPicture() {
  const address = new URL(pictureForm.action);
  address.searchParams.set("q", words.value);
  pictureForm.action = address;
  pictureForm.requestSubmit();
}

picker.querySelector("summary").addEventListener("click", (event) => {
  event.preventDefault();
  chosen.click();
});
chosen.addEventListener("change", () => chosen.files.length && sendPicture());

addEventListener("paste", (event) => {
  if (searchBy(event.clipboardData.files)) event.preventDefault();
});

let ours = false; // a picture of this very page is being dragged
const brought = (event) => !ours && event.dataTransfer?.types.includes("Files");
const dropping = (on) => document.documentElement.classList.toggle("dropping", on);

addEventListener("dragstart", () => (ours = true));
addEventListener("dragend", () => (ours = false));
addEventListener("dragover", (event) => {
  if (!brought(event)) return;
  event.preventDefault();
  dropping(true);
});
addEventListener("dragleave", (event) => event.relatedTarget ?? dropping(false));
addEventListener("drop", (event) => {
  dropping(false);
  if (!brought(event)) return;
  event.preventDefault();
  searchBy(event.dataTransfer.files);
});
