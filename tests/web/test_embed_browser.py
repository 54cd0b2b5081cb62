"""The portal within a page of another site: as a frame, and as ``<hooktide-portal>``."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from browserkit import PATIENCE, Visit, browsing, visiting
from playwright.async_api import Browser, Route, expect
from serverkit import Server, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROJECT = """name = "billing"
mode = "test"
[event_types."a.b"]
[portal]
origins = ["https://app.example.com", "http://localhost:*"]
"""
HOST = "http://localhost:5999/settings"
LISTENING = """<script>
window.heard = [];
addEventListener("message", (event) => heard.push([event.origin, event.data]));
</script>"""


@dataclass
class Place:
    """A server with an account, and a browser."""

    server: Server
    browser: Browser

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    async def link(self) -> str:
        made = await self.server.api.post("/v1/accounts/acme/portal-links", {})
        return str(made["url"])

    async def host(self, visit: Visit, html: str, address: str = HOST) -> None:
        """Open a page of another site with this in it."""

        async def answer(route: Route) -> None:
            await route.fulfill(body=f"<!doctype html>{LISTENING}{html}", content_type="text/html")

        await visit.page.route(address, answer)
        await visit.page.goto(address)

    def element(self, token: str, more: str = "") -> str:
        module = f'<script type="module" src="{self.origin}/embed/hooktide-portal.js"></script>'
        return f'{module}<hooktide-portal token="{token}" {more}></hooktide-portal>'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    folder: Path = tmp_path_factory.mktemp("server")
    async with browsing() as browser, serving(folder) as server:
        await server.api.put_toml("/v1/projects/billing", PROJECT)
        await server.api.post("/v1/accounts", {"project": "billing", "reference": "acme"})
        yield Place(server, browser)


async def until(visit: Visit, question: str) -> Any:
    """Wait until an expression is true on the page, and return it."""
    found = await visit.page.wait_for_function(question, timeout=PATIENCE)
    return await found.json_value()


LOCAL = ("local-network-access",)
HEIGHT = "document.querySelector('hooktide-portal').shadowRoot.querySelector('iframe').clientHeight"


async def test_the_element_is_as_high_as_the_portal_whatever_page_it_shows(place: Place) -> None:
    token = (await place.link()).rpartition("/")[2]
    async with visiting(place.browser, place.origin, permissions=LOCAL) as visit:
        await place.host(visit, place.element(token))
        inside = visit.page.frame_locator("iframe")
        await inside.locator("text=No endpoints yet").wait_for(timeout=PATIENCE)
        low = await until(visit, f"{HEIGHT} !== 384 && {HEIGHT}")
        own = await inside.locator("body").evaluate("body => body.getBoundingClientRect().height")
        assert abs(low - own) <= 1
        await inside.locator("text=Add an endpoint").click()
        high = await until(visit, f"{HEIGHT} > {low} && {HEIGHT}")
        own = await inside.locator("body").evaluate("body => body.getBoundingClientRect().height")
        assert abs(high - own) <= 1
        assert await inside.locator(".face, .whose span:not([class])").count() == 0
        assert not [each for each in visit.wrong if each.startswith("policy")]


async def test_the_element_passes_on_theme_language_and_first_page(place: Place) -> None:
    token = (await place.link()).rpartition("/")[2]
    asked = 'theme="dark" language="de" page="/event-types" label="Meine Webhooks"'
    async with visiting(place.browser, place.origin, permissions=LOCAL) as visit:
        await visit.page.emulate_media(color_scheme="light")
        await place.host(visit, place.element(token, asked))
        inside = visit.page.frame_locator("iframe")
        await expect(inside.locator("h1")).to_have_text("Ereignistypen", timeout=PATIENCE)
        colour = "body => getComputedStyle(body).backgroundColor"
        assert await inside.locator("body").evaluate(colour) == "rgb(17, 21, 27)"
        await inside.locator("nav >> text=Zustellungen").click()
        await expect(inside.locator("h1")).to_have_text("Zustellungen", timeout=PATIENCE)
        assert await inside.locator("body").evaluate(colour) == "rgb(17, 21, 27)"
        title = "document.querySelector('hooktide-portal').shadowRoot.querySelector('iframe').title"
        assert await visit.page.evaluate(title) == "Meine Webhooks"


async def test_a_link_that_is_over_is_told_and_a_new_token_opens_it_again(place: Place) -> None:
    token = (await place.link()).rpartition("/")[2]
    await place.server.api.delete("/v1/accounts/acme/portal-links")
    told = """<script>
    addEventListener("DOMContentLoaded", () => {
      const portal = document.querySelector("hooktide-portal");
      portal.addEventListener("expired", () => (window.expired = true));
      portal.addEventListener("open", () => (window.opened = true));
    });
    </script>"""
    async with visiting(place.browser, place.origin, permissions=LOCAL) as visit:
        await place.host(visit, told + place.element(token))
        await until(visit, "window.expired")
        fresh = (await place.link()).rpartition("/")[2]
        await visit.page.evaluate(
            "token => document.querySelector('hooktide-portal').setAttribute('token', token)", fresh
        )
        await until(visit, "window.opened")
        await visit.page.frame_locator("iframe").locator("text=No endpoints yet").wait_for()


async def test_a_plain_frame_tells_its_size_to_an_origin_of_the_project(place: Place) -> None:
    frame = f'<iframe src="{await place.link()}?framed=1" width="900"></iframe>'
    async with visiting(place.browser, place.origin, permissions=LOCAL) as visit:
        await place.host(visit, frame, "https://app.example.com/settings")
        await until(visit, "heard.length >= 2")
        heard = await visit.page.evaluate("heard")
        assert {origin for origin, _ in heard} == {place.origin}
        assert {data["type"] for _, data in heard} == {"hooktide:size", "hooktide:open"}


async def test_the_page_of_the_documentation_shows_the_portal(place: Place) -> None:
    text = (Path(__file__).parents[2] / "docs" / "embedding.md").read_text()
    element, frame = re.findall(r"```html\n(.*?)```", text, re.S)
    token = (await place.link()).rpartition("/")[2]
    for html in (element, frame):
        html = html.replace("https://hooks.example.com", place.origin).replace("AQ…", token)
        async with visiting(place.browser, place.origin, permissions=LOCAL) as visit:
            await place.host(visit, html)
            nav = visit.page.frame_locator("iframe").locator("nav >> text=Deliveries")
            await nav.wait_for(timeout=PATIENCE)
            await until(visit, "heard.some(([, data]) => data.type === 'hooktide:size')")


async def test_a_frame_that_is_not_asked_to_tells_nothing(place: Place) -> None:
    frame = f'<iframe src="{await place.link()}" width="900"></iframe>'
    async with visiting(place.browser, place.origin, permissions=LOCAL) as visit:
        await place.host(visit, frame)
        inside = visit.page.frame_locator("iframe")
        await inside.locator("header.top .face").wait_for(timeout=PATIENCE)
        assert await visit.page.evaluate("heard") == []


async def test_another_site_shows_nothing_and_is_told_nothing(place: Place) -> None:
    token = (await place.link()).rpartition("/")[2]
    async with visiting(place.browser, place.origin, permissions=LOCAL) as visit:
        await place.host(visit, place.element(token), "https://evil.example/")
        async with asyncio.timeout(PATIENCE / 1000):
            while not any("frame-ancestors" in each for each in visit.wrong):
                await asyncio.sleep(0.05)
        assert await visit.page.frame_locator("iframe").locator("header.top").count() == 0
        assert await visit.page.evaluate("heard") == []


@pytest.mark.parametrize(
    "token", ["https://evil.example/portal/x", "//evil.example/x", "javascript:/x", "http://["]
)
async def test_the_element_shows_nothing_that_is_not_of_its_server(
    place: Place, token: str
) -> None:
    async with visiting(place.browser, place.origin, permissions=LOCAL) as visit:
        await place.host(visit, place.element(token))
        await until(visit, "document.querySelector('hooktide-portal')?.shadowRoot")
        assert await visit.page.locator("iframe").count() == 0
        assert [each for each in visit.wrong if HOST not in each] == []


async def test_the_element_does_not_say_at_which_path_it_is(place: Place) -> None:
    token = (await place.link()).rpartition("/")[2]
    policy = '<meta name="referrer" content="unsafe-url">'
    async with visiting(place.browser, place.origin, permissions=LOCAL) as visit:
        await place.host(visit, policy + place.element(token), f"{HOST}?session=secret")
        inside = visit.page.frame_locator("iframe")
        await inside.locator("text=No endpoints yet").wait_for(timeout=PATIENCE)
        referrer = await inside.locator("body").evaluate("() => document.referrer")
        assert referrer == "http://localhost:5999/"


async def test_the_portal_cannot_lead_the_page_around_the_element_elsewhere(place: Place) -> None:
    token = (await place.link()).rpartition("/")[2]
    async with visiting(place.browser, place.origin, permissions=LOCAL) as visit:
        await place.host(visit, place.element(token))
        inside = visit.page.frame_locator("iframe")
        await inside.locator("text=No endpoints yet").wait_for(timeout=PATIENCE)
        leading = """() => {
          try { top.location = "https://evil.example/" } catch (error) { return error.name }
        }"""
        assert await inside.locator("h1").evaluate(leading) == "SecurityError"
        assert visit.page.url == HOST


async def test_a_browser_that_does_not_say_what_is_around_learns_each_pages_height(
    place: Place,
) -> None:
    token = (await place.link()).rpartition("/")[2]
    async with visiting(place.browser, place.origin, permissions=LOCAL) as visit:

        async def without(route: Route) -> None:
            script = await (await route.fetch()).text()
            assert "location.ancestorOrigins" in script
            script = script.replace("location.ancestorOrigins", "undefined")
            await route.fulfill(body=script, content_type="text/javascript")

        await visit.page.route(re.compile("/static/framed.js"), without)
        await place.host(visit, place.element(token))
        low = await until(visit, f"{HEIGHT} !== 384 && {HEIGHT}")
        await visit.page.frame_locator("iframe").locator("text=Add an endpoint").click()
        await until(visit, f"{HEIGHT} > {low}")


async def test_only_the_frame_of_the_element_sets_its_height(place: Place) -> None:
    token = (await place.link()).rpartition("/")[2]
    async with visiting(place.browser, place.origin, permissions=LOCAL) as visit:
        await place.host(visit, place.element(token))
        await until(visit, f"{HEIGHT} !== 384 && {HEIGHT}")
        before = await visit.page.evaluate(HEIGHT)
        forged = json.dumps({"type": "hooktide:size", "height": 9999})
        await visit.page.evaluate(f"postMessage({forged}, '*')")
        await visit.page.evaluate("new Promise(done => setTimeout(done))")
        assert await visit.page.evaluate(HEIGHT) == before
