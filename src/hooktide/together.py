"""Writes to many sockets, made one right after the other.

Each write to a process that sleeps wakes it, and waking is the dearest part of a small write.
Spread over a turn of the event loop, sixty answers wake the client sixty times; written together
they find it awake after the first (docs/decisions/0006-writes-together.md has the numbers).
"""

import asyncio
from collections.abc import Callable


class Together:
    """Collects writes during a turn of the event loop and makes them at its end."""

    def __init__(self) -> None:
        self._flushes: list[Callable[[], None]] = []

    def add(self, flush: Callable[[], None]) -> None:
        """Call ``flush``, which writes, with the others of this turn."""
        if not self._flushes:
            asyncio.get_running_loop().call_soon(self._flush)
        self._flushes.append(flush)

    def _flush(self) -> None:
        flushes, self._flushes = self._flushes, []
        for flush in flushes:
            flush()
