"""Queue counts for the pages: exact counts, and the oldest as of at most two seconds ago."""

import asyncio
from dataclasses import dataclass

from hooktide.domain.model import Scope
from hooktide.domain.stats import Backlog, Oldest
from hooktide.runtime.background import start
from hooktide.store.contract import Store

OLDEST_FOR = 2.0
"""Seconds for which the oldest is cached: finding it visits every endpoint with a backlog."""
NOTHING = Oldest(None, None)


@dataclass(frozen=True, slots=True)
class Waiting:
    """The waiting deliveries, and the oldest of them."""

    backlog: Backlog
    oldest: Oldest


class QueueCounts:
    """Counts the waiting deliveries, in all projects, in one, or for one account."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._oldest: dict[Scope, tuple[float, asyncio.Task[Oldest]]] = {}

    async def waiting(self, scope: Scope, largest: int = 0) -> Waiting:
        """Count the waiting deliveries, and find the ``largest`` backlogs by endpoint.

        :raises UnavailableError: the database did not answer.
        """
        backlog = await self._store.backlog(scope, largest=largest)
        return Waiting(backlog, await self._oldest_of(scope) if backlog.waiting else NOTHING)

    async def _oldest_of(self, scope: Scope) -> Oldest:
        """Find the oldest, once for all concurrent callers."""
        now = asyncio.get_running_loop().time()
        self._oldest = {
            each: (until, task)
            for each, (until, task) in self._oldest.items()
            if until > now or not task.done()
        }
        if scope not in self._oldest:
            task = start(self._store.oldest_waiting(scope), "look for what waits longest")
            self._oldest[scope] = now + OLDEST_FOR, task
        return await asyncio.shield(self._oldest[scope][1])
