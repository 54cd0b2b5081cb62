"""Accepts connections from a socket that several processes share, each of them its share.

uvloop accepts all connections that wait, so one process would get most of a client's pool that is
opened at once, and keep them. Here each process accepts one at a time and then pauses for a moment,
longer the more connections it has: one that has fewer comes first.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable

from hooktide.runtime.background import start_in

log = logging.getLogger("hooktide.web")

PAUSE_PER_CONNECTION = 0.000_05
MAX_PAUSE = 0.003
"""Seconds. All processes together take a few hundred connections a second at least."""
NO_DESCRIPTOR_RETRY_DELAY = 0.5
"""Seconds until the next try after the process had no descriptor left for a connection."""


class Connecting:
    """Gives each accepted connection to a protocol that ``make`` makes."""

    def __init__(self, make: Callable[[], asyncio.Protocol]) -> None:
        self._make = make
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, connection: socket.socket) -> None:
        """Take a connection; its protocol has it in one of the next turns of the event loop."""
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        start_in(self._tasks, self._connect(connection), "accept a connection")

    def take_waiting(self, listener: socket.socket) -> None:
        """Take all that wait at a socket that is about to be closed: the kernel would reset them.

        They have been connected as far as their clients know, and may have sent a request.
        """
        with contextlib.suppress(OSError):  # none is left, or no descriptor
            while True:
                self.take(listener.accept()[0])

    async def _connect(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make, connection)
        except OSError as error:
            log.warning("a connection broke as it was accepted: %s", error)

    async def connected(self) -> None:
        """Return when each has its protocol."""
        await asyncio.gather(*self._tasks)


class SharedAcceptor:
    """Accepts connections from ``listener``, for ``connecting``.

    ``count`` says how many connections this process has.
    """

    def __init__(
        self, listener: socket.socket, connecting: Connecting, count: Callable[[], int]
    ) -> None:
        self._listener = listener
        self._connecting = connecting
        self._count = count
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._open()

    def close(self) -> None:
        """Accept what waits, and no more."""
        if not self._closed:
            self._closed = True
            self._loop.remove_reader(self._listener)
            self._connecting.take_waiting(self._listener)
            # While any process has it open, no other program can listen there.
            self._listener.close()

    def _open(self) -> None:
        if not self._closed:
            self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        if self._closed:
            return
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another process was faster, or the client went away
        except OSError as error:
            log.warning("cannot accept a connection: %s", error.strerror)
            self._pause(NO_DESCRIPTOR_RETRY_DELAY)
            return
        self._pause(min(self._count() * PAUSE_PER_CONNECTION, MAX_PAUSE))
        self._connecting.take(connection)

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener)
        self._loop.call_later(seconds, self._open)
