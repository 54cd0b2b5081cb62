"""Batches the socket writes of one turn of the event loop.

Each write to a sleeping process wakes it, and waking it is the most expensive part of a small
write. Spread over a turn of the event loop, sixty responses wake the client sixty times; written
back to back, they wake it once (docs/decisions/0006-writes-together.md has the numbers).
"""

import asyncio
import logging
from collections.abc import Callable

log = logging.getLogger("hooktide")


class WriteCoalescer:
    """Collects the writes of many connections and makes them at the end of the loop's turn."""

    def __init__(self) -> None:
        self._writes: list[Callable[[], None]] = []

    def add(self, write: Callable[[], None]) -> None:
        """Call ``write`` with the others of this turn.

        An exception is logged and does not affect the others, which belong to other clients.
        """
        if not self._writes:
            asyncio.get_running_loop().call_soon(self._flush)
        self._writes.append(write)

    def _flush(self) -> None:
        writes, self._writes = self._writes, []
        for write in writes:
            try:
                write()
            except Exception as error:  # noqa: BLE001 - a connection's trouble is its own
                log.warning("a write to a socket failed: %s", error)
