"""From the first start to a replay, by the pages alone: the operator's and the customer's."""

import re
from pathlib import Path

from browserkit import Visit, browsing, visiting
from playwright.async_api import Page, expect
from serverkit import serving

SOON = """
disable_after = 2

[retry]
delays = ["1s"]
"""
"""Goes into the project's file, so that what fails has failed soon."""
PATIENCE = 60_000
"""Milliseconds that what the server does by itself may take on a slow machine."""


async def test_from_the_first_start_to_a_replay_by_the_pages_alone(tmp_path: Path) -> None:
    async with browsing() as browser, serving(tmp_path, key="") as server:
        said = server.log.read_text()
        [link] = re.findall(r"log in to the dashboard .*: http://[^/]+(\S+)", said)
        async with visiting(browser, f"http://127.0.0.1:{server.port}") as visit:
            await _log_in(visit, link)
            await _make_project(visit.page)
            portal = await _make_account(visit.page)
            endpoint = await _customer_adds_endpoint(visit, portal)
            await _publish(visit)
            await expect(visit.page.locator("#rows")).to_contain_text("Delivered", timeout=PATIENCE)
            await _fails_until_disabled(visit, endpoint)
            await _is_set_right_and_replayed(visit, endpoint)
            await _rotate(visit, endpoint)
            assert await _changes(visit) >= {"endpoint.enable", "replay.start", "secret.rotate"}
            wrong = [each for each in visit.wrong if not each.startswith("failed: ")]
            assert wrong == []


async def _log_in(visit: Visit, link: str) -> None:
    await visit.open(link)
    await visit.page.click("button:has-text('Log in')")
    for name in ("password", "again"):
        await visit.page.fill(f"#{name}", "correct horse battery staple")
    await visit.page.click("text=Set it")
    await expect(visit.page.locator("h1")).to_have_text("Nothing is sent yet")


async def _make_project(page: Page) -> None:
    await page.click("text=Make the first project")
    await page.click("h2:has-text('Invoice Maker')")
    await page.click("text=Make it")
    await expect(page.locator("#key")).to_contain_text("htk_")
    await page.click("text=To the project")
    await page.click("text=Edit its file")
    text = (await page.input_value("#file")).replace("retries = 5", "retries = 1")
    await page.fill("#file", text.replace('title = "Invoice Maker"', f'title = "Invoices"{SOON}'))
    await page.click("text=Only check")
    await expect(page.locator(".note")).to_contain_text("disable_after: 100 -> 2")
    await page.click("text=Save")
    await expect(page.locator("h1")).to_have_text("Invoices")


async def _make_account(page: Page) -> str:
    """Return the path of the way into its portal."""
    await page.click("nav.wide >> text=Accounts")
    await page.fill("#reference", "acme")
    await page.click("button:has-text('Add the account')")
    await page.click("text=Make a link")
    link = await page.get_attribute("text=Open the portal", "href")
    assert link is not None
    return link


async def _customer_adds_endpoint(visit: Visit, portal: str) -> str:
    """Return the path of the endpoint's page on the dashboard."""
    page = visit.page
    await page.goto(portal)
    await page.click("text=Add an endpoint")
    await page.click("text=Give me a test URL")
    await page.click("text=Add endpoint")
    await expect(page.locator("#secret")).to_have_text(re.compile("^[0-9a-f]{64}$"))
    await page.click("text=Send a test event")
    await expect(page.locator("#tested")).to_contain_text("Delivered.", timeout=PATIENCE)
    await visit.open("/dashboard/endpoints")
    href = await page.get_attribute("a.url", "href")
    assert href is not None
    return href


async def _publish(visit: Visit) -> None:
    await visit.open("/dashboard/publish?account=acme&type=invoice.paid")
    await visit.page.click("button:has-text('Publish')")
    await expect(visit.page.locator("main .note.good")).to_contain_text("The event is accepted")


async def _fails_until_disabled(visit: Visit, endpoint: str) -> None:
    await _change_url(visit, endpoint, "/503")
    for _ in range(2):
        await _publish(visit)
    await visit.open(endpoint)
    note = visit.page.locator("#health .note.bad")
    await expect(note).to_contain_text("Disabled", timeout=PATIENCE)
    await expect(visit.page.locator("#recent")).to_contain_text("2 of 2")


async def _change_url(visit: Visit, endpoint: str, status: str) -> None:
    page = visit.page
    await visit.open(endpoint)
    await page.click("text=Change it")
    url = (await page.input_value("#url")).removesuffix("/503")
    await page.fill("#url", url + status)
    await page.click("text=Save")
    await expect(page.locator("main .note.good")).to_have_text("The endpoint is changed.")


async def _is_set_right_and_replayed(visit: Visit, endpoint: str) -> None:
    page = visit.page
    await _change_url(visit, endpoint, "")
    await page.click("button:has-text('Enable')")
    await page.click("text=Count first")
    await page.click("text=Send 2 events")
    await expect(page.locator("#replay-rows")).to_contain_text("done", timeout=PATIENCE)
    await expect(page.locator("#recent tr:has-text('replay'):has-text('Delivered')")).to_have_count(
        2, timeout=PATIENCE
    )


async def _rotate(visit: Visit, endpoint: str) -> None:
    await visit.open(endpoint)
    await visit.page.click("text=Rotate its secret")
    await visit.page.click("text=Make a new secret")
    await expect(visit.page.locator("#secret")).to_have_text(re.compile("^[0-9a-f]{64}$"))


async def _changes(visit: Visit) -> set[str]:
    await visit.open("/dashboard/changes")
    return set(await visit.page.locator("td[data-head=What]").all_inner_texts())
