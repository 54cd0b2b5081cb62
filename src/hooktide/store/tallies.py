"""Numbers on their way into a database and out of it: the same for each."""

from collections.abc import Iterable, Sequence
from typing import Any

from hooktide.domain.ids import NODE_BITS
from hooktide.domain.model import HOUR, MINUTE, Micros, Scope
from hooktide.domain.numbers import (
    MOST_COUNTED,
    AccountUsage,
    Busy,
    ChartPoint,
    EndpointHour,
    Health,
    ProjectMinute,
    Slow,
)
from hooktide.store.base import CHANGES_KEPT, NUMBERS_KEPT
from hooktide.store.rows import Row


def minute_rows(minutes: Iterable[ProjectMinute]) -> list[Row]:
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


def hour_rows(hours: Iterable[EndpointHour]) -> list[Row]:
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


def health_rows(hours: Iterable[EndpointHour]) -> list[Row]:
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


def drop_by_now(now: Micros) -> dict[str, dict[str, int]]:
    """Return the statements that drop what is over or old, with their values."""
    return {
        "drop_login_links": {"now": now},
        "drop_sessions": {"now": now},
        "drop_changes": {"before": (now - CHANGES_KEPT) << NODE_BITS},
        "drop_minutes": {"before": (now - NUMBERS_KEPT) // MINUTE},
        "drop_hours": {"before": hour_of(now - NUMBERS_KEPT)},
    }


def hour_of(since: Micros) -> int:
    """Return the hour, since 1970, in which an instant is."""
    return since // HOUR


def health(found: Iterable[Any]) -> dict[int, Health]:
    """Read the rows of ``health``."""
    return {
        row[0]: Health(
            attempts=row[1],
            failed_attempts=row[2],
            delivered=row[3],
            failed=row[4],
            mean=row[5] // row[1] if row[1] else None,
            slowest=row[6],
            last_delivered_at=row[7],
            failing_since=row[8],
        )
        for row in found
    }


def chart_values(
    scope: Scope, since: Micros, until: Micros, step_minutes: int
) -> dict[str, int | None]:
    """Return what ``chart`` is asked with: whole steps, so that one drawn later has the same."""
    return {
        "first": since // MINUTE // step_minutes * step_minutes,
        "end": -(-until // MINUTE),
        "step": step_minutes,
        "project_id": scope.project_id,
    }


def chart_points(values: dict[str, int | None], found: Iterable[Any]) -> list[ChartPoint]:
    """Read the rows of ``chart``, and fill in the steps in which nothing happened."""
    first, end, step = values["first"] or 0, values["end"] or 0, values["step"] or 1
    by_place = {row[0]: row[1:] for row in found}
    return [
        ChartPoint(at=minute * MINUTE, **_counts(by_place.get((minute - first) // step)))
        for minute in range(first, end, step)
    ]


_COUNTED = ("accepted", "held", "delivered", "failed", "attempts", "failed_attempts")


def _counts(row: Sequence[int] | None) -> dict[str, int]:
    return {} if row is None else dict(zip(_COUNTED, row, strict=True))


def busy(row: Row) -> Busy:
    """Read a row of ``busiest``."""
    return Busy(
        account_id=row[0],
        project_id=row[1],
        attempts=row[2],
        failed_attempts=row[3],
        delivered=row[4],
        failed=row[5],
    )


def slow(row: Row) -> Slow:
    """Read a row of ``slowest``."""
    return Slow(
        endpoint_id=row[0],
        account_id=row[1],
        project_id=row[2],
        attempts=row[3],
        mean=row[4],
        slowest=row[5],
    )


def account_usage(row: Row) -> AccountUsage:
    """Read the row of ``account_usage``."""
    return AccountUsage(
        endpoints=row[0], deliveries=row[1], held=row[2], pending=min(row[3], MOST_COUNTED)
    )
