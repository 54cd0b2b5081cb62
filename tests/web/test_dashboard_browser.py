"""The dashboard in a real browser: accessible in every colour scheme, and only our scripts run."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from browserkit import LOOKS, OF_LOOKS, Visit, browsing, visiting
from dashkit import Filled, fill, make_hostile
from playwright.async_api import Browser, expect
from serverkit import KEY, Server, serving

from hooktide.web.pages.dashboard.routes import PAGES

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Place:
    """A server with sample data, and a browser."""

    server: Server
    browser: Browser
    filled: Filled

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    folder: Path = tmp_path_factory.mktemp("server")
    async with browsing() as browser, serving(folder) as server:
        yield Place(server, browser, await fill(server.api))


async def log_in(visit: Visit) -> None:
    """Log in with the operator's key, as a user does."""
    assert await visit.open("/dashboard/login") == 200
    await visit.page.click("summary")
    await visit.page.fill("#key", KEY)
    await visit.page.click("text=Log in with the key")
    await visit.page.wait_for_url("**/dashboard")


def pages(filled: Filled) -> list[str]:
    return [
        "",
        "/deliveries",
        f"/deliveries?event={filled.event}&span=24h",
        f"/deliveries/all?event={filled.event}&do=resend",
        "/events",
        f"/events/{filled.event}",
        "/endpoints",
        f"/endpoints/{filled.failing}",
        f"/endpoints/{filled.failing}/edit",
        f"/endpoints/{filled.failing}/delete",
        f"/endpoints/{filled.failing}/rotate",
        f"/endpoints/{filled.failing}/disable",
        f"/endpoints/{filled.failing}/replay?what=failed&since=2026-01-01",
        "/accounts",
        f"/accounts/{filled.account}",
        f"/accounts/{filled.account}?range=month",
        f"/accounts/{filled.account}/endpoints",
        "/projects",
        "/new-project",
        "/new-project?provider=defacto",
        "/projects/invoice-maker",
        "/projects/invoice-maker/file",
        "/projects/invoice-maker/event-type?type=invoice.paid",
        "/projects/invoice-maker/plan?plan=basic",
        f"/publish?account={filled.account}&type=invoice.paid",
        "/keys",
        "/users",
        "/audit-log",
        "/storage",
        "/refused-rows",
        "/search?q=acme",
        "/you",
    ]


async def jobs(place: Place) -> list[str]:
    """Return the pages of a job on deliveries, and of a replay."""
    api, filled = place.server.api, place.filled
    nothing = {"act": "stop", "filter": {"account": filled.other, "text": "nothing has this"}}
    job = (await api.post("/v1/delivery-jobs", nothing))["job"]
    event = {"what": "event", "event": filled.event}
    replay = (await api.post(f"/v1/endpoints/{filled.good}/replays", event))["replay"]
    return [f"/jobs/{job['id']}", f"/replays/{replay['id']}"]


async def test_every_page_is_in_the_list() -> None:
    ids = dict.fromkeys(("account", "other", "good", "failing", "disabled", "event"), "x")
    listed = [path.partition("?")[0] for path in [*pages(Filled(**ids)), "/jobs/x", "/replays/x"]]
    declared = {each.path for each in PAGES if each.method == "GET"} - NO_PAGES
    names = {path: re.compile(re.sub(r"{\w+}", "[^/]+", path)) for path in declared}
    missing = [path for path, name in names.items() if not any(map(name.fullmatch, listed))]
    assert missing == []


NO_PAGES = {
    "/live",
    "/deliveries/export",
    "/deliveries/{id}/body",
    "/events/{id}/payload",
    "/erasures/{id}",  # of an account that is gone
    "/endpoints/{id}/secret",  # shown once, after a form
    "/projects/{name}/made",
}
"""What is not a page, or is shown after a form only."""


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
async def test_every_page_is_fit_for_every_look(place: Place, size: str, scheme: str) -> None:
    rules = OF_LOOKS if scheme == "dark" else ()  # the other scheme is checked with all rules
    failed = await place.server.api.get(f"/v1/deliveries?endpoint={place.filled.failing}")
    opened = f"/deliveries?delivery={failed['items'][0]['id']}&compare=2"
    async with visiting(place.browser, place.origin, size=size, scheme=scheme) as visit:
        await log_in(visit)
        for path in [*pages(place.filled), *await jobs(place), opened]:
            assert await visit.open(f"/dashboard{path}") == 200
            assert await visit.serious(rules) == [], path
            assert not await visit.is_too_wide(), path
            assert await visit.clipped() == [], path
            assert await visit.page.locator("[style], script:not([src])").count() == 0, path
        assert visit.wrong == []


async def test_a_page_shows_by_itself_what_happens(place: Place) -> None:
    async with visiting(place.browser, place.origin) as visit:
        await log_in(visit)
        await visit.open(f"/dashboard/events?account={place.filled.other}")
        await expect(visit.page.locator("#live")).to_have_text("live")
        made = {"account": place.filled.other, "type": "order.updated", "payload": {"id": 1}}
        event = await place.server.api.post("/v1/events", {**made, "test": True})
        await expect(visit.page.locator("#rows")).to_contain_text(event["id"])
        assert visit.wrong == []


async def test_without_a_script_it_is_the_same_but_for_being_live(place: Place) -> None:
    async with visiting(place.browser, place.origin, script=False) as visit:
        await log_in(visit)
        page = visit.page
        await page.click("text=Deliveries")
        await page.select_option("select[name=state]", "delivered")
        await page.click("button:has-text('Filter')")
        await page.locator(".log .what a").first.click()
        await expect(page.locator("#drawer")).to_contain_text("Attempt 1")
        await page.click("#drawer button:has-text('Send again')")
        await expect(page.locator("main .note.good")).to_contain_text(
            "Sent again, as a new delivery"
        )


async def test_everything_is_reached_by_keyboard(place: Place) -> None:
    async with visiting(place.browser, place.origin) as visit:
        await log_in(visit)
        await visit.open("/dashboard")
        page = visit.page
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.textContent") == "Skip to the page"
        await page.keyboard.press("Tab")
        await page.keyboard.press("Tab")
        await page.keyboard.type(place.filled.event)
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"**/dashboard/events/{place.filled.event}")
        assert visit.wrong == []


async def test_a_chart_is_read_bar_by_bar_with_the_arrow_keys(place: Place) -> None:
    async with visiting(place.browser, place.origin) as visit:
        await log_in(visit)
        drawing = visit.page.locator("figure.chart svg").first
        await drawing.focus()
        await visit.page.keyboard.press("ArrowLeft")
        said = visit.page.locator("figure.chart .said").first
        await expect(said).to_contain_text("UTC: ")
        last = await said.text_content()
        await visit.page.keyboard.press("ArrowLeft")
        await expect(said).not_to_have_text(last or "")
        assert visit.wrong == []


async def test_hostile_texts_are_shown_and_do_nothing(place: Place) -> None:
    found = await make_hostile(place.server.api)
    async with visiting(place.browser, place.origin) as visit:
        await log_in(visit)
        for path, says in found.items():
            await until_it_says(visit, path, says)
            assert "\u202e" not in await visit.page.content(), path
            assert await visit.page.locator("main img, main svg[onload]").count() == 0
            assert await visit.page.locator("a[href^='javascript:']").count() == 0
        assert visit.wrong == []


async def until_it_says(visit: Visit, path: str, text: str) -> None:
    """Reload a page until it shows a text, because statistics appear after a moment."""
    async with asyncio.timeout(60):
        while True:
            assert await visit.open(f"/dashboard{path}") == 200
            await visit.page.evaluate(_OPEN_ALL)
            filled_in = await visit.page.evaluate(_FILLED_IN)
            if text in " ".join([await visit.page.inner_text("body"), *filled_in]):
                return
            await asyncio.sleep(0.2)


_OPEN_ALL = "for (const each of document.querySelectorAll('details')) each.open = true"
_FILLED_IN = "[...document.querySelectorAll('input, textarea, option')].map((each) => each.value)"
