"""``/webhooks``: the API of a project's customers, with the field names of the project's guide.

Each project can rename the fields of an endpoint (``fields`` in its file): Defacto's
customers send ``to_url``. An account's key has access to the account's own endpoints only.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from hooktide.domain.dialect.signing import whsec
from hooktide.domain.errors import Fault, InvalidError
from hooktide.domain.http.headers import MASK
from hooktide.domain.ids import read, show
from hooktide.domain.json.pointer import escaped
from hooktide.domain.model import Endpoint, Micros
from hooktide.domain.project.project import Fields
from hooktide.web.api.endpoints import (
    FIELD_RULES,
    changes_of,
    filter_shown,
    wanted,
)
from hooktide.web.operations.operation import CUSTOMERS, Call, operation
from hooktide.web.operations.response_values import instant, schedule_shown
from hooktide.web.reading import broken_rule
from hooktide.wire import endpoints as wire
from hooktide.wire.fields import PageQuery


@operation(
    "POST",
    "/webhooks",
    who=CUSTOMERS,
    status=201,
    problems=(
        "webhooks_not_offered",
        "plan_limit_reached",
        "endpoint_reference_taken",
        *FIELD_RULES,
    ),
)
async def create_webhook(call: Call, body: dict[str, msgspec.Raw]) -> dict[str, Any]:
    """Create a webhook.

    The fields are the project's own (by default `url`, `event_types`, `kind`, `name`,
    `description`, `headers`, `filter`, `channels`, `reference`, `metadata`, `rate_limit`, `burst`,
    `retry_delays`, `timeout_seconds`); only this response shows the secret.
    """
    fields = await _fields(call)
    ours = _in_our_words(body, wire.WebhookIn, fields)
    try:
        asked = wanted(_read(ours, wire.WebhookIn))
        made, secret = await call.services.endpoints.create(call.actor, call.scope, None, asked)
        row = await call.services.accounts.project(call.scope, None)
    except InvalidError as error:
        raise _in_their_words(error, fields) from None
    # If the project defines no signature, its receivers verify the Standard Webhooks headers.
    shown = secret.text if row.project.dialect.signature else whsec(secret)
    return {**_shown(made, fields, call.services.clock()), fields.secret: shown}


@operation("GET", "/webhooks", who=CUSTOMERS)
async def list_webhooks(call: Call, query: PageQuery) -> wire.WebhookList:
    """List the webhooks, newest first."""
    fields = await _fields(call)
    page = await call.services.store.list_endpoints(call.scope, call.before(query), query.limit)
    now = call.services.clock()
    listed = call.listed(page, [_shown(each, fields, now) for each in page.items])
    return wire.WebhookList(listed.items, listed.next_cursor)


@operation("GET", "/webhooks/{id}", who=CUSTOMERS)
async def get_webhook(call: Call, id: str) -> dict[str, Any]:
    """Get a webhook."""
    endpoint = await call.services.store.get_endpoint(call.scope, read("ep", id))
    return _shown(endpoint, await _fields(call), call.services.clock())


@operation(
    "PATCH",
    "/webhooks/{id}",
    who=CUSTOMERS,
    problems=("disabled_by_provider", "endpoint_reference_taken", *FIELD_RULES),
)
async def update_webhook(call: Call, id: str, body: dict[str, msgspec.Raw]) -> dict[str, Any]:
    """Update a webhook; absent fields stay the same.

    `enabled` disables and enables it. A new URL and `enabled: true` each end the webhook's rest.
    """
    fields, number = await _fields(call), read("ep", id)
    endpoints = call.services.endpoints
    ours = _in_our_words(body, wire.WebhookUpdate, fields)
    try:
        given = changes_of(_read(ours, wire.WebhookUpdate))
        enabled = given.pop("enabled", None)
        if enabled:
            await endpoints.check_enable(call.scope, number)
        endpoint = await endpoints.update(call.actor, call.scope, number, given)
    except InvalidError as error:
        raise _in_their_words(error, fields) from None
    if enabled is not None:
        switch = endpoints.enable if enabled else endpoints.disable
        endpoint = await switch(call.actor, call.scope, number)
    return _shown(endpoint, fields, call.services.clock())


@operation("DELETE", "/webhooks/{id}", who=CUSTOMERS, status=204)
async def delete_webhook(call: Call, id: str) -> None:
    """Delete a webhook; its pending deliveries are discarded."""
    await call.services.endpoints.delete(call.actor, call.scope, read("ep", id))


async def _fields(call: Call) -> Fields:
    row = await call.services.accounts.project(call.scope, None)
    return row.project.fields


def _in_our_words(
    body: Mapping[str, msgspec.Raw], kind: type[msgspec.Struct], fields: Fields
) -> dict[str, msgspec.Raw]:
    """Rename the members of a body to ``kind``'s fields.

    :raises InvalidError: it has an unknown member.
    """
    ours = {getattr(fields, name): name for name in kind.__struct_fields__}
    for name in body:
        if name not in ours:
            known = ", ".join(ours)
            raise InvalidError(
                "invalid_body",
                f"unknown field {name[:100]!r}; use {known}",
                pointer=f"/{escaped(name[:100])}",
            )
    return {ours[name]: value for name, value in body.items()}


def _read(ours: Mapping[str, msgspec.Raw], kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(msgspec.json.encode(ours), type=kind)
    except msgspec.ValidationError as error:
        raise broken_rule(error, "invalid_body", kind) from None


def _in_their_words(error: InvalidError, fields: Fields) -> InvalidError:
    """Return an error whose text and pointers use the caller's field names."""
    translated = InvalidError(error.code, _their_detail(error.detail, fields), status=error.status)
    translated.faults = tuple(
        Fault(
            _their_pointer(fault.pointer, fields), fault.code, _their_detail(fault.detail, fields)
        )
        for fault in error.faults
    )
    return translated


def _their_detail(detail: str, fields: Fields) -> str:
    return _QUOTED.sub(lambda found: f"`{getattr(fields, found[1], found[1])}`", detail)


_QUOTED = re.compile("`([a-z_]+)`")


def _their_pointer(pointer: str, fields: Fields) -> str:
    _, _, path = pointer.partition("/")
    name, slash, rest = path.partition("/")
    return f"/{getattr(fields, name)}{slash}{rest}" if name in Fields.__slots__ else pointer


def _shown(endpoint: Endpoint, fields: Fields, now: Micros) -> dict[str, Any]:
    resting_until = endpoint.resting_until(now)
    schedule = schedule_shown(endpoint.retry_delays, endpoint.timeout)
    return {
        fields.id: show("ep", endpoint.id),
        fields.url: endpoint.url,
        fields.event_types: endpoint.event_types,
        fields.name: endpoint.name,
        fields.description: endpoint.description,
        fields.headers: {name: MASK for name, _ in endpoint.headers},
        fields.filter: filter_shown(endpoint.filter),
        fields.channels: endpoint.channels,
        fields.reference: endpoint.reference,
        fields.metadata: dict(endpoint.metadata),
        fields.rate_limit: endpoint.rate_limit,
        fields.burst: endpoint.burst,
        fields.retry_delays: schedule["retry_delays"],
        fields.timeout_seconds: schedule["timeout_seconds"],
        fields.kind: endpoint.kind,
        fields.enabled: endpoint.enabled,
        fields.resting_until: instant(resting_until),
        fields.resting_reason: endpoint.rest_reason if resting_until else "",
        fields.created_at: instant(endpoint.created_at),
    }


OPERATIONS = (create_webhook, list_webhooks, get_webhook, update_webhook, delete_webhook)
