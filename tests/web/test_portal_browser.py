"""The portal in a real browser works with and without JavaScript, on any screen size.

Hostile texts are shown as text, and no unexpected resources are loaded.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio
from browserkit import LOOKS, PATIENCE, Visit, browsing, visiting
from docskit import HOSTILE
from playwright.async_api import Browser, Route, expect
from serverkit import Server, serving

from hooktide.dialects import read_shipped
from hooktide.web.pages.portal.routes import PAGES

pytestmark = pytest.mark.asyncio(loop_scope="module")

FACE = """
[portal]
name = "Bills & Co"
colour = "#0f766e"
origins = ["https://app.example.com"]

[plans.basic]"""
EVIL = "\n".join(HOSTILE).replace("\x1b", "").replace("\u202e", "").replace("\u200b", "")
HEX = re.compile("^[0-9a-f]{64}$")
SIGNS = ("<script>alert(1)</script>", "{{7*7}}", "<svg onload=alert(1)>")


@dataclass
class Place:
    """A running server, and a browser."""

    server: Server
    browser: Browser

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    async def portal(self, project: str, reference: str, **more: Any) -> str:
        """Create an account, and return the path of its portal."""
        api = self.server.api
        await api.post("/v1/accounts", {"project": project, "reference": reference, **more})
        return await self.link(reference)

    async def link(self, reference: str, **more: Any) -> str:
        path = f"/v1/accounts/{quote(reference, safe='')}/portal-links"
        made = await self.server.api.post(path, more)
        return str(made["url"]).removeprefix(self.origin)

    async def bin(self, *script: dict[str, Any]) -> str:
        return str((await self.server.api.post("/v1/bins", {"script": list(script)}))["url"])

    async def publish(self, reference: str, kind: str, payload: Any) -> None:
        event = {"account": reference, "type": kind, "payload": payload}
        await self.server.api.post("/v1/events", event)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    folder: Path = tmp_path_factory.mktemp("server")
    async with browsing() as browser, serving(folder) as server:
        text = read_shipped("invoice-maker").replace("\n[plans.basic]", FACE, 1)
        await server.api.put_toml("/v1/projects/invoice-maker", text)
        yield Place(server, browser)
        assert "/portal/" not in server.log.read_text()


async def _fine(visit: Visit) -> None:
    assert await visit.serious() == []
    assert not await visit.is_too_wide()
    assert await visit.clipped() == []
    assert visit.wrong == []


async def test_a_customer_adds_tests_and_follows_an_endpoint(place: Place) -> None:
    base = await place.portal("invoice-maker", "walker", plan="pro")
    async with visiting(place.browser, place.origin) as visit:
        page = visit.page
        await visit.open(base)
        await _fine(visit)
        await page.click("text=Add an endpoint")
        await page.click("text=Give me a test URL")
        await expect(page.locator("#url")).to_have_value(re.compile(f"^{place.origin}/bin/"))
        await _fine(visit)
        await page.click("button.main")
        await expect(page.locator("#secret")).to_have_text(HEX)
        await page.click("label[for=tongue-python]")
        await expect(page.locator("#code-python")).to_be_visible()
        await expect(page.locator("#code-javascript")).to_be_hidden()
        await _fine(visit)
        await page.click("text=Send a test event")
        await expect(page.locator("#tested")).to_contain_text("Delivered.")
        await expect(page.locator("#came")).to_contain_text("Signature valid")
        await _fine(visit)

        # The open delivery log updates without a reload.
        await visit.open(f"{base}/deliveries")
        await expect(page.locator("#live")).to_have_text("live")
        await place.publish("walker", "quotation.accepted", {"id": "q_1"})
        await page.click("button.fresh")
        row = page.locator("#rows a", has_text="quotation.accepted")
        await expect(row).to_be_visible(timeout=PATIENCE)
        await row.click()
        await expect(page.locator("#drawer")).to_contain_text("q_1")
        await _fine(visit)
        await page.keyboard.press("Escape")
        await expect(page.locator("#drawer")).to_have_count(0)
        await expect(row).to_be_focused()
        assert visit.wrong == []


async def test_on_a_phone_the_log_shows_states_and_times_whole(place: Place) -> None:
    base = await place.portal("invoice-maker", "narrow", plan="pro")
    script = {"status": 429, "headers": {"Retry-After": "3598"}}
    made = await place.server.api.post(
        "/v1/endpoints",
        {"account": "narrow", "url": await place.bin(script), "event_types": ["*"]},
    )
    await place.publish("narrow", "invoice.paid", {"id": "inv_1"})
    async with visiting(place.browser, place.origin, size="phone") as visit:
        await visit.open(f"{base}/endpoints/{made['id']}")
        await expect(visit.page.locator(".log .next")).to_contain_text("minutes")
        assert await visit.clipped() == []
        await visit.open(f"{base}/deliveries")
        assert await visit.clipped() == []


async def test_all_of_it_works_without_a_script(place: Place) -> None:
    base = await place.portal("invoice-maker", "plain", plan="pro")
    url = await place.bin({"status": 401, "body": "no\n"})
    async with visiting(place.browser, place.origin, script=False) as visit:
        page = visit.page
        await visit.open(f"{base}/endpoints/new")
        await page.fill("#url", url)
        await page.fill("#name", "By hand")
        await page.press("#name", "Enter")
        await expect(page.locator("#secret")).to_have_text(HEX)
        await page.click("text=Send a test event")
        await expect(page.locator("#tested")).to_contain_text("answered with 401")
        await page.click("text=View delivery")
        await expect(page.locator("#drawer")).to_contain_text("Signature or authentication")
        await page.click("text=Close")
        await page.fill("[name=text]", "no such words")
        await page.press("[name=text]", "Enter")
        await expect(page.locator("#rows")).to_contain_text("No deliveries match")
        await visit.open(base)
        await page.click("text=By hand")
        await page.click("text=Disable")
        await page.click("button.danger")
        await expect(page.locator("#state")).to_contain_text("disabled by hand")
        await page.click("text=Enable")
        await page.click("text=See what it missed")
        await expect(page.locator("main")).to_contain_text("Nothing to send")


def pages(endpoint: str, delivery: str, replay: str, job: str) -> list[str]:
    one = f"/endpoints/{endpoint}"
    return [
        "",
        "/endpoints/new",
        f"{one}?tested={delivery}",
        f"{one}/edit",
        f"{one}/rotate",
        f"{one}/disable",
        f"{one}/delete",
        f"{one}/replay?what=missed&since=2026-01-01",
        f"/replays/{replay}",
        "/deliveries/all?do=resend",
        f"/jobs/{job}",
        "/event-types",
        "/event-types?q=paid",
        "/search?q=invoice",
        "/deliveries",
        f"/deliveries?delivery={delivery}",
    ]


NO_PAGES = {
    "/",  # the first page, with a slash
    "/theme.css",
    "/events",
    "/deliveries/export",
    "/deliveries/{id}/body",
    "/endpoints/{id}/secret",  # shown once, after a form
}
"""What is not a page, or is shown after a form only."""


async def test_every_page_is_in_the_list() -> None:
    listed = [path.partition("?")[0] for path in pages("x", "x", "x", "x")]
    declared = {each.path for each in PAGES if each.method == "GET"} - NO_PAGES
    names = {path: re.compile(re.sub(r"{\w+}", "[^/]+", path)) for path in declared}
    assert [path for path, name in names.items() if not any(map(name.fullmatch, listed))] == []


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
async def test_every_page_is_fit_for_every_look(place: Place, size: str, scheme: str) -> None:
    base = await place.portal("invoice-maker", size, plan="pro")
    url = await place.bin({"status": 500, "body": "<h1>" + "long" * 400})
    given = {"account": size, "url": url, "event_types": ["*"], "name": "n" * 100}
    endpoint = (await place.server.api.post("/v1/endpoints", given))["id"]
    tested = await place.server.api.post(f"/v1/endpoints/{endpoint}/test", {})
    replay = {"what": "event", "event": tested["event"]}
    job = await place.server.api.post(f"/v1/endpoints/{endpoint}/replays", replay)
    wanted = {"act": "stop", "filter": {"account": size, "text": "nothing has this"}}
    stop = await place.server.api.post("/v1/delivery-jobs", wanted)
    look = await place.link(size, read_only=True)
    listed = pages(endpoint, tested["delivery"], job["replay"]["id"], stop["job"]["id"])
    async with visiting(place.browser, place.origin, size=size, scheme=scheme) as visit:
        for path in (look, *(f"{base}{path}" for path in listed)):
            assert await visit.open(path) == 200, path
            await _fine(visit)


async def test_the_products_site_may_frame_it_and_no_other(place: Place) -> None:
    base = await place.portal("invoice-maker", "framed", plan="pro")
    frame = f'<!doctype html><iframe src="{place.origin}{base}" width="900" height="700"></iframe>'

    async def site(route: Route) -> None:
        await route.fulfill(body=frame, content_type="text/html")

    # The embedding site is fictitious, so its frame leads from a public address to this machine.
    local = ("local-network-access",)
    async with visiting(place.browser, place.origin, permissions=local) as visit:
        page = visit.page
        await page.route(re.compile("^https://"), site)
        await page.goto("https://app.example.com/settings")
        inside = page.frame_locator("iframe")
        await inside.locator("text=Add an endpoint").click()
        await inside.locator("text=Give me a test URL").click()
        await inside.locator("button.main").click()
        await expect(inside.locator("#secret")).to_have_text(HEX)
        assert not [each for each in visit.wrong if each.startswith("policy")]
        await page.goto("https://evil.example/")
        async with asyncio.timeout(PATIENCE / 1000):
            while not any("frame-ancestors" in each for each in visit.wrong):
                await asyncio.sleep(0.05)
        assert await inside.locator("header.top").count() == 0


async def test_hostile_texts_are_shown_and_do_nothing(place: Place) -> None:
    quoted, one = json.dumps(EVIL), json.dumps(HOSTILE[0])
    await place.server.api.put_toml(
        "/v1/projects/evil",
        f'name = "evil"\ntitle = {one}\n[portal]\nname = {json.dumps(HOSTILE[1])}\n'
        f'[event_types."a.b"]\ndescription = {quoted}\nexample = {json.dumps(quoted)}\n',
    )
    base = await place.portal("evil", "<img src=x onerror=alert(1)>", name=HOSTILE[2])
    url = await place.bin({"status": 400, "body": EVIL})
    account = (await place.server.api.get("/v1/accounts?project=evil"))["items"][0]["id"]
    endpoint = await place.server.api.post(
        "/v1/endpoints",
        {
            "account": account,
            "url": url,
            "event_types": ["*"],
            "name": HOSTILE[0],
            "description": EVIL,
            "headers": {"x-evil": HOSTILE[0]},
        },
    )
    tested = await place.server.api.post(f"/v1/endpoints/{endpoint['id']}/test", {})
    one = f"{base}/endpoints/{endpoint['id']}"
    async with visiting(place.browser, place.origin) as visit:
        for path in (
            base,
            f"{one}?tested={tested['delivery']}",
            f"{one}/edit",
            f"{one}/replay",
            f"{base}/endpoints/new",
            f"{base}/deliveries?delivery={tested['delivery']}",
        ):
            assert await visit.open(path) == 200, path
            await _open_all(visit)
            shown = await visit.page.inner_text("body")
            fields = await visit.page.locator("input, textarea").evaluate_all(
                "each => each.map(field => field.value)"
            )
            assert any(sign in shown + str(fields) for sign in SIGNS), path
            assert "49$49" not in shown
            assert await visit.page.locator("svg[onload], main img").count() == 0
            assert visit.wrong == [], path


async def _open_all(visit: Visit) -> None:
    await visit.page.evaluate(
        "for (const each of document.querySelectorAll('details')) each.open = true"
    )
