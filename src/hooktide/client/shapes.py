"""What the API gives and takes, as the client has it.

Its own copy of the server's shapes, so that importing a client imports no server; a test compares
the two. What a newer server adds is passed over. Instants are aware ``datetime``s in UTC.
"""

from datetime import datetime
from typing import Any
from uuid import uuid4

import msgspec

from hooktide.client.errors import Problem


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """An answer of the server."""


# -- projects, accounts, keys ----------------------------------------------------------------------


class Plan(Shape, frozen=True):
    """What an account on this plan may use; None: as much as it likes."""

    name: str
    endpoints: int | None
    deliveries_per_hour: int | None
    retries: int
    timeout_seconds: float


class Project(Shape, frozen=True):
    """A project. ``mode`` is ``live`` or ``test``."""

    name: str
    id: str
    title: str
    mode: str
    plans: list[Plan]
    default_plan: str
    event_types: list[str]
    docs_url: str | None
    created_at: datetime
    changed_at: datetime


class Applied(Shape, frozen=True):
    """A project, and what applying its file changed, in lines; none: nothing."""

    name: str
    id: str
    mode: str
    changes: list[str]


class Wording(Shape, frozen=True):
    """A chat's message in the project's own words; what is empty is found by itself."""

    text: str = ""
    link: str = ""
    fields: list[str] = []


class EventType(Shape, frozen=True):
    """An event type. ``example`` and ``schema`` are JSON as it is kept (``json_of`` reads it)."""

    name: str
    description: str
    example: msgspec.Raw
    schema: msgspec.Raw
    transition: str
    message: Wording


class Account(Shape, frozen=True):
    """An account. ``reference`` is the product's own id for it."""

    id: str
    project: str
    reference: str
    name: str
    plan: str
    created_at: datetime


class Key(Shape, frozen=True):
    """A key; of its text only the last 4 characters are known."""

    id: str
    scope: str
    name: str
    project: str | None
    account: str | None
    last4: str
    created_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None


class NewKey(Key, frozen=True):
    """A new key, with its text, which is shown this once."""

    key: str

    def __repr__(self) -> str:
        return f"NewKey(id={self.id!r}, key=...)"


class Person(Shape, frozen=True):
    """Somebody who may log in to the dashboard. ``role`` is owner, member or viewer."""

    id: str
    name: str
    role: str
    project: str | None
    has_password: bool
    created_at: datetime
    seen_at: datetime | None


class PortalLink(Shape, frozen=True):
    """A URL that opens an account's portal until ``expires_at``; ``read_only``: to look only."""

    url: str
    expires_at: datetime
    read_only: bool

    def __repr__(self) -> str:
        return f"PortalLink(expires_at={self.expires_at}, read_only={self.read_only})"


class LoginLink(Shape, frozen=True):
    """A URL that logs somebody in once, until ``expires_at``."""

    url: str
    expires_at: datetime

    def __repr__(self) -> str:
        return f"LoginLink(expires_at={self.expires_at})"


class Change(Shape, frozen=True):
    """Somebody changed something; ``what`` is noun and verb, like ``endpoint.disable``."""

    id: str
    at: datetime
    who: str
    what: str
    subject: str
    detail: str
    project: str | None
    account: str | None


class Size(Shape, frozen=True):
    """What is kept of a project."""

    project: str
    id: str
    events: int
    deliveries: int
    attempts: int
    payload_bytes: int
    oldest_event_at: datetime | None


# -- endpoints -------------------------------------------------------------------------------------


class Secret(Shape, frozen=True):
    """A signing secret in both forms. ``hooktide.verify`` takes either."""

    text: str
    whsec: str

    def __repr__(self) -> str:
        return "Secret(...)"


class Endpoint(Shape, frozen=True):
    """An endpoint. ``failing`` counts the deliveries that failed in a row.

    ``kind`` is webhook, slack, discord, teams or mail; a chat's URL is shown without what lets one
    post.
    """

    id: str
    account: str
    url: str
    kind: str
    event_types: list[str]
    name: str
    description: str
    headers: dict[str, str]
    enabled: bool
    disabled_reason: str
    disabled_at: datetime | None
    failing: int
    created_at: datetime
    changed_at: datetime


class NewEndpoint(Endpoint, frozen=True):
    """A new endpoint, with its secret, which is shown this once."""

    secret: Secret


class Rotated(Shape, frozen=True):
    """The new secret; the old one signs along until ``old_secret_stops_at``."""

    id: str
    secret: Secret
    old_secret_stops_at: datetime


class Tested(Shape, frozen=True):
    """A test that was made: what went out, and what came back. ``status``: delivered or failed."""

    status: str
    event: str
    event_type: str
    delivery: str
    response_status: int | None
    duration_ms: float
    error: str
    detail: str
    request_headers: list[tuple[str, str]]
    signature: str | None
    webhook_signature: str | None
    response_headers: list[tuple[str, str]]
    response_body: str
    response_body_encoding: str


# -- events and what became of them ----------------------------------------------------------------


def _new_key() -> str:
    return uuid4().hex


class NewEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An event to publish.

    ``account`` is an ``acc_`` id or the product's own reference. ``payload`` is anything that JSON
    has (a Decimal is written as a number), or the JSON itself as bytes, which reach the receivers
    as they are. The same ``idempotency_key`` again is the same event, so this may be published
    again as often as it takes.
    """

    account: str
    type: str
    payload: Any
    occurred_at: datetime | None = None
    transition: str = ""
    test: bool = False
    idempotency_key: str = msgspec.field(default_factory=_new_key)


class Accepted(Shape, frozen=True):
    """The event and its deliveries are durable."""

    id: str
    deliveries: int


class Published(Shape, frozen=True):
    """What became of one event of many: accepted, with its ``id``, or refused, with its problem."""

    event: NewEvent
    id: str = ""
    deliveries: int = 0
    problem: Problem | None = None

    @property
    def accepted(self) -> bool:
        """Whether the event is durable."""
        return self.problem is None


class Event(Shape, frozen=True):
    """An event. ``deliveries`` is how many endpoints it went to when it was accepted."""

    id: str
    account: str
    type: str
    transition: str
    test: bool
    occurred_at: datetime
    accepted_at: datetime
    deliveries: int


class WholeEvent(Event, frozen=True):
    """An event with its payload, byte for byte as it was published (``json_of`` reads it)."""

    payload: msgspec.Raw


class Delivery(Shape, frozen=True):
    """One event for one endpoint. ``reason`` says why it is held, failed or discarded.

    ``state`` is pending, held, delivered, failed or discarded; ``origin`` event, test, resend or
    replay.
    """

    id: str
    account: str
    endpoint: str
    event: str
    event_type: str
    origin: str
    state: str
    reason: str
    attempts: int
    next_attempt_at: datetime | None
    created_at: datetime
    ended_at: datetime | None


class Attempt(Shape, frozen=True):
    """One request and what came back; ``error`` is the error class where there was no answer."""

    number: int
    started_at: datetime
    duration_ms: float
    status: int | None
    error: str
    detail: str
    request_headers: list[tuple[str, str]]
    response_headers: list[tuple[str, str]]
    response_body: str
    response_body_encoding: str
    response_truncated: bool


class Count(Shape, frozen=True):
    """How many events a replay sends; ``at_least``: there may be more."""

    events: int
    at_least: bool


class Replay(Shape, frozen=True):
    """A replay. ``made`` is how many deliveries it has made, of ``count``.

    ``what`` is failed, missed or event; ``state`` running, done or cancelled.
    """

    id: str
    account: str
    endpoint: str
    what: str
    since: datetime | None
    until: datetime | None
    event: str | None
    state: str
    reason: str
    count: Count
    made: int
    looked_until: datetime | None
    created_at: datetime
    ended_at: datetime | None


class ReplayStarted(Shape, frozen=True):
    """How many events there are to send, and the replay that sends them (None: only counted)."""

    count: Count
    replay: Replay | None


# -- bins ------------------------------------------------------------------------------------------


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One answer of a bin: a status, after ``delay_ms``, with a plain text body."""

    status: int = 200
    delay_ms: int = 0
    body: str = "ok\n"
    headers: dict[str, str] = {}


class Bin(Shape, frozen=True):
    """A request bin. Whoever knows ``url`` can send to it, and look at ``page_url``."""

    id: str
    url: str
    page_url: str
    script: list[Step]
    created_at: datetime
    expires_at: datetime


class SignatureVerdict(Shape, frozen=True):
    """Whether a request was signed as its receiver would want it, and why not."""

    verdict: str
    reason: str


class BinRequest(Shape, frozen=True):
    """What a bin was sent once. A body that is not UTF-8 is in ``body_base64`` instead."""

    id: str
    method: str
    path: str
    headers: list[tuple[str, str]]
    body: str | None
    body_base64: str | None
    body_size: int
    body_truncated: bool
    answered: int
    received_at: datetime
    signature: SignatureVerdict


def json_of(raw: msgspec.Raw) -> Any:
    """Read JSON that came as its bytes."""
    return msgspec.json.decode(raw)
