"""Counts for charts and health in memory, added to the store's stats every few seconds.

Nothing waits for the counts and nothing depends on them, so an attempt costs a few additions. A
process that is killed loses a few seconds of charts, never a delivery.
"""

import itertools
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from hooktide.domain.delivery.causes import cause_of
from hooktide.domain.delivery.verdict import Delivered, Failed, Gone, Requeued
from hooktide.domain.histogram import add, add_span
from hooktide.domain.ids import made_at
from hooktide.domain.model import HOUR, MINUTE, Attempt, Endpoint, Micros, Origin
from hooktide.domain.stats import COUNTS, EndpointHour, ProjectMinute
from hooktide.store.base import Accepted, AttemptRecord
from hooktide.store.writing.batch import run_batch

AddStats: TypeAlias = Callable[[Sequence[ProjectMinute], Sequence[EndpointHour]], Awaitable[None]]

BATCH_SIZE = 500
"""Maximum rows in one transaction, so that events wait for a few milliseconds at most."""
MAX_KEPT_HOURS = 50_000
"""Maximum hourly counts buffered while the database is unavailable; more are dropped."""


class StatsBuffer:
    """This process's counts that are not in the store yet. ``add`` stores them."""

    def __init__(self, add: AddStats) -> None:
        self._add = add
        self._minutes: dict[tuple[int, int], ProjectMinute] = {}
        self._hours: dict[tuple[int, int], EndpointHour] = {}

    def accepted(self, project_id: int, accepted: Accepted, now: Micros) -> None:
        """Count an event that was accepted."""
        if not accepted.replayed:
            minute = self._minute(project_id, now)
            minute.accepted += 1
            minute.held += accepted.held

    def attempt(self, record: AttemptRecord, endpoint: Endpoint) -> None:
        """Count an attempt, unless it was requeued."""
        verdict, made = record.verdict, record.attempt
        if type(verdict) is Requeued:
            return
        ended_at = made.ended_at
        minute = self._minute(endpoint.project_id, ended_at)
        hour = self._hour(endpoint, ended_at)
        minute.attempts += 1
        hour.attempts += 1
        hour.duration += made.duration
        if made.duration > hour.slowest:
            hour.slowest = made.duration
        if type(verdict) is Delivered:
            hour.last_delivered_at, hour.failing_since = ended_at, None
        else:
            minute.failed_attempts += 1
            _count_failure(made, hour)
        add_span(hour.latency, made.duration)
        if record.claim.origin is not Origin.TEST:
            _count_end(record, minute, hour)

    def _minute(self, project_id: int, now: Micros) -> ProjectMinute:
        key = (project_id, now // MINUTE)
        found = self._minutes.get(key)
        if found is None:
            found = self._minutes[key] = ProjectMinute(project_id=project_id, minute=key[1])
        return found

    def _hour(self, endpoint: Endpoint, now: Micros) -> EndpointHour:
        key = (endpoint.id, now // HOUR)
        found = self._hours.get(key)
        if found is None:
            found = self._hours[key] = EndpointHour(
                endpoint_id=endpoint.id,
                project_id=endpoint.project_id,
                account_id=endpoint.account_id,
                hour=key[1],
            )
        return found

    async def flush(self) -> int:
        """Add the counts to the store's stats; return the number of rows.

        :raises UnavailableError: the database did not store them; they are kept for the next time.
        """
        minutes, self._minutes = self._minutes, {}
        hours, self._hours = self._hours, {}
        rows = len(minutes) + len(hours)
        try:
            while minutes or hours:
                some = list(itertools.islice(hours.items(), BATCH_SIZE))
                added: list[ProjectMinute | EndpointHour] = [
                    *minutes.values(),
                    *(hour for _, hour in some),
                ]
                await run_batch(added, self._add_rows, "add what was counted: {}".format)
                minutes = {}
                for key, _ in some:
                    del hours[key]
        except BaseException:
            self._keep(minutes, hours)
            raise
        return rows

    async def _add_rows(self, rows: Sequence[ProjectMinute | EndpointHour]) -> None:
        minutes = [each for each in rows if isinstance(each, ProjectMinute)]
        await self._add(minutes, [each for each in rows if isinstance(each, EndpointHour)])

    def _keep(
        self,
        minutes: dict[tuple[int, int], ProjectMinute],
        hours: dict[tuple[int, int], EndpointHour],
    ) -> None:
        """Put back the counts that were not stored, before those made since."""
        if len(hours) > MAX_KEPT_HOURS:
            return
        newer_minutes, self._minutes = self._minutes, minutes
        newer_hours, self._hours = self._hours, hours
        for key, minute in newer_minutes.items():
            _join_minute(minutes.setdefault(key, minute), minute)
        for place, hour in newer_hours.items():
            _join_hour(hours.setdefault(place, hour), hour)


def _count_failure(made: Attempt, hour: EndpointHour) -> None:
    cause, ended_at = cause_of(made.status, made.error, made.detail), made.ended_at
    hour.failed_attempts += 1
    hour.causes[cause] = hour.causes.get(cause, 0) + 1
    hour.last_failed_at, hour.last_cause = ended_at, cause
    if hour.failing_since is None:
        hour.failing_since = ended_at


def _count_end(record: AttemptRecord, minute: ProjectMinute, hour: EndpointHour) -> None:
    kind = type(record.verdict)
    if kind is Delivered:
        minute.delivered += 1
        hour.delivered += 1
        if record.claim.origin is Origin.EVENT:
            delay = record.attempt.ended_at - made_at(record.claim.delivery_id)
            add_span(hour.delay, delay)
    elif kind is Failed or kind is Gone:
        minute.failed += 1
        hour.failed += 1


def _join_minute(older: ProjectMinute, newer: ProjectMinute) -> None:
    if older is newer:
        return
    for name in COUNTS:
        setattr(older, name, getattr(older, name) + getattr(newer, name))


def _join_hour(older: EndpointHour, newer: EndpointHour) -> None:
    if older is newer:
        return
    for name in ("delivered", "failed", "discarded", "attempts", "failed_attempts", "duration"):
        setattr(older, name, getattr(older, name) + getattr(newer, name))
    older.slowest = max(older.slowest, newer.slowest)
    add(older.latency, newer.latency)
    add(older.delay, newer.delay)
    for cause, count in newer.causes.items():
        older.causes[cause] = older.causes.get(cause, 0) + count
    if newer.last_failed_at is not None:
        older.last_failed_at, older.last_cause = newer.last_failed_at, newer.last_cause
    if newer.last_delivered_at is not None:
        older.last_delivered_at, older.failing_since = newer.last_delivered_at, newer.failing_since
    elif older.failing_since is None:
        older.failing_since = newer.failing_since
