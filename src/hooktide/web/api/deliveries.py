"""``/v1/deliveries``: each event's delivery to each endpoint, attempt by attempt."""

from hooktide.domain.delivery.body_text import text_or_base64
from hooktide.domain.ids import made_at, read, show
from hooktide.domain.model import Attempt, Delivery, DeliveryState
from hooktide.web.operations.operation import ANYONE, Call, operation
from hooktide.web.operations.response_values import header_pairs, instant
from hooktide.wire import events as wire
from hooktide.wire.fields import Listed


@operation("GET", "/v1/deliveries", who=ANYONE, problems=("not_found", "ambiguous_account"))
async def list_deliveries(call: Call, query: wire.DeliveryQuery) -> Listed[wire.Delivery]:
    """List the deliveries, newest first; `since` and `until` refer to their creation."""
    after, before = call.bounds(query)
    page = await call.services.store.list_deliveries(
        await call.services.accounts.narrowed(call.scope, query.account),
        before,
        query.limit,
        endpoint_id=None if query.endpoint is None else read("ep", query.endpoint),
        event_id=None if query.event is None else read("evt", query.event),
        state=None if query.state is None else DeliveryState(query.state),
        after=after,
    )
    return call.listed(page, [delivery_shown(each) for each in page.items])


@operation("GET", "/v1/deliveries/{id}", who=ANYONE)
async def get_delivery(call: Call, id: str) -> wire.Delivery:
    """Get a delivery."""
    return delivery_shown(await call.services.store.get_delivery(call.scope, read("dlv", id)))


@operation("GET", "/v1/deliveries/{id}/attempts", who=ANYONE)
async def list_attempts(call: Call, id: str) -> wire.Attempts:
    """List the attempts of a delivery, first to last."""
    found = await call.services.store.list_attempts(call.scope, read("dlv", id))
    return wire.Attempts([_attempt_shown(each) for each in found])


@operation(
    "POST",
    "/v1/deliveries/{id}/resend",
    who=ANYONE,
    status=202,
    problems=(
        "endpoint_disabled",
        "endpoint_deleted",
        "delivery_held",
        "disabled_by_provider",
        "payload_erased",
    ),
)
async def resend_delivery(call: Call, id: str, query: wire.ResendQuery) -> wire.Delivery:
    """Send the same event to the same endpoint again, as a new delivery.

    With `enable=true` an endpoint that is disabled is enabled first.
    """
    made = await call.services.delivery_actions.resend(
        call.actor, call.scope, read("dlv", id), enable=query.enable
    )
    return delivery_shown(made)


@operation(
    "POST",
    "/v1/deliveries/{id}/retry",
    who=ANYONE,
    status=202,
    problems=("delivery_ended", "delivery_held"),
)
async def retry_delivery(call: Call, id: str) -> wire.Delivery:
    """Make the next attempt of a pending delivery at once.

    It counts as an attempt, and the schedule continues after it. If the endpoint's receiver asked
    for a rest, that is lifted. A delivery whose attempt is out stays as it is.
    """
    actions = call.services.delivery_actions
    return delivery_shown(await actions.retry_now(call.actor, call.scope, read("dlv", id)))


@operation("POST", "/v1/deliveries/{id}/stop", who=ANYONE, problems=("delivery_ended",))
async def stop_delivery(call: Call, id: str) -> wire.Delivery:
    """Stop a pending or held delivery: it is discarded, and counts as no failure.

    An attempt that is out is not cut: if it is answered with a 2xx, the delivery is delivered.
    """
    actions = call.services.delivery_actions
    return delivery_shown(await actions.stop(call.actor, call.scope, read("dlv", id)))


def delivery_shown(delivery: Delivery) -> wire.Delivery:
    """Show a delivery."""
    return wire.Delivery(
        id=show("dlv", delivery.id),
        account=show("acc", delivery.account_id),
        endpoint=show("ep", delivery.endpoint_id),
        event=show("evt", delivery.event_id),
        event_type=delivery.event_type,
        origin=delivery.origin,
        state=delivery.state,
        reason=delivery.reason,
        attempts=delivery.attempts,
        next_attempt_at=None if delivery.sending else instant(delivery.due_at),
        created_at=instant(made_at(delivery.id)),
        ended_at=instant(delivery.ended_at),
    )


def _attempt_shown(attempt: Attempt) -> wire.Attempt:
    body, encoding = text_or_base64(attempt.response_body, truncated=attempt.response_truncated)
    return wire.Attempt(
        number=attempt.number,
        started_at=instant(attempt.started_at),
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


OPERATIONS = (
    list_deliveries,
    get_delivery,
    list_attempts,
    resend_delivery,
    retry_delivery,
    stop_delivery,
)
