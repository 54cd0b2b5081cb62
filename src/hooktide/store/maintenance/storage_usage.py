"""Counting storage usage takes long, so concurrent callers share one count."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from typing import Any

from hooktide.domain.errors import HooktideError
from hooktide.runtime.background import start
from hooktide.store.base import ProjectUsage


class Counting:
    """Counts by ``count``, one at a time."""

    def __init__(self, count: Callable[[], Coroutine[Any, Any, Sequence[ProjectUsage]]]) -> None:
        self._count = count
        self._running: asyncio.Task[Sequence[ProjectUsage]] | None = None

    async def result(self) -> Sequence[ProjectUsage]:
        """Count, or wait for the count that runs.

        :raises UnavailableError: the database did not answer.
        """
        if self._running is None or self._running.done():
            self._running = start(self._count(), "count what is kept")
        return await asyncio.shield(self._running)

    async def close(self) -> None:
        """Cancel the running count."""
        if self._running is not None:
            self._running.cancel()
            with suppress(HooktideError, asyncio.CancelledError):
                await self._running


def read_storage_usage(rows: Iterable[Any]) -> list[ProjectUsage]:
    """Read the rows of ``storage_usage``."""
    return [
        ProjectUsage(
            project_id=row[0],
            name=row[1],
            events=row[2],
            deliveries=row[3],
            attempts=row[4],
            payload_bytes=row[5],
            oldest_at=row[6],
        )
        for row in rows
    ]
