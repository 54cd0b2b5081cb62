"""Pages that keep themselves current: a stream of server-sent events that only says "changed".

``static/live.js`` fetches the page again when it hears that. What a page shows is looked at every
``LOOK_EVERY`` seconds as long as somebody has it open, whoever changed it, this process or another:
all who have the same page open share one look. Streams are few and end when the server stops.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from starlette.responses import StreamingResponse

from hooktide.domain.errors import HooktideError

LOOK_EVERY = 1.5
HEARTBEAT = 15.0
MOST_WATCHERS = 500
MOST_OF_ONE = 20

Look: TypeAlias = Callable[[], Awaitable[Any]]
"""Returns what a page is made of, to be compared with what it was."""


@dataclass(slots=True)
class _Watched:
    """One kind of page that somebody has open; ``turn`` counts its changes."""

    owner: Hashable
    watchers: int = 0
    turn: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class Live:
    """Tells open pages that they have changed, until ``stopping`` is set."""

    def __init__(self, stopping: asyncio.Event, every: float = LOOK_EVERY) -> None:
        self._stopping = stopping
        self._every = every
        self._watched: dict[Hashable, _Watched] = {}

    def stream(self, place: Hashable, look: Look, owner: Hashable = None) -> StreamingResponse:
        """Return the stream of a page; pages of the same ``place`` look the same.

        ``owner``: who may have ``MOST_OF_ONE`` open and no more, so that others have room.
        """
        return StreamingResponse(
            self._events(place, look, place if owner is None else owner),
            headers={"cache-control": "no-store", "x-content-type-options": "nosniff"},
            media_type="text/event-stream",
        )

    def _has_room(self, owner: Hashable) -> bool:
        open_now = [(each.owner, each.watchers) for each in self._watched.values()]
        of_owner = sum(watchers for whose, watchers in open_now if whose == owner)
        return of_owner < MOST_OF_ONE and sum(count for _, count in open_now) < MOST_WATCHERS

    async def _events(self, place: Hashable, look: Look, owner: Hashable) -> AsyncIterator[bytes]:
        if not self._has_room(owner):
            yield b"retry: 60000\n\n"
            return
        watched = self._watched.setdefault(place, _Watched(owner))
        watched.watchers += 1
        if watched.task is None:
            watched.task = asyncio.create_task(self._look(watched, look))
        try:
            yield b"retry: 2000\n\n"
            seen = watched.turn
            while not self._stopping.is_set():
                await _either(watched.news, HEARTBEAT)
                yield b": still here\n\n" if seen == watched.turn else b"event: changed\ndata:\n\n"
                seen = watched.turn
        finally:
            watched.watchers -= 1
            if not watched.watchers:
                self._watched.pop(place, None)
                watched.task.cancel()

    async def _look(self, watched: _Watched, look: Look) -> None:
        """Look until nobody watches any more; a look that fails is made again."""
        stop = asyncio.create_task(self._stopping.wait())
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
        told, watched.news = watched.news, asyncio.Event()
        told.set()


async def _either(news: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await news.wait()
    except TimeoutError:
        pass
