"""Statistics are correct, and none are lost while the database is unavailable."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest
from storekit import NOON

from hooktide.domain.delivery.verdict import Delivered, Failed, Gone, Requeued, RetryAt, Verdict
from hooktide.domain.errors import UnavailableError
from hooktide.domain.histogram import bucket
from hooktide.domain.ids import first_at
from hooktide.domain.model import (
    HOUR,
    MINUTE,
    SECOND,
    Attempt,
    Claim,
    Endpoint,
    Event,
    Micros,
    Origin,
)
from hooktide.domain.stats import EndpointHour, ProjectMinute
from hooktide.engine.periodic.stats_buffer import BATCH_SIZE, StatsBuffer
from hooktide.store.base import Accepted, AttemptRecord

ENDPOINT = Endpoint(
    id=3, project_id=1, account_id=2, url="", event_types=("*",), created_at=0, updated_at=0
)
TAKES: Micros = 5000
DELIVERY = first_at(NOON - 2 * SECOND)


class Taker:
    """A store that accepts statistics or fails."""

    def __init__(self) -> None:
        self.away = False
        self.most = 1 << 30
        self.minutes: list[ProjectMinute] = []
        self.hours: list[EndpointHour] = []

    async def add(self, minutes: Sequence[ProjectMinute], hours: Sequence[EndpointHour]) -> None:
        if self.away or len(self.hours) >= self.most:
            raise UnavailableError("away")
        self.minutes += minutes
        self.hours += hours


def done(verdict: Verdict, at: Micros = NOON, origin: Origin = Origin.EVENT) -> AttemptRecord:
    event = Event(id=5, account_id=2, type="a", payload=b"{}", occurred_at=at)
    claim = Claim(
        delivery_id=DELIVERY,
        endpoint_id=3,
        event=event,
        attempt=1,
        token=7,
        due_at=at,
        lease_ends_at=at + MINUTE,
        origin=origin,
    )
    attempt = Attempt(
        delivery_id=DELIVERY,
        number=1,
        started_at=at,
        duration=TAKES,
        status=None,
        error="timeout",
        detail="",
        request_head=b"",
        response_head=b"",
        response_body=b"",
        response_truncated=False,
    )
    return AttemptRecord(claim, attempt, verdict)


async def test_what_happens_is_counted_for_project_and_endpoint() -> None:
    taker = Taker()
    stats = StatsBuffer(taker.add)
    stats.accepted(1, Accepted(5, 3, held=2), NOON)
    stats.accepted(1, Accepted(5, 3, replayed=True), NOON)
    for verdict in (Delivered(), RetryAt(NOON + HOUR), Failed(), Gone(), Requeued(NOON)):
        stats.attempt(done(verdict), ENDPOINT)
    for verdict in (Delivered(), Failed()):
        stats.attempt(done(verdict, NOON + 1, Origin.TEST), ENDPOINT)
    assert await stats.flush() == 2
    assert await stats.flush() == 0
    counts: dict[str, Any] = {
        "delivered": 1,
        "failed": 2,
        "attempts": 6,
        "failed_attempts": 4,
    }
    assert taker.minutes == [
        ProjectMinute(project_id=1, minute=NOON // MINUTE, accepted=1, held=2, **counts)
    ]
    assert taker.hours == [
        EndpointHour(
            endpoint_id=3,
            project_id=1,
            account_id=2,
            hour=NOON // HOUR,
            **counts,
            duration=6 * TAKES,
            slowest=TAKES,
            last_delivered_at=NOON + 1 + TAKES,
            failing_since=NOON + 1 + TAKES,
            last_failed_at=NOON + 1 + TAKES,
            last_cause="timeout",
            causes={"timeout": 4},
            latency={bucket(TAKES): 6},
            delay={bucket(2 * SECOND + TAKES): 1},
        )
    ]


async def test_what_the_database_did_not_take_is_added_up_and_taken_later() -> None:
    taker = Taker()
    taker.away = True
    stats = StatsBuffer(taker.add)
    stats.accepted(1, Accepted(5, 1), NOON)
    stats.attempt(done(Failed()), ENDPOINT)
    with pytest.raises(UnavailableError):
        await stats.flush()
    stats.accepted(1, Accepted(5, 1), NOON)
    for at, verdict in ((NOON + 1, Failed()), (NOON + HOUR, Delivered())):
        stats.attempt(done(verdict, at), ENDPOINT)
    with pytest.raises(UnavailableError):
        await stats.flush()
    taker.away = False
    await stats.flush()
    assert [(each.accepted, each.failed, each.delivered) for each in taker.minutes] == [
        (2, 2, 0),
        (0, 0, 1),
    ]
    assert [(each.attempts, each.failing_since) for each in taker.hours] == [
        (2, NOON + TAKES),
        (1, None),
    ]


async def test_many_endpoints_go_a_few_at_a_time_and_each_once() -> None:
    taker = Taker()
    taker.most = BATCH_SIZE
    stats = StatsBuffer(taker.add)
    for number in range(2 * BATCH_SIZE):
        stats.attempt(done(Delivered()), dataclasses.replace(ENDPOINT, id=number))
    with pytest.raises(UnavailableError):
        await stats.flush()
    assert len(taker.hours) == BATCH_SIZE
    taker.most *= 2
    assert await stats.flush() == BATCH_SIZE
    assert [each.endpoint_id for each in taker.hours] == list(range(2 * BATCH_SIZE))
    assert sum(each.attempts for each in taker.minutes) == 2 * BATCH_SIZE
