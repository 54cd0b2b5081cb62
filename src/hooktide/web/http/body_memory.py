"""Bounds the memory that request bodies take in this process, all requests together.

At the limit the server stops reading: what has not been read stays with the caller, whose kernel
waits. After ``ROOM_TIMEOUT`` the request is refused (503). This is ASGI, and holds on any server.
"""

import asyncio
import heapq
import itertools
from typing import TypeAlias

from starlette.types import Message, Receive, Scope

from hooktide.domain.errors import UnavailableError
from hooktide.domain.http.head import content_length

MAX_BODY = 10 * 1024 * 1024
"""Bytes of the largest body that any operation takes."""
SMALL_BODY = 64 * 1024
"""Bytes. A part of the memory is kept for bodies that say that they are no larger, so that slow
uploads of large ones do not keep out single events."""
CHUNK = 64 * 1024
"""Bytes that are counted for a message that is still to come."""
ROOM_TIMEOUT = 5.0


class BodyMemory:
    """Counts the bytes of bodies held, of which ``limit`` are allowed.

    When memory is full, the oldest waiting request may still proceed, one at a time: otherwise all
    of them could wait for each other. ``large_limit`` leaves room for that.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.large_limit = max(0, limit - MAX_BODY) * 4 // 5
        self.held = 0
        self._numbers = itertools.count()
        self._going_on: CountedBody | None = None
        self._small: list[_Waiting] = []
        self._large: list[_Waiting] = []

    def number(self) -> int:
        """Return a request's place in the order of their beginnings."""
        return next(self._numbers)

    def take(self, size: int) -> None:
        """Count bytes that are here."""
        self.held += size

    def release(self, size: int) -> None:
        """Release bytes, and let others proceed."""
        self.held -= size
        if self._small or self._large:
            self._wake()

    def leave(self, body: "CountedBody") -> None:
        """Pass the turn on, since this request has ended."""
        if self._going_on is body:
            self._going_on = None
            self._wake()

    async def room(self, body: "CountedBody") -> None:
        """Take room for the next piece of this body, as soon as there is some.

        :raises UnavailableError: that takes longer than ``ROOM_TIMEOUT``.
        """
        has_room = self.held < self.limit_of(body)
        if not has_room and self._going_on is None:
            self._going_on = body
        if has_room or self._going_on is body:
            self.take(CHUNK)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._small if body.is_small else self._large
        heapq.heappush(waiting, (body.number, body, future))
        try:
            async with asyncio.timeout(ROOM_TIMEOUT):
                await future
        except (TimeoutError, asyncio.CancelledError) as error:
            if not future.cancelled():  # woken, but too late
                self.release(CHUNK)
            if isinstance(error, asyncio.CancelledError):
                raise
            raise UnavailableError(
                f"the server holds {self.limit >> 20} MB of request bodies, and no more at once; "
                "make this request again",
                retry_after=int(ROOM_TIMEOUT),
            ) from None

    def limit_of(self, body: "CountedBody") -> int:
        """Return how much may be held for more of this body to be read."""
        return self.limit if body.is_small else self.large_limit

    def _wake(self) -> None:
        """Wake the oldest small and the oldest large requests that memory allows.

        Each takes its room at once: until it runs, others may be woken.
        """
        for waiting in (self._small, self._large):
            while (first := _first(waiting)) is not None and self.held < self.limit_of(first[1]):
                self._wake_first(waiting)
        if self._going_on is None:
            heads = [each for each in (self._small, self._large) if _first(each) is not None]
            if heads:
                oldest = min(heads, key=lambda waiting: waiting[0][0])
                self._going_on = oldest[0][1]
                self._wake_first(oldest)

    def _wake_first(self, waiting: "list[_Waiting]") -> None:
        _, _, future = heapq.heappop(waiting)
        self.take(CHUNK)
        future.set_result(None)


def _first(waiting: "list[_Waiting]") -> "_Waiting | None":
    """Return the oldest that still waits."""
    while waiting and waiting[0][2].done():
        heapq.heappop(waiting)
    return waiting[0] if waiting else None


class CountedBody:
    """An ASGI ``receive`` that counts what it gives, and waits for room before it asks for more."""

    def __init__(self, memory: BodyMemory, receive: Receive, declared: int | None) -> None:
        self.is_small = is_small(declared)
        self.number = memory.number()
        self._memory = memory
        self._receive = receive
        self._held = 0
        self._whole = False

    async def __call__(self) -> Message:
        """Return the next message.

        :raises UnavailableError: memory is full.
        """
        if self._whole:
            return await self._receive()
        memory = self._memory
        await memory.room(self)
        size = 0
        try:
            message = await self._receive()
            size = len(message.get("body", b""))
        finally:
            self._held += size
            memory.release(CHUNK - size)
        self._whole = not message.get("more_body")
        return message

    def release(self) -> None:
        """Count the body as gone; may be called again."""
        held, self._held = self._held, 0
        self._memory.release(held)
        self._memory.leave(self)


_Waiting: TypeAlias = tuple[int, CountedBody, "asyncio.Future[None]"]


def is_small(declared: int | None) -> bool:
    """Whether a request says that its body is small (its Content-Length; None: it has none)."""
    return declared is not None and declared <= SMALL_BODY


def has_body(scope: Scope) -> bool:
    """Whether a request may bring a body."""
    return scope["method"] not in ("GET", "HEAD")


def declared_length(scope: Scope) -> int | None:
    """Return the Content-Length of a request; None where it has none that can be read."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return content_length(value)
    return None
