"""The public guide in a real browser: only our scripts run, and it is accessible."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from browserkit import LOOKS, OF_LOOKS, Visit, browsing, visiting
from docskit import hostile_file
from playwright.async_api import Browser, expect
from serverkit import Server, serving

from hooktide.dialects import read_shipped

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Place:
    """A running server and a browser. ``bin`` is the path of a bin's page with one request."""

    server: Server
    browser: Browser
    bin: str = ""
    receiver: str = ""

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    folder: Path = tmp_path_factory.mktemp("server")
    async with browsing() as browser, serving(folder) as server:
        for name in ("invoice-maker", "house-check"):
            await server.api.put_toml(f"/v1/projects/{name}", read_shipped(name))
        await server.api.put_toml("/v1/projects/hostile", hostile_file("hostile"))
        place = Place(server, browser)
        made = await server.api.post("/v1/bins", {})
        place.bin = made["page_url"].removeprefix(place.origin)
        place.receiver = made["url"]
        yield place


async def test_the_page_is_fit_for_every_look(place: Place) -> None:
    for size, scheme in LOOKS:
        async with visiting(place.browser, place.origin, size=size, scheme=scheme) as visit:
            assert await visit.open("/docs/invoice-maker") == 200
            await expect(visit.page).to_have_title("Invoice Maker webhooks")
            assert await visit.serious(OF_LOOKS if scheme == "dark" else ()) == []
            assert not await visit.is_too_wide()
            assert visit.wrong == []


async def test_hostile_texts_are_shown_and_do_nothing(place: Place) -> None:
    for size in ("desktop", "phone"):
        async with visiting(place.browser, place.origin, size=size) as visit:
            assert await visit.open("/docs/hostile") == 200
            await _open_all(visit)
            shown = await visit.page.inner_text("body")
            for text in ("<script>alert(1)</script>", "{{7*7}}", "<svg onload=alert(1)>"):
                assert text in shown
            assert "\\u202e" in shown
            assert await visit.page.locator("svg, img").count() == 0
            assert await visit.serious() == []
            assert not await visit.is_too_wide()
            assert visit.wrong == []


async def _open_all(visit: Visit) -> None:
    await visit.page.evaluate(
        "for (const each of document.querySelectorAll('details')) each.open = true"
    )


async def test_the_page_that_is_not_there_is_fit_too(place: Place) -> None:
    async with visiting(place.browser, place.origin, scheme="dark") as visit:
        assert await visit.open("/docs/nobody") == 404
        assert await visit.serious() == []
        # Only the browser's own message for a 404.
        assert [each for each in visit.wrong if "404" not in each] == []


async def test_a_language_is_chosen_by_keyboard_and_kept(place: Place) -> None:
    async with visiting(place.browser, place.origin) as visit:
        await visit.open("/docs/invoice-maker")
        page = visit.page
        assert await _programs(visit) == {"in-javascript"}
        await page.focus("#tongue-javascript")
        for name in ("php", "python", "ruby", "go", "java"):
            await page.keyboard.press("ArrowRight")
            assert await _programs(visit) == {f"in-{name}"}
        await page.reload()
        assert await _programs(visit) == {"in-java"}
        assert visit.wrong == []


async def _programs(visit: Visit) -> set[str]:
    """Return the languages whose programs are visible."""
    shown: list[str] = await visit.page.evaluate(
        "[...document.querySelectorAll('.said')].filter((each) => each.offsetParent)"
        ".map((each) => each.className.replace('said ', ''))"
    )
    return set(shown)


async def test_everything_is_reached_by_keyboard(place: Place) -> None:
    """The first stop skips the contents; then come all links, choices and listings in order."""
    async with visiting(place.browser, place.origin) as visit:
        await visit.open("/docs/house-check")
        page = visit.page
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.textContent") == "Skip to the guide"
        await page.keyboard.press("Enter")
        reached = set()
        for _ in range(300):
            await page.keyboard.press("Tab")
            at = await page.evaluate(_FOCUSED)
            if at is None:
                break
            reached.add(at)
        assert {"code-register", "tongue-javascript", "code-own-javascript", "#limits"} <= reached
        assert visit.wrong == []


_FOCUSED = """
(({ activeElement: at }) => at === document.body ? null : at.id || at.dataset.copy || at.hash || "")
(document)
"""
"""What has the focus; null: nothing any more."""


async def test_without_a_script_all_is_there_and_languages_can_be_chosen(place: Place) -> None:
    async with visiting(place.browser, place.origin, script=False) as visit:
        await visit.open("/docs/invoice-maker")
        page = visit.page
        assert await page.locator("main > section").count() == 10
        for button in await page.locator(".copy").all():
            assert not await button.is_visible()
        await page.locator("label[for=tongue-ruby]").first.click()
        for name in ("ruby", "php"):
            for program in await page.locator(f".in-{name} pre").all():
                assert await program.is_visible() == (name == "ruby")


async def test_a_listing_is_copied_as_it_is(place: Place) -> None:
    permissions = ("clipboard-read", "clipboard-write")
    async with visiting(place.browser, place.origin, permissions=permissions) as visit:
        await visit.open("/docs/invoice-maker")
        button = visit.page.locator("button[data-copy=code-own-javascript]")
        await button.click()
        await expect(button).to_have_text("Copied")
        copied = await visit.page.evaluate("navigator.clipboard.readText()")
        assert copied == await visit.page.locator("#code-own-javascript").text_content()
        assert copied.startswith("import crypto from 'node:crypto'\n")
        await expect(button).to_have_text("Copy")
        assert visit.wrong == []


async def test_the_bins_page_is_fit_for_every_look(place: Place) -> None:
    for size, scheme in LOOKS:
        async with visiting(place.browser, place.origin, size=size, scheme=scheme) as visit:
            assert await visit.open(place.bin) == 200
            await expect(visit.page.locator("#live")).to_have_text("live")
            assert await visit.serious(OF_LOOKS if scheme == "dark" else ()) == []
            assert not await visit.is_too_wide()
            assert visit.wrong == []


async def test_a_request_that_comes_in_leaves_a_note_that_is_being_written(place: Place) -> None:
    async with visiting(place.browser, place.origin) as visit:
        await visit.page.request.post(place.receiver, data={"type": "first.one"})
        await visit.open(place.bin)
        await visit.page.locator("#note").fill("half a no")
        await visit.page.request.post(place.receiver, data={"type": "second.one"})
        await expect(visit.page.locator("#list .title").first).to_have_text("second.one")
        await expect(visit.page.locator("#note")).to_have_value("half a no")
        await visit.page.locator("#list a").first.click()
        await expect(visit.page.locator("#request pre").first).to_contain_text("second.one")
        await visit.page.locator("#note").fill("look at this")
        await visit.page.get_by_role("button", name="Save the note").click()
        await expect(visit.page.locator("#list .noted")).to_have_text("look at this")
        assert visit.wrong == []


async def test_a_bins_page_with_hostile_requests_runs_nothing(place: Place) -> None:
    text = "<script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}\u202e"
    async with visiting(place.browser, place.origin) as visit:
        await visit.open(place.bin)
        await visit.page.request.post(place.receiver, data={"type": text, text: text})
        await expect(visit.page.locator("#request pre").first).to_contain_text("<script>alert(1)")
        assert await visit.serious() == []
        assert visit.wrong == []
