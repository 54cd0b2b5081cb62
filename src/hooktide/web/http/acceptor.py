"""Accepts connections from a socket that several processes share, each of them its share.

uvloop accepts all connections that wait, so one process would get most of a client's pool that is
opened at once, and keep them. Here each process accepts one at a time and then pauses for a moment,
longer the more connections it has: one that has fewer comes first.
"""

import asyncio
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


class SharedAcceptor:
    """Accepts connections from ``listener``, and gives each to a protocol that ``make`` makes.

    ``count`` says how many connections this process has.
    """

    def __init__(
        self,
        listener: socket.socket,
        make: Callable[[], asyncio.Protocol],
        count: Callable[[], int],
    ) -> None:
        self._listener = listener
        self._make = make
        self._count = count
        self._loop = asyncio.get_running_loop()
        self._connecting: set[asyncio.Task[None]] = set()
        self._closed = False
        self._open()

    def close(self) -> None:
        """Accept no more."""
        if not self._closed:
            self._closed = True
            self._loop.remove_reader(self._listener)
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
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        start_in(self._connecting, self._connect(connection), "accept a connection")

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener)
        self._loop.call_later(seconds, self._open)

    async def _connect(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make, connection)
        except OSError as error:
            log.warning("a connection broke as it was accepted: %s", error)
