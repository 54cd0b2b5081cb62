"""Queue counts for the pages, no more often than is cheap.

The queue may be long, so after a count there is a pause of ten times as long as it took; meanwhile
callers get the last count.
"""

import asyncio
from dataclasses import dataclass

from hooktide.domain.model import DeliveryState, Micros, Scope
from hooktide.runtime.background import start
from hooktide.store.base import Counts
from hooktide.store.contract import Store

MIN_REST = 2.0
LOOKED_AT = 200


@dataclass(frozen=True, slots=True)
class Waiting:
    """The waiting deliveries. ``more``: there are more than were counted (``LOOKED_AT``)."""

    pending: int
    held: int
    retries: int
    more_pending: bool
    more_held: bool
    more_retries: bool
    oldest_due_at: Micros | None


class QueueCounts:
    """Counts the waiting deliveries, in all projects or in one."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._count: asyncio.Task[Counts] | None = None
        self._again_at = 0.0

    async def waiting(self, scope: Scope) -> Waiting:
        """Count the waiting deliveries; those of one project, and retries, only up to a limit.

        :raises UnavailableError: the database did not answer.
        """
        page = await self._store.list_deliveries(
            scope, None, LOOKED_AT, state=DeliveryState.PENDING
        )
        more = page.next_before is not None
        retries = sum(1 for each in page.items if each.attempts)
        if scope.project_id is None:
            counts = await self._counts()
            return Waiting(
                counts.pending, counts.held, retries, False, False, more, counts.oldest_due_at
            )
        held = await self._store.list_deliveries(scope, None, LOOKED_AT, state=DeliveryState.HELD)
        due = [each.due_at for each in page.items if each.due_at is not None]
        return Waiting(
            len(page.items),
            len(held.items),
            retries,
            more,
            held.next_before is not None,
            more,
            min(due, default=None),
        )

    async def _counts(self) -> Counts:
        loop = asyncio.get_running_loop()
        done = self._count is not None and self._count.done()
        if self._count is None or (done and loop.time() >= self._again_at):
            self._count = start(self._counted(), "count what waits")
        return await asyncio.shield(self._count)

    async def _counted(self) -> Counts:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            return await self._store.counts()
        finally:
            self._again_at = loop.time() + max(MIN_REST, 10 * (loop.time() - began))
