"""The domain's objects: events, deliveries, endpoints, attempts and so on.

Instants are integers, microseconds since 1970 in UTC (names end in ``_at``); spans inside the
engine are microseconds too, and ``timedelta`` where people configure them. Ids are integers
(``domain.ids`` writes them as text).
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

import msgspec

Micros: TypeAlias = int
"""Microseconds: since 1970 (UTC) for an instant, or a span."""

SECOND: Micros = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class DeliveryState(StrEnum):
    """Where a delivery stands. ``delivered``, ``failed`` and ``discarded`` are final."""

    PENDING = "pending"
    HELD = "held"
    DELIVERED = "delivered"
    FAILED = "failed"
    DISCARDED = "discarded"


class Origin(StrEnum):
    """Why a delivery exists.

    The event's own fan-out, a test, a manual resend, or a replay.
    """

    EVENT = "event"
    TEST = "test"
    RESEND = "resend"
    REPLAY = "replay"


@dataclass(frozen=True, slots=True)
class Secret:
    """A signing secret in both of its forms.

    ``text`` is what the customer is shown and what the providers' guides use as the HMAC key, as
    ASCII; ``key`` is the bytes that the Standard Webhooks signature uses (the decoded ``whsec_``).
    """

    text: str = field(repr=False)
    key: bytes = field(repr=False)


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Something that happened. ``payload`` is the bytes that came in, never re-serialised.

    ``test`` marks a test event: a project in test mode accepts no others. ``channels`` and ``tags``
    are empty in a ``Claim``: nothing that is sent depends on them. ``erased_at`` is when its
    payload was erased, which is ``ERASED`` since then.
    """

    id: int
    account_id: int
    type: str
    payload: bytes
    occurred_at: Micros
    transition: str = ""
    test: bool = False
    channels: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    erased_at: Micros | None = None


class Claim(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A due delivery, held by one worker until ``lease_ends_at``.

    ``attempt`` is the number this attempt will have (1 for the first); ``token`` fences the record:
    an outcome with an outdated token changes nothing, unless it is a 2xx. ``due_at`` is when the
    delivery was due: if it is released, it keeps its place before newer ones.
    """

    delivery_id: int
    endpoint_id: int
    event: Event
    attempt: int
    token: int
    due_at: Micros
    lease_ends_at: Micros
    origin: Origin = Origin.EVENT


class Attempt(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One request for a delivery, and what came back.

    ``request_head`` and ``response_head`` are the heads as they went over the wire; the body that
    was sent is the event in its envelope. ``error`` is one of ``verdict.ERRORS`` where there was no
    valid answer; then ``status`` is None. ``response_body`` is its first 4 KB.
    """

    delivery_id: int
    number: int
    started_at: Micros
    duration: Micros
    status: int | None
    error: str
    detail: str
    request_head: bytes
    response_head: bytes
    response_body: bytes
    response_truncated: bool

    @property
    def ended_at(self) -> Micros:
        """Return when the response had arrived, or when the attempt was given up."""
        return self.started_at + self.duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One customer of a project. ``reference`` is the product's own id for it.

    Portal links made before ``link_generation`` was raised are invalid. ``metadata`` is what the
    product attached to it: names with texts. ``rate_limit`` and ``burst`` are an endpoint's, for
    all endpoints together.
    """

    id: int
    project_id: int
    reference: str
    name: str
    plan: str
    created_at: Micros
    link_generation: int = 0
    metadata: tuple[tuple[str, str], ...] = ()
    rate_limit: int | None = None
    burst: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveSecret:
    """A secret that is used for signing; ``retires_at`` is set once a rotation has replaced it."""

    secret: Secret
    created_at: Micros
    retires_at: Micros | None = None


BY_HAND = "disabled by hand"
"""The reason when an account disabled its own endpoint."""
BY_PROVIDER = "disabled by the provider"
"""The reason when the operator or the product disabled an endpoint: only they can enable it.

Any other reason is Hooktide's own, and the account may enable the endpoint again.
"""


STOPPED_BY_HAND = "stopped by hand"
"""Why a delivery is discarded that somebody stopped (``settle_late`` of both stores has it too)."""
CANCELLED_BY_HAND = "cancelled by hand"
"""Why a replay or a job ended that somebody cancelled."""


ERASED = b"null"
"""What is kept in place of a payload that was erased."""
PAYLOAD_ERASED = "payload erased"
"""Why a delivery is discarded whose event's payload was erased (also in ``settle_late``)."""


class EndpointKind(StrEnum):
    """What an endpoint is: a webhook of the project's own format, a chat's, or a mail address."""

    WEBHOOK = "webhook"
    SLACK = "slack"
    DISCORD = "discord"
    TEAMS = "teams"
    MAIL = "mail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A URL and the event types it subscribes to (``invoice.paid``, ``invoice.*`` or ``*``).

    ``url`` may be shown to anyone who may see the endpoint. A chat's URL is a secret, since anyone
    who has it can post: then ``secret_url`` is the whole URL, and ``url`` omits the secret part.
    ``disabled_reason`` is empty while the endpoint is enabled. ``consecutive_failures`` counts the
    deliveries that failed in a row. ``rests_until`` is when the last rest that the receiver asked
    for ends or has ended (0: there is none), ``rest_reason`` why it rests. ``headers`` are the
    customer's own request headers. ``filter`` is JSON (``domain.filtering.filter``; empty: none),
    the same since ``filtered_at``; ``channels`` (empty: it gets all events) the same since
    ``channels_at``. ``reference`` is an own id for it, unique in its account (empty: none),
    ``metadata`` names with texts. ``rate_limit``: requests a second, ``burst``: how many at once
    (None: not limited; as many as a second's). ``retry_delays`` and ``timeout``: None for those of
    the event type, or the plan. ``secrets`` are the active ones, newest first.
    """

    id: int
    project_id: int
    account_id: int
    url: str
    event_types: tuple[str, ...]
    kind: EndpointKind = EndpointKind.WEBHOOK
    secret_url: str = field(default="", repr=False)
    name: str = ""
    description: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    filter: str = ""
    filtered_at: Micros = 0
    channels: tuple[str, ...] = ()
    channels_at: Micros = 0
    reference: str = ""
    metadata: tuple[tuple[str, str], ...] = ()
    rate_limit: int | None = None
    burst: int | None = None
    retry_delays: tuple[Micros, ...] | None = None
    timeout: Micros | None = None
    disabled_reason: str = ""
    disabled_at: Micros | None = None
    consecutive_failures: int = 0
    rests_until: Micros = 0
    rest_reason: str = ""
    created_at: Micros
    updated_at: Micros
    secrets: tuple[ActiveSecret, ...] = field(default=(), repr=False)

    @property
    def enabled(self) -> bool:
        """Whether deliveries are sent to this endpoint."""
        return not self.disabled_reason

    def resting_until(self, now: Micros) -> Micros | None:
        """Return when an endpoint's rest ends; None while it does not rest, or is disabled."""
        return self.rests_until if self.enabled and self.rests_until > now else None

    def may_be_enabled(self, *, by_account: bool) -> bool:
        """Whether it is for its account to enable it, or only for its provider."""
        return not (by_account and self.disabled_reason == BY_PROVIDER)

    @property
    def disabled_on_purpose(self) -> bool:
        """Whether it was disabled by hand, not by a rule."""
        return self.disabled_reason in {BY_HAND, BY_PROVIDER}

    @property
    def address(self) -> str:
        """Return the URL that is sent to; never to be shown or logged."""
        return self.secret_url or self.url


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event for one endpoint. ``reason`` says why it is held, failed or discarded.

    ``sending``: an attempt is in progress; ``due_at`` is then the end of the claim.
    """

    id: int
    project_id: int
    account_id: int
    event_id: int
    endpoint_id: int
    event_type: str
    origin: Origin
    state: DeliveryState
    attempts: int
    due_at: Micros | None
    ended_at: Micros | None
    reason: str
    sending: bool = False


class ReplayWhat(StrEnum):
    """Which events a replay sends again: those that failed, those that were missed, or one."""

    FAILED = "failed"
    MISSED = "missed"
    EVENT = "event"


class ReplayState(StrEnum):
    """Where a replay stands. ``done`` and ``cancelled`` are final."""

    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A job that creates new deliveries of old events for one endpoint, a few at a time.

    It covers events from ``since`` on and before ``until`` (None: when it was requested), or
    ``event_id`` alone. ``counted`` is how many events matched when it was requested, or more if
    ``at_least``; ``made`` is how many deliveries it has created, ``looked_to`` the id up to which
    it has looked. ``reason`` says why it was cancelled.
    """

    id: int
    project_id: int
    account_id: int
    endpoint_id: int
    what: ReplayWhat
    since: Micros | None
    until: Micros | None
    event_id: int | None
    state: ReplayState
    reason: str
    counted: int
    at_least: bool
    made: int
    looked_to: int
    ended_at: Micros | None


class JobAct(StrEnum):
    """What a job does with deliveries: sends them again, retries them now, or stops them."""

    RESEND = "resend"
    RETRY = "retry"
    STOP = "stop"

    def applies_to(self, delivery: Delivery) -> bool:
        """Whether it can be done with a delivery in its state."""
        match self:
            case JobAct.RESEND:
                return delivery.ended_at is not None
            case JobAct.RETRY:
                return delivery.state is DeliveryState.PENDING
            case JobAct.STOP:
                return delivery.state in (DeliveryState.PENDING, DeliveryState.HELD)


class JobState(StrEnum):
    """Where a job stands. It collects its deliveries, then runs; the other two are final."""

    COLLECTING = "collecting"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryJob:
    """A job that does one thing with every delivery that matches a filter, a few at a time.

    ``project_id`` and ``account_id`` are its scope (None: all). ``filter`` is JSON
    (``actions.deliveries.delivery_log``). ``counted`` is how many deliveries matched when it was
    requested, or more if ``at_least``; ``found`` is how many it has collected, ``done`` and
    ``left_out`` what became of them. ``looked_to`` is the id down to which it has looked, in its
    ``part`` of the log. ``reason`` says why it was cancelled.
    """

    id: int
    project_id: int | None
    account_id: int | None
    act: JobAct
    filter: str = field(repr=False)
    state: JobState
    reason: str
    counted: int
    at_least: bool
    found: int
    done: int
    left_out: int
    part: int
    looked_to: int
    turn: int
    ended_at: Micros | None

    @property
    def is_active(self) -> bool:
        """Whether it has not ended."""
        return self.state in (JobState.COLLECTING, JobState.RUNNING)


class KeyScope(StrEnum):
    """What a key gives access to: everything, one project, or one account."""

    OPERATOR = "operator"
    PROJECT = "project"
    ACCOUNT = "account"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A credential. The key itself is shown once; only its SHA-256 is stored."""

    id: int
    scope: KeyScope
    project_id: int | None
    account_id: int | None
    name: str
    last4: str
    created_at: Micros
    used_at: Micros | None = None
    revoked_at: Micros | None = None


class Role(StrEnum):
    """What a user may do: read; also make changes; or also manage users and delete projects."""

    OWNER = "owner"
    MEMBER = "member"
    VIEWER = "viewer"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A member of the operator's or a product's team who logs in to the dashboard.

    ``name`` is unique, however it is capitalised. ``project_id`` is the one project that is theirs;
    None: all are. ``password`` is its hash as text, empty if none is set.
    """

    id: int
    name: str
    role: Role
    project_id: int | None
    password: str = field(repr=False)
    created_at: Micros
    seen_at: Micros | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A login session of a user or of the holder of a key; exactly one of the two."""

    user: User | None
    key: ApiKey | None
    expires_at: Micros


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """The progress of erasing an account's data.

    ``events`` and ``attempts`` count what has been erased. ``erased_to`` is the id up to which the
    current pass has come; a second pass finds what was recorded meanwhile. ``ended_at`` is set when
    everything is erased.
    """

    account_id: int
    started_at: Micros
    events: int
    attempts: int
    erased_to: Micros | None
    ended_at: Micros | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchIndex:
    """How far a project's events are indexed for search, by its ``paths`` (none: not any more).

    Of the events accepted from ``complete_since`` on (None: of all that are kept) all are indexed,
    but for the newest, which follow within seconds. ``filling``: older ones are being indexed;
    ``filled`` counts those of the last time, which began at ``started_at``.
    """

    project_id: int
    paths: tuple[str, ...]
    complete_since: Micros | None
    filling: bool
    filled: int
    started_at: Micros | None
    ended_at: Micros | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """A URL on this server that stores the requests sent to it, until ``expires_at``.

    ``token`` is the unguessable part of the receiving URL, ``page_token`` that of its page, where
    the bin is viewed and scripted. ``script`` holds the answers it gives, in turn, as JSON; the
    last one repeats.
    """

    id: int
    token: str
    page_token: str = field(repr=False)
    project_id: int | None
    account_id: int | None
    script: str
    created_at: Micros
    expires_at: Micros


class SignatureVerdict(StrEnum):
    """The result of checking the signatures of a request to a bin."""

    VALID = "valid"
    INVALID = "invalid"
    UNCHECKED = "unchecked"


@dataclass(frozen=True, slots=True, kw_only=True)
class BinRequest:
    """One request to a bin, and the status it answered.

    ``body`` is its first 64 KB. ``verdict`` is the result of checking its signatures on arrival,
    and ``reason`` explains it in a sentence. ``address`` is the sender's, empty for this machine;
    ``note`` is what a person wrote about the request.
    """

    id: int
    bin_id: int
    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    body_size: int
    answered: int
    received_at: Micros
    verdict: SignatureVerdict
    reason: str
    address: str = ""
    note: str = ""

    @property
    def body_truncated(self) -> bool:
        """Whether only the beginning of the body was kept."""
        return self.body_size > len(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a credential gives access to: everything (both None), one project, or one account."""

    project_id: int | None = None
    account_id: int | None = None
