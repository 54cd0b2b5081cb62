export declare class HooktidePortal extends HTMLElement {}

declare global {
  interface HTMLElementTagNameMap {
    "hooktide-portal": HooktidePortal;
  }
}
