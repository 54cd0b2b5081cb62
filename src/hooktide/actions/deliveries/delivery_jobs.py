"""Jobs on deliveries: send again, retry now or stop everything that matches a filter.

What matched when the job was requested is collected first, in the background, newest first. A
delivery that ended since then is left out of what is sent again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import msgspec

from hooktide.actions.deliveries.delivery_log import DeliveryFilter, DeliveryLog
from hooktide.domain.audit_log import Actor
from hooktide.domain.ids import made_at
from hooktide.domain.model import (
    CANCELLED_BY_HAND,
    SECOND,
    Delivery,
    DeliveryJob,
    DeliveryState,
    JobAct,
    Micros,
    Scope,
)
from hooktide.runtime.clock import monotonic
from hooktide.store.base import JobItem
from hooktide.store.contract import Store
from hooktide.store.writing.batch import run_apart

MAX_COUNTED = 100_000
COUNT_TIMEOUT: Micros = 2 * SECOND
"""Maximum deliveries that a count finds, and for how long; beyond that it is "at least"."""

PARTS: dict[JobAct, Sequence[DeliveryState | None]] = {
    JobAct.RESEND: (None,),
    JobAct.RETRY: (DeliveryState.PENDING,),
    JobAct.STOP: (DeliveryState.HELD, DeliveryState.PENDING),
}
"""The states that the log is looked through for, one after the other; None: all at once. What is
held may become pending meanwhile, so it is looked for first."""


@dataclass(frozen=True, slots=True)
class JobCount:
    """How many deliveries a job would act on; ``at_least``: not everything was looked through."""

    deliveries: int
    at_least: bool = False


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some of what is collected, and where the next piece begins.

    ``before`` is the id below which it does; None: at the newest. There is none if ``part`` is the
    number of ``PARTS``.
    """

    items: Sequence[JobItem]
    part: int
    before: int | None


class DeliveryJobs:
    """Counts, starts, collects and cancels jobs within a scope."""

    def __init__(self, store: Store, log: DeliveryLog, clock: Callable[[], Micros]) -> None:
        self._store = store
        self._log = log
        self._clock = clock

    async def count(self, scope: Scope, act: JobAct, wanted: DeliveryFilter) -> JobCount:
        """Count what a job would act on, within bounded time."""
        now, began = self._clock(), monotonic()
        found, piece = set[JobItem](), _Piece([], 0, None)
        while piece.part < len(PARTS[act]):
            if len(found) >= MAX_COUNTED or monotonic() - began >= COUNT_TIMEOUT:
                return JobCount(len(found), at_least=True)
            piece = await self._piece(scope, act, wanted, piece.part, piece.before, now)
            found.update(piece.items)
        return JobCount(len(found))

    async def start(
        self, actor: Actor, scope: Scope, act: JobAct, wanted: DeliveryFilter
    ) -> DeliveryJob:
        """Start a job on what matches now; it goes on in the background.

        :raises RefusedError: another job of the same scope is running.
        """
        counted = await self.count(scope, act, wanted)
        return await self._store.create_delivery_job(
            scope,
            act,
            msgspec.json.encode(wanted).decode(),
            (counted.deliveries, counted.at_least),
            self._clock(),
            actor.does("delivery_job.start"),
        )

    async def cancel(self, actor: Actor, scope: Scope, job_id: int) -> DeliveryJob:
        """Cancel a job; one that has ended is left as it is."""
        return await self._store.cancel_delivery_job(
            scope, job_id, CANCELLED_BY_HAND, self._clock(), actor.does("delivery_job.cancel")
        )

    async def collect(self) -> int:
        """Collect more for each job that does so; return how many of them are not done with it."""
        jobs = await self._store.collecting_jobs()
        whole = await run_apart(jobs, self._collect, "collect for job")
        return whole.count(False)

    async def _collect(self, job: DeliveryJob) -> bool:
        """Collect the next piece; return whether everything is collected."""
        scope = Scope(project_id=job.project_id, account_id=job.account_id)
        wanted, asked_at = filter_of(job), made_at(job.id)
        piece = await self._piece(scope, job.act, wanted, job.part, job.looked_to, asked_at)
        before = job.id if piece.before is None else piece.before
        whole = piece.part == len(PARTS[job.act])
        await self._store.collect(job, piece.items, piece.part, before, whole=whole)
        return whole

    async def _piece(
        self,
        scope: Scope,
        act: JobAct,
        wanted: DeliveryFilter,
        part: int,
        before: int | None,
        asked_at: Micros,
    ) -> _Piece:
        state = PARTS[act][part]
        if state is not None and wanted.state not in (None, state):
            return _Piece([], part + 1, None)
        narrowed = wanted if state is None else replace(wanted, state=state)
        found, before = await self._log.select(scope, narrowed, before)
        items = [_item(act, each) for each in found if _is_meant(act, each, asked_at)]
        return _Piece(items, part + 1 if before is None else part, before)


def filter_of(job: DeliveryJob) -> DeliveryFilter:
    """Return a job's filter."""
    return msgspec.json.decode(job.filter, type=DeliveryFilter)


def _is_meant(act: JobAct, delivery: Delivery, asked_at: Micros) -> bool:
    if not act.applies_to(delivery):
        return False
    return delivery.ended_at is None or delivery.ended_at <= asked_at


def _item(act: JobAct, delivery: Delivery) -> JobItem:
    """Return what a job collects of a delivery: an event is sent to an endpoint again once."""
    subject = delivery.event_id if act is JobAct.RESEND else delivery.id
    return JobItem(delivery.endpoint_id, subject)
