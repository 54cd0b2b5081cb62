"""Storage usage of each project for the pages, cached: counting takes long."""

import asyncio
from collections.abc import Sequence

from hooktide.domain.model import MINUTE, Micros
from hooktide.runtime.background import start
from hooktide.store.base import ProjectUsage
from hooktide.store.contract import Store

PAGE_TIMEOUT = 2.0
"""Seconds that a page waits for the count, which may take minutes."""
MAX_AGE: Micros = MINUTE


class StorageUsage:
    """The last count of storage usage; a new one runs while pages show it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._count: asyncio.Task[Sequence[ProjectUsage]] | None = None
        self._last: tuple[Micros, Sequence[ProjectUsage]] | None = None

    async def get(self, now: Micros) -> tuple[Micros, Sequence[ProjectUsage]] | None:
        """Return the time and result of the last count; ``None`` while the first one runs.

        :raises UnavailableError: the database did not answer.
        """
        if self._last is None or now - self._last[0] > MAX_AGE:
            if self._count is None:
                self._count = start(self._store.storage_usage(), "count what is kept")
            count = self._count
            done, _ = await asyncio.wait({count}, timeout=PAGE_TIMEOUT)
            if done:
                if self._count is count:  # not the error of another page that waited, too
                    self._count = None
                self._last = (now, count.result())
        return self._last
