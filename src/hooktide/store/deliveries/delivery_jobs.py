"""Jobs on deliveries: one thing is done with every delivery that matched a filter.

A job first collects its deliveries (``actions.deliveries.delivery_jobs``), which is its snapshot,
then works through them. A transaction takes a batch of what is left for one endpoint, acts and
removes the batch from what is left: each delivery once, even if a process dies. It locks in the
same order as all others: account, endpoint, job.
"""

from collections.abc import Sequence

from hooktide.domain.audit_log import Action, snapshot
from hooktide.domain.errors import NotFoundError
from hooktide.domain.model import (
    STOPPED_BY_HAND,
    DeliveryJob,
    JobAct,
    JobState,
    Micros,
    Origin,
    Scope,
)
from hooktide.store import refusals
from hooktide.store.base import JobItem, Page
from hooktide.store.configuration.endpoints import read_endpoint
from hooktide.store.deliveries.early import hurry, stop
from hooktide.store.deliveries.sending_again import has_enough, is_busy, make_again
from hooktide.store.journal.audit_log import record_change
from hooktide.store.rows import Row
from hooktide.store.sql.lists import conditions, in_scope, newest
from hooktide.store.sql.repository import Repository, maintains, reads, surveys, writes
from hooktide.store.sql.transaction import Transaction
from hooktide.store.writing.batch import run_apart

ENDPOINTS = 50
"""Maximum endpoints that a job serves in one turn; the others are next."""
DROPPED = 1000
"""How many of a cancelled job's collected deliveries are dropped at once."""


class DeliveryJobs(Repository):
    """The store's methods for jobs on deliveries."""

    @writes
    async def create_delivery_job(
        self,
        tx: Transaction,
        scope: Scope,
        act: JobAct,
        filter_: str,
        counted: tuple[int, bool],
        now: Micros,
        action: Action | None = None,
    ) -> DeliveryJob:
        """Start a job; ``filter_`` is JSON, ``counted`` how many deliveries match, or more if so.

        :raises RefusedError: another job of the same scope is running.
        """
        id_ = tx.ids(now)
        values = {
            "id": id_,
            "project_id": scope.project_id,
            "account_id": scope.account_id,
            "act": act.value,
            "filter": filter_,
            "counted": counted[0],
            "at_least": int(counted[1]),
        }
        if not await tx.rows("create_delivery_job", values):
            raise refusals.job_running(await _active(tx, scope))
        made = await _read(tx, Scope(), id_)
        await record_change(tx, action, None, snapshot(made), now)
        return made

    @reads
    async def get_delivery_job(self, tx: Transaction, scope: Scope, job_id: int) -> DeliveryJob:
        """Find a job. One of a wider scope is not found."""
        return await _read(tx, scope, job_id)

    @reads
    async def list_delivery_jobs(
        self, tx: Transaction, scope: Scope, before: int | None, limit: int
    ) -> Page:
        """Return the jobs of a scope, newest first."""
        wanted = [("id < :before", "before", before), *in_scope(scope)]
        return await newest(tx, "delivery_jobs", wanted, limit, _job)

    @writes
    async def cancel_delivery_job(
        self,
        tx: Transaction,
        scope: Scope,
        job_id: int,
        reason: str,
        now: Micros,
        action: Action | None = None,
    ) -> DeliveryJob:
        """Cancel a job; what it has done stays. One that has ended is left as it is."""
        found = await _read(tx, scope, job_id)
        await tx.run("cancel_delivery_job", {"id": found.id, "reason": reason, "now": now})
        new = await _read(tx, Scope(), found.id)
        await record_change(tx, action, snapshot(found), snapshot(new), now)
        return new

    @surveys
    async def collecting_jobs(self, tx: Transaction) -> Sequence[DeliveryJob]:
        """Return the jobs that collect their deliveries."""
        values = {"state": JobState.COLLECTING.value}
        found = await tx.rows("delivery_jobs", values, " WHERE state = :state ORDER BY id")
        return [_job(row) for row in found]

    @maintains
    async def collect(
        self,
        tx: Transaction,
        job: DeliveryJob,
        items: Sequence[JobItem],
        part: int,
        looked_to: int,
        *,
        whole: bool,
    ) -> bool:
        """Add to what a job has collected, and note how far it has looked.

        ``whole``: there is nothing more to collect. Returns whether the job was where it was read;
        if another process went on with it meanwhile, nothing is added.
        """
        fresh = await _unknown(tx, job, items)
        values = {
            "id": job.id,
            "part": part,
            "looked_to": looked_to,
            "found": len(fresh),
            "state": (JobState.RUNNING if whole else JobState.COLLECTING).value,
            "old_part": job.part,
            "old_looked_to": job.looked_to,
        }
        if not await tx.run("collected", values):
            return False
        await tx.many("add_job_items", [(job.id, each.endpoint_id, each.subject) for each in fresh])
        return True

    async def run_delivery_jobs(self, now: Micros, limit: int, due_limit: int) -> int:
        """Act on up to ``limit`` deliveries for each running job and endpoint; return how many.

        Acts and progress are stored in one transaction. Nothing is made due for an endpoint that
        has ``due_limit`` due deliveries, nor sent again while its account has held deliveries.
        """
        limits = (limit, due_limit)
        running, cancelled = await self._unfinished_jobs()
        acted = await run_apart(
            running, lambda job_id: self._turn(job_id, now, limits), "continue job"
        )
        dropped = await run_apart(cancelled, self._drop_items, "clear job")
        return sum(acted) + sum(dropped)

    @surveys
    async def _unfinished_jobs(self, tx: Transaction) -> tuple[Sequence[int], Sequence[int]]:
        values = {"state": JobState.RUNNING.value}
        running = await tx.rows("delivery_jobs", values, " WHERE state = :state ORDER BY id")
        cancelled = await tx.rows("cancelled_with_items")
        return [row[0] for row in running], [id_ for (id_,) in cancelled]

    async def _turn(self, job_id: int, now: Micros, limits: tuple[int, int]) -> int:
        """Go on with a job for its next endpoints; return how many deliveries were acted on."""
        endpoints = await self._next_endpoints(job_id)
        acted = await run_apart(
            endpoints,
            lambda endpoint_id: self._run_batch(job_id, endpoint_id, now, limits),
            f"continue job {job_id} for endpoint",
        )
        await self._turned(job_id, endpoints[-1] if len(endpoints) == ENDPOINTS else 0, now)
        return sum(acted)

    @surveys
    async def _next_endpoints(self, tx: Transaction, job_id: int) -> Sequence[int]:
        job = await _read(tx, Scope(), job_id)
        values = {"id": job_id, "turn": job.turn, "limit": ENDPOINTS}
        return [id_ for (id_,) in await tx.rows("job_endpoints", values)]

    @maintains
    async def _turned(self, tx: Transaction, job_id: int, turn: int, now: Micros) -> None:
        await tx.run("turn_delivery_job", {"id": job_id, "turn": turn})
        await tx.run("finish_delivery_job", {"id": job_id, "now": now})

    @maintains
    async def _drop_items(self, tx: Transaction, job_id: int) -> int:
        return await tx.run("drop_some_job_items", {"id": job_id, "limit": DROPPED})

    @maintains
    async def _run_batch(
        self, tx: Transaction, job_id: int, endpoint_id: int, now: Micros, limits: tuple[int, int]
    ) -> int:
        """Act on the next deliveries of a job to an endpoint; return how many there were."""
        job = await _read(tx, Scope(), job_id)
        match job.act:
            case JobAct.STOP:
                return await _stop(tx, job, endpoint_id, now, limits[0])
            case JobAct.RETRY:
                return await _retry(tx, job, endpoint_id, now, limits)
            case JobAct.RESEND:
                return await self._resend(tx, job, endpoint_id, now, limits)

    async def _resend(
        self,
        tx: Transaction,
        job: DeliveryJob,
        endpoint_id: int,
        now: Micros,
        limits: tuple[int, int],
    ) -> int:
        try:
            endpoint = await read_endpoint(tx, Scope(), endpoint_id, self._vault)
        except NotFoundError:
            return await _leave_out(tx, job, endpoint_id, limits[0])
        hour = await tx.writer.hour(tx, endpoint.account_id, now)
        if not await tx.rows("lock_enabled_endpoints", {"endpoints": [endpoint_id]}):
            return await _leave_out(tx, job, endpoint_id, limits[0])
        if await has_enough(tx, endpoint, hour[1], now, limits[1]):
            return 0
        events = await _items(tx, job, endpoint_id, limits[1])
        made = await make_again(tx, endpoint, events, job.id, hour, now, Origin.RESEND)
        return await _move(tx, job, endpoint_id, events, made)


async def _stop(
    tx: Transaction, job: DeliveryJob, endpoint_id: int, now: Micros, limit: int
) -> int:
    ids = await _items(tx, job, endpoint_id, limit)
    stopped = await stop(tx, ids, STOPPED_BY_HAND, now)
    return await _move(tx, job, endpoint_id, ids, stopped)


async def _retry(
    tx: Transaction, job: DeliveryJob, endpoint_id: int, now: Micros, limits: tuple[int, int]
) -> int:
    if not await tx.rows("lock_enabled_endpoints", {"endpoints": [endpoint_id]}):
        return await _leave_out(tx, job, endpoint_id, limits[0])
    if await is_busy(tx, endpoint_id, now, limits[1]):
        return 0
    ids = await _items(tx, job, endpoint_id, limits[1])
    waiting = [id_ for (id_,) in await tx.rows("unclaimed", {"ids": ids})]
    if waiting:
        await hurry(tx, waiting, [endpoint_id], now)
    return await _move(tx, job, endpoint_id, ids, len(waiting))


async def _items(tx: Transaction, job: DeliveryJob, endpoint_id: int, limit: int) -> list[int]:
    """Return the next deliveries that a job has left for an endpoint, and lock the job.

    None if another process has it, or it has ended.
    """
    if not await tx.rows("lock_delivery_job", {"id": job.id}):
        return []
    values = {"id": job.id, "endpoint_id": endpoint_id, "limit": limit}
    return [subject for (subject,) in await tx.rows("job_items", values)]


async def _leave_out(tx: Transaction, job: DeliveryJob, endpoint_id: int, limit: int) -> int:
    """Leave out the next deliveries to an endpoint that is disabled or deleted."""
    return await _move(tx, job, endpoint_id, await _items(tx, job, endpoint_id, limit), 0)


async def _move(
    tx: Transaction, job: DeliveryJob, endpoint_id: int, subjects: Sequence[int], done: int
) -> int:
    """Note that a job has acted on ``done`` of these, and left out the others."""
    if subjects:
        left_out = len(subjects) - done
        values = {"id": job.id, "endpoint_id": endpoint_id, "subjects": list(subjects)}
        await tx.run("drop_job_items", values)
        await tx.run("move_delivery_job", {"id": job.id, "done": done, "left_out": left_out})
    return len(subjects)


async def _unknown(tx: Transaction, job: DeliveryJob, items: Sequence[JobItem]) -> list[JobItem]:
    """Return those that a job has not collected yet, each once."""
    fresh = dict.fromkeys((each.endpoint_id, each.subject) for each in items)
    endpoints, subjects = zip(*fresh, strict=True) if fresh else ((), ())
    values = {"id": job.id, "endpoints": list(set(endpoints)), "subjects": list(set(subjects))}
    for row in await tx.rows("known_job_items", values):
        fresh.pop((row[0], row[1]), None)
    return [JobItem(*each) for each in fresh]


async def _read(tx: Transaction, scope: Scope, job_id: int) -> DeliveryJob:
    where, values = conditions([("id = :id", "id", job_id), *in_scope(scope)])
    return _job(await tx.one("job", "delivery_jobs", values, where))


async def _active(tx: Transaction, scope: Scope) -> int:
    values = {"project_id": scope.project_id or 0, "account_id": scope.account_id or 0}
    return int(await tx.value("active_delivery_job", values))


def _job(row: Row) -> DeliveryJob:
    """Read a job's columns."""
    return DeliveryJob(
        id=row[0],
        project_id=row[1],
        account_id=row[2],
        act=JobAct(row[3]),
        filter=row[4],
        state=JobState(row[5]),
        reason=row[6],
        counted=row[7],
        at_least=bool(row[8]),
        found=row[9],
        done=row[10],
        left_out=row[11],
        part=row[12],
        looked_to=row[13],
        turn=row[14],
        ended_at=row[15],
    )
