"""Streams that tell open pages of changes: they do, they are few, and they end."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from hooktide.domain.errors import UnavailableError
from hooktide.web import live
from hooktide.web.live import Live


class Page:
    """What a page is made of; ``looked`` counts who asked."""

    def __init__(self) -> None:
        self.state: object = 0
        self.looked = 0

    async def look(self) -> object:
        self.looked += 1
        if isinstance(self.state, Exception):
            raise self.state
        return self.state

    async def seen(self) -> None:
        """Return when it was looked at once more, from the beginning."""
        before = self.looked
        while self.looked < before + 2:
            await asyncio.sleep(0)


@pytest.fixture
def stopping() -> asyncio.Event:
    return asyncio.Event()


def opened(pages: Live, page: Page, place: str = "one", owner: int = 0) -> AsyncIterator[bytes]:
    return aiter(pages.stream(place, page.look, owner).body_iterator)  # type: ignore[arg-type]


async def hear(stream: AsyncIterator[bytes]) -> bytes:
    async with asyncio.timeout(30):
        return await anext(stream)


async def test_a_change_is_told_to_all_who_have_the_page_open(stopping: asyncio.Event) -> None:
    pages, page = Live(stopping, every=0), Page()
    streams = [opened(pages, page) for _ in range(2)]
    assert [await hear(each) for each in streams] == [b"retry: 2000\n\n"] * 2
    waiting = [asyncio.ensure_future(hear(each)) for each in streams]
    await page.seen()
    page.state = 1
    assert await asyncio.gather(*waiting) == [b"event: changed\ndata:\n\n"] * 2
    stopping.set()


async def test_a_look_that_fails_is_made_again(stopping: asyncio.Event) -> None:
    pages, page = Live(stopping, every=0), Page()
    stream = opened(pages, page)
    await hear(stream)
    waiting = asyncio.ensure_future(hear(stream))
    await page.seen()
    page.state = UnavailableError("away")
    await page.seen()
    assert not waiting.done()
    page.state = 2
    assert b"changed" in await waiting
    stopping.set()


async def test_streams_end_when_the_server_stops(stopping: asyncio.Event) -> None:
    pages, page = Live(stopping, every=0), Page()
    stream = opened(pages, page)
    await hear(stream)
    waiting = asyncio.ensure_future(hear(stream))
    await page.seen()
    stopping.set()
    async with asyncio.timeout(30):
        await asyncio.gather(waiting, return_exceptions=True)
        assert [each async for each in stream] == []


async def test_a_page_that_nobody_has_open_is_not_looked_at(stopping: asyncio.Event) -> None:
    pages, page = Live(stopping, every=0), Page()
    stream = opened(pages, page)
    await hear(stream)
    await page.seen()
    await stream.aclose()  # type: ignore[attr-defined]
    await asyncio.sleep(0)
    looked = page.looked
    for _ in range(20):
        await asyncio.sleep(0)
    assert page.looked == looked


async def test_only_so_many_watch(stopping: asyncio.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MOST_OF_ONE", 2)
    monkeypatch.setattr(live, "MOST_WATCHERS", 3)
    pages, page = Live(stopping, every=60), Page()
    streams = [opened(pages, page, *place) for place in (("a", 1), ("b", 1), ("c", 2))]
    for stream in streams:
        assert await hear(stream) == b"retry: 2000\n\n"
    for late in (("d", 1), ("d", 3)):
        assert [each async for each in opened(pages, page, *late)] == [b"retry: 60000\n\n"]
    await streams[0].aclose()  # type: ignore[attr-defined]
    assert await hear(opened(pages, page, "d", 1)) == b"retry: 2000\n\n"
    stopping.set()
