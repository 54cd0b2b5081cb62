"""``/v1/endpoints``: where an account's events go."""

from typing import Annotated, Any

import msgspec

from hooktide.actions.endpoints import LONGEST_DESCRIPTION, LONGEST_NAME, MASK, Wanted
from hooktide.domain.errors import RefusedError
from hooktide.domain.ids import read, show
from hooktide.domain.model import Endpoint, EndpointKind, KeyScope, Secret
from hooktide.domain.signing import read_secret, whsec
from hooktide.domain.times import show_time
from hooktide.web.api.deliveries import DeliveryOut, delivery_shown
from hooktide.web.api.shapes import AccountName, Instant, instant
from hooktide.web.api.trial import TestIn, TestOut, test_shown
from hooktide.web.operation import ANYONE, Call, operation
from hooktide.web.pages import Listed, PageQuery

Url = Annotated[
    str,
    msgspec.Meta(min_length=1, max_length=2048, description="A public URL that takes POSTs."),
]
Types = Annotated[
    list[str],
    msgspec.Meta(min_length=1, max_length=100, description="`invoice.paid`, `invoice.*` or `*`."),
]
Kind = Annotated[
    EndpointKind | None,
    msgspec.Meta(
        description="`slack`, `discord` or `teams`: the URL is a chat's incoming webhook, which is "
        "sent messages for people; `mail`: it is `mailto:` and an address, for operational events; "
        "absent: what the URL looks like."
    ),
]
Name = Annotated[str, msgspec.Meta(max_length=LONGEST_NAME)]
Description = Annotated[str, msgspec.Meta(max_length=LONGEST_DESCRIPTION)]
Headers = Annotated[
    dict[str, str], msgspec.Meta(description="Headers of its own; their values are not shown.")
]
GivenSecret = Annotated[
    str,
    msgspec.Meta(
        max_length=256,
        description="The secret that the receiver has already, when it comes from another sender: "
        "its text or `whsec_...`. Default: a new one. Not with an account's key.",
    ),
]


class EndpointIn(msgspec.Struct, forbid_unknown_fields=True):
    """A new endpoint. `account` is needed, but with an account's key."""

    url: Url
    event_types: Types
    account: AccountName | None = None
    kind: Kind = None
    name: Name = ""
    description: Description = ""
    headers: Headers = {}
    secret: GivenSecret | None = None


class EndpointChange(msgspec.Struct, forbid_unknown_fields=True):
    """What to change of an endpoint; what is absent stays, `headers` are replaced as a whole."""

    url: Url | msgspec.UnsetType = msgspec.UNSET
    event_types: Types | msgspec.UnsetType = msgspec.UNSET
    kind: EndpointKind | msgspec.UnsetType = msgspec.UNSET
    name: Name | msgspec.UnsetType = msgspec.UNSET
    description: Description | msgspec.UnsetType = msgspec.UNSET
    headers: Headers | msgspec.UnsetType = msgspec.UNSET


class SecretOut(msgspec.Struct):
    """A signing secret in both forms; shown this once.

    `text` is the HMAC key of the provider's own signature, as it is written; `whsec` is what
    libraries for Standard Webhooks take.
    """

    text: str
    whsec: str


class EndpointOut(msgspec.Struct, kw_only=True):
    """An endpoint. `failing` counts the deliveries that failed in a row.

    A chat's `url` is shown without what lets one post there.
    """

    id: str
    account: str
    url: str
    kind: EndpointKind
    event_types: list[str]
    name: str
    description: str
    headers: dict[str, str]
    enabled: bool
    disabled_reason: str
    disabled_at: Instant | None
    failing: int
    created_at: Instant
    changed_at: Instant


class EndpointMade(EndpointOut, kw_only=True):
    """A new endpoint, with its secret."""

    secret: SecretOut


class RotatedOut(msgspec.Struct):
    """The new secret; the old one signs along until `old_secret_stops_at`."""

    id: str
    secret: SecretOut
    old_secret_stops_at: Instant


class EndpointQuery(PageQuery):
    """Which endpoints."""

    account: AccountName | None = None


_FIELD_RULES = (
    "invalid_url",
    "invalid_kind",
    "unknown_event_type",
    "invalid_headers",
    "invalid_text",
)


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
        *_FIELD_RULES,
    ),
)
async def add_endpoint(call: Call, body: EndpointIn) -> EndpointMade:
    """Add an endpoint; the answer shows its secret, this once."""
    if body.secret is not None and call.key.scope is KeyScope.ACCOUNT:
        raise RefusedError(
            "forbidden", "an account's key cannot choose a secret; leave it out", status=403
        )
    wanted = Wanted(
        url=body.url,
        event_types=tuple(body.event_types),
        kind=body.kind,
        name=body.name,
        description=body.description,
        headers=body.headers,
    )
    given = None if body.secret is None else read_secret(body.secret)
    made, secret = await call.services.endpoints.add(call.scope, body.account, wanted, given)
    return EndpointMade(**endpoint_fields(made), secret=secret_shown(secret))


@operation("GET", "/v1/endpoints", who=ANYONE, problems=("not_found", "ambiguous_account"))
async def list_endpoints(call: Call, query: EndpointQuery) -> Listed[EndpointOut]:
    """List the endpoints, newest first."""
    scope = await call.services.accounts.narrowed(call.scope, query.account)
    page = await call.services.store.list_endpoints(scope, call.before(query), query.limit)
    return call.listed(page, [_shown(each) for each in page.items])


@operation("GET", "/v1/endpoints/{id}", who=ANYONE)
async def get_endpoint(call: Call, id: str) -> EndpointOut:
    """Get an endpoint."""
    return _shown(await call.services.store.get_endpoint(call.scope, read("ep", id)))


@operation("PATCH", "/v1/endpoints/{id}", who=ANYONE, problems=_FIELD_RULES)
async def change_endpoint(call: Call, id: str, body: EndpointChange) -> EndpointOut:
    """Change an endpoint."""
    given = changes_of(body)
    return _shown(await call.services.endpoints.change(call.scope, read("ep", id), given))


@operation("DELETE", "/v1/endpoints/{id}", who=ANYONE, status=204)
async def remove_endpoint(call: Call, id: str) -> None:
    """Remove an endpoint; what is pending for it is discarded."""
    await call.services.endpoints.remove(call.scope, read("ep", id))


@operation("POST", "/v1/endpoints/{id}/enable", who=ANYONE)
async def enable_endpoint(call: Call, id: str) -> EndpointOut:
    """Send to an endpoint again, its count of failures at zero."""
    return _shown(await call.services.endpoints.enable(call.scope, read("ep", id)))


@operation("POST", "/v1/endpoints/{id}/disable", who=ANYONE)
async def disable_endpoint(call: Call, id: str) -> EndpointOut:
    """Send nothing more to an endpoint.

    What happens meanwhile is not queued for it; what is pending is discarded.
    """
    return _shown(await call.services.endpoints.disable(call.scope, read("ep", id)))


@operation("POST", "/v1/endpoints/{id}/rotate", who=ANYONE, problems=("too_many_secrets",))
async def rotate_secret(call: Call, id: str) -> RotatedOut:
    """Give an endpoint a new secret; the answer shows it, this once."""
    rotated = await call.services.endpoints.rotate(call.scope, read("ep", id))
    return RotatedOut(
        id=show("ep", rotated.endpoint.id),
        secret=secret_shown(rotated.secret),
        old_secret_stops_at=show_time(rotated.old_stops_at),
    )


@operation(
    "POST",
    "/v1/endpoints/{id}/test",
    who=ANYONE,
    problems=("unknown_event_type", "endpoint_disabled", "too_many_tests"),
    limited=True,
)
async def test_endpoint(call: Call, id: str, body: TestIn) -> TestOut:
    """Send a test event at once, and answer with what came back.

    It goes the real way: signed, guarded, logged as a delivery, never retried. The payload is the
    event type's example; without a type, the first one that the endpoint wants.
    """
    return test_shown(
        await call.services.endpoints.test(call.scope, read("ep", id), body.event_type)
    )


@operation("GET", "/v1/endpoints/{id}/deliveries", who=ANYONE)
async def list_endpoint_deliveries(call: Call, id: str, query: PageQuery) -> Listed[DeliveryOut]:
    """List the deliveries to an endpoint, newest first."""
    store = call.services.store
    endpoint = await store.get_endpoint(call.scope, read("ep", id))
    page = await store.list_deliveries(
        call.scope, call.before(query), query.limit, endpoint_id=endpoint.id
    )
    return call.listed(page, [delivery_shown(each) for each in page.items])


def changes_of(body: msgspec.Struct) -> dict[str, Any]:
    """Return the fields that a PATCH gives."""
    given = {name: getattr(body, name) for name in body.__struct_fields__}
    given = {name: value for name, value in given.items() if value is not msgspec.UNSET}
    if "event_types" in given:
        given["event_types"] = tuple(given["event_types"])
    return given


def secret_shown(secret: Secret) -> SecretOut:
    """Show a secret in both forms."""
    return SecretOut(secret.text, whsec(secret))


def _shown(endpoint: Endpoint) -> EndpointOut:
    return EndpointOut(**endpoint_fields(endpoint))


def endpoint_fields(endpoint: Endpoint) -> dict[str, Any]:
    """Return the fields of an endpoint's answer; the values of its headers are masked."""
    return {
        "id": show("ep", endpoint.id),
        "account": show("acc", endpoint.account_id),
        "url": endpoint.url,
        "kind": endpoint.kind,
        "event_types": list(endpoint.event_types),
        "name": endpoint.name,
        "description": endpoint.description,
        "headers": {name: MASK for name, _ in endpoint.headers},
        "enabled": endpoint.enabled,
        "disabled_reason": endpoint.disabled_reason,
        "disabled_at": instant(endpoint.disabled_at),
        "failing": endpoint.failing,
        "created_at": show_time(endpoint.created_at),
        "changed_at": show_time(endpoint.changed_at),
    }


OPERATIONS = (
    add_endpoint,
    list_endpoints,
    get_endpoint,
    change_endpoint,
    remove_endpoint,
    enable_endpoint,
    disable_endpoint,
    rotate_secret,
    test_endpoint,
    list_endpoint_deliveries,
)
