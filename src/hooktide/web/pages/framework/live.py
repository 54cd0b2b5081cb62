"""Live pages: a stream of server-sent events that only says "changed".

Then ``static/live.js`` fetches the page again. A page's content is checked every ``LOOK_INTERVAL``
seconds while it is open anywhere, whichever process changed it; all viewers of the same page share
one check. The number of streams is limited, and they end when the server stops.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

from starlette.responses import StreamingResponse

from hooktide.domain.errors import HooktideError, UnavailableError
from hooktide.runtime.background import keep, start

LOOK_INTERVAL = 1.5
HEARTBEAT = 15.0
MAX_WATCHERS = 500
MAX_OF_ONE = 20

Look: TypeAlias = Callable[[], Awaitable[Any]]
"""Returns the data of a page, to be compared with the previous data."""
Allowed: TypeAlias = Callable[[], Awaitable[bool]]
"""Returns whether a page's viewer may still see it."""


@dataclass(slots=True)
class _Watched:
    """A page that is open in a browser; ``turn`` counts its changes.

    ``watchers``: how many streams each owner has open here.
    """

    watchers: Counter[Hashable] = field(default_factory=Counter)
    turn: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class Live:
    """Notifies open pages of changes, until ``stopping`` is set."""

    def __init__(
        self, stopping: asyncio.Event, every: float = LOOK_INTERVAL, heartbeat: float = HEARTBEAT
    ) -> None:
        self._stopping = stopping
        self._every = every
        self._heartbeat = heartbeat
        self._watched: dict[Hashable, _Watched] = {}

    def stream(
        self, place: Hashable, look: Look, allowed: Allowed, owner: Hashable = None
    ) -> StreamingResponse:
        """Return the stream of a page; pages of the same ``place`` look the same.

        ``allowed`` is checked before each event and each heartbeat; the stream ends when it returns
        False. ``owner``: may have at most ``MAX_OF_ONE`` open, so that others can open some too.
        """
        owner = place if owner is None else owner
        return event_stream(self._events(place, look, allowed, owner))

    def _has_room(self, owner: Hashable) -> bool:
        everywhere = [each.watchers for each in self._watched.values()]
        of_owner = sum(watchers[owner] for watchers in everywhere)
        return of_owner < MAX_OF_ONE and sum(map(Counter.total, everywhere)) < MAX_WATCHERS

    async def _events(
        self, place: Hashable, look: Look, allowed: Allowed, owner: Hashable
    ) -> AsyncIterator[bytes]:
        if not self._has_room(owner):
            yield b"retry: 60000\n\n"
            return
        watched = self._watched.setdefault(place, _Watched())
        watched.watchers[owner] += 1
        if watched.task is None:
            watched.task = keep(partial(self._look, watched, look), "look whether a page changed")
        try:
            yield b"retry: 2000\n\n"
            seen = watched.turn
            while not self._stopping.is_set():
                await _either(watched.news, self._heartbeat)
                if not await _still(allowed):
                    yield b"event: ended\ndata:\n\n"
                    return
                yield b": still here\n\n" if seen == watched.turn else b"event: changed\ndata:\n\n"
                seen = watched.turn
        finally:
            watched.watchers[owner] -= 1
            if not watched.watchers.total():
                self._watched.pop(place, None)
                watched.task.cancel()

    async def _look(self, watched: _Watched, look: Look) -> None:
        """Check while anyone watches; a failed check is repeated."""
        stop = start(self._stopping.wait(), "wait for the stop")
        last: Any = None
        first = True
        try:
            while not stop.done():
                try:
                    now = await look()
                except HooktideError:
                    now = last
                if now != last and not first:
                    self._tell(watched)
                last, first = now, False
                await asyncio.wait({stop}, timeout=self._every)
        finally:
            stop.cancel()
            self._tell(watched)

    def _tell(self, watched: _Watched) -> None:
        watched.turn += 1
        previous, watched.news = watched.news, asyncio.Event()
        previous.set()


def event_stream(events: AsyncIterator[bytes]) -> StreamingResponse:
    """Return the response that sends events as they come."""
    headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
    return StreamingResponse(events, headers=headers, media_type="text/event-stream")


async def _still(allowed: Allowed) -> bool:
    try:
        return await allowed()
    except UnavailableError:
        return True  # nothing can be read while the database is away, so there is no news


async def _either(news: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await news.wait()
    except TimeoutError:
        pass
