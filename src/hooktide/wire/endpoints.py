"""Endpoints, their secrets and tests; and the customers' API for the same endpoints."""

from typing import Annotated, Any

import msgspec

from hooktide.wire.fields import (
    AccountName,
    Burst,
    EndpointKind,
    HeaderPairs,
    Instant,
    Metadata,
    MetadataFilter,
    PageQuery,
    RateLimit,
    RequestModel,
    ResponseModel,
    RetryDelays,
    TimeoutSeconds,
    one_of,
)

MAX_NAME_LENGTH = 100
MAX_DESCRIPTION_LENGTH = 1000
MAX_REFERENCE_LENGTH = 200

Url = Annotated[
    str,
    msgspec.Meta(
        min_length=1, max_length=2048, description="A public URL that accepts POST requests."
    ),
]
Types = Annotated[
    list[str],
    msgspec.Meta(min_length=1, max_length=100, description="`invoice.paid`, `invoice.*` or `*`."),
]
AnyKind = Annotated[EndpointKind, one_of("EndpointKind")]
Kind = Annotated[
    AnyKind | None,
    msgspec.Meta(
        description="`slack`, `discord` or `teams`: the URL is a chat's incoming webhook, for "
        "readable messages; `mail`: a `mailto:` address, for operational events. Default: "
        "detected from the URL."
    ),
]
Name = Annotated[str, msgspec.Meta(max_length=MAX_NAME_LENGTH)]
Description = Annotated[str, msgspec.Meta(max_length=MAX_DESCRIPTION_LENGTH)]
Headers = Annotated[
    dict[str, str], msgspec.Meta(description="Custom request headers; their values are not shown.")
]
FilterIn = Annotated[
    msgspec.Raw,
    msgspec.Meta(
        description='Conditions on the payload, like `{"amount": {"$gte": 100}}`; null: none.',
        extra_json_schema={"type": ["object", "null"], "additionalProperties": True},
    ),
]
FilterShown = Annotated[
    dict[str, Any] | None,
    msgspec.Meta(description="Conditions on the payload; null: none."),
]
Channels = Annotated[
    list[str],
    msgspec.Meta(
        description="At most 10: it gets only events that share one of them. Empty: all events."
    ),
]
Reference = Annotated[
    str,
    msgspec.Meta(
        max_length=MAX_REFERENCE_LENGTH,
        description="An own id for it, unique in its account; empty: none.",
    ),
]
GivenSecret = Annotated[
    str,
    msgspec.Meta(
        max_length=256,
        description="The receiver's existing secret when it moves from another sender: its text or "
        "`whsec_...`. Default: a new one. An account's key cannot set it.",
    ),
]


class EndpointIn(RequestModel, frozen=True):
    """A new endpoint. `account` is required, except with an account's key.

    If `enabled` is false, nothing is sent to it until it is enabled.
    """

    url: Url
    event_types: Types
    account: AccountName | None = None
    kind: Kind = None
    name: Name = ""
    description: Description = ""
    headers: Headers = {}
    filter: FilterIn | msgspec.UnsetType = msgspec.UNSET
    channels: Channels = []
    reference: Reference = ""
    metadata: Metadata = {}
    rate_limit: RateLimit = None
    burst: Burst = None
    retry_delays: RetryDelays = None
    timeout_seconds: TimeoutSeconds = None
    secret: GivenSecret | None = None
    enabled: bool = True


class EndpointCheckIn(RequestModel, frozen=True):
    """An endpoint to check. The `account` may be one that does not exist yet.

    `project` is required with an operator's key. `plan` is that of the account if it does not exist
    yet; default: the project's.
    """

    url: Url
    event_types: Types
    account: AccountName
    project: str | None = None
    plan: str | None = None
    kind: Kind = None
    name: Name = ""
    description: Description = ""
    headers: Headers = {}
    filter: FilterIn | msgspec.UnsetType = msgspec.UNSET
    channels: Channels = []
    reference: Reference = ""
    metadata: Metadata = {}
    rate_limit: RateLimit = None
    burst: Burst = None
    retry_delays: RetryDelays = None
    timeout_seconds: TimeoutSeconds = None
    secret: GivenSecret | None = None


class EndpointUpdate(RequestModel, frozen=True):
    """The fields of an endpoint to update; absent fields stay the same.

    `headers`, `channels` and `metadata` are replaced as a whole; `****` as a header's value keeps
    the stored value. If the URL's scheme, host or port changes, stored values are not carried over:
    send `headers` again, or they are removed. Changing the `kind` of a chat requires its whole
    `url` again.
    """

    url: Url | msgspec.UnsetType = msgspec.UNSET
    event_types: Types | msgspec.UnsetType = msgspec.UNSET
    kind: AnyKind | msgspec.UnsetType = msgspec.UNSET
    name: Name | msgspec.UnsetType = msgspec.UNSET
    description: Description | msgspec.UnsetType = msgspec.UNSET
    headers: Headers | msgspec.UnsetType = msgspec.UNSET
    filter: FilterIn | msgspec.UnsetType = msgspec.UNSET
    channels: Channels | msgspec.UnsetType = msgspec.UNSET
    reference: Reference | msgspec.UnsetType = msgspec.UNSET
    metadata: Metadata | msgspec.UnsetType = msgspec.UNSET
    rate_limit: RateLimit | msgspec.UnsetType = msgspec.UNSET
    burst: Burst | msgspec.UnsetType = msgspec.UNSET
    retry_delays: RetryDelays | msgspec.UnsetType = msgspec.UNSET
    timeout_seconds: TimeoutSeconds | msgspec.UnsetType = msgspec.UNSET


class EndpointQuery(PageQuery, frozen=True):
    """Which endpoints."""

    account: AccountName | None = None
    reference: Annotated[str, msgspec.Meta(description="Only the one with it.")] | None = None
    metadata: MetadataFilter | None = None


class DisableQuery(RequestModel, frozen=True):
    """How to disable it."""

    account_may_enable: Annotated[
        bool,
        msgspec.Meta(
            description="The account may enable the endpoint again, as if it had disabled it."
        ),
    ] = False


class Endpoint(ResponseModel, frozen=True, kw_only=True):
    """An endpoint. `consecutive_failures` counts the deliveries that failed in a row.

    `resting_until` is set while the endpoint rests because its receiver answered 429, or 503 with
    `Retry-After`. Until then only tests and manual resends are sent to it. A chat's `url` is shown
    without its secret part.
    """

    id: str
    account: str
    url: str
    kind: Annotated[str, one_of("EndpointKind")]
    event_types: list[str]
    name: str
    description: str
    headers: dict[str, str]
    filter: FilterShown
    channels: list[str]
    reference: str
    metadata: dict[str, str]
    rate_limit: RateLimit
    burst: Burst
    retry_delays: RetryDelays
    timeout_seconds: TimeoutSeconds
    enabled: bool
    disabled_reason: str
    disabled_at: Instant | None
    consecutive_failures: int
    resting_until: Instant | None
    resting_reason: str
    created_at: Instant
    updated_at: Instant


class HeldBack(ResponseModel, frozen=True):
    """Why nothing is sent to an endpoint now, or not all at once: the first of these that applies.

    `rule` is `disabled`, `rest` or `rate`, `reason` a sentence for people. `until` is when it ends,
    for a rate about when everything will have been sent; null if that is not known.
    """

    rule: Annotated[str, one_of("HeldBackRule")]
    reason: str
    until: Instant | None


class WaitingForEndpoint(ResponseModel, frozen=True):
    """What waits for an endpoint.

    `waiting` deliveries are due or scheduled, `in_flight` ones are about to be attempted;
    `held_back` is null if nothing keeps them from being sent.
    """

    waiting: int
    in_flight: int
    held_back: HeldBack | None


class Secret(ResponseModel, frozen=True):
    """One signing secret in its two forms; shown only once.

    `text` is the HMAC key of the provider's own signature; `whsec` is the same key in the form for
    Standard Webhooks libraries.
    """

    text: str
    whsec: str

    def __repr__(self) -> str:
        return "Secret(...)"


class EndpointCreated(Endpoint, frozen=True, kw_only=True):
    """A new endpoint, with its secret."""

    secret: Secret


class EndpointChecked(ResponseModel, frozen=True):
    """The endpoint could be created, and would be this.

    `account` is null where the account does not exist yet. `endpoints_left` is how many more
    endpoints its plan allows now, this one included; null if unlimited.
    """

    account: str | None
    url: str
    kind: Annotated[str, one_of("EndpointKind")]
    endpoints_left: int | None


class Rotated(ResponseModel, frozen=True):
    """The new secret; the old one remains valid until `previous_secret_expires_at`."""

    id: str
    secret: Secret
    previous_secret_expires_at: Instant


class TestIn(RequestModel, frozen=True):
    """The event type to test with. Default: the first one that the endpoint subscribes to."""

    event_type: str | None = None


class Tested(ResponseModel, frozen=True, kw_only=True):
    """The result of a test.

    `signature` is the provider's own, `webhook_signature` that of Standard Webhooks.

    `status` is `delivered` for a 2xx; `error` is the error class if there was no valid response.
    """

    status: str
    event: str
    event_type: str
    delivery: str
    response_status: int | None
    duration_ms: float
    error: str
    detail: str
    request_headers: HeaderPairs
    signature: str | None
    webhook_signature: str | None
    response_headers: HeaderPairs
    response_body: str
    response_body_encoding: str


class FilterPreviewIn(RequestModel, frozen=True):
    """Channels, a filter or both, to try. `account` is required, except with an account's key."""

    filter: FilterIn | msgspec.UnsetType = msgspec.UNSET
    channels: Channels = []
    account: AccountName | None = None
    event_types: Types = msgspec.field(default_factory=lambda: ["*"])


class Mismatch(ResponseModel, frozen=True):
    """The first condition that a payload does not meet.

    `pointer` is its place in the payload (RFC 6901). `condition` and `value` are JSON text, cut
    after 100 characters; `value` is null where the payload has no such member.
    """

    pointer: str
    condition: str
    value: str | None


class FilterTried(ResponseModel, frozen=True):
    """An event that was tried.

    `mismatch` is null if it meets the filter; `no_shared_channel`: it has none of the channels.
    """

    event: str
    event_type: str
    accepted_at: Instant
    matches: bool
    mismatch: Mismatch | None
    channels: list[str]
    no_shared_channel: bool


class FilterPreview(ResponseModel, frozen=True):
    """The filter as it would be stored, how many events would have been sent, and which."""

    filter: FilterShown
    tried: int
    matched: int
    items: list[FilterTried]


class NotMatched(ResponseModel, frozen=True):
    """An endpoint that subscribes to an event's type, and whose channels or filter keep it away.

    If `reason` is `filter`, `mismatch` says what it requires. If `changed_since`, what is the
    reason was changed after the event was accepted.
    """

    endpoint: str
    reason: Annotated[str, msgspec.Meta(description="`channels` or `filter`.")]
    mismatch: Mismatch | None
    changed_since: bool


class NotMatchedList(ResponseModel, frozen=True):
    """The endpoints whose channels or filter keep an event away, newest first."""

    items: list[NotMatched]


class WebhookIn(RequestModel, frozen=True):
    """A new endpoint in the customers' API, in the default names; projects can rename them."""

    url: Url
    event_types: Types
    kind: Kind = None
    name: Name = ""
    description: Description = ""
    headers: Headers = {}
    filter: FilterIn | msgspec.UnsetType = msgspec.UNSET
    channels: Channels = []
    reference: Reference = ""
    metadata: Metadata = {}
    rate_limit: RateLimit = None
    burst: Burst = None
    retry_delays: RetryDelays = None
    timeout_seconds: TimeoutSeconds = None


class WebhookUpdate(EndpointUpdate, frozen=True):
    """The fields of an endpoint in the customers' API to update, in the default names."""

    enabled: bool | msgspec.UnsetType = msgspec.UNSET


class WebhookList(ResponseModel, frozen=True):
    """One page of the webhooks, newest first; `next_cursor` is null on the last.

    Each has the fields in the project's guide.
    """

    items: list[dict[str, Any]]
    next_cursor: str | None
