"""Makes the attempts of batches in the background, and reports each by a callback."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TypeAlias

from hooktide.domain.errors import UnavailableError
from hooktide.domain.model import SECOND, Claim, Micros
from hooktide.engine.deliver import Deliverer
from hooktide.engine.scheduling.lanes import Batch, NotSent
from hooktide.runtime.background import start_in
from hooktide.store.base import Done
from hooktide.store.contract import Store

UNAVAILABLE_DELAY: Micros = SECOND
"""How long a delivery waits if the database was away when it was read; it is sent once the database
is back."""

log = logging.getLogger("hooktide.engine")

Finished: TypeAlias = Callable[[Batch, Done | NotSent | None], None]
"""Called on the event loop when a batch has ended; see ``Scheduler.finished``."""


class Attempts:
    """Runs attempts, each in its own task."""

    def __init__(
        self, store: Store, deliverer: Deliverer, clock: Callable[[], Micros], finished: Finished
    ) -> None:
        self._store = store
        self._deliverer = deliverer
        self._clock = clock
        self._finished = finished
        self._tasks: set[asyncio.Task[None]] = set()
        self._cut_off: list[Claim] = []

    def start(self, batch: Batch) -> None:
        """Make the attempts of a batch; ``finished`` is called once, later."""
        start_in(self._tasks, self._run(batch), "deliver")

    async def _run(self, batch: Batch) -> None:
        claims = batch.claims
        result: Done | NotSent | None = None
        try:
            if batch.kind.max_batch == 1:
                made = await self._deliverer.attempt(claims[0])
            else:
                several = await self._deliverer.attempt_batch(claims)
                made = several if isinstance(several, NotSent) else several[0]
            if made is NotSent.RELEASED:
                await self._store.release_claims(claims, self._clock())
            result = made
        except asyncio.CancelledError:
            self._cut_off += claims
        except UnavailableError:
            for claim in claims:
                self._deliverer.give_up(claim, UNAVAILABLE_DELAY)
        except Exception:
            ids = ", ".join(f"{claim.delivery_id:016x}" for claim in claims)
            log.exception("a bug stopped delivery %s", ids)
            for claim in claims:
                self._deliverer.give_up(claim)
        finally:
            self._finished(batch, result)

    def release(self, claims: Sequence[Claim]) -> None:
        """Release claims in the background."""
        start_in(self._tasks, self._release(claims), "release overdue claims")

    async def _release(self, claims: Sequence[Claim]) -> None:
        try:
            await self._store.release_claims(claims, self._clock())
        except UnavailableError as error:
            log.warning("could not release claims, which wait for their lease's end: %s", error)

    async def stop(self, timeout: float) -> None:
        """Wait for attempts in flight; after ``timeout`` seconds cancel and release them."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        cut_off, self._cut_off = self._cut_off, []
        if cut_off:
            await self._store.release_claims(cut_off, self._clock())
