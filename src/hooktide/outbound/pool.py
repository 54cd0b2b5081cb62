"""Keeps the open connections: idle ones for later requests, and the deadlines of all of them.

One timer serves all: every ``SWEEP`` seconds each connection past its deadline is closed, whether
it carries an attempt or is idle. A timer per request would cost more than the request.
"""

import asyncio
import logging
import select
import time

from hooktide.outbound.connection import Connection, Key
from hooktide.runtime.write_coalescer import WriteCoalescer

SWEEP = 0.1

log = logging.getLogger("hooktide.outbound")


class Pool:
    """Keeps idle connections by key, the last used first, at most ``idle_seconds`` each."""

    def __init__(self, *, max_idle: int, max_idle_per_key: int, idle_seconds: float) -> None:
        self._max_idle = max_idle
        self._max_idle_per_key = max_idle_per_key
        self._idle_seconds = idle_seconds
        self.coalescer = WriteCoalescer()
        self._open: set[Connection] = set()
        self._idle: dict[Key, list[Connection]] = {}
        self._idle_count = 0
        self._taken: list[Connection] = []
        self._timer: asyncio.TimerHandle | None = None

    def take(self, keys: tuple[Key, ...]) -> Connection | None:
        """Return an idle connection to one of these, for a request that begins immediately.

        It is closed before the request is written if it has received anything since its last use.
        """
        for key in keys:
            idle = self._idle.get(key)
            while idle:
                connection = idle.pop()
                self._idle_count -= 1
                if connection.closed:
                    continue
                if not self._taken:
                    self.coalescer.add(self._close_readable)
                self._taken.append(connection)
                return connection
        return None

    def _close_readable(self) -> None:
        """Close connections with something to read: end of file, or an unsolicited response.

        The kernel is asked, since the loop may not have read it yet; once for all requests of this
        turn, since each call lets other threads take the interpreter's lock.
        """
        taken, self._taken = self._taken, []
        connections = {each.fileno: each for each in taken if not each.closed}
        poll = select.poll()
        for fileno in connections:
            poll.register(fileno, select.POLLIN)
        for fileno, _ in poll.poll(0):
            connections[fileno].close()

    def add(self, key: Key) -> Connection:
        """Create a connection that is not connected yet."""
        connection = Connection(key, self)
        self._open.add(connection)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SWEEP, self._sweep)
        return connection

    def release(self, connection: Connection) -> None:
        """Keep a connection for later requests, or close it if enough are idle."""
        idle = self._idle.setdefault(connection.key, [])
        if self._idle_count >= self._max_idle or len(idle) >= self._max_idle_per_key:
            connection.abort()
            return
        connection.deadline = time.monotonic() + self._idle_seconds
        idle.append(connection)
        self._idle_count += 1

    def forget(self, connection: Connection) -> None:
        """Drop a connection that is closed."""
        self._open.discard(connection)
        idle = self._idle.get(connection.key, [])
        if connection in idle:
            idle.remove(connection)
            self._idle_count -= 1

    def drop_idle(self, address: str | None = None) -> None:
        """Close idle connections: those to an address without a route, or all."""
        for key in [key for key in self._idle if address is None or key[3] == address]:
            idle = self._idle.pop(key)
            self._idle_count -= len(idle)
            for connection in idle:
                connection.abort()

    def close(self) -> None:
        """Close every connection."""
        self.drop_idle()
        for connection in list(self._open):
            connection.give_up()
        self._open.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sweep(self) -> None:
        now = time.monotonic()
        for connection in [each for each in self._open if each.deadline <= now]:
            if connection.deadline <= now:  # closing another one may have started a request on it
                try:
                    connection.expire()
                except Exception:  # every other request depends on the sweep too
                    log.exception("a bug stopped what follows a timeout")
        for key in [key for key, idle in self._idle.items() if not idle]:
            del self._idle[key]
        self._timer = None
        if self._open:
            self._timer = asyncio.get_running_loop().call_later(SWEEP, self._sweep)
