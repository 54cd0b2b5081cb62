"""Limits how many batches are processed at once.

A batch yields to other requests every few milliseconds, but a hundred batches taking turns would
still delay every other request by the sum of their turns. So only ``MAX_CONCURRENT`` are processed
at a time; the others wait in the order in which they arrived. A batch whose client disconnects
while it waits is dropped.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from hooktide.runtime.background import start

MAX_CONCURRENT = 2


class BatchTurns:
    """Lets at most ``MAX_CONCURRENT`` batches be processed at once."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(MAX_CONCURRENT)

    @asynccontextmanager
    async def taken(self, receive: Receive) -> AsyncIterator[None]:
        """Hold a turn; ``receive`` is the request's, whose body has been read whole.

        :raises ClientDisconnect: the client disconnected while its batch waited.
        """
        if self._free.locked():
            await self._wait(receive)
        else:
            await self._free.acquire()
        try:
            yield
        finally:
            self._free.release()

    async def _wait(self, receive: Receive) -> None:
        turn = start(self._free.acquire(), "wait for a batch's turn")
        gone = start(_disconnected(receive), "notice that a batch's client went away")
        kept = False
        try:
            await asyncio.wait({turn, gone}, return_when=asyncio.FIRST_COMPLETED)
            kept = not gone.done()
        finally:
            gone.cancel()
            if not kept and not turn.cancel() and not turn.cancelled():
                self._free.release()  # the turn was granted as the client disconnected
        if not kept:
            raise ClientDisconnect


async def _disconnected(receive: Receive) -> None:
    """Return once the client has disconnected.

    A middleware that has read the body may answer each call with that body again, at once: such a
    ``receive`` never reports a disconnect, and asking again would block the event loop.
    """
    message: Message = await receive()
    if message["type"] != "http.disconnect":
        await asyncio.get_running_loop().create_future()
