"""The whole user journey in a browser, from the first start to a rotated secret."""

import re
from pathlib import Path

from browserkit import Visit, browsing, visiting
from playwright.async_api import Locator, Page, expect
from serverkit import Server, serving

LINK = re.compile(r"http://127\.0\.0\.1:\d+(/dashboard/login/\S+)")
SECRET = re.compile("^[0-9a-f]{64}$")
QUICK = 'disable_after = 2\nretry = { delays = ["1s"] }\n'
"""What fails has failed after a second, and two failures are enough."""


async def begin(visit: Visit, server: Server) -> str:
    """Log in with the first start's link, and create what an event needs. Return the account."""
    page = visit.page
    found = LINK.search(server.log.read_text())
    assert found is not None
    await visit.open(found[1])
    await page.click("button:has-text('Log in')")
    await page.click("text=Not now")
    await page.click("text=Create the first project")
    await page.locator(".cards a", has_text="Invoice Maker").click()
    await page.fill("[name=name]", "acme")
    await page.click("text=Create the project")
    await expect(page.locator("#key")).to_have_text(re.compile("^htk_"))
    await page.fill("#reference", "customer-1")
    await page.click("text=Add the account")
    await expect(page.locator("h1")).to_have_text("customer-1")
    return page.url.partition("?")[0].rpartition("/")[2]


async def be_quick(visit: Visit) -> None:
    """Edit the project's file, as an owner does."""
    page = visit.page
    await visit.open("/dashboard/projects/acme/file")
    text = await page.input_value("#file")
    await page.fill("#file", QUICK + text.replace("retries = 5", "retries = 1"))
    await page.click("text=Save")
    await visit.open("/dashboard/projects/acme/file")
    assert "disable_after = 2" in await page.input_value("#file")


async def portal_link(visit: Visit, account: str) -> str:
    """Return the path of the account's portal."""
    await visit.open(f"/dashboard/accounts/{account}")
    await visit.page.click("text=Create a link")
    text = await visit.page.locator("#link").inner_text()
    return text.strip().removeprefix(visit.origin)


async def publish(visit: Visit, account: str) -> None:
    """Publish an event by hand, from its type's example."""
    page = visit.page
    await visit.open(f"/dashboard/publish?account={account}&type=invoice.paid")
    await page.click("form[method=post] button:has-text('Publish')")
    await expect(page.locator("h1")).to_contain_text("invoice.paid")


async def answer(page: Page, status: str) -> None:
    """Make the open bin respond with a status, or with its default."""
    await page.click(".answers summary")
    await page.fill("[name=status-1]", status)
    if not status:
        await page.fill("[name=body-1]", "")
    await page.click("text=Set the answers")
    await expect(page.locator(".answers summary")).to_contain_text(status or "200 each time")


def state(visit: Visit) -> Locator:
    return visit.page.locator("#state")


async def test_from_the_first_start_to_a_rotated_secret(tmp_path: Path) -> None:
    async with (
        browsing() as browser,
        serving(tmp_path, key="") as server,
        visiting(browser, f"http://127.0.0.1:{server.port}") as desk,
        visiting(browser, f"http://127.0.0.1:{server.port}") as customer,
        visiting(browser, f"http://127.0.0.1:{server.port}") as receiver,
    ):
        account = await begin(desk, server)
        await be_quick(desk)
        base = await portal_link(desk, account)
        page = customer.page

        # The customer adds an endpoint with a test URL, and tries it.
        await customer.open(base)
        await page.click("text=Add an endpoint")
        await page.click("text=Give me a test URL")
        await expect(page.locator("#url")).to_have_value(re.compile("/bin/"))
        await page.click("button.main")
        await expect(page.locator("#secret")).to_have_text(SECRET)
        secret = await page.locator("#secret").inner_text()
        await page.click("text=Send a test event")
        await expect(page.locator("#tested")).to_contain_text("Delivered.")
        await expect(page.locator("#came")).to_contain_text("Signature valid")
        bin_page = await page.locator("a:has-text('Open its page')").get_attribute("href")
        assert bin_page is not None
        await page.goto(page.url.partition("?")[0])
        endpoint = page.url.removeprefix(customer.origin)

        # An event arrives, while the page is open.
        await publish(desk, account)
        await expect(page.locator("#newest")).to_contain_text("Delivered")

        # The receiver fails: one retry, two consecutive failures, and the endpoint is disabled.
        await receiver.page.goto(bin_page)
        await answer(receiver.page, "500")
        await publish(desk, account)
        await expect(page.locator("#newest")).to_contain_text("2 of 2")
        await expect(state(customer)).to_contain_text("If one more fails")
        await publish(desk, account)
        await expect(state(customer)).to_contain_text("2 deliveries failed in a row")
        await publish(desk, account)

        # It is repaired and enabled; missed and failed events are sent.
        await answer(receiver.page, "")
        await page.click("button:has-text('Enable')")
        await page.click("text=See what it missed")
        await expect(page.locator("main")).to_contain_text("1 event")
        await page.click("button:has-text('Send it')")
        await expect(page.locator("#job")).to_contain_text("1 of 1 event sent")
        await customer.open(f"{endpoint}/replay")
        await page.check("[name=what][value=failed]")
        await page.fill("#since", "2026-01-01T00:00")
        await page.click("button:has-text('Count')")
        await expect(page.locator("main")).to_contain_text("2 events")
        await page.click("button:has-text('Send them')")
        await expect(page.locator("#job")).to_contain_text("2 of 2 events sent")

        # A new secret, which signs all requests from now on.
        await customer.open(f"{endpoint}/rotate")
        await page.click("text=Create a new secret")
        await expect(page.locator("#secret")).to_have_text(SECRET)
        assert await page.locator("#secret").inner_text() != secret
        await page.click("text=Send a test event")
        await expect(page.locator("#tested")).to_contain_text("Delivered.")
        await receiver.page.goto(bin_page)
        await expect(receiver.page.locator("#list li")).to_have_count(10)
        await expect(receiver.page.locator("#list .mark.valid")).to_have_count(10)

        # The audit log knows who did what.
        await desk.open("/dashboard/audit-log")
        for what in ("project.put", "account.create", "endpoint.create", "secret.rotate"):
            await expect(desk.page.locator("main")).to_contain_text(what)
        await expect(desk.page.locator("main")).to_contain_text("portal of customer-1")
