"""``/v1/events``: what was published; and the document of publishing, answered by the hot door."""

from typing import Any

import msgspec

from hooktide.actions.publish import EventIn
from hooktide.domain.ids import made_at, read, show
from hooktide.domain.times import show_time
from hooktide.store.base import EventRow
from hooktide.web.api.shapes import AccountName, Instant
from hooktide.web.operation import ANYONE, MANAGERS, Call, Documented, operation
from hooktide.web.pages import Listed, PageQuery
from hooktide.web.problems import ProblemOut


class EventAccepted(msgspec.Struct):
    """The event and its deliveries are durable."""

    id: str
    deliveries: int


class EventResult(msgspec.Struct, omit_defaults=True):
    """What became of one event of a batch: accepted (`status` 202), or its problem."""

    status: int
    id: str = ""
    deliveries: int = 0
    problem: ProblemOut | None = None


class BatchResults(msgspec.Struct):
    """What became of each event of a batch, in order."""

    results: list[EventResult]


class EventItem(msgspec.Struct, kw_only=True):
    """An event. `deliveries` is how many endpoints it went to when it was accepted."""

    id: str
    account: str
    type: str
    transition: str
    test: bool
    occurred_at: Instant
    accepted_at: Instant
    deliveries: int


class EventOut(EventItem, kw_only=True):
    """An event with its payload, byte for byte as it was published."""

    payload: msgspec.Raw


class EventQuery(PageQuery):
    """Which events."""

    account: AccountName | None = None
    type: str | None = None


PUBLISH = Documented(
    method="POST",
    path="/v1/events",
    name="publish_event",
    tag="events",
    summary="Publish an event, or up to 1,000 in an array",
    description="202 says that the event and its deliveries are durable. The payload (256 KB) "
    "reaches the receivers byte for byte. `account` is an `acc_` id or the product's own "
    "reference. The same idempotency key answers as before. A batch is answered with a result "
    "for each event, in order: 202 when all were accepted, 207 when some were not.",
    who=MANAGERS,
    body=(EventIn, list[EventIn]),
    answers={202: (EventAccepted, BatchResults), 207: BatchResults},
    headers=("Idempotency-Key",),
    problems=(
        "not_found",
        "ambiguous_account",
        "invalid_event",
        "invalid_batch",
        "invalid_time",
        "unknown_event_type",
        "webhooks_not_offered",
        "event_type_not_offered",
        "project_not_live",
        "payload_too_large",
        "payload_breaks_schema",
        "payload_not_an_object",
        "payload_member_missing",
        "transition_missing",
        "transition_too_long",
        "invalid_text",
        "invalid_idempotency_key",
        "idempotency_key_of_batch",
        "idempotency_key_twice",
        "idempotency_key_reuse",
    ),
)


@operation("GET", "/v1/events", who=ANYONE, problems=("not_found", "ambiguous_account"))
async def list_events(call: Call, query: EventQuery) -> Listed[EventItem]:
    """List the events, newest first, without their payloads."""
    page = await call.services.store.list_events(
        await call.services.accounts.narrowed(call.scope, query.account),
        call.before(query),
        query.limit,
        query.type,
    )
    return call.listed(page, [EventItem(**_fields(each)) for each in page.items])


@operation("GET", "/v1/events/{id}", who=ANYONE)
async def get_event(call: Call, id: str) -> EventOut:
    """Get an event with its payload."""
    row = await call.services.store.get_event(call.scope, read("evt", id))
    return EventOut(**_fields(row), payload=msgspec.Raw(row.event.payload))


def _fields(row: EventRow) -> dict[str, Any]:
    event = row.event
    return {
        "id": show("evt", event.id),
        "account": show("acc", event.account_id),
        "type": event.type,
        "transition": event.transition,
        "test": event.test,
        "occurred_at": show_time(event.occurred_at),
        "accepted_at": show_time(made_at(event.id)),
        "deliveries": row.deliveries,
    }


OPERATIONS = (list_events, get_event)
