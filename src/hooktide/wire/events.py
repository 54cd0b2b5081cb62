"""Events, their deliveries and attempts, and replays."""

from typing import Annotated, Literal, TypeAlias

import msgspec

from hooktide.wire.fields import (
    AccountName,
    DeliveryState,
    HeaderPairs,
    Instant,
    JobAct,
    Origin,
    PeriodQuery,
    ReplayWhat,
    RequestModel,
    ResponseModel,
    one_of,
    time_text,
)
from hooktide.wire.problems import Problem

OccurredAt: TypeAlias = Annotated[
    str, time_text("An instant, RFC 3339. Default: when the event was accepted.")
]


MAX_KEY_LENGTH = 255
"""Characters of an idempotency key."""
MAX_TRANSITION_LENGTH = 200


EventChannels: TypeAlias = Annotated[
    tuple[str, ...],
    msgspec.Meta(
        description="At most 5. Endpoints with channels get only events that share one of theirs.",
    ),
]
Tags: TypeAlias = Annotated[
    tuple[str, ...], msgspec.Meta(description="At most 10. Lists of events can be filtered by one.")
]


RetentionDays: TypeAlias = Annotated[
    int,
    msgspec.Meta(
        description="After so many days the payload is erased, and the record stays: 5 to 90, and "
        "at most the project's `retention`. Default: the event type's, or with the record.",
    ),
]


class EventIn(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False
):
    """An event to publish. `account` is an `acc_` id or the product's own reference."""

    account: str
    type: str
    payload: msgspec.Raw
    occurred_at: OccurredAt | None = None
    transition: str = ""
    idempotency_key: str = ""
    test: bool = False
    channels: EventChannels = ()
    tags: Tags = ()
    retention_days: RetentionDays | None = None


class EventAccepted(ResponseModel, frozen=True, omit_defaults=True):
    """The event and its deliveries are durable.

    With `account` "unknown" instead of an `id`, the event's account does not exist, and nothing was
    stored.
    """

    deliveries: int
    id: str = ""
    account: Literal["", "unknown"] = ""


class EventResult(ResponseModel, frozen=True, omit_defaults=True):
    """The result of one event of a batch: accepted (`status` 202), or its problem."""

    status: int
    id: str = ""
    deliveries: int = 0
    account: Literal["", "unknown"] = ""
    problem: Problem | None = None


class BatchResults(ResponseModel, frozen=True):
    """The result of each event of a batch, in order."""

    results: list[EventResult]


class EventQuery(PeriodQuery, frozen=True):
    """Which events."""

    account: AccountName | None = None
    type: str | None = None
    search: (
        Annotated[
            str,
            msgspec.Meta(
                min_length=1,
                max_length=200,
                description="Only events with an indexed value that begins with this, or has a "
                "word that does; case does not matter.",
            ),
        ]
        | None
    ) = None
    tag: Annotated[str, msgspec.Meta(description="Only events with this tag.")] | None = None
    channel: Annotated[str, msgspec.Meta(description="Only events with this channel.")] | None = (
        None
    )


class EventItem(ResponseModel, frozen=True, kw_only=True):
    """An event. `deliveries` is the number of endpoints it matched when it was accepted.

    `payload_erased_at`: since then its payload is null, whatever was published.
    """

    id: str
    account: str
    type: str
    transition: str
    test: bool
    occurred_at: Instant
    accepted_at: Instant
    deliveries: int
    channels: list[str]
    tags: list[str]
    payload_erased_at: Instant | None


class Event(EventItem, frozen=True, kw_only=True):
    """An event with its payload, byte for byte as it was published."""

    payload: msgspec.Raw


class DeliveryQuery(PeriodQuery, frozen=True):
    """Which deliveries."""

    account: AccountName | None = None
    endpoint: str | None = None
    event: str | None = None
    state: Annotated[DeliveryState, one_of("DeliveryState")] | None = None


class ResendQuery(RequestModel, frozen=True):
    """How a delivery's event is sent again."""

    enable: Annotated[bool, msgspec.Meta(description="Enable the endpoint first.")] = False


class Delivery(ResponseModel, frozen=True, kw_only=True):
    """One event for one endpoint. `reason` says why it is held, failed or discarded.

    `next_attempt_at` is null while an attempt is out, and once there will be none.
    """

    id: str
    account: str
    endpoint: str
    event: str
    event_type: str
    origin: Annotated[str, one_of("Origin")]
    state: Annotated[str, one_of("DeliveryState")]
    reason: str
    attempts: int
    next_attempt_at: Instant | None
    created_at: Instant
    ended_at: Instant | None


class Attempt(ResponseModel, frozen=True, kw_only=True):
    """One request and its response.

    `status` is null without a valid response; then `error` is the error class. The values of the
    endpoint's custom headers are not shown. `response_body` is the first 4 KB; if
    `response_truncated`, without a partial character at the end.
    """

    number: int
    started_at: Instant
    duration_ms: float
    status: int | None
    error: str
    detail: str
    request_headers: HeaderPairs
    response_headers: HeaderPairs
    response_body: str
    response_body_encoding: Annotated[str, msgspec.Meta(description="`utf-8` or `base64`.")]
    response_truncated: bool


class Attempts(ResponseModel, frozen=True):
    """The attempts of a delivery, first to last."""

    items: list[Attempt]


class ReplayIn(RequestModel, frozen=True):
    """Which events to send again: those that failed or were missed `since`, or one."""

    what: Annotated[ReplayWhat, one_of("ReplayWhat")]
    since: (
        Annotated[str, time_text("RFC 3339: only events from this time on. Not for `event`.")]
        | None
    ) = None
    until: (
        Annotated[str, time_text("RFC 3339: only events before this time. Default: now.")] | None
    ) = None
    event: Annotated[str, msgspec.Meta(description="An `evt_` id, for `event` only.")] | None = None
    dry_run: Annotated[bool, msgspec.Meta(description="Only count.")] = False


class Count(ResponseModel, frozen=True):
    """The number of events a replay sends; `at_least`: counting stopped early."""

    events: int
    at_least: bool


class Replay(ResponseModel, frozen=True, kw_only=True):
    """A replay.

    `made` is the number of deliveries created so far, of the `count` when it was started. It
    proceeds in the order of time, and has reached `looked_until`. `reason` says why it was
    cancelled, or why it created no delivery for an event.
    """

    id: str
    account: str
    endpoint: str
    what: Annotated[str, one_of("ReplayWhat")]
    since: Instant | None
    until: Instant | None
    event: str | None
    state: Annotated[str, one_of("ReplayState")]
    reason: str
    count: Count
    made: int
    looked_until: Instant | None
    created_at: Instant
    ended_at: Instant | None


class ReplayStarted(ResponseModel, frozen=True):
    """The number of events to send, and the replay that sends them (null if only counted)."""

    count: Count
    replay: Replay | None


class DeliveryFilter(RequestModel, frozen=True):
    """Which deliveries: those that match all that is given."""

    account: AccountName | None = None
    endpoint: str | None = None
    event: str | None = None
    state: Annotated[DeliveryState, one_of("DeliveryState")] | None = None
    retrying: (
        Annotated[
            bool, msgspec.Meta(description="Of the pending ones, whether an attempt was made.")
        ]
        | None
    ) = None
    response: (
        Annotated[
            str,
            msgspec.Meta(
                description="The last attempt's: `2xx` to `5xx`, `none`, a status like `401`, or "
                "an error class like `timeout`."
            ),
        ]
        | None
    ) = None
    type: (
        Annotated[str, msgspec.Meta(description="An event type, or a pattern like `invoice.*`.")]
        | None
    ) = None
    origin: Annotated[Origin, one_of("Origin")] | None = None
    since: (
        Annotated[str, time_text("RFC 3339: only deliveries created from this time on.")] | None
    ) = None
    until: (
        Annotated[str, time_text("RFC 3339: only deliveries created before this time.")] | None
    ) = None
    text: (
        Annotated[
            str,
            msgspec.Meta(
                max_length=200,
                description="A text in an id, the event type, the payload or the last response.",
            ),
        ]
        | None
    ) = None


class DeliveryJobIn(RequestModel, frozen=True):
    """What to do with all deliveries that match: send again, retry now or stop."""

    act: Annotated[JobAct, one_of("JobAct")]
    filter: DeliveryFilter
    dry_run: Annotated[bool, msgspec.Meta(description="Only count.")] = False


class DeliveryCount(ResponseModel, frozen=True):
    """The number of deliveries a job acts on; `at_least`: counting stopped early."""

    deliveries: int
    at_least: bool


class DeliveryJob(ResponseModel, frozen=True, kw_only=True):
    """A job on deliveries.

    Of the `count` that matched when it was started, it has collected `found` and acted on `done`.
    `left_out` could not be acted on: their endpoint is disabled or deleted, they ended or were sent
    meanwhile, or their event is past retention. `reason` says why it was cancelled.
    """

    id: str
    account: str | None
    act: Annotated[str, one_of("JobAct")]
    filter: Annotated[
        dict[str, str | bool], msgspec.Meta(description="What was given of `DeliveryFilter`.")
    ]
    state: Annotated[str, one_of("JobState")]
    reason: str
    count: DeliveryCount
    found: int
    done: int
    left_out: int
    created_at: Instant
    ended_at: Instant | None


class DeliveryJobStarted(ResponseModel, frozen=True):
    """The number of deliveries that match, and the job on them (null if only counted)."""

    count: DeliveryCount
    job: DeliveryJob | None
