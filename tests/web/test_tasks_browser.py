"""Tasks of a person in front of the dashboard, in a real browser, by the number of clicks."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from browserkit import OF_LOOKS, Visit, browsing, visiting
from playwright.async_api import Browser, Locator, expect
from serverkit import KEY, Server, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROJECT = """
name = "invoices"
index = ["invoice.number", "customer.name"]
default_plan = "patient"
[retry]
delays = ["1h"]
[plans.patient]
retries = 1
[plans.once]
retries = 0
[event_types."invoice.paid"]
"""


@dataclass
class Place:
    """A server whose receivers answer as these tasks need it, and a browser."""

    server: Server
    browser: Browser
    portal: str = ""

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    async def account(self, reference: str, plan: str, status: int) -> None:
        """Add an account with an endpoint that is answered so."""
        api = self.server.api
        made = {"project": "invoices", "reference": reference, "plan": plan}
        await api.post("/v1/accounts", made)
        bin = await api.post("/v1/bins", {"script": [{"status": status, "body": "no"}]})
        endpoint = {"account": reference, "url": bin["url"], "event_types": ["*"]}
        await api.post("/v1/endpoints", {**endpoint, "name": f"hook of {reference}"})

    async def publish(self, account: str, number: int) -> None:
        payload = {
            "invoice": {"number": f"INV-2026-{number:06}"},
            "customer": {"name": account.title()},
        }
        event = {"account": account, "type": "invoice.paid", "payload": payload}
        await self.server.api.post("/v1/events", event)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    async with browsing() as browser, serving(tmp_path_factory.mktemp("server")) as server:
        await server.api.put_toml("/v1/projects/invoices", PROJECT)
        place = Place(server, browser)
        await place.account("northwind", "once", 401)
        await place.account("contoso", "patient", 503)
        await place.account("umbrella", "patient", 500)
        await place.account("acme", "patient", 200)
        for number in range(24509, 24514):
            await place.publish("northwind", number)
        for number in range(6):
            await place.publish("contoso", number)
            await place.publish("acme", 100 + number)
        for number in range(4):
            await place.publish("umbrella", 200 + number)
        link = await server.api.post("/v1/accounts/northwind/portal-links", {})
        place.portal = link["url"].partition(f":{server.port}")[2]
        yield place


@dataclass
class Hand:
    """Clicks, and counts the clicks."""

    clicks: int = 0

    async def click(self, on: Locator) -> None:
        self.clicks += 1
        await on.click()


async def overview(visit: Visit) -> None:
    """Log in with the operator's key."""
    await visit.open("/dashboard/login")
    await visit.page.click("summary")
    await visit.page.fill("#key", KEY)
    await visit.page.click("text=Log in with the key")
    await visit.page.wait_for_url("**/dashboard")


@pytest.mark.parametrize("script", [True, False])
async def test_why_an_invoice_did_not_arrive_is_found_and_it_is_sent_again(
    place: Place, script: bool
) -> None:
    async with visiting(place.browser, place.origin, script=script) as visit:
        await overview(visit)
        page, hand = visit.page, Hand()
        await hand.click(page.locator("#find"))
        await page.keyboard.type("024511")
        await page.keyboard.press("Enter")
        await expect(page.locator("h1")).to_have_text("INV-2026-024511 · Northwind")
        row = page.locator("#rows tbody tr").first
        await expect(row).to_contain_text("Failed")
        await expect(row).to_contain_text("401")
        await hand.click(row.get_by_text("View delivery"))
        await expect(page.locator("#drawer-title")).to_have_text("INV-2026-024511 · Northwind")
        await expect(page.locator("#drawer .note.heed").first).to_contain_text("signature")
        await hand.click(page.locator("#drawer").get_by_role("button", name="Send again"))
        await expect(page.get_by_text("Sent again, as a new delivery.")).to_be_visible()
        assert hand.clicks <= 4


async def test_which_endpoints_hold_the_backlog_is_one_click_away(place: Place) -> None:
    async with visiting(place.browser, place.origin) as visit:
        await overview(visit)
        page, hand = visit.page, Hand()
        status = page.locator("#status")
        await expect(status).to_contain_text("2 endpoints hold all of 10 waiting")
        await hand.click(status.get_by_role("link", name="Which endpoints"))
        rows = page.locator("#harm tbody tr")
        await expect(rows.nth(0)).to_contain_text("hook of contoso")
        await expect(rows.nth(0).locator("[data-head=Waiting]")).to_have_text("6")
        await expect(rows.nth(1)).to_contain_text("hook of umbrella")
        await expect(rows.nth(1).locator("[data-head=Waiting]")).to_have_text("4")
        assert hand.clicks <= 1


@pytest.mark.parametrize("size", ["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_what_is_found_can_be_read_by_everyone(place: Place, size: str, scheme: str) -> None:
    async with visiting(place.browser, place.origin, size=size, scheme=scheme) as visit:
        await overview(visit)
        paths = ["/dashboard/search?q=northwind", "/dashboard/search?q=024509"]
        paths += ["/dashboard/events?search=inv"]
        paths += [f"{place.portal}/search?q=inv", f"{place.portal}/search?q=x"]
        for path in paths:
            await visit.open(path)
            assert await visit.serious() == [], path
            assert await visit.serious(OF_LOOKS) == [], path
            assert await visit.clipped() == [], path
            assert not await visit.is_too_wide(), path


async def test_a_customer_finds_an_invoice_in_the_portal(place: Place) -> None:
    async with visiting(place.browser, place.origin) as visit:
        await visit.open(place.portal)
        page = visit.page
        await page.fill("#find", "024512")
        await page.keyboard.press("Enter")
        await expect(page.locator("#rows")).to_contain_text("INV-2026-024512")
        await expect(page.locator(".log tbody tr")).to_have_count(1)
