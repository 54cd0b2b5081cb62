// A portal in a frame tells the page around it how high it is, and when its link is no longer valid:
// only where that page is of one of the project's origins (<body data-origins>).
"use strict";

const HIGH_ENOUGH_FOR_A_DRAWER = 720;
const origins = (document.body.dataset.origins || "").split(" ").filter(Boolean);

function isAllowed(origin) {
  return origins.some((each) => each === origin || (each.endsWith(":*") && isAnyPort(each, origin)));
}

function isAnyPort(pattern, origin) {
  const host = pattern.slice(0, -2);
  return origin === host || (origin.startsWith(`${host}:`) && /^\d+$/.test(origin.slice(host.length + 1)));
}

// Browsers that do not say whose page is around are told to deliver to the right one only. Where any
// port is right, they deliver to any page: the policy, frame-ancestors, lets no other page be around.
function around() {
  const known = location.ancestorOrigins?.[0];
  if (known) return isAllowed(known) ? [known] : [];
  const from = document.referrer && new URL(document.referrer).origin;
  if (from && from !== location.origin && isAllowed(from)) return [from];
  return origins.some((each) => each.endsWith(":*")) ? ["*"] : origins;
}

function tell(message) {
  for (const origin of around()) parent.postMessage(message, origin);
}

let told = 0;

function tellHeight() {
  const open = document.querySelector("#drawer, dialog[open]");
  const own = Math.ceil(document.body.getBoundingClientRect().height);
  const height = open ? Math.max(own, HIGH_ENOUGH_FOR_A_DRAWER) : own;
  if (height === told) return;
  told = height;
  tell({ type: "hooktide:size", height });
}

if (parent !== window) {
  new ResizeObserver(tellHeight).observe(document.body);
  addEventListener("opened", tellHeight);
  addEventListener("popstate", () => setTimeout(tellHeight));
  tellHeight();
  tell({ type: document.body.dataset.state === "expired" ? "hooktide:expired" : "hooktide:open" });
}
