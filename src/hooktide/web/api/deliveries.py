"""``/v1/deliveries``: what became of each event at each endpoint, attempt by attempt."""

from typing import Annotated

import msgspec

from hooktide.domain.ids import made_at, read, show
from hooktide.domain.model import Attempt, Delivery, DeliveryState, Origin
from hooktide.domain.times import show_time
from hooktide.web.api.heads import HeaderPairs, body_text, header_pairs
from hooktide.web.api.shapes import AccountName, Instant, instant
from hooktide.web.operation import ANYONE, Call, operation
from hooktide.web.pages import Listed, PageQuery


class DeliveryOut(msgspec.Struct, kw_only=True):
    """One event for one endpoint. `reason` says why it is held, failed or discarded.

    While an attempt is out, `next_attempt_at` is when another one would be made if nothing more
    were heard of this one.
    """

    id: str
    account: str
    endpoint: str
    event: str
    event_type: str
    origin: Origin
    state: DeliveryState
    reason: str
    attempts: int
    next_attempt_at: Instant | None
    created_at: Instant
    ended_at: Instant | None


class AttemptOut(msgspec.Struct, kw_only=True):
    """One request and what came back.

    `status` is null where there was no valid answer; then `error` is the error class. The values
    of the endpoint's own headers are not shown. `response_body` is the first 4 KB.
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


class Attempts(msgspec.Struct):
    """The attempts of a delivery, first to last."""

    items: list[AttemptOut]


class DeliveryQuery(PageQuery):
    """Which deliveries."""

    account: AccountName | None = None
    endpoint: str | None = None
    event: str | None = None
    state: DeliveryState | None = None


@operation("GET", "/v1/deliveries", who=ANYONE, problems=("not_found", "ambiguous_account"))
async def list_deliveries(call: Call, query: DeliveryQuery) -> Listed[DeliveryOut]:
    """List the deliveries, newest first."""
    page = await call.services.store.list_deliveries(
        await call.services.accounts.narrowed(call.scope, query.account),
        call.before(query),
        query.limit,
        endpoint_id=None if query.endpoint is None else read("ep", query.endpoint),
        event_id=None if query.event is None else read("evt", query.event),
        state=query.state,
    )
    return call.listed(page, [delivery_shown(each) for each in page.items])


@operation("GET", "/v1/deliveries/{id}", who=ANYONE)
async def get_delivery(call: Call, id: str) -> DeliveryOut:
    """Get a delivery."""
    return delivery_shown(await call.services.store.get_delivery(call.scope, read("dlv", id)))


@operation("GET", "/v1/deliveries/{id}/attempts", who=ANYONE)
async def list_attempts(call: Call, id: str) -> Attempts:
    """List the attempts of a delivery, first to last."""
    found = await call.services.store.list_attempts(call.scope, read("dlv", id))
    return Attempts([_attempt_shown(each) for each in found])


@operation(
    "POST",
    "/v1/deliveries/{id}/resend",
    who=ANYONE,
    status=202,
    problems=("endpoint_disabled", "endpoint_removed", "delivery_held"),
)
async def resend_delivery(call: Call, id: str) -> DeliveryOut:
    """Send the same event to the same endpoint again, as a new delivery."""
    made = await call.services.store.resend(call.scope, read("dlv", id), call.now)
    return delivery_shown(made)


def delivery_shown(delivery: Delivery) -> DeliveryOut:
    """Show a delivery."""
    return DeliveryOut(
        id=show("dlv", delivery.id),
        account=show("acc", delivery.account_id),
        endpoint=show("ep", delivery.endpoint_id),
        event=show("evt", delivery.event_id),
        event_type=delivery.event_type,
        origin=delivery.origin,
        state=delivery.state,
        reason=delivery.reason,
        attempts=delivery.attempts,
        next_attempt_at=instant(delivery.due_at),
        created_at=show_time(made_at(delivery.id)),
        ended_at=instant(delivery.ended_at),
    )


def _attempt_shown(attempt: Attempt) -> AttemptOut:
    body, encoding = body_text(attempt.response_body)
    return AttemptOut(
        number=attempt.number,
        started_at=show_time(attempt.started_at),
        duration_ms=attempt.duration / 1000,
        status=attempt.status,
        error=attempt.error,
        detail=attempt.detail,
        request_headers=header_pairs(attempt.request_head),
        response_headers=header_pairs(attempt.response_head),
        response_body=body,
        response_body_encoding=encoding,
        response_truncated=attempt.response_truncated,
    )


OPERATIONS = (list_deliveries, get_delivery, list_attempts, resend_delivery)
