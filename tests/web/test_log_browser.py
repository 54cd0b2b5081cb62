"""The delivery log in a real browser: position, focus, keyboard, new rows and times."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from browserkit import Visit, browsing, visiting
from playwright.async_api import Browser, expect
from serverkit import KEY, Server, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

MANY = 60
PROJECT = """
name = "invoices"
[plans.a]
retries = 1
[event_types."invoice.paid"]
"""
FOLD = "\N{MINUS SIGN}"
OUTSIDE = """() => document.activeElement !== document.body
    && !document.activeElement.closest("#drawer")"""


@dataclass
class Place:
    """A server with many deliveries, and a browser."""

    server: Server
    browser: Browser

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    async def publish(self, count: int = 1) -> None:
        for number in range(count):
            payload = {"id": f"inv_{number}", "deep": {"list": [1.10, {"a": None}]}}
            event = {"account": "acme", "type": "invoice.paid", "payload": payload}
            await self.server.api.post("/v1/events", event)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    async with browsing() as browser, serving(tmp_path_factory.mktemp("server")) as server:
        api = server.api
        await api.put_toml("/v1/projects/invoices", PROJECT)
        await api.post("/v1/accounts", {"project": "invoices", "reference": "acme"})
        bin = await api.post("/v1/bins", {})
        await api.post(
            "/v1/endpoints", {"account": "acme", "url": bin["url"], "event_types": ["*"]}
        )
        place = Place(server, browser)
        await place.publish(MANY)
        yield place


async def opened(visit: Visit, path: str = "/dashboard/deliveries") -> None:
    """Log in with the operator's key, and open the delivery log."""
    await visit.open("/dashboard/login")
    await visit.page.click("summary")
    await visit.page.fill("#key", KEY)
    await visit.page.click("text=Log in with the key")
    await visit.page.wait_for_url("**/dashboard")
    await visit.open(path)


async def test_a_delivery_opens_over_the_list_and_leaves_place_and_focus(place: Place) -> None:
    async with visiting(place.browser, place.origin) as visit:
        await opened(visit)
        page = visit.page
        link = page.locator(".log .what a").nth(35)
        name = await link.get_attribute("id")
        await link.scroll_into_view_if_needed()
        scrolled = await page.evaluate("scrollY")
        assert scrolled > 0
        await link.click()
        await expect(page.locator("#drawer")).to_be_focused()
        for _ in range(30):  # nothing outside the drawer can be reached
            await page.keyboard.press("Tab")
            assert not await page.evaluate(OUTSIDE)
        await page.keyboard.press("Escape")
        await expect(page.locator("#drawer")).to_have_count(0)
        assert await page.evaluate("scrollY") == scrolled
        assert await page.evaluate("document.activeElement.id") == name
        assert "delivery=" not in page.url
        await page.go_back()  # does not open it again
        await page.wait_for_url("**/dashboard")
        assert visit.wrong == []


async def test_keys_lead_through_the_log_and_from_one_delivery_to_the_next(place: Place) -> None:
    async with visiting(place.browser, place.origin) as visit:
        await opened(visit)
        page = visit.page
        first, second = [
            await page.locator(".log tr[data-id]").nth(at).get_attribute("data-id") for at in (0, 1)
        ]
        await page.keyboard.press("j")
        await page.keyboard.press("j")
        await page.keyboard.press("k")
        await page.keyboard.press("Enter")
        await expect(page.locator(f"#drawer[data-delivery={first}]")).to_be_focused()
        await page.keyboard.press("j")
        await expect(page.locator(f"#drawer[data-delivery={second}]")).to_be_focused()
        await page.keyboard.press("k")
        await expect(page.locator(f"#drawer[data-delivery={first}]")).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(page.locator("#drawer")).to_have_count(0)
        await page.keyboard.press("/")
        await expect(page.locator("[data-search]")).to_be_focused()
        await page.keyboard.press("Control+k")
        await expect(page.locator("#find")).to_be_focused()
        await page.locator("h1").click()
        await page.keyboard.press("?")
        await expect(page.locator("#shortcuts")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.locator("#shortcuts")).to_be_hidden()
        assert visit.wrong == []


async def test_what_is_new_waits_until_it_is_asked_for(place: Place) -> None:
    async with visiting(place.browser, place.origin) as visit:
        await opened(visit)
        page = visit.page
        await expect(page.locator("#live")).to_have_text("live")
        before = await page.locator(".log tr[data-id]").first.get_attribute("data-id")
        await place.publish(2)
        await expect(page.locator("button.fresh")).to_have_text("2 new")
        assert await page.locator(".log tr[data-id]").first.get_attribute("data-id") == before
        await page.click("button.fresh")
        await expect(page.locator("button.fresh")).to_have_count(0)
        assert await page.locator(".log tr[data-id]").nth(2).get_attribute("data-id") == before
        assert visit.wrong == []


async def test_one_switch_shows_times_in_utc_and_filters_by_them(place: Place) -> None:
    async with visiting(place.browser, place.origin) as visit:
        await opened(visit, "/dashboard/deliveries?since=2026-01-31T12:00:00")
        page = visit.page
        field = page.locator("input[name=since]")
        offset = await page.evaluate("new Date('2026-01-31T12:00:00Z').getTimezoneOffset()")
        local = await field.input_value()
        assert (local == "2026-01-31T12:00") == (offset == 0)
        await page.locator("[data-zones]:visible").click()
        assert await field.input_value() == "2026-01-31T12:00"
        at = page.locator(".log time").first
        written, instant = await at.text_content(), await at.get_attribute("datetime")
        assert instant is not None
        assert written is not None
        assert written.endswith(instant[11:19])
        assert re.search(r"UTC · .* ago|UTC · now", str(await at.get_attribute("title")))
        await page.select_option("select[name=state]", "delivered")  # applies at once
        await page.wait_for_url("**state=delivered**")
        assert "since=2026-01-31T12%3A00%3A00" in page.url
        assert visit.wrong == []


async def test_json_is_folded_found_and_keeps_its_text(place: Place) -> None:
    async with visiting(place.browser, place.origin) as visit:
        await opened(visit)
        page = visit.page
        await page.locator(".log .what a").first.click()
        body = page.locator("#request-body")
        await expect(body.locator(".fold").first).to_be_visible()
        text = (await body.text_content() or "").replace(FOLD, "")
        assert "1.1" in text
        assert text.count("{") == text.count("}")
        before = await body.inner_text()
        await body.locator(".fold").nth(1).click()
        assert len(await body.inner_text()) < len(before)
        await page.locator("figure[data-json] input[type=search]").first.fill("null")
        await expect(body.locator("mark").first).to_have_text("null")
        assert visit.wrong == []
