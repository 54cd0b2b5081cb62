// The copy buttons: <button class="copy" data-copy="ID"> copies the text of the element ID. They are
// not shown where the browser lets no page write to the clipboard.
"use strict";

if (navigator.clipboard) document.documentElement.classList.add("can-copy");

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button.copy");
  if (!button) return;
  const label = (button.dataset.label ??= button.textContent);
  try {
    await navigator.clipboard.writeText(await textOf(button));
    button.textContent = say("Copied");
  } catch {
    button.textContent = say("Not allowed");
  }
  setTimeout(() => (button.textContent = label), 1500);
});

// What can be downloaded is copied whole, even where only a part of it is shown.
async function textOf(button) {
  const shown = document.getElementById(button.dataset.copy);
  const whole = button.parentElement.querySelector("a[download]");
  if (!whole) return shown.dataset.text ?? shown.textContent;
  const answer = await fetch(whole.href);
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.text();
}
