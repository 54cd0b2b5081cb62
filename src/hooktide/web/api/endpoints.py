"""``/v1/endpoints``: the destinations of an account's events."""

from typing import Any

import msgspec

from hooktide.actions.deliveries.event_recipients import Why
from hooktide.actions.endpoints import EndpointSpec, Tested
from hooktide.domain.delivery.body_text import text_or_base64
from hooktide.domain.dialect.signing import read_secret, whsec
from hooktide.domain.errors import RefusedError
from hooktide.domain.filtering.filter import Mismatch
from hooktide.domain.http.head import field_value
from hooktide.domain.http.headers import MASK
from hooktide.domain.ids import read, show
from hooktide.domain.labels import read_metadata_filter
from hooktide.domain.model import Endpoint, EndpointKind, KeyScope, Micros, Secret
from hooktide.web.api.deliveries import delivery_shown
from hooktide.web.operations.operation import ANYONE, MANAGERS, Call, operation
from hooktide.web.operations.response_values import header_pairs, instant, schedule_shown
from hooktide.wire import endpoints as wire
from hooktide.wire.events import Delivery
from hooktide.wire.fields import Listed, PeriodQuery

FIELD_RULES = (
    "invalid_url",
    "invalid_kind",
    "unknown_event_type",
    "invalid_headers",
    "invalid_filter",
    "invalid_channels",
    "invalid_metadata",
    "invalid_reference",
    "invalid_rate",
    "invalid_schedule",
    "invalid_text",
)
"""Problems with the fields of an endpoint."""
_TAKEN = ("endpoint_reference_taken",)


@operation(
    "POST",
    "/v1/endpoints",
    who=ANYONE,
    status=201,
    problems=(
        "not_found",
        "account_missing",
        "ambiguous_account",
        "webhooks_not_offered",
        "plan_limit_reached",
        "forbidden",
        *_TAKEN,
        *FIELD_RULES,
    ),
)
async def create_endpoint(call: Call, body: wire.EndpointIn) -> wire.EndpointCreated:
    """Create an endpoint; only this response shows its secret."""
    if body.secret is not None and call.key.scope is KeyScope.ACCOUNT:
        raise RefusedError(
            "forbidden", "an account's key cannot choose a secret; leave it out", status=403
        )
    asked = wanted(body, enabled=body.enabled)
    given = None if body.secret is None else read_secret(body.secret)
    made, secret = await call.services.endpoints.create(
        call.actor, call.scope, body.account, asked, given
    )
    return wire.EndpointCreated(
        **endpoint_fields(made, call.services.clock()), secret=secret_shown(secret)
    )


@operation(
    "POST",
    "/v1/endpoint-checks",
    who=MANAGERS,
    problems=(
        "not_found",
        "project_missing",
        "unknown_plan",
        "webhooks_not_offered",
        "plan_limit_reached",
        *FIELD_RULES,
    ),
)
async def check_endpoint(call: Call, body: wire.EndpointCheckIn) -> wire.EndpointChecked:
    """Check whether an endpoint could be created, by the same rules, without creating it.

    If not, the response is the problem that creating it would return.
    """
    if body.secret is not None:
        read_secret(body.secret)
    found = await call.services.endpoints.check(
        call.scope, body.project, body.account, wanted(body), body.plan
    )
    account = None if found.account is None else show("acc", found.account.id)
    return wire.EndpointChecked(account, found.url, found.kind, found.left)


@operation("GET", "/v1/endpoints", who=ANYONE, problems=("not_found", "ambiguous_account"))
async def list_endpoints(call: Call, query: wire.EndpointQuery) -> Listed[wire.Endpoint]:
    """List the endpoints, newest first."""
    scope = await call.services.accounts.narrowed(call.scope, query.account)
    page = await call.services.store.list_endpoints(
        scope,
        call.before(query),
        query.limit,
        reference=query.reference,
        metadata=None if query.metadata is None else read_metadata_filter(query.metadata),
    )
    return call.listed(page, [_shown(call, each) for each in page.items])


@operation("GET", "/v1/endpoints/{id}", who=ANYONE)
async def get_endpoint(call: Call, id: str) -> wire.Endpoint:
    """Get an endpoint."""
    return _shown(call, await call.services.store.get_endpoint(call.scope, read("ep", id)))


@operation("PATCH", "/v1/endpoints/{id}", who=ANYONE, problems=(*_TAKEN, *FIELD_RULES))
async def update_endpoint(call: Call, id: str, body: wire.EndpointUpdate) -> wire.Endpoint:
    """Update an endpoint. A new URL ends its rest, if any."""
    given = changes_of(body)
    changed = await call.services.endpoints.update(call.actor, call.scope, read("ep", id), given)
    return _shown(call, changed)


@operation("DELETE", "/v1/endpoints/{id}", who=ANYONE, status=204)
async def delete_endpoint(call: Call, id: str) -> None:
    """Delete an endpoint; its pending deliveries are discarded."""
    await call.services.endpoints.delete(call.actor, call.scope, read("ep", id))


@operation("POST", "/v1/endpoints/{id}/enable", who=ANYONE, problems=("disabled_by_provider",))
async def enable_endpoint(call: Call, id: str) -> wire.Endpoint:
    """Enable an endpoint, reset its consecutive failures and lift its rest, if any.

    An account's key cannot enable an endpoint that an operator's or project's key or the dashboard
    disabled.
    """
    enabled = await call.services.endpoints.enable(call.actor, call.scope, read("ep", id))
    return _shown(call, enabled)


@operation("POST", "/v1/endpoints/{id}/resume", who=ANYONE)
async def resume_endpoint(call: Call, id: str) -> wire.Endpoint:
    """End an endpoint's rest early.

    The deliveries that it delayed become due by their own schedule, or now. Nothing changes if the
    endpoint does not rest.
    """
    resumed = await call.services.endpoints.resume(call.actor, call.scope, read("ep", id))
    return _shown(call, resumed)


@operation("POST", "/v1/endpoints/{id}/disable", who=ANYONE)
async def disable_endpoint(call: Call, id: str, query: wire.DisableQuery) -> wire.Endpoint:
    """Disable an endpoint.

    Its pending deliveries are discarded, and events published while it is disabled are not queued
    for it. If an operator's or project's key disables it, only such a key can enable it again,
    unless `account_may_enable=true`.
    """
    disabled = await call.services.endpoints.disable(
        call.actor,
        call.scope,
        read("ep", id),
        account_may_enable=query.account_may_enable,
    )
    return _shown(call, disabled)


@operation("POST", "/v1/endpoints/{id}/rotate", who=ANYONE, problems=("too_many_secrets",))
async def rotate_secret(call: Call, id: str) -> wire.Rotated:
    """Rotate an endpoint's secret; only this response shows the new one."""
    rotated = await call.services.endpoints.rotate(call.actor, call.scope, read("ep", id))
    return wire.Rotated(
        id=show("ep", rotated.endpoint.id),
        secret=secret_shown(rotated.secret),
        previous_secret_expires_at=instant(rotated.previous_secret_expires_at),
    )


@operation(
    "POST",
    "/v1/endpoints/{id}/test",
    who=ANYONE,
    problems=("unknown_event_type", "disabled_by_provider", "endpoint_deleted", "too_many_tests"),
    limited=True,
)
async def test_endpoint(call: Call, id: str, body: wire.TestIn) -> wire.Tested:
    """Send a test event immediately, and return the receiver's response.

    It is sent like any event: signed, guarded and logged as a delivery, but never retried. The
    payload is the event type's example; by default of the first type that the endpoint subscribes
    to. It is sent even if the endpoint rests, and a 2xx ends that rest; and even if it is disabled,
    so that a repair is proven before the endpoint is enabled. What the provider disabled, an
    account's key does not test.
    """
    return _test_shown(
        await call.services.endpoints.test(call.scope, read("ep", id), body.event_type)
    )


@operation(
    "POST",
    "/v1/filter-previews",
    who=ANYONE,
    problems=(
        "not_found",
        "account_missing",
        "invalid_filter",
        "invalid_channels",
        "unknown_event_type",
        "too_many_tests",
    ),
)
async def preview_filter(call: Call, body: wire.FilterPreviewIn) -> wire.FilterPreview:
    """Try channels, a filter or both with an account's newest events, 100 at most.

    Nothing is sent or stored.
    """
    found = await call.services.filters.preview(
        call.scope, body.account, filter_text(body.filter), tuple(body.event_types), body.channels
    )
    items = [
        wire.FilterTried(
            event=show("evt", each.event_id),
            event_type=each.type,
            accepted_at=instant(each.accepted_at),
            matches=each.matches,
            mismatch=_mismatch(each.mismatch),
            channels=list(each.channels),
            no_shared_channel=each.apart,
        )
        for each in found.tried
    ]
    return wire.FilterPreview(filter_shown(found.filter), len(items), found.matched, items)


@operation("GET", "/v1/events/{id}/not-matched", who=ANYONE)
async def list_not_matched(call: Call, id: str) -> wire.NotMatchedList:
    """List the endpoints that an event was not sent to because of their channels or filter.

    By the channels and filters that they have now.
    """
    row = await call.services.store.get_event(call.scope, read("evt", id))
    items = [
        wire.NotMatched(
            show("ep", each.endpoint.id),
            "channels" if each.apart else "filter",
            _mismatch(each.mismatch),
            each.is_rule_younger(row.event),
        )
        async for each in call.services.event_recipients.all(row.event)
        if each.why in (Why.NO_SHARED_CHANNEL, Why.NOT_MATCHED)
    ]
    return wire.NotMatchedList(items)


def _mismatch(found: Mismatch | None) -> wire.Mismatch | None:
    if found is None:
        return None
    return wire.Mismatch(found.pointer, found.condition, found.value or None)


@operation("GET", "/v1/endpoints/{id}/waiting", who=ANYONE)
async def get_waiting(call: Call, id: str) -> wire.WaitingForEndpoint:
    """Get how much waits for an endpoint, and what holds it back."""
    found = await call.services.held_back.waiting(call.scope, read("ep", id), call.services.clock())
    held = found.held_back
    return wire.WaitingForEndpoint(
        waiting=found.waiting,
        in_flight=found.in_flight,
        held_back=None
        if held is None
        else wire.HeldBack(held.rule.value, str(held.reason), instant(held.until)),
    )


@operation("GET", "/v1/endpoints/{id}/deliveries", who=ANYONE)
async def list_endpoint_deliveries(call: Call, id: str, query: PeriodQuery) -> Listed[Delivery]:
    """List the deliveries to an endpoint, newest first."""
    store = call.services.store
    endpoint = await store.get_endpoint(call.scope, read("ep", id))
    after, before = call.bounds(query)
    page = await store.list_deliveries(
        call.scope, before, query.limit, endpoint_id=endpoint.id, after=after
    )
    return call.listed(page, [delivery_shown(each) for each in page.items])


def wanted(
    body: wire.EndpointIn | wire.EndpointCheckIn | wire.WebhookIn, *, enabled: bool = True
) -> EndpointSpec:
    """Return the endpoint described by a body."""
    return EndpointSpec(
        url=body.url,
        event_types=tuple(body.event_types),
        kind=None if body.kind is None else EndpointKind(body.kind),
        name=body.name,
        description=body.description,
        headers=body.headers,
        filter=filter_text(body.filter),
        channels=tuple(body.channels),
        reference=body.reference,
        metadata=body.metadata,
        rate_limit=body.rate_limit,
        burst=body.burst,
        retry_delays=None if body.retry_delays is None else tuple(body.retry_delays),
        timeout_seconds=body.timeout_seconds,
        enabled=enabled,
    )


def changes_of(body: msgspec.Struct) -> dict[str, Any]:
    """Return the fields present in a PATCH."""
    given = {name: getattr(body, name) for name in body.__struct_fields__}
    given = {name: value for name, value in given.items() if value is not msgspec.UNSET}
    if "event_types" in given:
        given["event_types"] = tuple(given["event_types"])
    if "kind" in given:
        given["kind"] = EndpointKind(given["kind"])
    if "filter" in given:
        given["filter"] = filter_text(given["filter"])
    return given


def filter_text(value: msgspec.Raw | msgspec.UnsetType) -> str:
    """Return a filter's JSON text; empty where there is none."""
    text = "null" if isinstance(value, msgspec.UnsetType) else bytes(value).decode()
    return "" if text == "null" else text


def filter_shown(text: str) -> Any:
    """Return what shows a filter in a response: its JSON as it is, or null."""
    return msgspec.Raw(text.encode()) if text else None


def secret_shown(secret: Secret) -> wire.Secret:
    """Show a secret in both forms."""
    return wire.Secret(secret.text, whsec(secret))


def _shown(call: Call, endpoint: Endpoint) -> wire.Endpoint:
    return wire.Endpoint(**endpoint_fields(endpoint, call.services.clock()))


def endpoint_fields(endpoint: Endpoint, now: Micros) -> dict[str, Any]:
    """Return an endpoint's fields for a response; the values of its headers are masked."""
    resting_until = endpoint.resting_until(now)
    return {
        "id": show("ep", endpoint.id),
        "account": show("acc", endpoint.account_id),
        "url": endpoint.url,
        "kind": endpoint.kind,
        "event_types": list(endpoint.event_types),
        "name": endpoint.name,
        "description": endpoint.description,
        "headers": {name: MASK for name, _ in endpoint.headers},
        "filter": filter_shown(endpoint.filter),
        "channels": list(endpoint.channels),
        "reference": endpoint.reference,
        "metadata": dict(endpoint.metadata),
        "rate_limit": endpoint.rate_limit,
        "burst": endpoint.burst,
        **schedule_shown(endpoint.retry_delays, endpoint.timeout),
        "enabled": endpoint.enabled,
        "disabled_reason": endpoint.disabled_reason,
        "disabled_at": instant(endpoint.disabled_at),
        "consecutive_failures": endpoint.consecutive_failures,
        "resting_until": instant(resting_until),
        "resting_reason": endpoint.rest_reason if resting_until else "",
        "created_at": instant(endpoint.created_at),
        "updated_at": instant(endpoint.updated_at),
    }


def _test_shown(tested: Tested) -> wire.Tested:
    attempt, claim = tested.attempt, tested.claim
    sent = header_pairs(attempt.request_head)
    own = tested.project.dialect.signature
    body, encoding = text_or_base64(attempt.response_body, truncated=attempt.response_truncated)
    delivered = attempt.status is not None and 200 <= attempt.status < 300
    return wire.Tested(
        status="delivered" if delivered else "failed",
        event=show("evt", claim.event.id),
        event_type=claim.event.type,
        delivery=show("dlv", claim.delivery_id),
        response_status=attempt.status,
        duration_ms=attempt.duration / 1000,
        error=attempt.error,
        detail=attempt.detail,
        request_headers=sent,
        signature=field_value(sent, own.header.lower()) if own else None,
        webhook_signature=field_value(sent, tested.project.dialect.standard_names.signature),
        response_headers=header_pairs(attempt.response_head),
        response_body=body,
        response_body_encoding=encoding,
    )


OPERATIONS = (
    create_endpoint,
    check_endpoint,
    list_endpoints,
    get_endpoint,
    update_endpoint,
    delete_endpoint,
    enable_endpoint,
    resume_endpoint,
    disable_endpoint,
    rotate_secret,
    test_endpoint,
    preview_filter,
    list_not_matched,
    get_waiting,
    list_endpoint_deliveries,
)
