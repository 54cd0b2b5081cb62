"""How deliveries go, of everything or of a part of it: what pages show and the API answers."""

from dataclasses import dataclass, replace

from hooktide.actions.deliveries.queue_counts import QueueCounts, Waiting
from hooktide.domain.model import DAY, HOUR, MINUTE, Micros, Scope
from hooktide.domain.stats import CauseCount, ChartPoint, LatencyChart
from hooktide.store.contract import Store

MAX_CAUSES = 8
ALIVE_FOR: Micros = 5 * MINUTE
"""What was attempted within this span says whether deliveries go out now."""
OVERDUE_AFTER: Micros = MINUTE


@dataclass(frozen=True, slots=True)
class Period:
    """What is counted over: from ``since`` on and before ``until``, in steps."""

    since: Micros
    until: Micros
    step_minutes: int


@dataclass(frozen=True, slots=True)
class Figures:
    """What was counted. ``as_of``: all but what waits, which is exact, may be two seconds older.

    ``latencies`` are by whole hours: where the steps of ``points`` are shorter, of the last
    24 hours. ``causes`` are those of the same hours.
    """

    as_of: Micros
    waiting: Waiting
    points: list[ChartPoint]
    latencies: LatencyChart
    causes: list[CauseCount]

    def total(self, name: str) -> int:
        """Return how many there were altogether of what a ``ChartPoint`` counts."""
        return sum(int(getattr(each, name)) for each in self.points)


class Statistics:
    """Adds up what was counted, within a scope."""

    def __init__(self, store: Store, queue: QueueCounts) -> None:
        self._store = store
        self._queue = queue

    async def of(self, scope: Scope, period: Period, now: Micros, largest: int = 0) -> Figures:
        """Return what was counted for everything, a project or an account.

        :raises UnavailableError: the database did not answer.
        """
        waiting = await self._queue.waiting(scope, largest)
        return await self._figures(scope, period, now, waiting, None)

    async def of_endpoint(
        self, scope: Scope, endpoint_id: int, period: Period, now: Micros
    ) -> Figures:
        """Return what was counted for an endpoint.

        :raises NotFoundError: it is not in the scope, or was deleted.
        :raises UnavailableError: the database did not answer.
        """
        endpoint = await self._store.get_endpoint(scope, endpoint_id)
        of_account = Scope(project_id=endpoint.project_id, account_id=endpoint.account_id)
        backlog = await self._store.backlog(of_account, endpoint_id)
        oldest = await self._store.oldest_waiting(of_account, endpoint_id)
        waiting = Waiting(backlog, oldest)
        return await self._figures(of_account, period, now, waiting, endpoint_id)

    async def _figures(
        self,
        scope: Scope,
        period: Period,
        now: Micros,
        waiting: Waiting,
        endpoint_id: int | None,
    ) -> Figures:
        store, hourly = self._store, _hourly(period)
        points = await store.chart(
            scope, period.since, period.until, period.step_minutes, endpoint_id
        )
        latencies = await store.latencies(
            scope, hourly.since, hourly.until, hourly.step_minutes // 60, endpoint_id
        )
        causes = await store.causes(scope, hourly.since, MAX_CAUSES, endpoint_id)
        return Figures(now, waiting, list(points), latencies, list(causes))


def _hourly(period: Period) -> Period:
    """Return the period for what is counted by the hour."""
    if period.step_minutes % 60 == 0:
        return period
    until = -(-period.until // HOUR) * HOUR
    return replace(period, since=until - DAY, until=until, step_minutes=60)
