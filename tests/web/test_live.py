"""Streams that notify open pages of changes, their limits, and their end."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from hooktide.domain.errors import UnavailableError
from hooktide.web.pages.framework import live
from hooktide.web.pages.framework.live import Live


class Page:
    """The data of a page. ``looked`` counts the queries."""

    def __init__(self) -> None:
        self.state: object = 0
        self.looked = 0
        self.open = True

    async def allowed(self) -> bool:
        return self.open

    async def look(self) -> object:
        self.looked += 1
        if isinstance(self.state, Exception):
            raise self.state
        return self.state

    async def seen(self) -> None:
        """Wait for one more query, from its start."""
        before = self.looked
        while self.looked < before + 2:
            await asyncio.sleep(0)


@pytest.fixture
def stopping() -> asyncio.Event:
    return asyncio.Event()


def opened(pages: Live, page: Page, place: str = "one", owner: int = 0) -> AsyncIterator[bytes]:
    stream = pages.stream(place, page.look, page.allowed, owner)
    return aiter(stream.body_iterator)  # type: ignore[arg-type]


async def hear(stream: AsyncIterator[bytes]) -> bytes:
    async with asyncio.timeout(30):
        return await anext(stream)


async def test_all_open_pages_are_notified_of_a_change(stopping: asyncio.Event) -> None:
    pages, page = Live(stopping, every=0), Page()
    streams = [opened(pages, page) for _ in range(2)]
    assert [await hear(each) for each in streams] == [b"retry: 2000\n\n"] * 2
    waiting = [asyncio.ensure_future(hear(each)) for each in streams]
    await page.seen()
    page.state = 1
    assert await asyncio.gather(*waiting) == [b"event: changed\ndata:\n\n"] * 2
    stopping.set()


async def test_a_stream_ends_with_its_viewers_access(stopping: asyncio.Event) -> None:
    pages, page = Live(stopping, every=0), Page()
    stream = opened(pages, page)
    await hear(stream)
    waiting = asyncio.ensure_future(hear(stream))
    await page.seen()
    page.open, page.state = False, 1
    assert await waiting == b"event: ended\ndata:\n\n"
    waiting = asyncio.ensure_future(hear(stream))
    with pytest.raises(StopAsyncIteration):
        await waiting
    stopping.set()


async def test_a_quiet_stream_asks_at_each_heartbeat(stopping: asyncio.Event) -> None:
    pages, page = Live(stopping, every=0, heartbeat=0), Page()
    stream = opened(pages, page)
    assert [await hear(stream), await hear(stream)] == [b"retry: 2000\n\n", b": still here\n\n"]
    page.open = False
    assert await hear(stream) == b"event: ended\ndata:\n\n"
    with pytest.raises(StopAsyncIteration):
        await hear(stream)
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


async def test_a_page_that_is_not_open_is_not_polled(stopping: asyncio.Event) -> None:
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
    monkeypatch.setattr(live, "MAX_OF_ONE", 2)
    monkeypatch.setattr(live, "MAX_WATCHERS", 3)
    pages, page = Live(stopping, every=60), Page()
    streams = [opened(pages, page, *place) for place in (("a", 1), ("b", 1), ("c", 2))]
    for stream in streams:
        assert await hear(stream) == b"retry: 2000\n\n"
    for late in (("d", 1), ("d", 3)):
        assert [each async for each in opened(pages, page, *late)] == [b"retry: 60000\n\n"]
    await streams[0].aclose()  # type: ignore[attr-defined]
    assert await hear(opened(pages, page, "d", 1)) == b"retry: 2000\n\n"
    stopping.set()


async def test_each_owner_of_an_open_page_has_a_separate_limit(
    stopping: asyncio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "MAX_OF_ONE", 2)
    pages, page = Live(stopping, every=60), Page()
    heard = []
    streams = [opened(pages, page, "shared", owner) for owner in (1, 2, 2, 2, 1, 1)]
    for stream in streams:
        heard.append(await hear(stream))
    assert heard == [
        *[b"retry: 2000\n\n"] * 3,
        b"retry: 60000\n\n",  # the second owner's third
        b"retry: 2000\n\n",
        b"retry: 60000\n\n",
    ]
    stopping.set()


async def test_a_look_that_fails_by_a_bug_is_logged_and_costs_no_stream(
    stopping: asyncio.Event, caplog: pytest.LogCaptureFixture
) -> None:
    pages, broken, page = Live(stopping, every=0), Page(), Page()
    one, other = opened(pages, broken, "broken"), opened(pages, page, "other")
    assert [await hear(each) for each in (one, other)] == [b"retry: 2000\n\n"] * 2
    waiting = asyncio.ensure_future(hear(other))
    await page.seen()
    broken.state = ValueError("a bug")
    async with asyncio.timeout(30):
        while "look whether a page changed" not in caplog.text:
            await asyncio.sleep(0.01)
    page.state = 1
    assert await waiting == b"event: changed\ndata:\n\n"
    assert await hear(one) == b"event: changed\ndata:\n\n"  # the page is reloaded to be safe
    broken.state = 1
    before = broken.looked
    async with asyncio.timeout(30):
        while broken.looked == before:
            await asyncio.sleep(0.01)
    stopping.set()
