"""Reads from the store what the scheduler asks for (``engine.scheduling.polling``)."""

import asyncio
import logging
from collections.abc import Callable, Mapping

from hooktide.domain.errors import UnavailableError
from hooktide.domain.model import SECOND, Micros
from hooktide.engine.scheduling.polling import ClaimDue, Now, Query, ReadRests
from hooktide.engine.scheduling.scheduler import Scheduler
from hooktide.runtime.background import cancel, keep
from hooktide.store.base import LEASE
from hooktide.store.contract import Store

POLL_RETRY_DELAY = 1.0
CLAIM_TIMEOUT = 2.0
"""Seconds to wait for a claim in progress when the poller stops."""

log = logging.getLogger("hooktide.engine")


class Poller:
    """Runs the scheduler's queries one after the other, and waits until there is one.

    ``now`` reads the clocks. ``answered`` is called after each result, when the scheduler may have
    something to start.
    """

    def __init__(
        self,
        store: Store,
        scheduler: Scheduler,
        now: Callable[[], Now],
        answered: Callable[[], None],
    ) -> None:
        self._store = store
        self._scheduler = scheduler
        self._now = now
        self._answered = answered
        self._stopping = False
        self._running: asyncio.Task[None] | None = None
        self.wake = asyncio.Event()
        """Set to wake the poller at once."""

    def start(self) -> None:
        """Start polling."""
        self._running = keep(self._run, "claim what is due", retry_delay=POLL_RETRY_DELAY)

    async def stop(self) -> None:
        """Wait for a claim in progress: its deliveries would otherwise wait until the lease
        ends."""
        self._stopping = True
        self.wake.set()
        if self._running is not None:
            await asyncio.wait({self._running}, timeout=CLAIM_TIMEOUT)
            await cancel(self._running)

    async def _run(self) -> None:
        while not self._stopping:
            try:
                while await self.ask():
                    pass
            except UnavailableError as error:
                log.warning("could not claim: %s", error)
                await asyncio.sleep(POLL_RETRY_DELAY)
            except Exception:
                log.exception("could not claim; trying again")
                await asyncio.sleep(POLL_RETRY_DELAY)
            await self._until_wanted()

    async def ask(self) -> bool:
        """Run one query for the scheduler; return whether there was one.

        :raises UnavailableError: the database did not answer; the query is repeated later.
        """
        query = None if self._stopping else self._scheduler.query(self._now())
        if query is not None:
            try:
                await self._read(query)
            except BaseException:
                self._scheduler.polling.failed(query)
                raise
        self._answered()
        return query is not None

    async def _read(self, query: Query) -> None:
        scheduler, store, clock = self._scheduler, self._store, self._now().clock
        if isinstance(query, ClaimDue):
            claims = await store.claim_due(query.endpoint_ids, clock, LEASE, query.each)
            scheduler.claimed(query, claims)
        elif isinstance(query, ReadRests):
            scheduler.rests_read(query, await self._resting(query, clock))
        else:
            due_times = await store.due_heads()
            scheduler.polling.due_times_read(due_times, self._now())

    async def _resting(self, query: ReadRests, clock: Micros) -> Mapping[int, Micros]:
        ids = query.endpoint_ids
        # Read first: a rest that is recorded in between is in the result of the query.
        unrecorded = self._store.unrecorded_rests()
        ends = dict(await self._store.resting(clock, None if ids is None else sorted(ids)))
        for endpoint_id, until in unrecorded.items():
            if until > clock and (ids is None or endpoint_id in ids):
                ends[endpoint_id] = max(until, ends.get(endpoint_id, 0))
        return ends

    async def _until_wanted(self) -> None:
        self.wake.clear()
        wait = self._scheduler.polling.wait(self._now())
        if self._stopping:
            return
        if wait <= 0:
            await asyncio.sleep(0)
            return
        timer = asyncio.get_running_loop().call_later(wait / SECOND, self.wake.set)
        try:
            await self.wake.wait()
        finally:
            timer.cancel()
