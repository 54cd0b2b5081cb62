"""On a phone no page scrolls horizontally, however long its texts are."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from browserkit import Visit, browsing, visiting
from playwright.async_api import Browser
from serverkit import KEY, Server, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

WORD = "averylongwordwithoutanybreak"
TYPE = f"{WORD}{WORD}.{WORD}_{WORD}"
PROJECT, PLAN = "a-project-of-the-longest-name-that-a-project-may-have-in-its-fi", "p" * 63
NAME = (WORD * 4)[:100]
REFERENCE = (WORD * 8)[:200]
FILE = f"""
name = "{PROJECT}"
title = "{(WORD * 4)[:100]}"
default_plan = "{PLAN}"
[dialect]
standard_headers = true
[dialect.signature]
header = "X-{WORD}-Signature"
[dialect.envelope]
"{WORD}{WORD}" = "{{event.type}}"
data = "{{payload}}"
[retry]
delays = ["1s", "1h"]
[plans.{PLAN}]
retries = 1
[event_types."{TYPE}"]
description = "{WORD * 6}"
example = '{{"{WORD * 3}": "{WORD * 6}"}}'
schema = '{{"properties": {{"{WORD * 3}": {{"type": "string", "description": "{WORD * 4}"}}}}}}'
"""


@dataclass
class Place:
    """A server whose texts all have their maximum length, and the paths of its pages."""

    server: Server
    dashboard: list[str]
    public: list[str]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with browsing() as browser:
        yield browser


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    folder: Path = tmp_path_factory.mktemp("server")
    async with serving(folder) as server:
        yield await _fill(server)


async def _fill(server: Server) -> Place:
    api = server.api
    await api.put_toml(f"/v1/projects/{PROJECT}", FILE)
    given = {"project": PROJECT, "reference": REFERENCE, "name": REFERENCE[::-1]}
    account = (await api.post("/v1/accounts", given))["id"]
    script = [{"status": 500, "body": WORD * 40}]
    bins = [await api.post("/v1/bins", {"script": script}) for _ in range(2)]
    endpoints = [await _endpoint(server, account, bins[0]["url"], NAME)]
    endpoints.append(await _endpoint(server, account, bins[1]["url"], ""))
    await api.post(f"/v1/endpoints/{endpoints[1]}/test", {})
    await api.post(f"/v1/endpoints/{endpoints[0]}/test", {})
    payload = {WORD * 3: WORD * 20}
    event = (await api.post("/v1/events", {"account": account, "type": TYPE, "payload": payload}))[
        "id"
    ]
    await api.post(f"/v1/endpoints/{endpoints[1]}/disable")
    replay = {"what": "failed", "since": "2026-01-01T00:00:00Z"}
    begun = await api.post(f"/v1/endpoints/{endpoints[0]}/replays", replay)
    await api.post("/v1/keys", {"scope": "account", "account": account, "name": NAME})
    await api.post("/v1/users", {"name": NAME, "role": "viewer", "project": PROJECT})
    link = (await api.post(f"/v1/accounts/{account}/portal-links", {}))["url"]
    portal = link[link.index("/portal/") :]
    delivery = (await api.get(f"/v1/deliveries?endpoint={endpoints[0]}"))["items"][0]["id"]
    return Place(
        server,
        [
            "",
            "?range=day",
            "/deliveries",
            f"/deliveries?delivery={delivery}",
            "/events",
            f"/events?account={REFERENCE}x",
            f"/events/{event}",
            "/endpoints",
            *(f"/endpoints/{each}" for each in endpoints),
            f"/endpoints/{endpoints[0]}/replay",
            f"/endpoints/{endpoints[0]}/secret",
            f"/replays/{begun['replay']['id']}",
            "/accounts",
            f"/accounts/{account}",
            f"/accounts/{account}/endpoints",
            "/projects",
            "/new-project?provider=defacto",
            f"/projects/{PROJECT}",
            f"/projects/{PROJECT}/made",
            f"/projects/{PROJECT}/file",
            f"/projects/{PROJECT}/event-type?type={TYPE}",
            f"/projects/{PROJECT}/plan?plan={PLAN}",
            f"/publish?account={account}&type={TYPE}",
            "/keys",
            "/users",
            "/audit-log",
            "/storage",
            "/refused-rows",
            f"/search?q={WORD}",
            "/you",
            "/nowhere",
        ],
        [
            portal,
            f"{portal}/endpoints/new",
            *(f"{portal}/endpoints/{each}" for each in endpoints),
            f"{portal}/endpoints/{endpoints[0]}/edit",
            f"{portal}/endpoints/{endpoints[0]}/rotate",
            f"{portal}/endpoints/{endpoints[0]}/delete",
            f"{portal}/endpoints/{endpoints[0]}/secret",
            f"{portal}/endpoints/{endpoints[0]}/replay",
            f"{portal}/event-types",
            f"{portal}/deliveries",
            f"{portal}/deliveries?delivery={delivery}",
            f"{portal}/nowhere",
            f"/docs/{PROJECT}",
            "/docs",
            "/",
            bins[0]["page_url"][bins[0]["page_url"].index("/bins/") :],
        ],
    )


async def _endpoint(server: Server, account: str, url: str, name: str) -> str:
    made = {
        "account": account,
        "url": f"{url}/{WORD * 12}",
        "event_types": [TYPE],
        "name": name,
        "description": WORD * 10,
        "headers": {f"X-{WORD}": WORD * 6},
    }
    return str((await server.api.post("/v1/endpoints", made))["id"])


async def test_no_page_has_to_be_scrolled_sideways(place: Place, browser: Browser) -> None:
    async with visiting(browser, f"http://127.0.0.1:{place.server.port}", size="phone") as visit:
        await visit.open("/dashboard/login")
        await visit.page.click("summary")
        await visit.page.fill("#key", KEY)
        await visit.page.click("text=Log in with the key")
        await visit.page.wait_for_url("**/dashboard")
        paths = [*(f"/dashboard{path}" for path in place.dashboard), *place.public]
        wide = {path: what for path in paths if (what := await _too_wide(visit, path))}
        assert wide == {}


async def _too_wide(visit: Visit, path: str) -> str:
    """Return what makes a page wider than the screen, with all collapsed parts opened."""
    assert await visit.open(path) < 500, path
    await visit.page.evaluate("document.querySelectorAll('details').forEach(each => each.open = 1)")
    return str(await visit.page.evaluate(_WIDE)) if await visit.is_too_wide() else ""


_WIDE = """() => [...document.querySelectorAll("body *")]
  .filter((each) => each.getBoundingClientRect().right > innerWidth + 1 && !each.children.length)
  .slice(0, 3).map((each) => `${each.outerHTML.slice(0, 160)} in ${each.parentElement.className}`)
  .join(" | ")
"""
