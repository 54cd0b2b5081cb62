"""A real browser (Debian's Chromium, driven by Playwright) for page tests.

``visiting`` opens a page and records every error on it. ``serious`` runs axe-core and returns the
accessibility violations that matter.
"""

import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, Request, async_playwright, expect

AXE = Path(__file__).parent / "data" / "vendored" / "axe.min.js"
OF_LOOKS = ("color-contrast", "link-in-text-block", "scrollable-region-focusable", "target-size")
"""The rules of axe-core that depend on a page's size and colours."""
PATIENCE = 60_000
"""Milliseconds that a step may take on a slow and busy machine."""
expect.set_options(timeout=PATIENCE)
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
SIZES = {
    "desktop": {"width": 1280, "height": 900},
    "tablet": {"width": 1024, "height": 768},
    "phone": {"width": 390, "height": 844},
}
LOOKS = [("desktop", "light"), ("tablet", "dark"), ("phone", "dark")]
"""The sizes and colour schemes in which every page is looked at."""

# The browser reports violations of the content security policy as events on the page.
_WATCH = """
addEventListener("securitypolicyviolation", (event) =>
  tell(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""

_CLIPPED = """() => {
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode;
    if (!text.data.trim() || text.parentElement.closest(".unseen, .skip")) continue;
    const range = document.createRange();
    range.selectNodeContents(text);
    const { right, width } = range.getBoundingClientRect();
    for (let box = text.parentElement; width && box; box = box.parentElement) {
      const style = getComputedStyle(box);
      if (!["hidden", "clip"].includes(style.overflowX)) continue;
      if (style.textOverflow === "ellipsis") break;
      if (right > box.getBoundingClientRect().right + 1) found.push(text.data.trim());
    }
  }
  return found;
}"""


@asynccontextmanager
async def browsing() -> AsyncIterator[Browser]:
    """Run a browser. Tests that need one are skipped if none is installed."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("Chromium is not installed")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium, args=ARGUMENTS, timeout=PATIENCE
        )
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class Visit:
    """An open page. ``wrong`` lists everything that should not have happened on it."""

    page: Page
    origin: str
    wrong: list[str] = field(default_factory=list)

    async def open(self, path: str) -> int:
        """Load a page, and return its status."""
        answer = await self.page.goto(self.origin + path)
        assert answer is not None
        return answer.status

    async def serious(self, rules: Sequence[str] = ()) -> list[str]:
        """Return the serious and critical violations that axe-core finds, and where they are.

        ``rules`` limits the check to these rules; ``OF_LOOKS`` are those that depend on the page's
        appearance.
        """
        options = {"resultTypes": ["violations"]} | ({"runOnly": list(rules)} if rules else {})
        await self.page.evaluate(AXE.read_text("utf-8"))
        found = await self.page.evaluate("(options) => axe.run(document, options)", options)
        return [
            f"{rule['id']}: {node['html'][:200]}: {node['failureSummary']}"
            for rule in found["violations"]
            if rule["impact"] in {"serious", "critical"}
            for node in rule["nodes"]
        ]

    async def clipped(self) -> list[str]:
        """Return the texts that are cut off without an ellipsis."""
        found: list[str] = await self.page.evaluate(_CLIPPED)
        return found

    async def is_too_wide(self) -> bool:
        """Return whether the page scrolls horizontally."""
        wide: bool = await self.page.evaluate("document.documentElement.scrollWidth > innerWidth")
        return wide


@asynccontextmanager
async def visiting(
    browser: Browser,
    origin: str,
    *,
    size: str = "desktop",
    scheme: Any = "light",
    script: bool = True,
    permissions: tuple[str, ...] = (),
) -> AsyncIterator[Visit]:
    """Open a page in a fresh browser profile. ``script`` enables JavaScript."""
    context = await browser.new_context(
        viewport=SIZES[size],  # type: ignore[arg-type]  # a size
        color_scheme=scheme,
        java_script_enabled=script,
        permissions=list(permissions),
        reduced_motion="reduce",
    )
    context.set_default_timeout(PATIENCE)
    visit = Visit(await context.new_page(), origin)
    await _watch(visit)
    try:
        yield visit
    finally:
        await context.close()


async def _watch(visit: Visit) -> None:
    page, wrong = visit.page, visit.wrong

    def asked(request: Request) -> None:
        if not request.url.startswith((visit.origin, "data:")):
            wrong.append(f"asked for {request.url}")

    def failed(request: Request) -> None:
        # Leaving a page aborts its event stream and whatever its script was loading.
        if request.failure != "net::ERR_ABORTED":
            wrong.append(f"failed: {request.url}: {request.failure}")

    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    page.on(
        "console",
        lambda said: wrong.append(said.text) if said.type in {"error", "warning"} else None,
    )
    page.on("requestfailed", failed)
    page.on("request", asked)

    async def dismissed(dialog: Any) -> None:
        wrong.append(f"dialog: {dialog.message}")
        await dialog.dismiss()

    page.on("dialog", dismissed)
    await page.expose_function("tell", lambda text: wrong.append(text))
    await page.add_init_script(_WATCH)
