// JSON that can be read: coloured, folded, searched. It takes the text as the server has indented it,
// and changes no character of it; the page is whole without this file.
"use strict";

const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const MAX_LINES = 5000;

function span(kind, text) {
  const made = document.createElement("span");
  if (kind) made.className = kind;
  made.textContent = text;
  return made;
}

function coloured(line) {
  const parts = [];
  let from = 0;
  for (const found of line.matchAll(TOKEN)) {
    parts.push(line.slice(from, found.index));
    const kind = found[2] ? "nt" : found[1] ? "s" : found[3] ? "k" : "m";
    parts.push(span(kind, found[1] ?? found[0]));
    if (found[2]) parts.push(found[2]);
    from = found.index + found[0].length;
  }
  return [...parts, line.slice(from)];
}

// A line that opens an object or an array folds the lines that are indented deeper.
function draw(pre) {
  const text = pre.textContent;
  const lines = text.split("\n");
  if (lines.length > MAX_LINES) return;
  const places = [pre];
  pre.textContent = "";
  lines.forEach((line, at) => {
    const into = places.at(-1);
    const closes = /^\s*[}\]],?$/.test(line) && places.length > 1;
    if (closes) places.pop();
    const target = closes ? places.at(-1) : into;
    const end = at < lines.length - 1 ? "\n" : "";
    if (/[{[]$/.test(line) && at < lines.length - 1) {
      const inside = span("", "");
      const fold = document.createElement("button");
      fold.type = "button";
      fold.className = "fold";
      fold.textContent = "−";
      fold.setAttribute("aria-expanded", "true");
      fold.setAttribute("aria-label", say("Fold line {count}", { count: at + 1 }));
      fold.onclick = () => {
        inside.hidden = !inside.hidden;
        fold.textContent = inside.hidden ? "+" : "−";
        fold.setAttribute("aria-expanded", String(!inside.hidden));
      };
      target.append(...coloured(line), fold, end, inside);
      places.push(inside);
    } else target.append(...coloured(line), end);
  });
  pre.dataset.text = text;
}

function finder(pre) {
  const input = document.createElement("input");
  input.type = "search";
  input.placeholder = say("Find");
  input.setAttribute("aria-label", say("Find in this body"));
  input.oninput = () => mark(pre, input.value);
  return input;
}

function mark(pre, sought) {
  for (const old of pre.querySelectorAll("mark")) old.replaceWith(...old.childNodes);
  pre.normalize();
  if (!sought) return;
  const texts = document.createTreeWalker(pre, NodeFilter.SHOW_TEXT);
  const found = [];
  while (texts.nextNode()) {
    const at = texts.currentNode.data.toLowerCase().indexOf(sought.toLowerCase());
    if (at >= 0 && !texts.currentNode.parentElement.closest(".fold")) found.push([texts.currentNode, at]);
  }
  for (const [node, at] of found) {
    const range = document.createRange();
    range.setStart(node, at);
    range.setEnd(node, at + sought.length);
    const made = document.createElement("mark");
    range.surroundContents(made);
    for (let box = made.parentElement; box && box !== pre; box = box.parentElement) box.hidden = false;
  }
  pre.querySelector("mark")?.scrollIntoView({ block: "nearest" });
}

// What is folded away itself is drawn once it is opened.
addEventListener("toggle", (event) => event.target.open && drawAll(), true);

function drawAll() {
  for (const figure of document.querySelectorAll("figure[data-json]:not([data-drawn])")) {
    if (!figure.offsetParent) continue;
    figure.dataset.drawn = "1";
    const pre = figure.querySelector("pre");
    draw(pre);
    figure.querySelector(".tools")?.prepend(finder(pre));
  }
}

addEventListener("opened", drawAll);
drawAll();
