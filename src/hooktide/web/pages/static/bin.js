// Keeps the bin's page current: the server says that something is new, and the page is fetched
// again and its two halves put in place. The page is whole without this file.
"use strict";

const live = document.getElementById("live");
let turn = 0;

async function refresh() {
  const mine = ++turn;
  const answer = await fetch(location.href, { cache: "no-store" });
  if (answer.status === 404 && location.search) {
    // The open request is gone (cleared elsewhere, or one of the oldest): follow the newest.
    history.replaceState(null, "", location.pathname);
    return refresh();
  }
  if (!answer.ok) {
    live.textContent = "this bin is gone";
    live.className = "live";
    return;
  }
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (mine === turn) put(page);
}

function put(page) {
  const focused = document.activeElement?.closest("#list a")?.getAttribute("href");
  const scrolled = part("list").scrollTop;
  document.title = page.title;
  document.querySelector("main").className = page.querySelector("main").className;
  part("list").replaceWith(page.getElementById("list"));
  if (!writing() && page.getElementById("request").dataset.id !== part("request").dataset.id) {
    part("request").replaceWith(page.getElementById("request"));
  }
  part("list").scrollTop = scrolled;
  if (focused) part("list").querySelector(`a[href="${focused}"]`)?.focus();
  dress();
}

// A request that comes in while a note is written does not take its place.
function writing() {
  const note = part("note");
  return !location.search && note !== null && note.value !== note.defaultValue;
}

function part(id) {
  return document.getElementById(id);
}

// Local times.
function dress() {
  for (const time of document.querySelectorAll("time:not([title])")) {
    const at = new Date(time.dateTime);
    const values = dated(here(at));
    time.title = say("{day} {month} {year} {time} UTC", dated(at));
    time.textContent = time.closest("#list") ? values.time : say("{day} {month} {year} {time}", values);
  }
}

function open(link) {
  history.pushState(null, "", link.getAttribute("href"));
  refresh();
}

function step(by) {
  const links = [...document.querySelectorAll("#list a")];
  const at = links.findIndex((link) => link.hasAttribute("aria-current"));
  const next = links[Math.min(Math.max(at + by, 0), links.length - 1)];
  if (!next || next === links[at]) return;
  next.focus();
  open(next);
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("#list a");
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0) {
    event.preventDefault();
    open(link);
  }
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const by = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
  if (!by || event.target.closest("pre, input, textarea")) return;
  event.preventDefault();
  step(by);
});

addEventListener("popstate", refresh);

const stream = new EventSource(`${document.body.dataset.base}/events`);
stream.addEventListener("new", refresh);
stream.onopen = () => {
  live.textContent = "live";
  live.className = "live on";
  refresh();
};
stream.onerror = () => {
  live.textContent = "connecting again…";
  live.className = "live";
};
addEventListener("pagehide", () => stream.close());

dress();
