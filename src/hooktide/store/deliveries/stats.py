"""What is counted by the minute and by the hour, for health and for charts."""

from collections.abc import Iterable, Mapping, Sequence

from hooktide.domain.model import BY_HAND, BY_PROVIDER, HOUR, MINUTE, Endpoint, Micros, Scope
from hooktide.domain.stats import (
    MAX_COUNTED,
    AccountUsage,
    Busy,
    ChartPoint,
    EndpointHour,
    Health,
    ProjectMinute,
    Slow,
)
from hooktide.store import rows
from hooktide.store.configuration.accounts import read_account
from hooktide.store.rows import Row
from hooktide.store.sql.lists import within
from hooktide.store.sql.repository import Repository, reads, writes
from hooktide.store.sql.transaction import Transaction
from hooktide.store.writing.usage import WINDOW_MINUTES


class Stats(Repository):
    """The store's methods for what is counted, and for what follows from it."""

    @writes
    async def add_stats(
        self, tx: Transaction, minutes: Sequence[ProjectMinute], hours: Sequence[EndpointHour]
    ) -> None:
        """Add numbers to those that are there."""
        await tx.many("add_minutes", _minute_rows(minutes))
        await tx.many("add_hours", _hour_rows(hours))
        await tx.many("add_health", _health_rows(hours))

    @reads
    async def health(
        self, tx: Transaction, scope: Scope, endpoint_ids: Sequence[int], since: Micros
    ) -> Mapping[int, Health]:
        """Return how endpoints do, by id; those to which nothing was ever sent are absent.

        Counted from the beginning of the hour in which ``since`` is.
        """
        values = {"ids": list(endpoint_ids), "hour": _hour_of(since), **within(scope)}
        return {row[0]: _health(row) for row in await tx.rows("health", values)}

    @reads
    async def chart(
        self, tx: Transaction, scope: Scope, since: Micros, until: Micros, step_minutes: int
    ) -> Sequence[ChartPoint]:
        """Return what happened from ``since`` on and before ``until``, in steps, first to last.

        Of all projects or of one: an account has no chart, only zeros. Every step is there; the
        first begins at or before ``since``.
        """
        first = since // MINUTE // step_minutes * step_minutes  # so that later ones have the same
        end = -(-until // MINUTE)
        values = {"first": first, "end": end, "step": step_minutes, "project_id": scope.project_id}
        found = [] if scope.account_id is not None else await tx.rows("chart", values)
        by_place = {row[0]: row[1:] for row in found}
        return [
            ChartPoint(
                at=minute * MINUTE, **_counts(by_place.get((minute - first) // step_minutes))
            )
            for minute in range(first, end, step_minutes)
        ]

    @reads
    async def busiest(
        self, tx: Transaction, scope: Scope, since: Micros, limit: int
    ) -> Sequence[Busy]:
        """Return the accounts for which most was sent, from the hour of ``since`` on."""
        values = {"hour": _hour_of(since), "limit": limit, **within(scope)}
        return [_busy(row) for row in await tx.rows("busiest", values)]

    @reads
    async def slowest(
        self, tx: Transaction, scope: Scope, since: Micros, limit: int
    ) -> Sequence[Slow]:
        """Return the endpoints whose answers took longest on average, from that hour on."""
        values = {"hour": _hour_of(since), "limit": limit, **within(scope)}
        return [_slow(row) for row in await tx.rows("slowest", values)]

    @reads
    async def troubled(self, tx: Transaction, scope: Scope, limit: int) -> Sequence[Endpoint]:
        """Return endpoints that need attention, without their secrets.

        Failing endpoints come first, by consecutive failed deliveries, then by how long they have
        been failing; then those that Hooktide disabled, newest first.
        """
        values = {"by_hand": BY_HAND, "by_provider": BY_PROVIDER, "limit": limit, **within(scope)}
        found = await tx.rows("troubled", values)
        return [rows.endpoint(row, (), self._vault) for row in found]

    @reads
    async def account_usage(
        self, tx: Transaction, scope: Scope, account_id: int, now: Micros
    ) -> AccountUsage:
        """Return what an account has of its plan."""
        await read_account(tx, scope, account_id)
        since = now // MINUTE - WINDOW_MINUTES
        values = {"account_id": account_id, "since": since, "most": MAX_COUNTED}
        endpoints, deliveries, held, pending = await tx.one("account", "account_usage", values)
        return AccountUsage(
            endpoints=endpoints,
            deliveries=deliveries,
            held=held,
            pending=min(pending, MAX_COUNTED),
        )


def _minute_rows(minutes: Iterable[ProjectMinute]) -> list[Row]:
    """Return the rows of ``add_minutes``, in one order everywhere."""
    return sorted(
        (
            each.project_id,
            each.minute,
            each.accepted,
            each.held,
            each.delivered,
            each.failed,
            each.attempts,
            each.failed_attempts,
        )
        for each in minutes
    )


def _hour_rows(hours: Iterable[EndpointHour]) -> list[Row]:
    """Return the rows of ``add_hours``, in one order everywhere."""
    return sorted(
        (
            each.endpoint_id,
            each.hour,
            each.project_id,
            each.account_id,
            each.delivered,
            each.failed,
            each.attempts,
            each.failed_attempts,
            each.duration,
            each.slowest,
        )
        for each in hours
    )


def _health_rows(hours: Iterable[EndpointHour]) -> list[Row]:
    """Return the rows of ``add_health``, in one order everywhere: one for each endpoint."""
    found: dict[int, Row] = {}
    for each in sorted(hours, key=lambda each: (each.endpoint_id, each.hour)):
        _, _, _, last, since = found.get(each.endpoint_id, (0, 0, 0, None, None))
        if each.last_delivered_at is not None:
            last, since = each.last_delivered_at, None
        since = each.failing_since if since is None else since
        found[each.endpoint_id] = (
            each.endpoint_id,
            each.project_id,
            each.account_id,
            last,
            since,
        )
    return list(found.values())


def _hour_of(since: Micros) -> int:
    """Return the hour, since 1970, in which an instant is."""
    return since // HOUR


def _health(row: Row) -> Health:
    return Health(
        attempts=row[1],
        failed_attempts=row[2],
        delivered=row[3],
        failed=row[4],
        mean=row[5] // row[1] if row[1] else None,
        slowest=row[6],
        last_delivered_at=row[7],
        failing_since=row[8],
    )


_COUNTED = ("accepted", "held", "delivered", "failed", "attempts", "failed_attempts")


def _counts(row: Sequence[int] | None) -> dict[str, int]:
    return {} if row is None else dict(zip(_COUNTED, row, strict=True))


def _busy(row: Row) -> Busy:
    return Busy(
        account_id=row[0],
        project_id=row[1],
        attempts=row[2],
        failed_attempts=row[3],
        delivered=row[4],
        failed=row[5],
    )


def _slow(row: Row) -> Slow:
    return Slow(
        endpoint_id=row[0],
        account_id=row[1],
        project_id=row[2],
        attempts=row[3],
        mean=row[4],
        slowest=row[5],
    )
