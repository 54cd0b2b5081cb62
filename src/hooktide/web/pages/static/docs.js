// What the docs do with scripts, besides copying: keep the reader's language, and mark in the
// contents where they are. The page is whole without it.
"use strict";

const KEPT = "tongue";

try {
  document.getElementById(`tongue-${localStorage.getItem(KEPT)}`)?.click();
} catch {
  // This browser keeps nothing for us.
}

document.addEventListener("change", (event) => {
  if (event.target.name !== "tongue") return;
  try {
    localStorage.setItem(KEPT, event.target.value);
  } catch {
    // The same.
  }
});

const places = [...document.querySelectorAll("#contents a")].map((link) => ({
  link,
  section: document.getElementById(decodeURIComponent(link.hash.slice(1))),
}));

// The last place that begins in the upper part of the window.
function mark() {
  const line = innerHeight / 4;
  const passed = places.filter(({ section }) => section?.getBoundingClientRect().top <= line);
  const here = passed.at(-1)?.link;
  for (const { link } of places) {
    if (link === here) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

let waiting = false;
addEventListener(
  "scroll",
  () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      mark();
    });
  },
  { passive: true },
);
mark();
