// In the head, before anything is painted: the theme that was chosen, or else the system's. The theme itself sets
// the system's only after the page is there, and a dark page would flash white.
"use strict";

const root = document.documentElement;
if (!["light", "dark"].includes(root.dataset.mode)) {
  root.dataset.mode = "auto";
  root.dataset.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

// What the theme's and myst-nb's pages lack for those who hear them or use no mouse.
const repair = () => {
  // All that is on a page has to lie in a landmark, the title above the list of lessons too.
  const sidebar = document.querySelector(".bd-sidebar-primary");
  sidebar?.setAttribute("role", "navigation");
  sidebar?.setAttribute("aria-label", "Lessons and search");
  // A button's name has to hold the words on it.
  document.querySelectorAll("button[aria-label]").forEach((button) => {
    if (button.textContent.trim()) button.removeAttribute("aria-label");
  });
  // The theme takes the focus off a button that was clicked; who uses the keyboard would be lost.
  document.querySelectorAll("button").forEach((button) => (button.blur = () => {}));
  // What scrolls has to be in reach of the keyboard.
  const boxes = "pre, .table-scroll, .pst-scrollable-table-container, mjx-container[display]";
  document.querySelectorAll(boxes).forEach((box) => {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  });
};

document.addEventListener("DOMContentLoaded", () => {
  // A wide table scrolls in a box of its own.
  document.querySelectorAll("article table").forEach((table) => {
    if (table.closest(".table-scroll, .pst-scrollable-table-container")) return;
    const box = document.createElement("div");
    box.className = "table-scroll";
    table.replaceWith(box);
    box.append(table);
  });
  repair();
});
addEventListener("load", repair);
addEventListener("resize", repair);
addEventListener("toggle", repair, true); // what is unfolded may scroll, too

// Print in light colours and with everything unfolded; then all is as it was.
let folded = [];
let screen;
addEventListener("beforeprint", () => {
  screen = root.dataset.theme;
  root.dataset.theme = "light";
  folded = [...document.querySelectorAll("details:not([open])")];
  folded.forEach((details) => (details.open = true));
});
addEventListener("afterprint", () => {
  root.dataset.theme = screen;
  folded.forEach((details) => (details.open = false));
});
