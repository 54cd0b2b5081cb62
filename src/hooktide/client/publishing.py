"""Publishing events, one at a time or in batches."""

from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal, TypeAlias
from uuid import uuid4

import msgspec

from hooktide.client.errors import (
    ClientError,
    InvalidError,
    ProblemError,
    UnexpectedAnswerError,
)
from hooktide.client.requests import Backoff, Request, Steps, call, encode, instant
from hooktide.domain import errors
from hooktide.domain.json.encoding import encode_payload
from hooktide.wire.events import BatchResults, EventAccepted, EventIn, EventResult
from hooktide.wire.problems import Problem

MAX_BATCH_SIZE = 1000
MAX_BATCH_BYTES = 8_000_000
"""The server accepts 1,000 events and 10 MB per request."""


def _new_key() -> str:
    return uuid4().hex


class NewEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event to publish.

    ``account`` is an ``acc_`` id or the product's own reference. ``payload`` is a Python value,
    which is encoded (``str`` as a JSON string, ``Decimal`` as a number, Pydantic models and
    dataclasses as objects), or JSON text as ``bytes`` or ``hooktide.RawJSON``, which reaches the
    receivers byte for byte. Endpoints with channels get only events that share one of theirs
    (``channels``, 5 at most); lists of events can be filtered by a tag (``tags``, 10 at most).
    After ``retention_days`` the payload is erased (5 to 90; None: as the event type says).
    Publishing again with the same ``idempotency_key`` creates no second event, so a call may be
    repeated until it succeeds.
    """

    account: str
    type: str
    payload: Any
    occurred_at: datetime | None = None
    transition: str = ""
    test: bool = False
    channels: Sequence[str] = ()
    tags: Sequence[str] = ()
    retention_days: int | None = None
    idempotency_key: str = msgspec.field(default_factory=_new_key)


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one event of a batch: accepted, with its ``id``, or refused, with its problem.

    ``account`` is as in ``EventAccepted``.
    """

    event: NewEvent
    id: str = ""
    deliveries: int = 0
    account: Literal["", "unknown"] = ""
    problem: Problem | None = None

    @property
    def accepted(self) -> bool:
        """Whether the event is durable."""
        return self.problem is None


def publish(event: NewEvent) -> Request[EventAccepted]:
    """Make the request that publishes an event.

    :raises InvalidError: its payload cannot be encoded as JSON; the error names the place.
    """
    return Request(
        "POST",
        "/v1/events",
        _decode_accepted,
        event_body(event),
        repeatable=bool(event.idempotency_key),
        idempotency_key=event.idempotency_key,
    )


_decode_accepted = msgspec.json.Decoder(EventAccepted).decode


def event_body(event: NewEvent) -> bytes:
    """Write an event as the API takes it.

    :raises InvalidError: its payload cannot be encoded as JSON; the error names the place.
    """
    return encode(
        EventIn(
            account=event.account,
            type=event.type,
            payload=msgspec.Raw(payload_json(event.payload)),
            occurred_at=instant(event.occurred_at),
            transition=event.transition,
            idempotency_key=event.idempotency_key,
            test=event.test,
            channels=tuple(event.channels),
            tags=tuple(event.tags),
            retention_days=event.retention_days,
        )
    )


def payload_json(payload: Any, at: str = "/payload") -> bytes:
    """Return a payload as JSON text (see ``domain.json.encoding``); ``at`` is its pointer.

    :raises InvalidError: it cannot be encoded; nothing was sent.
    """
    try:
        return encode_payload(payload, at)
    except errors.InvalidError as error:
        raise InvalidError.before_sending("Invalid JSON", error) from error


def raw_json(value: Any, at: str) -> msgspec.Raw | msgspec.UnsetType:
    """Return a value that is given as JSON text, for the body of a request.

    :raises InvalidError: it cannot be encoded; nothing was sent.
    """
    return msgspec.UNSET if value is msgspec.UNSET else msgspec.Raw(payload_json(value, at))


def publish_many(events: Iterable[NewEvent]) -> Steps[Published]:
    """Publish events in as few requests as possible."""
    for batch in batches(events):
        results = yield from _publish_batch(batch)
        yield [
            Published(
                event=event,
                id=result.id,
                deliveries=result.deliveries,
                account=result.account,
                problem=result.problem,
            )
            for (event, _), result in zip(batch, results, strict=True)
        ]


Batch: TypeAlias = list[tuple[NewEvent, bytes | Problem]]
"""Events, each with its body, or with its error: that one is not sent."""


def batches(events: Iterable[NewEvent]) -> Iterator[Batch]:
    """Divide events into as few requests as possible."""
    batch: Batch = []
    size = 0
    for event in events:
        body: bytes | Problem
        try:
            body = event_body(event)
        except InvalidError as error:
            body = error.problem
        length = len(body) if isinstance(body, bytes) else 0
        if batch and (len(batch) == MAX_BATCH_SIZE or size + length > MAX_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append((event, body))
        size += length
    if batch:
        yield batch


def sendable(batch: Batch) -> Iterator[tuple[int, bytes]]:
    """Yield the bodies of a batch that can be sent, with their positions."""
    for number, (_, body) in enumerate(batch):
        if isinstance(body, bytes):
            yield number, body


def _publish_batch(batch: Batch) -> Generator[Request[Any] | Backoff, Any, list[EventResult]]:
    """Publish a batch; events that the server cannot accept for now are retried."""
    results = [_before(body) for _, body in batch]
    made = 0
    while open_ := {n: body for n, body in sendable(batch) if results[n].status == 503}:
        if made and not (yield Backoff(made)):
            break
        made += 1
        answer: Sequence[EventResult] = yield _batch_request(list(open_.values()))
        for number, result in zip(open_, answer, strict=True):
            results[number] = result
    return results


def _before(body: bytes | Problem) -> EventResult:
    """Return the result before an event was sent: pending, or refused locally."""
    if isinstance(body, bytes):
        return EventResult(503)
    return EventResult(body.status, problem=body)


def _batch_request(bodies: Sequence[bytes]) -> Request[Sequence[EventResult]]:
    """Make the request of a batch; each event has its key, so it may be repeated."""

    def results(answer: BatchResults) -> Sequence[EventResult]:
        if len(answer.results) != len(bodies):
            raise UnexpectedAnswerError(
                f"a batch of {len(bodies)} events was answered with {len(answer.results)} results; "
                "check the URL, and any proxy"
            )
        return answer.results

    request = call("POST", "/v1/events", BatchResults, repeatable=True).then(results)
    return replace(request, body=b"[" + b",".join(bodies) + b"]")


async def publish_bodies(
    send: Callable[[Request[Sequence[EventResult]]], Awaitable[Sequence[EventResult]]],
    bodies: Sequence[bytes],
) -> list[EventResult | ClientError]:
    """Publish events given as request bodies; return the result of each, in order.

    A request that is refused as a whole is halved until the invalid event is alone: one of 200
    costs 15 more requests, and its result is the refusal.

    :raises ClientError: they cannot be published now; some may have been accepted.
    """
    results: list[EventResult | ClientError] = []
    parts = [bodies] if bodies else []
    while parts:
        part = parts.pop()
        try:
            results += await send(_batch_request(part))
        except ClientError as error:
            if status_of(error) not in _REFUSED_FOR_AN_EVENT:
                raise
            if len(part) == 1:
                results.append(error)
                continue
            middle = len(part) // 2
            parts += [part[middle:], part[:middle]]
    return results


_REFUSED_FOR_AN_EVENT = frozenset({400, 413, 422})
"""Statuses of a whole request that one event in it may cause."""


def status_of(error: ClientError) -> int:
    """Return the status of a request's response; 0 without one."""
    return error.status if isinstance(error, ProblemError | UnexpectedAnswerError) else 0


def is_temporary(status: int) -> bool:
    """Whether an event with this status may be accepted later."""
    return status in {0, 408, 425, 429} or status >= 500


def json_of(raw: msgspec.Raw) -> Any:
    """Read JSON that came as its bytes."""
    return msgspec.json.decode(raw)
