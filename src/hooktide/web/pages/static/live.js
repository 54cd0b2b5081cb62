// What a page of lists can do with a script: keep itself current, and show local times. The server says that something changed (<body data-stream="URL">), the page
// is fetched again, and each element with data-live and an id is put in place of its old self. Only what
// changed is sent: the request names what was sent before (framework/changed_parts.py).
// The page is whole without it.
"use strict";

let turn = 0;
const was = new WeakMap();

// What a part was as the server wrote it, before a script put its times into words.
function keep(part) {
  was.set(part, html(part));
  for (const row of part.querySelectorAll("tr[data-id]")) was.set(row, row.innerHTML);
}

// The hidden token of forms looks different each time.
function html(part) {
  return part.innerHTML.replace(/name="csrf" value="[^"]*"/g, "");
}
for (const part of document.querySelectorAll("[data-live][id]")) keep(part);

async function load(url, headers = {}) {
  const mine = ++turn;
  let answer;
  try {
    answer = await fetch(url, { cache: "no-store", headers });
  } catch {
    return null; // The stream says when the server is back.
  }
  if (!answer.ok || mine !== turn) return null;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  return mine === turn ? page : null;
}

// What the server sent last of each part, by its id: its tag, and its rows by their tags.
const sent = new Map();

async function refresh() {
  const had = [...sent.values()].flatMap((each) => [each.tag, ...each.rows.keys()]);
  const page = await load(location.href, { "hooktide-have": had.join(" ") });
  if (page) for (const old of document.querySelectorAll("[data-live][id]")) put(old, page);
}

// Take the tags off a part, and put back the rows that were sent before.
function whole(part) {
  const before = new Map([...sent.values()].flatMap((each) => [...each.rows]));
  const rows = new Map();
  for (const row of part.querySelectorAll("tr[data-tag], tr[data-same]")) {
    const { tag, same } = row.dataset;
    row.removeAttribute("data-tag");
    rows.set(tag ?? same, same ? before.get(same) : row.cloneNode(true));
    if (same) row.replaceWith(before.get(same).cloneNode(true));
  }
  sent.set(part.id, { tag: part.dataset.tag, rows });
  part.removeAttribute("data-tag");
  return part;
}

function put(old, page) {
  const given = page.getElementById(old.id);
  if (!given || given.dataset.same) return;
  if (busy(old)) return; // It is sent again the next time.
  const fresh = whole(given);
  if (html(fresh) === was.get(old)) return;
  const rows = "table.log tbody tr";
  const held = old.dataset.live !== "now" || old.matches(":hover") || old.contains(document.activeElement);
  if (held && old.querySelector(rows) && fresh.querySelector(rows)) renew(old, fresh);
  else replace(old, fresh);
}

function replace(old, fresh) {
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  const again = focused && (focused.id || focused.getAttribute("href"));
  const opened = [...old.querySelectorAll("details")].map((each) => each.open);
  const scrolled = [...old.querySelectorAll(".drawer-body")].map((each) => each.scrollTop);
  keep(fresh);
  old.replaceWith(fresh);
  const details = [...fresh.querySelectorAll("details")];
  if (details.length === opened.length) details.forEach((each, at) => (each.open = opened[at]));
  fresh.querySelectorAll(".drawer-body").forEach((each, at) => (each.scrollTop = scrolled[at] ?? 0));
  if (again) {
    const same = [...fresh.querySelectorAll("a, button, [id]")];
    same.find((each) => each.id === again || each.getAttribute("href") === again)?.focus();
  }
  dress();
  dispatchEvent(new Event("opened"));
}

// Nothing moves under the pointer: rows that are there change in place, and new ones wait behind a
// button that says how many they are. A short list (data-live="now") waits only while it is pointed at.
function renew(old, fresh) {
  const rows = new Map([...old.querySelectorAll("table.log tr[data-id]")].map((each) => [each.dataset.id, each]));
  let more = 0;
  for (const row of fresh.querySelectorAll("table.log tr[data-id]")) {
    const same = rows.get(row.dataset.id);
    if (!same) more += 1;
    else if (was.get(same) === row.innerHTML) continue;
    else if (same.contains(document.activeElement)) sent.get(old.id).tag = ""; // Sent again the next time.
    else {
      const copy = document.importNode(row, true);
      was.set(copy, copy.innerHTML);
      const ticked = same.querySelector("input:checked");
      same.replaceWith(copy);
      if (ticked) copy.querySelector("input").checked = true;
    }
  }
  let button = old.querySelector("button.fresh");
  if (more) {
    if (!button) {
      button = document.createElement("button");
      button.type = "button";
      button.className = "fresh";
      old.prepend(button);
    }
    button.textContent = say("{count} new", { count: more });
    button.onclick = () => replace(old, fresh);
  } else button?.remove();
  dress();
}

// Never replace a part that the user is interacting with.
function busy(part) {
  const selection = getSelection();
  const selecting = selection && !selection.isCollapsed && part.contains(selection.anchorNode);
  const typing = part.contains(document.activeElement) && document.activeElement.matches("input, textarea, select, pre");
  return selecting || typing;
}

// Times are local or UTC, as the reader chooses: on the page, and in the fields that filter by them.
let zone = "local";
try {
  zone = localStorage.getItem("zone") === "utc" ? "utc" : "local";
} catch {
  // This browser keeps nothing for us.
}

// The parts of an instant in the zone: a date whose UTC parts are what is to be shown.
function within(at) {
  return zone === "utc" ? at : here(at);
}

function written(at) {
  const [there, now] = [within(at), within(new Date())];
  const [day, time] = there.toISOString().slice(0, 19).split("T");
  if (day === now.toISOString().slice(0, 10)) return time;
  const values = dated(there);
  const same = there.getUTCFullYear() === now.getUTCFullYear();
  return same ? say("{day} {month} {time}", values) : say("{day} {month} {year} {time}", values);
}

function since(at) {
  const seconds = Math.round((Date.now() - at) / 1000);
  for (const [unit, words] of [[86400, "{count} d"], [3600, "{count} h"], [60, "{count} min"], [1, "{count} s"]]) {
    const count = Math.floor(Math.abs(seconds) / unit);
    const span = say(words, { count });
    if (count) return say(seconds < 0 ? "in {span}" : "{span} ago", { span });
  }
  return say("now");
}

function dress() {
  for (const time of document.querySelectorAll("time[datetime]:not(.soon)")) {
    const at = new Date(time.dateTime);
    const exact = say("{day} {month} {year} {time} UTC", dated(at));
    if (time.title && !time.dataset.zone) continue; // It says how long ago it was.
    if (time.dataset.zone === zone) continue;
    time.dataset.zone = zone;
    time.title = `${exact} · ${since(at)}`;
    time.textContent = written(at);
  }
}

function dressFields() {
  for (const input of document.querySelectorAll("input[type=datetime-local]")) {
    const utc = input.dataset.utc ?? input.value;
    input.dataset.utc = utc;
    input.value = utc && within(new Date(`${utc}Z`)).toISOString().slice(0, 19);
    const label = input.closest("label, .field")?.querySelector("[data-zone]");
    if (label) label.textContent = zone === "utc" ? "(UTC)" : say("(local)");
  }
  dressSwitches();
}

function dressSwitches() {
  for (const button of document.querySelectorAll("[data-zones]")) {
    if (button.closest("details:not([open])")) continue;
    button.hidden = false;
    button.textContent = say(zone === "utc" ? "Times: UTC" : "Times: local");
  }
}
addEventListener("toggle", dressSwitches, true);

// What the server reads is UTC, whatever the field showed.
addEventListener("formdata", (event) => {
  for (const input of event.target.querySelectorAll("input[type=datetime-local][name]")) {
    if (!input.value) event.formData.delete(input.name);
    else {
      const given = input.value.length === 16 ? `${input.value}:00` : input.value;
      const at = new Date(zone === "utc" ? `${given}Z` : given);
      event.formData.set(input.name, at.toISOString().slice(0, 19));
    }
  }
});

addEventListener("click", (event) => {
  if (!event.target.closest("[data-zones]")) return;
  zone = zone === "utc" ? "local" : "utc";
  try {
    localStorage.setItem("zone", zone);
  } catch {
    // The same.
  }
  dress();
  dressFields();
});

// How long it is until something comes, in at most two units as the server writes it.
const UNITS = [
  [86400, "{count} day", "{count} days"],
  [3600, "{count} hour", "{count} hours"],
  [60, "{count} minute", "{count} minutes"],
  [1, "{count} second", "{count} seconds"],
];

function count() {
  for (const time of document.querySelectorAll("time.soon")) {
    let left = Math.round((new Date(time.dateTime) - Date.now()) / 1000);
    const said = [];
    for (const [seconds, one, several] of UNITS) {
      const many = Math.floor(left / seconds);
      if (many < 1 || said.length === 2) continue;
      said.push(say(many === 1 ? one : several, { count: many }));
      left -= many * seconds;
    }
    const text = said.length ? say("in {span}", { span: said.join(" ") }) : say("now");
    if (time.textContent !== text) time.textContent = text;
  }
}
setInterval(count, 1000);

let stream;

function follow(url) {
  const live = document.getElementById("live");
  stream?.close();
  stream = new EventSource(url);
  const tell = (text, on) => {
    if (!live) return;
    live.textContent = say(text);
    live.className = on ? "live on" : "live";
  };
  let opened = false;
  stream.addEventListener("changed", refresh);
  stream.addEventListener("ended", () => {
    stream.close();
    tell("no longer live: load the page again", false);
  });
  stream.onopen = () => {
    tell("live", true);
    if (opened) refresh();
    opened = true;
  };
  stream.onerror = () => tell("connecting again…", false);
}
addEventListener("pagehide", () => stream?.close());

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

dress();
dressFields();
if (document.body.dataset.stream) follow(document.body.dataset.stream);
