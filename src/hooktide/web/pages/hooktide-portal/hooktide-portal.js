// <hooktide-portal token="AQ…"></hooktide-portal>: a customer's webhooks in a page of your product.
//
// Attributes: `token`, the last part of a portal link's URL, or the whole URL; `server`, the address of
// Hooktide (by default where this file comes from), of which the URL has to be; `page`, what is shown
// first, like "/deliveries";
// `theme`, "light" or "dark"; `language`, "en" or "de"; `label`, what the frame is called.
// Events: `open` once it is shown, `expired` when its link is no longer valid: set a new token then.

const HERE = new URL("..", import.meta.url).href;
const STYLE = ":host { display: block } iframe { display: block; width: 100%; height: 24rem; border: 0; color-scheme: auto }";
const MAX_PIXELS = 20000;
// All that the portal needs. It cannot lead the page around it elsewhere.
const ALLOWED = "allow-downloads allow-forms allow-popups allow-popups-to-escape-sandbox allow-same-origin allow-scripts";

export class HooktidePortal extends HTMLElement {
  static observedAttributes = ["token", "server", "page", "theme", "language"];
  #frame = document.createElement("iframe");
  #heard = (event) => this.#hear(event);

  constructor() {
    super();
    const style = document.createElement("style");
    style.textContent = STYLE;
    this.#frame.allow = "clipboard-write";
    this.#frame.sandbox = ALLOWED;
    // The portal asks where it is, and need not know at which path of your product.
    this.#frame.referrerPolicy = "strict-origin";
    this.attachShadow({ mode: "open" }).append(style);
  }

  connectedCallback() {
    addEventListener("message", this.#heard);
    this.#load();
  }

  disconnectedCallback() {
    removeEventListener("message", this.#heard);
  }

  attributeChangedCallback() {
    if (this.isConnected) this.#load();
  }

  #address() {
    const token = this.getAttribute("token");
    if (!token) return "";
    const server = link(this.getAttribute("server") ?? HERE, document.baseURI);
    const base = server && `${server.href.replace(/\/*$/, "")}/`;
    const address = server && link(token.includes("/") ? token : `portal/${token}`, base);
    if (!address || address.origin !== server.origin) return "";
    const asked = { framed: "1", theme: this.getAttribute("theme"), language: this.getAttribute("language"), next: this.getAttribute("page") };
    for (const [name, value] of Object.entries(asked)) if (value) address.searchParams.set(name, value);
    return address.href;
  }

  #load() {
    const address = this.#address();
    this.#frame.title = this.getAttribute("label") ?? "Webhooks";
    if (!address) return this.#frame.remove();
    if (this.#frame.src !== address) this.#frame.src = address;
    if (!this.#frame.isConnected) this.shadowRoot.append(this.#frame);
  }

  #hear(event) {
    const address = this.#address();
    if (!address || event.source !== this.#frame.contentWindow || event.origin !== new URL(address).origin) return;
    const { type, height } = event.data ?? {};
    if (type === "hooktide:size" && Number.isFinite(height) && height > 0) this.#frame.style.height = `${Math.min(height, MAX_PIXELS)}px`;
    if (type === "hooktide:open" || type === "hooktide:expired") this.dispatchEvent(new CustomEvent(type.slice("hooktide:".length)));
  }
}

function link(text, base) {
  try {
    const found = new URL(text, base);
    return /^https?:$/.test(found.protocol) ? found : null;
  } catch {
    return null;
  }
}

if (!customElements.get("hooktide-portal")) customElements.define("hooktide-portal", HooktidePortal);
