"""How deliveries go: what waits, why attempts fail, outcomes and times."""

from typing import Literal

from hooktide.wire.fields import AccountName, Instant, RequestModel, ResponseModel


class StatisticsQuery(RequestModel, frozen=True):
    """What to count, and over which period; by default everything that the key has access to.

    `period`: the last 24 hours in steps of an hour, 7 days in steps of two, or 30 days in steps of
    a day.
    """

    period: Literal["24h", "7d", "30d"] = "24h"
    account: AccountName | None = None
    endpoint: str | None = None


class Waiting(ResponseModel, frozen=True):
    """What waits, counted exactly.

    `waiting` deliveries are due or scheduled, `retries` of them were attempted before; `in_flight`
    ones are being attempted; `held` ones wait for their plan's hour. `oldest_at` is when the oldest
    waiting delivery was made.
    """

    waiting: int
    retries: int
    in_flight: int
    held: int
    endpoints: int
    oldest_at: Instant | None


class FailureCause(ResponseModel, frozen=True):
    """Why attempts fail.

    `cause` is a status or a short name, `title` and `remedy` are for people. `waiting` deliveries
    wait for `endpoints` that failed of it last; `disabled` of these were disabled automatically.
    `attempts` is how many failed of it within the period.
    """

    cause: str
    title: str
    remedy: str
    endpoints: int
    disabled: int
    waiting: int
    attempts: int


class Percentiles(ResponseModel, frozen=True):
    """Times in milliseconds, 5 % off at most; null if `count` is 0."""

    count: int
    p50: float | None
    p95: float | None
    p99: float | None


class StatisticsStep(ResponseModel, frozen=True):
    """What happened in the step that begins at `at`.

    `response_time` is that of attempts, `delivery_time` from an event's acceptance to its delivery.
    """

    at: Instant
    delivered: int
    failed: int
    discarded: int
    attempts: int
    failed_attempts: int
    response_time: Percentiles
    delivery_time: Percentiles


class Statistics(ResponseModel, frozen=True):
    """What waits as of now; the rest may be two seconds behind. Steps are first to last."""

    as_of: Instant
    waiting: Waiting
    causes: list[FailureCause]
    response_time: Percentiles
    delivery_time: Percentiles
    steps: list[StatisticsStep]
