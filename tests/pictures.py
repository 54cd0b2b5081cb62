"""``python tests/pictures.py``: take screenshots of every page that the documentation shows.

The server has sample data and a day of invented statistics, so that the charts are not empty.
"""

import asyncio
import math
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from browserkit import Visit, browsing, visiting
from dashkit import Filled, fill
from playwright.async_api import Browser
from serverkit import KEY, Server, serving

from hooktide.domain.ids import read
from hooktide.domain.model import MINUTE, SECOND, Scope
from hooktide.domain.stats import EndpointHour, ProjectMinute
from hooktide.runtime.vault import load_vault
from hooktide.store.sqlite import open_sqlite

PICTURES = Path(__file__).parent.parent / "docs" / "pictures"
SETTLED = 4.0
TAKEN: list[tuple[str, str]] = []


async def main() -> None:
    """Take all screenshots."""
    PICTURES.mkdir(exist_ok=True)
    with TemporaryDirectory() as name:
        folder = Path(name)
        async with serving(folder) as server:
            filled = await fill(server.api)
            await asyncio.sleep(SETTLED)
            await server.stop()
            await _make_up_numbers(folder, filled)
            await server.start()
            async with browsing() as browser:
                await _dashboard(browser, server, filled)
                await _portal(browser, server, filled)
    _list()


async def _make_up_numbers(folder: Path, filled: Filled) -> None:
    now = int(time.time() * SECOND)
    vault = load_vault(folder / "hooktide.db.key")
    store = open_sqlite(str(folder / "hooktide.db"), vault, now)
    endpoint = await store.get_endpoint(Scope(), read("ep", filled.good))
    minutes = [
        _minute(endpoint.project_id, now // MINUTE - ago, 40 + 25 * math.sin(ago / 9))
        for ago in range(1, 24 * 60)
    ]
    hours = [
        EndpointHour(
            endpoint_id=endpoint.id,
            project_id=endpoint.project_id,
            account_id=endpoint.account_id,
            hour=now // MINUTE // 60 - ago,
            attempts=2_000,
            failed_attempts=14,
            delivered=1_990,
            duration=2_000 * 84_000,
            slowest=912_000,
            last_delivered_at=now - ago * 60 * MINUTE,
        )
        for ago in range(1, 24)
    ]
    await store.add_stats(minutes, hours)
    await store.close()


def _minute(project_id: int, minute: int, rate: float) -> ProjectMinute:
    accepted = round(rate) + minute % 7
    failed = 6 if minute % 17 == 0 else 0
    return ProjectMinute(
        project_id=project_id,
        minute=minute,
        accepted=accepted,
        delivered=2 * accepted - failed,
        failed=failed,
        attempts=2 * accepted,
        failed_attempts=failed,
    )


async def _dashboard(browser: Browser, server: Server, filled: Filled) -> None:
    failed = (await server.api.get(f"/v1/deliveries?endpoint={filled.failing}"))["items"][0]["id"]
    async with visiting(browser, f"http://127.0.0.1:{server.port}") as visit:
        await visit.open("/dashboard/login")
        await _take(visit, "dashboard-login", "Log in")
        await visit.page.click("summary")
        await visit.page.fill("#key", KEY)
        await visit.page.click("text=Log in with the key")
        await visit.page.wait_for_url("**/dashboard")
        for name, (title, path) in {
            "overview": ("Overview", ""),
            "deliveries": ("Deliveries", "/deliveries"),
            "delivery": ("A delivery", f"/deliveries?delivery={failed}"),
            "all-matching": (
                "Everything that matches",
                "/deliveries/all?account=acme&state=failed&do=resend",
            ),
            "events": ("Events", "/events"),
            "event": ("An event", f"/events/{filled.event}"),
            "publish": (
                "Publish by hand",
                f"/publish?account={filled.account}&type=invoice.paid",
            ),
            "endpoints": ("Endpoints", "/endpoints"),
            "endpoint": ("An endpoint", f"/endpoints/{filled.failing}"),
            "replay": (
                "Replay events",
                f"/endpoints/{filled.failing}/replay?what=failed&since=2026-01-01",
            ),
            "edit": ("Edit an endpoint", f"/endpoints/{filled.failing}/edit"),
            "rotate": ("Rotate its secret", f"/endpoints/{filled.failing}/rotate"),
            "accounts": ("Accounts", "/accounts"),
            "account": ("An account", f"/accounts/{filled.account}"),
            "new-endpoint": ("Add an endpoint", f"/accounts/{filled.account}/endpoints"),
            "projects": ("Projects", "/projects"),
            "new-project": ("A new project", "/new-project"),
            "project": ("A project", "/projects/invoice-maker"),
            "project-file": ("Project file", "/projects/invoice-maker/file"),
            "event-type": (
                "An event type",
                "/projects/invoice-maker/event-type?type=invoice.paid",
            ),
            "plan": ("A plan", "/projects/invoice-maker/plan?plan=basic"),
            "keys": ("API keys", "/keys"),
            "users": ("Users", "/users"),
            "audit-log": ("Audit log", "/audit-log"),
            "storage": ("Storage", "/storage"),
            "search": ("Search", "/search?q=acme"),
        }.items():
            await visit.open(f"/dashboard{path}")
            await _take(visit, f"dashboard-{name}", title)


async def _portal(browser: Browser, server: Server, filled: Filled) -> None:
    await server.api.patch(f"/v1/accounts/{filled.account}", {"plan": "pro"})
    link = await server.api.post(f"/v1/accounts/{filled.account}/portal-links", {})
    base = str(link["url"]).removeprefix(f"http://127.0.0.1:{server.port}")
    failed = (await server.api.get(f"/v1/deliveries?endpoint={filled.failing}"))["items"][0]["id"]
    one = f"{base}/endpoints/{filled.failing}"
    async with visiting(browser, f"http://127.0.0.1:{server.port}") as visit:
        page = visit.page
        await visit.open(base)
        await _take(visit, "portal-endpoints", "Endpoints")
        await visit.open(f"{base}/endpoints/new")
        await page.click("text=Give me a test URL")
        await page.wait_for_selector("text=it answers 200")
        await _take(visit, "portal-new", "Add an endpoint")
        await page.click("button.main")
        await page.wait_for_selector("#secret")
        await _take(visit, "portal-secret", "Its secret, once")
        await page.click("text=Send a test event")
        await page.wait_for_selector("#came .pill")
        await _take(visit, "portal-endpoint", "An endpoint, tested")
        test_url = page.locator("section", has_text="What the test URL got").locator("a").first
        bin_page = await test_url.get_attribute("href")
        for name, (title, path) in {
            "event-types": ("Event types", f"{base}/event-types?q=paid"),
            "deliveries": ("Deliveries", f"{base}/deliveries"),
            "delivery": ("A delivery", f"{base}/deliveries?delivery={failed}"),
            "edit": ("Edit an endpoint", f"{one}/edit"),
            "disable": ("Disable it", f"{one}/disable"),
            "rotate": ("Rotate its secret", f"{one}/rotate"),
            "replay": ("Replay events", f"{one}/replay?what=failed&since=2026-01-01"),
        }.items():
            await visit.open(path)
            await _take(visit, f"portal-{name}", title)
        await page.click("text=Send them")
        await page.wait_for_selector("#job")
        await _take(visit, "portal-job", "How far a replay is")
        assert bin_page is not None
        await page.goto(bin_page)
        await _take(visit, "bin", "A request bin")
        await visit.open("/docs/invoice-maker")
        await _take(visit, "docs", "The public guide")


async def _take(visit: Visit, name: str, title: str) -> None:
    """Take a screenshot of the top of the page."""
    await visit.page.wait_for_load_state()
    await visit.page.evaluate("scrollTo(0, 0)")
    await visit.page.screenshot(path=PICTURES / f"{name}.png")
    TAKEN.append((name, title))


def _list() -> None:
    """Write the page that lists the screenshots."""
    parts = {"dashboard": "The dashboard", "portal": "The portal", "": "The others"}
    text = "# Every page\n\nTaken by `make pictures`, in light; each has a dark look, too.\n"
    for part, heading in parts.items():
        text += f"\n## {heading}\n"
        for name, title in TAKEN:
            if name.partition("-")[0] == part or (not part and "-" not in name):
                text += f"\n### {title}\n\n![{title}]({name}.png)\n"
    (PICTURES / "README.md").write_text(text)


if __name__ == "__main__":
    asyncio.run(main())
