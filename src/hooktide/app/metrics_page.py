"""The page that Prometheus scrapes: counters, and the queues in the database and in memory."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from hooktide.domain.errors import UnavailableError
from hooktide.domain.model import SECOND, Micros
from hooktide.runtime.background import start
from hooktide.runtime.metrics import Metrics, MetricsSnapshot
from hooktide.store.contract import Store

COUNT_INTERVAL = 2.0
COUNT_TIMEOUT = 1.0
"""Minimum seconds between two counts of the queue, and how long a request waits for one."""

AddUp: TypeAlias = Callable[[MetricsSnapshot], Awaitable[MetricsSnapshot]]
"""Adds the metrics of the other processes behind the same address to a process's own."""


async def alone(own: MetricsSnapshot) -> MetricsSnapshot:
    """Add nothing: there are no others."""
    return own


class MetricsPage:
    """Renders the page; the queue is counted on request."""

    def __init__(
        self, store: Store, clock: Callable[[], Micros], metrics: Metrics, add_up: AddUp
    ) -> None:
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._add_up = add_up
        self._counting: asyncio.Task[None] | None = None
        self._count_at = 0.0

    async def page(self) -> bytes:
        """Return the page.

        :raises UnavailableError: the other processes did not answer.
        """
        await self._counted()
        return self._metrics.page(await self._add_up(self._metrics.snapshot()))

    def stop(self) -> None:
        """Stop counting."""
        if self._counting is not None:
            self._counting.cancel()

    async def _counted(self) -> None:
        """Count the queue, unless that was just done; a slow count continues in the background.

        It looks at each endpoint with a backlog, so it is done for who asks, and rests for longer
        than it took.
        """
        loop = asyncio.get_running_loop()
        if self._counting is None or (self._counting.done() and loop.time() >= self._count_at):
            self._counting = start(self._count(), "count what waits")
        await asyncio.wait({self._counting}, timeout=COUNT_TIMEOUT)

    async def _count(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        metrics = self._metrics
        try:
            counts = await self._store.counts()
        except UnavailableError:
            metrics.pending.now = metrics.held.now = metrics.oldest_due.now = None
            metrics.refused_emitted.now = None
        else:
            oldest = counts.oldest_due_at
            late = 0.0 if oldest is None else (self._clock() - oldest) / SECOND
            metrics.pending.now, metrics.held.now = counts.pending, counts.held
            metrics.oldest_due.now = max(0.0, late)
            metrics.refused_emitted.now = counts.refused_emitted
        self._count_at = loop.time() + max(COUNT_INTERVAL, 10 * (loop.time() - began))
