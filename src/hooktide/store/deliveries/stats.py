"""Counts per minute and per hour, for health and charts."""

import operator
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from hooktide.domain.histogram import Histogram, add, added, percentile
from hooktide.domain.model import BY_HAND, BY_PROVIDER, HOUR, MINUTE, Endpoint, Micros, Scope
from hooktide.domain.stats import (
    COUNTS,
    AccountUsage,
    Busy,
    CauseCount,
    ChartPoint,
    EndpointHour,
    Health,
    Latencies,
    LatencyChart,
    Percentiles,
    ProjectMinute,
    Slow,
)
from hooktide.store import rows
from hooktide.store.configuration.accounts import read_account
from hooktide.store.deliveries.waiting_deliveries import read_backlog
from hooktide.store.rows import Row, json_text
from hooktide.store.sql.lists import within
from hooktide.store.sql.repository import Repository, reads, writes
from hooktide.store.sql.transaction import Transaction
from hooktide.store.writing.usage import WINDOW_MINUTES

HISTOGRAMS_SPACE = 0x68697374

_of_minute = operator.attrgetter(*COUNTS)
_of_hour = operator.attrgetter("delivered", "failed", "discarded", "attempts", "failed_attempts")


class Stats(Repository):
    """The store's methods for stats."""

    @writes
    async def add_stats(
        self, tx: Transaction, minutes: Sequence[ProjectMinute], hours: Sequence[EndpointHour]
    ) -> None:
        """Add counts to the stored ones."""
        await _add_counts(tx, minutes, hours)
        await tx.many("add_health", _health_rows(hours))
        await tx.many("add_causes", _cause_rows(hours))
        await _add_histograms(tx, hours)

    @reads
    async def health(
        self, tx: Transaction, scope: Scope, endpoint_ids: Sequence[int], since: Micros
    ) -> Mapping[int, Health]:
        """Return the health of endpoints, by id; endpoints without attempts are absent.

        It covers the time from the beginning of the hour of ``since``.
        """
        values = {"ids": list(endpoint_ids), "hour": _hour_of(since), **within(scope)}
        return {row[0]: _health(row) for row in await tx.rows("health", values)}

    @reads
    async def chart(
        self,
        tx: Transaction,
        scope: Scope,
        since: Micros,
        until: Micros,
        step_minutes: int,
        endpoint_id: int | None = None,
    ) -> Sequence[ChartPoint]:
        """Return what happened from ``since`` on and before ``until``, in steps, first to last.

        Of all projects, of one, of an account, or of one of its endpoints. The last two are counted
        by the hour: steps have to be whole hours, and what was accepted and held is not counted.
        Every step is there; the first begins at or before ``since``.
        """
        first = since // MINUTE // step_minutes * step_minutes  # so that later ones have the same
        end = -(-until // MINUTE)
        values = {"first": first, "end": end, "step": step_minutes, **within(scope)}
        hours = {name: values[name] // 60 for name in ("first", "end", "step")}
        if scope.account_id is not None:
            values |= {**hours, "endpoint_id": endpoint_id}
            found = await tx.rows("chart_of_endpoints", values)
        elif step_minutes % 60 or end % 60:
            found = await tx.rows("chart", values)
        else:
            found = await tx.rows("chart_of_hours", values | hours)
        by_place = {row[0]: row[1:] for row in found}
        return [
            ChartPoint(
                at=minute * MINUTE, **_counts(by_place.get((minute - first) // step_minutes))
            )
            for minute in range(first, end, step_minutes)
        ]

    @reads
    async def latencies(
        self,
        tx: Transaction,
        scope: Scope,
        since: Micros,
        until: Micros,
        step_hours: int,
        endpoint_id: int | None = None,
    ) -> LatencyChart:
        """Return how long attempts and deliveries took, in the steps of ``chart``, and altogether.

        Counted by the hour. Of all projects, of one, of an account, or of one of its endpoints.
        """
        first = since // HOUR // step_hours * step_hours
        end = -(-until // HOUR)
        where, values = _whose(scope, endpoint_id)
        values |= {"first": first, "end": end}
        then = f" WHERE hour >= :first AND hour < :end AND {where}"
        steps: dict[int, tuple[Histogram, Histogram]] = {
            hour: ({}, {}) for hour in range(first, end, step_hours)
        }
        for _, hour, latency, delay in await tx.rows("histograms", values, then):
            attempts, deliveries = steps[(hour - first) // step_hours * step_hours + first]
            add(attempts, _read_histogram(latency))
            add(deliveries, _read_histogram(delay))
        everything = (
            added(each[0] for each in steps.values()),
            added(each[1] for each in steps.values()),
        )
        return LatencyChart(
            whole=_latencies(first, everything),
            steps=[_latencies(hour, pair) for hour, pair in steps.items()],
        )

    @reads
    async def causes(
        self,
        tx: Transaction,
        scope: Scope,
        since: Micros,
        limit: int,
        endpoint_id: int | None = None,
    ) -> Sequence[CauseCount]:
        """Return why attempts fail, with most harm first: what waits, what was disabled, how often.

        How often: from the hour of ``since`` on.
        """
        values = {
            "hour": _hour_of(since),
            "limit": limit,
            "by_hand": BY_HAND,
            "by_provider": BY_PROVIDER,
            "endpoint_id": endpoint_id,
            **within(scope),
        }
        return [CauseCount(*row) for row in await tx.rows("causes", values)]

    @reads
    async def busiest(
        self, tx: Transaction, scope: Scope, since: Micros, limit: int
    ) -> Sequence[Busy]:
        """Return the busiest accounts from the hour of ``since`` on."""
        values = {"hour": _hour_of(since), "limit": limit, **within(scope)}
        return [_busy(row) for row in await tx.rows("busiest", values)]

    @reads
    async def slowest(
        self, tx: Transaction, scope: Scope, since: Micros, limit: int
    ) -> Sequence[Slow]:
        """Return the endpoints with the longest average response time, from that hour on.

        It reads the hours of every endpoint: pages ask for a day at most.
        """
        values = {"hour": _hour_of(since), "limit": limit, **within(scope)}
        return [_slow(row) for row in await tx.rows("slowest", values)]

    @reads
    async def troubled(
        self, tx: Transaction, scope: Scope, limit: int, cause: str | None = None
    ) -> Sequence[Endpoint]:
        """Return endpoints that need attention, without their secrets; of one ``cause``, or all.

        Failing endpoints come first, by consecutive failed deliveries, then by how long they have
        been failing; then those that Hooktide disabled, newest first.
        """
        values = {
            "by_hand": BY_HAND,
            "by_provider": BY_PROVIDER,
            "limit": limit,
            "cause": cause,
            **within(scope),
        }
        found = await tx.rows("troubled", values)
        return [rows.endpoint(row, (), self._vault) for row in found]

    @reads
    async def count_disabled(self, tx: Transaction, scope: Scope, since: Micros) -> int:
        """Return how many endpoints were disabled automatically since then, and still are."""
        values = {"by_hand": BY_HAND, "by_provider": BY_PROVIDER, "since": since, **within(scope)}
        return int(await tx.value("count_disabled", values))

    @reads
    async def account_usage(
        self, tx: Transaction, scope: Scope, account_id: int, now: Micros
    ) -> AccountUsage:
        """Return how much of its plan an account has used."""
        await read_account(tx, scope, account_id)
        since = now // MINUTE - WINDOW_MINUTES
        values = {"account_id": account_id, "since": since}
        endpoints, deliveries = await tx.one("account", "account_usage", values)
        backlog = await read_backlog(tx, Scope(account_id=account_id))
        return AccountUsage(
            endpoints=endpoints,
            deliveries=deliveries,
            held=backlog.held,
            pending=backlog.pending,
        )


async def _add_counts(
    tx: Transaction, minutes: Sequence[ProjectMinute], hours: Sequence[EndpointHour]
) -> None:
    """Add counts to those of minutes and of endpoints' hours, and to what is added up of them."""
    await tx.many("add_minutes", _minute_rows(minutes))
    await tx.many("add_project_hours", _project_hour_rows(minutes))
    await tx.many("add_hours", _hour_rows(hours))
    await tx.many("add_account_hours", _account_hour_rows(hours))


def _minute_rows(minutes: Iterable[ProjectMinute]) -> list[Row]:
    """Return the rows of ``add_minutes``, in one order everywhere."""
    return sorted((each.project_id, each.minute, *_of_minute(each)) for each in minutes)


def _project_hour_rows(minutes: Iterable[ProjectMinute]) -> list[Row]:
    """Return the rows of ``add_project_hours``, in one order everywhere."""
    return _added_up(((each.project_id, each.minute // 60), _of_minute(each)) for each in minutes)


def _account_hour_rows(hours: Iterable[EndpointHour]) -> list[Row]:
    """Return the rows of ``add_account_hours``, in one order everywhere."""
    return _added_up(
        ((each.account_id, each.hour, each.project_id), _of_hour(each)) for each in hours
    )


def _added_up(counts: Iterable[tuple[Row, Row]]) -> list[Row]:
    """Return a row for each key, with the sums of its counts, in the order of the keys."""
    found: dict[Row, Row] = {}
    for key, row in counts:
        known = found.get(key)
        found[key] = row if known is None else tuple(map(operator.add, known, row))
    return [(*key, *row) for key, row in sorted(found.items())]


def _hour_rows(hours: Iterable[EndpointHour]) -> list[Row]:
    """Return the rows of ``add_hours``, in one order everywhere."""
    return sorted(
        (
            each.endpoint_id,
            each.hour,
            each.project_id,
            each.account_id,
            *_of_hour(each),
            each.duration,
            each.slowest,
        )
        for each in hours
    )


def _health_rows(hours: Iterable[EndpointHour]) -> list[Row]:
    """Return the rows of ``add_health``, in one order everywhere: one for each endpoint."""
    found: dict[int, Row] = {}
    for each in sorted(hours, key=lambda each: (each.endpoint_id, each.hour)):
        _, _, _, last, since, failed_at, cause = found.get(each.endpoint_id, _NO_HEALTH)
        if each.last_delivered_at is not None:
            last, since = each.last_delivered_at, None
        since = each.failing_since if since is None else since
        if each.last_failed_at is not None:
            failed_at, cause = each.last_failed_at, each.last_cause
        found[each.endpoint_id] = (
            each.endpoint_id,
            each.project_id,
            each.account_id,
            last,
            since,
            failed_at,
            cause,
        )
    return list(found.values())


_NO_HEALTH: Row = (0, 0, 0, None, None, None, "")


def _cause_rows(hours: Iterable[EndpointHour]) -> list[Row]:
    """Return the rows of ``add_causes``, in one order everywhere."""
    return sorted(
        (each.endpoint_id, each.hour, cause, each.project_id, each.account_id, count)
        for each in hours
        for cause, count in each.causes.items()
    )


async def _add_histograms(tx: Transaction, hours: Sequence[EndpointHour]) -> None:
    """Add histograms to those of endpoints, accounts and projects, read for that."""
    new: dict[tuple[int, int], tuple[int, int, Histogram, Histogram]] = {}
    for each in hours:
        for subject, account in (
            (each.endpoint_id, each.account_id),
            (each.account_id, each.account_id),
            (each.project_id, 0),
        ):
            key = (subject, each.hour)
            _, _, latency, delay = new.setdefault(key, (each.project_id, account, {}, {}))
            add(latency, each.latency)
            add(delay, each.delay)
    if not new:
        return
    await tx.lock(HISTOGRAMS_SPACE, 0)
    subject_ids, in_hours = (sorted({key[at] for key in new}) for at in (0, 1))
    values = {"subject_ids": subject_ids, "hours": in_hours}
    where = " WHERE subject_id = ANY(:subject_ids::bigint[]) AND hour = ANY(:hours::bigint[])"
    for subject, hour, latency_text, delay_text in await tx.rows("histograms", values, where):
        if (subject, hour) in new:
            _, _, latency, delay = new[subject, hour]
            add(latency, _read_histogram(latency_text))
            add(delay, _read_histogram(delay_text))
    await tx.many(
        "set_histograms",
        [
            (*key, project_id, account_id, json_text(latency), json_text(delay))
            for key, (project_id, account_id, latency, delay) in sorted(new.items())
        ],
    )


def _read_histogram(text: str) -> Histogram:
    return msgspec.json.decode(text, type=Histogram)


def _whose(scope: Scope, endpoint_id: int | None) -> tuple[str, dict[str, int]]:
    """Return the condition for the histograms to add up, and its values."""
    if scope.account_id is not None:
        subject = scope.account_id if endpoint_id is None else endpoint_id
        return "subject_id = :subject_id", {"subject_id": subject}
    if scope.project_id is not None:
        return "subject_id = :subject_id", {"subject_id": scope.project_id}
    return "account_id = :account_id", {"account_id": 0}


def _latencies(hour: int, counted: tuple[Histogram, Histogram]) -> Latencies:
    attempts, deliveries = counted
    return Latencies(
        at=hour * HOUR, attempts=_percentiles(attempts), deliveries=_percentiles(deliveries)
    )


def _percentiles(histogram: Histogram) -> Percentiles:
    return Percentiles(
        sum(histogram.values()), *(percentile(histogram, share) for share in (0.5, 0.95, 0.99))
    )


async def count_discarded(tx: Transaction, discarded: Iterable[Row], now: Micros) -> None:
    """Count deliveries that were discarded, by (endpoint, account, project) of each."""
    counts = Counter(discarded)
    by_project = Counter[int]()
    for (_, _, project_id), count in counts.items():
        by_project[project_id] += count
    minutes = [
        ProjectMinute(project_id=id_, minute=now // MINUTE, discarded=count)
        for id_, count in by_project.items()
    ]
    hours = [
        EndpointHour(
            endpoint_id=endpoint_id,
            account_id=account_id,
            project_id=project_id,
            hour=now // HOUR,
            discarded=count,
        )
        for (endpoint_id, account_id, project_id), count in counts.items()
    ]
    await _add_counts(tx, minutes, hours)


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
        last_failed_at=row[9],
        last_cause=row[10],
    )


def _counts(row: Sequence[int] | None) -> dict[str, int]:
    return {} if row is None else dict(zip(COUNTS, row, strict=True))


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
