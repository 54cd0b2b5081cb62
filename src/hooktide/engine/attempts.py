"""Makes the attempts of batches in background tasks, and reports each by a callback."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

from hooktide.domain.delivery.verdict import Outcome
from hooktide.domain.errors import UnavailableError
from hooktide.domain.model import SECOND, Claim, Micros
from hooktide.engine.deliver import Deliverer, Request
from hooktide.engine.scheduling.lanes import Batch, NotSent, Paced
from hooktide.runtime.background import start_in
from hooktide.store.base import AttemptRecord
from hooktide.store.contract import Store

UNAVAILABLE_DELAY: Micros = SECOND
"""How long a delivery waits if the database was unavailable when it was read; it is sent once the
database is back."""

log = logging.getLogger("hooktide.engine")

Finished: TypeAlias = Callable[[Batch, AttemptRecord | NotSent | Paced | None], None]
"""Called on the event loop when a batch has ended; see ``Scheduler.finished``."""


class Attempts:
    """Runs attempts: without a task if the request can be sent immediately, otherwise each in its
    own."""

    def __init__(
        self, store: Store, deliverer: Deliverer, clock: Callable[[], Micros], finished: Finished
    ) -> None:
        self._store = store
        self._deliverer = deliverer
        self._clock = clock
        self._finished = finished
        self._tasks: set[asyncio.Task[None]] = set()
        self._flights: dict[_Flight, None] = {}
        self._landed: asyncio.Future[None] | None = None
        self._cut_off: list[Claim] = []

    def start(self, batch: Batch) -> None:
        """Make the attempts of a batch; ``finished`` is called once, later."""
        request = self._prepare(batch)
        if request is not None:
            flight = _Flight(batch, request)
            cancel = self._deliverer.send_now(request, partial(self._answered, flight))
            if cancel is not None:
                flight.cancel = cancel
                self._flights[flight] = None
                return
        start_in(self._tasks, self._run(batch), "deliver")

    def _prepare(self, batch: Batch) -> Request | None:
        if batch.kind.max_batch > 1:
            return None
        try:
            return self._deliverer.prepare(batch.claims[0], batch.rates)
        except Exception:  # noqa: BLE001 - the task meets it again, and says what it was
            return None

    def _answered(self, flight: "_Flight", outcome: Outcome) -> None:
        self._flights.pop(flight, None)
        result: AttemptRecord | None = None
        try:
            try:
                result = self._deliverer.conclude(flight.request, outcome)
            except Exception as error:  # noqa: BLE001 - as at the end of a task
                self._give_up(flight.batch.claims, error)
            finally:
                self._finished(flight.batch, result)
        except Exception:
            log.exception("a bug stopped what follows an attempt")
        if self._landed is not None and not self._flights and not self._landed.done():
            self._landed.set_result(None)

    async def _run(self, batch: Batch) -> None:
        claims, rates = batch.claims, batch.rates
        result: AttemptRecord | NotSent | Paced | None = None
        try:
            if batch.kind.max_batch == 1:
                made = await self._deliverer.attempt(claims[0], rates)
            else:
                several = await self._deliverer.attempt_batch(claims, rates)
                made = several[0] if isinstance(several, list) else several
            if made is NotSent.RELEASED:
                await self._store.release_claims(claims, self._clock())
            result = made
        except asyncio.CancelledError:
            self._cut_off += claims
        except Exception as error:  # noqa: BLE001 - the end of a task
            self._give_up(claims, error)
        finally:
            self._finished(batch, result)

    def _give_up(self, claims: Sequence[Claim], error: Exception) -> None:
        """Requeue deliveries that an error has stopped."""
        if isinstance(error, UnavailableError):
            for claim in claims:
                self._deliverer.give_up(claim, UNAVAILABLE_DELAY)
            return
        ids = ", ".join(f"{claim.delivery_id:016x}" for claim in claims)
        log.error("a bug stopped delivery %s", ids, exc_info=error)
        for claim in claims:
            self._deliverer.give_up(claim)

    def release(self, claims: Sequence[Claim]) -> None:
        """Release claims in the background."""
        start_in(self._tasks, self._release(claims), "release overdue claims")

    async def _release(self, claims: Sequence[Claim]) -> None:
        try:
            await self._store.release_claims(claims, self._clock())
        except UnavailableError as error:
            log.warning(
                "could not release claims; they are released when their leases end: %s", error
            )

    async def stop(self, timeout: float) -> None:
        """Wait for attempts in flight; after ``timeout`` seconds cancel and release them."""
        waiting: set[asyncio.Future[None]] = {*self._tasks}
        if self._flights:
            self._landed = asyncio.get_running_loop().create_future()
            waiting.add(self._landed)
        if waiting:
            await asyncio.wait(waiting, timeout=timeout)
        self._cancel_flights()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        cut_off, self._cut_off = self._cut_off, []
        if cut_off:
            await self._store.release_claims(cut_off, self._clock())

    def _cancel_flights(self) -> None:
        flights, self._flights = self._flights, {}
        for flight in flights:
            flight.cancel()
            self._cut_off += flight.batch.claims
            self._finished(flight.batch, None)


class _Flight:
    """A request in flight without a task."""

    __slots__ = ("batch", "cancel", "request")

    cancel: Callable[[], None]

    def __init__(self, batch: Batch, request: Request) -> None:
        self.batch = batch
        self.request = request
