// The log of deliveries with a script: a delivery opens over the list without the list being left, so
// that place and focus are kept; keys; and what is chosen in the form of filters applies at once.
// The page is whole without it.
"use strict";

const AROUND = ["skip", "around", "page", "foot"];

function drawer() {
  return document.getElementById("drawer");
}

function cover(covered) {
  for (const id of AROUND) {
    const part = document.getElementById(id);
    if (part) part.inert = covered;
  }
}

// The address of the list, where this page put the drawer's in front of it.
const isOurs = () => history.state?.opened === true;

async function openDelivery(href) {
  const page = await load(href);
  const fresh = page?.getElementById("opened");
  if (!fresh?.querySelector("#drawer")) return (location.href = href);
  const first = !drawer();
  if (first) history.pushState({ opened: true }, "", href);
  else history.replaceState(history.state, "", href);
  showOpened(fresh, page);
}

function showOpened(fresh, page) {
  keep(fresh);
  document.getElementById("opened").replaceWith(fresh);
  cover(Boolean(drawer()));
  const stream = page.body.dataset.stream;
  if (stream && stream !== document.body.dataset.stream) {
    document.body.dataset.stream = stream;
    follow(stream);
  }
  dress();
  dispatchEvent(new Event("opened"));
  drawer()?.focus();
}

function closeDelivery() {
  const open = drawer();
  if (!open) return;
  const href = open.querySelector("[data-close]").href;
  if (isOurs()) return history.back();
  history.replaceState(null, "", href.split("#")[0]);
  leave();
}

// Take the drawer away, and go back to where the reader was.
function leave() {
  const id = drawer()?.dataset.delivery;
  document.getElementById("opened").replaceChildren();
  cover(false);
  if (id) document.getElementById(`row-${id}`)?.focus({ preventScroll: isSeen(id) });
}

function isSeen(id) {
  const box = document.getElementById(`row-${id}`)?.getBoundingClientRect();
  return Boolean(box) && box.top >= 0 && box.bottom <= innerHeight;
}

addEventListener("popstate", async () => {
  if (!document.getElementById("opened")) return;
  const wanted = new URL(location.href).searchParams.get("delivery");
  if (!wanted) return drawer() && leave();
  if (drawer()?.dataset.delivery === wanted) return;
  const page = await load(location.href);
  const fresh = page?.getElementById("opened");
  if (fresh?.querySelector("#drawer")) showOpened(fresh, page);
});

document.addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  const link = event.target.closest("a");
  if (!link || !document.getElementById("opened")) return;
  if (link.matches("[data-close], .backdrop")) {
    event.preventDefault();
    closeDelivery();
  } else if (link.matches("#rows .what a, [data-open]")) {
    event.preventDefault();
    openDelivery(link.href);
  } else if (link.matches(".course a")) {
    event.preventDefault();
    const attempt = document.querySelector(link.hash);
    attempt.open = true;
    attempt.scrollIntoView({ block: "start" });
  }
});

// -- keys ---------------------------------------------------------------------------------------------

function step(by) {
  if (drawer()) {
    const beside = drawer().querySelector(by > 0 ? "[rel=next]" : "[rel=prev]");
    if (beside) openDelivery(beside.href);
    return;
  }
  const links = [...document.querySelectorAll("table.log .what a")];
  const at = links.indexOf(document.activeElement);
  links[at < 0 ? 0 : Math.min(Math.max(at + by, 0), links.length - 1)]?.focus();
}

function show(field) {
  if (!field || !field.offsetParent) return false;
  field.focus();
  field.select();
  return true;
}

const KEYS = {
  j: () => step(1),
  k: () => step(-1),
  "/": () => show(document.querySelector("[data-search]")) || show(document.querySelector("[data-find]")),
  "?": () => document.getElementById("shortcuts")?.showModal(),
};

addEventListener("keydown", (event) => {
  if (event.defaultPrevented) return;
  if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.altKey) {
    const found = show(document.querySelector("[data-find]")) || show(document.querySelector("[data-search]"));
    if (found) event.preventDefault();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && !document.querySelector("dialog[open]")) return closeDelivery();
  const typing = event.target.closest?.("input, textarea, select, dialog, [contenteditable]");
  if (typing || !Object.hasOwn(KEYS, event.key)) return;
  event.preventDefault();
  KEYS[event.key]();
});

// -- what is ticked -----------------------------------------------------------------------------------

function countChosen() {
  const said = document.querySelector("[data-chosen]");
  if (!said) return;
  const many = document.querySelectorAll(".choose input:checked").length;
  said.textContent = many ? say("{count} selected:", { count: many }) : say("With those selected:");
  for (const button of said.parentElement.querySelectorAll("button")) button.disabled = !many;
}

document.addEventListener("change", (event) => {
  if (event.target.matches(".choose input")) countChosen();
});
countChosen();

// -- filters ------------------------------------------------------------------------------------------

document.addEventListener("change", (event) => {
  if (event.target.matches("form[data-now] select")) event.target.form.requestSubmit();
});

cover(Boolean(drawer()));
drawer()?.focus();
