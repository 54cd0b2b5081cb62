"""``/v1/events``: published events, and the document of ``web.publishing.events``."""

from typing import Any

import msgspec

from hooktide.domain.ids import made_at, read, show
from hooktide.store.base import EventRow
from hooktide.web.operations.operation import ANYONE, MANAGERS, Call, Documented, operation
from hooktide.web.operations.response_values import instant
from hooktide.wire import events as wire
from hooktide.wire.fields import Listed

PUBLISH = Documented(
    method="POST",
    path="/v1/events",
    name="publish_event",
    tag="events",
    summary="Publish an event, or up to 1,000 in an array",
    description="202 means that the event and its deliveries are durable. The payload (256 KB) "
    "reaches the receivers byte for byte. `account` is an `acc_` id or the product's own "
    "reference. Repeating an idempotency key returns the first result. The response to a batch has "
    "a result for each event, in order: 202 if all were accepted, 207 if some were not. An event "
    "for an account that does not exist creates the account if the project allows it "
    "(`accounts.create_on_publish`); otherwise it is not stored, and the response is 202 with "
    '`"account": "unknown"`.',
    who=MANAGERS,
    body=(wire.EventIn, list[wire.EventIn]),
    answers={202: (wire.EventAccepted, wire.BatchResults), 207: wire.BatchResults},
    headers=("Idempotency-Key",),
    problems=(
        "ambiguous_account",
        "project_missing",
        "invalid_reference",
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
        "invalid_channels",
        "invalid_tags",
        "invalid_retention",
        "invalid_text",
        "invalid_idempotency_key",
        "idempotency_key_of_batch",
        "idempotency_key_twice",
        "idempotency_key_reuse",
    ),
)


@operation(
    "GET",
    "/v1/events",
    who=ANYONE,
    problems=(
        "not_found",
        "ambiguous_account",
        "not_indexed",
        "invalid_search",
        "search_too_broad",
    ),
)
async def list_events(call: Call, query: wire.EventQuery) -> Listed[wire.EventItem]:
    """List the events, newest first, without their payloads.

    `since` and `until` refer to their acceptance. `search` finds events by the values of their
    payloads that their project indexes: the whole value, its beginning, or the beginning of a word
    in it.
    """
    bounds = call.bounds(query)
    page = await call.services.event_search.list(
        await call.services.accounts.narrowed(call.scope, query.account),
        query.search,
        query.type,
        bounds,
        query.limit,
        tag=query.tag,
        channel=query.channel,
    )
    return call.listed(page, [wire.EventItem(**_fields(each)) for each in page.items])


@operation("GET", "/v1/events/{id}", who=ANYONE)
async def get_event(call: Call, id: str) -> wire.Event:
    """Get an event with its payload."""
    row = await call.services.store.get_event(call.scope, read("evt", id))
    return wire.Event(**_fields(row), payload=msgspec.Raw(row.event.payload))


@operation("DELETE", "/v1/events/{id}/payload", who=MANAGERS)
async def erase_payload(call: Call, id: str) -> wire.Event:
    """Erase an event's payload, and the heads and bodies of its attempts.

    Ids, times, states and the idempotency key stay. Deliveries that are pending or held are
    discarded; an attempt in progress is not aborted. The event cannot be sent again: resend and
    replay answer 410. Erasing it again changes nothing but what was recorded meanwhile.
    """
    row = await call.services.store.erase_payload(
        call.scope, read("evt", id), call.services.clock(), call.actor.does("event.erase")
    )
    return wire.Event(**_fields(row), payload=msgspec.Raw(row.event.payload))


def _fields(row: EventRow) -> dict[str, Any]:
    event = row.event
    return {
        "id": show("evt", event.id),
        "account": show("acc", event.account_id),
        "type": event.type,
        "transition": event.transition,
        "test": event.test,
        "occurred_at": instant(event.occurred_at),
        "accepted_at": instant(made_at(event.id)),
        "deliveries": row.deliveries,
        "channels": list(event.channels),
        "tags": list(event.tags),
        "payload_erased_at": instant(event.erased_at),
    }


OPERATIONS = (list_events, get_event, erase_payload)
