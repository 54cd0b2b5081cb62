// Charts by keyboard: a drawing takes the focus, and the arrow keys read it bar by bar.
"use strict";

document.addEventListener("keydown", (event) => {
  const drawing = event.target.closest?.(".drawing svg");
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!drawing || !step) return;
  event.preventDefault();
  const bars = [...drawing.querySelectorAll("g")];
  const at = bars.findIndex((bar) => bar.classList.contains("read"));
  const from = at < 0 ? (step > 0 ? -1 : bars.length) : at;
  const next = bars[Math.min(Math.max(from + step, 0), bars.length - 1)];
  bars[at]?.classList.remove("read");
  next.classList.add("read");
  const said = drawing.closest("figure").querySelector(".said");
  said.textContent = next.querySelector("title").textContent;
});
