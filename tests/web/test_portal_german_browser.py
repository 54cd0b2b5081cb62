"""The portal in German in a real browser, in a frame and by itself: its words are longer."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from browserkit import browsing, visiting
from playwright.async_api import Browser
from serverkit import Server, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROJECT = """name = "billing"
title = "Fakturix"
[event_types."rechnung.bezahlt"]
description = "Eine Rechnung wurde bezahlt."
example = '{"id": 1}'
[plans.klein]
endpoints = 5
deliveries_per_hour = 1200
[portal]
support = "https://fakturix.example/hilfe"
[portal.de]
welcome = "Verbinden Sie Ihre Buchhaltung mit Fakturix."
"""


@dataclass
class Place:
    """A server with a customer, and a browser."""

    server: Server
    browser: Browser
    base: str
    endpoint: str
    delivery: str

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    @property
    def pages(self) -> tuple[str, ...]:
        path = f"/endpoints/{self.endpoint}"
        return (
            "",
            "/endpoints/new",
            path,
            f"{path}/edit",
            f"{path}/rotate",
            f"{path}/replay",
            "/deliveries",
            f"/deliveries?delivery={self.delivery}",
            "/deliveries/all?state=failed&do=resend",
            "/event-types",
            "/search?q=rechnung",
            "/nirgends",
        )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    folder: Path = tmp_path_factory.mktemp("server")
    async with browsing() as browser, serving(folder) as server:
        api = server.api
        await api.put_toml("/v1/projects/billing", PROJECT)
        await api.post("/v1/accounts", {"project": "billing", "reference": "kunde"})
        url = (await api.post("/v1/bins", {"script": [{"status": 401}]}))["url"]
        given = {"account": "kunde", "url": url, "event_types": ["*"], "name": "Buchhaltung"}
        endpoint = (await api.post("/v1/endpoints", given))["id"]
        delivery = (await api.post(f"/v1/endpoints/{endpoint}/test", {}))["delivery"]
        link = str((await api.post("/v1/accounts/kunde/portal-links", {}))["url"])
        base = link.removeprefix(f"http://127.0.0.1:{server.port}")
        yield Place(server, browser, base, str(endpoint), str(delivery))


@pytest.mark.parametrize(("look", "size"), [("~light~de", "phone"), ("~dark~de~framed", "desktop")])
async def test_each_german_page_fits_and_is_accessible(place: Place, look: str, size: str) -> None:
    wrong = {}
    async with visiting(place.browser, place.origin, size=size) as visit:
        for path in place.pages:
            await visit.open(place.base + look + path)
            found = [*await visit.serious(), *await visit.clipped()]
            if await visit.is_too_wide():
                found.append("too wide")
            if found:
                wrong[path] = found
    assert wrong == {}


async def test_a_long_german_word_has_its_room(place: Place) -> None:
    page = f"{place.base}~de/endpoints/{place.endpoint}"
    async with visiting(place.browser, place.origin) as visit:
        await visit.open(page)
        cut = "cells => cells.filter(each => each.scrollWidth > each.clientWidth).length"
        assert await visit.page.locator(".log .state").evaluate_all(cut) == 0
    async with visiting(place.browser, place.origin, size="phone") as visit:
        await visit.open(page)
        width = "cell => cell.getBoundingClientRect().width"
        assert await visit.page.locator(".causes td:last-child").first.evaluate(width) > 250
