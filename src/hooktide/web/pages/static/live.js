// What a page of lists can do with a script: keep itself current, show local times, close its
// drawer with Escape. The server says that something changed (<body data-stream="URL">), the page
// is fetched again, and each element with data-live and an id is put in place of its old self.
// The page is whole without it.
"use strict";

let turn = 0;

async function refresh() {
  const mine = ++turn;
  let answer;
  try {
    answer = await fetch(location.href, { cache: "no-store" });
  } catch {
    return; // The stream says when the server is back.
  }
  if (!answer.ok || mine !== turn) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (mine === turn) for (const old of document.querySelectorAll("[data-live][id]")) put(old, page);
}

function put(old, page) {
  const fresh = page.getElementById(old.id);
  if (!fresh || fresh.innerHTML === old.dataset.was) return;
  if (!old.dataset.was && fresh.innerHTML === old.innerHTML) return;
  if (busy(old)) return;
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  const again = focused && (focused.id || focused.getAttribute("href"));
  const opened = [...old.querySelectorAll("details")].map((each) => each.open);
  const scrolled = [...old.querySelectorAll(".drawer-body")].map((each) => each.scrollTop);
  fresh.dataset.was = fresh.innerHTML;
  old.replaceWith(fresh);
  const details = [...fresh.querySelectorAll("details")];
  if (details.length === opened.length) details.forEach((each, at) => (each.open = opened[at]));
  fresh.querySelectorAll(".drawer-body").forEach((each, at) => (each.scrollTop = scrolled[at] ?? 0));
  if (again) {
    const same = [...fresh.querySelectorAll("a, button, [id]")];
    same.find((each) => each.id === again || each.getAttribute("href") === again)?.focus();
  }
  dress();
}

// Never replace a part that the user is interacting with.
function busy(part) {
  const selection = getSelection();
  const selecting = selection && !selection.isCollapsed && part.contains(selection.anchorNode);
  const typing = part.contains(document.activeElement) && document.activeElement.matches("input, textarea, select, pre");
  return selecting || typing;
}

// Local times, with the written one on hover.
function dress() {
  for (const time of document.querySelectorAll("time:not([title], .soon)")) {
    const at = new Date(time.dateTime);
    time.title = time.textContent;
    time.textContent =
      at.toDateString() === new Date().toDateString()
        ? at.toLocaleTimeString()
        : at.toLocaleString([], { dateStyle: "medium", timeStyle: "medium" });
  }
}

// How long it is until something comes, in at most two units as the server writes it.
const UNITS = [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]];

function count() {
  for (const time of document.querySelectorAll("time.soon")) {
    let left = Math.round((new Date(time.dateTime) - Date.now()) / 1000);
    const said = [];
    for (const [seconds, name] of UNITS) {
      const many = Math.floor(left / seconds);
      if (many < 1 || said.length === 2) continue;
      said.push(`${many} ${name}${many === 1 ? "" : "s"}`);
      left -= many * seconds;
    }
    const text = said.length ? `in ${said.join(" ")}` : "now";
    if (time.textContent !== text) time.textContent = text;
  }
}
setInterval(count, 1000);

function follow(url) {
  const live = document.getElementById("live");
  const stream = new EventSource(url);
  const say = (text, on) => {
    if (!live) return;
    live.textContent = text;
    live.className = on ? "live on" : "live";
  };
  let opened = false;
  stream.addEventListener("changed", refresh);
  stream.onopen = () => {
    say("live", true);
    if (opened) refresh();
    opened = true;
  };
  stream.onerror = () => say("connecting again…", false);
  addEventListener("pagehide", () => stream.close());
}

// A form that is sent is not sent twice; coming back to it, it can be sent again.
addEventListener("submit", (event) => {
  setTimeout(() => able(event.target.querySelectorAll("button"), false));
});
addEventListener("pageshow", (event) => {
  if (event.persisted) able(document.querySelectorAll("form button"), true);
});

function able(buttons, may) {
  for (const button of buttons) button.disabled = !may;
}

addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.defaultPrevented) return;
  document.querySelector("[data-close]")?.click();
});

document.getElementById("drawer")?.focus();
dress();
if (document.body.dataset.stream) follow(document.body.dataset.stream);
