"""A door that several processes share: each takes its share of the connections.

uvloop takes all that wait, so of a client's pool, opened at once, one process would get most, and
keep them for as long as they live. Here each takes one at a time and then rests for a moment,
longer the more it has: who has fewer comes first.
"""

import asyncio
import logging
import socket
from collections.abc import Callable

log = logging.getLogger("hooktide.web")

REST_PER_CONNECTION = 0.000_05
LONGEST_REST = 0.003
"""Seconds. All doors together take a few hundred connections a second at least."""
NO_ROOM_FOR = 0.5
"""Seconds until we look again after there was no room for another connection (no descriptors)."""


class SharedDoor:
    """Takes connections from ``listener``, and gives each to a protocol that ``make`` makes.

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
        self._taking: set[asyncio.Task[object]] = set()
        self._closed = False
        self._open()

    def close(self) -> None:
        """Take no more."""
        if not self._closed:
            self._closed = True
            self._loop.remove_reader(self._listener)

    def _open(self) -> None:
        if not self._closed:
            self._loop.add_reader(self._listener, self._take)

    def _take(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another process was faster, or the client went away
        except OSError as error:
            log.warning("cannot take a connection: %s", error.strerror)
            self._rest(NO_ROOM_FOR)
            return
        self._rest(min(self._count() * REST_PER_CONNECTION, LONGEST_REST))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = self._loop.create_task(self._loop.connect_accepted_socket(self._make, connection))
        self._taking.add(task)
        task.add_done_callback(self._taken)

    def _rest(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener)
        self._loop.call_later(seconds, self._open)

    def _taken(self, task: asyncio.Task[object]) -> None:
        self._taking.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.warning("a connection broke as it was taken: %s", task.exception())
