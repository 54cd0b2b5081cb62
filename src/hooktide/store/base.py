"""What every store promises: the contract that the conformance tests hold each database to.

Each method is one transaction (the hot ones share theirs with whatever else arrived while the
last commit ran) and returns after the commit. Instants are microseconds; ``now`` is an argument.
What a ``Scope`` does not reach does not exist: it raises ``NotFoundError`` like a random id.
Database trouble raises ``UnavailableError``.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import msgspec

from hooktide.domain.model import (
    DAY,
    MINUTE,
    Account,
    ApiKey,
    Attempt,
    Bin,
    BinRequest,
    Change,
    Claim,
    Delivery,
    DeliveryState,
    Endpoint,
    Event,
    Micros,
    Person,
    Replay,
    ReplayWhat,
    Role,
    Scope,
    Secret,
    Session,
)
from hooktide.domain.numbers import (
    AccountUsage,
    Busy,
    ChartPoint,
    EndpointHour,
    Health,
    ProjectMinute,
    Slow,
)
from hooktide.domain.operations import Happening
from hooktide.domain.project import Project
from hooktide.domain.verdict import Verdict

CHANGES_KEPT: Micros = 400 * DAY
"""How long the log of changes goes back."""
NUMBERS_KEPT: Micros = 8 * DAY
"""How long what was counted by the minute and by the hour is kept: charts of a week."""

LEASE: Micros = MINUTE
"""How long a claim lasts; longer than the longest timeout and some waiting before it."""


class NewEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An event that has passed every check and asks to be made durable.

    ``idempotency_key`` (empty: none) and ``digest`` (of everything that the caller sent) make a
    second call with the same key answer as the first did.
    """

    project_id: int
    account_id: int
    type: str
    payload: bytes
    occurred_at: Micros | None = None
    transition: str = ""
    test: bool = False
    idempotency_key: str = ""
    digest: bytes = b""


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """The event is durable, and so are its deliveries. ``replayed``: it was there already.

    ``held`` of the deliveries are held back by the plan's hour.
    """

    event_id: int
    deliveries: int
    replayed: bool = False
    held: int = 0


class KeyReused(msgspec.Struct, frozen=True, gc=False):
    """The idempotency key was used for another event; nothing was stored."""

    event_id: int


class AccountGone(msgspec.Struct, frozen=True, gc=False):
    """The account was removed meanwhile; nothing was stored."""


AddResult: TypeAlias = Accepted | KeyReused | AccountGone


Why: TypeAlias = Callable[[AddResult], str]
"""Says why an event was refused; empty: it was not."""


class Emitted(msgspec.Struct, frozen=True, gc=False):
    """An event that an application has written into this database itself, not yet looked at.

    ``project`` is a name, ``occurred_at`` RFC 3339 (empty: now).
    """

    id: int
    project: str
    key: str
    account: str
    type: str
    payload: str
    occurred_at: str
    transition: str
    test: bool


class Done(msgspec.Struct, frozen=True, gc=False):
    """An attempt that was made, for whom, and what it means."""

    claim: Claim
    attempt: Attempt
    verdict: Verdict


class Room(msgspec.Struct, frozen=True, gc=False):
    """How much a worker takes over in memory, already claimed, from the accepting transaction."""

    deliveries: int
    payload_bytes: int
    full_endpoints: frozenset[int] = frozenset()


class Listener(Protocol):
    """Who takes deliveries over; called on the event loop, after the commit."""

    def room(self) -> Room:
        """Say how many new deliveries may be handed over now."""

    def handed_over(self, claims: Sequence[Claim]) -> None:
        """Take deliveries that were claimed in the transaction that accepted them."""

    def due(self, hints: Mapping[int, Micros]) -> None:
        """Hear that these endpoints (by id) have pending deliveries due at these instants."""


Changed: TypeAlias = Callable[[str, int], None]
"""Hears that a ``project``, ``account``, ``endpoint`` or ``key`` (by id) changed or is gone.

``everything`` (0): something may have changed that nobody heard of.
"""


class NewReplay(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Which events an endpoint is to be sent again.

    ``failed`` and ``missed``: of those from ``since`` on and before ``until`` (None: now).
    ``event``: ``event_id`` alone.
    """

    endpoint_id: int
    what: ReplayWhat
    since: Micros | None = None
    until: Micros | None = None
    event_id: int | None = None


class ReplayCount(msgspec.Struct, frozen=True, gc=False):
    """How many events a replay would send; ``at_least``: there was more than was looked through."""

    events: int
    at_least: bool = False


class EventRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A stored event with what the log shows beside it."""

    event: Event
    project_id: int
    deliveries: int


class Page(msgspec.Struct, frozen=True, gc=False):
    """One page of a list, newest first, and the id to go on below (None: this was the last)."""

    items: Sequence[Any]
    next_before: int | None


class ProjectRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A project as stored: its id and its whole configuration."""

    id: int
    project: Project
    created_at: Micros
    changed_at: Micros


class Counts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What waits: pending and held deliveries, and the oldest instant one of them was due."""

    pending: int
    held: int
    oldest_due_at: Micros | None


class ProjectSize(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is kept of a project; ``oldest_at`` is when the oldest event was accepted."""

    project_id: int
    name: str
    events: int
    deliveries: int
    attempts: int
    payload_bytes: int
    oldest_at: Micros | None


class Store(Protocol):
    """One database. See the module's docstring for what all methods have in common."""

    @property
    def clock(self) -> Callable[[], Micros]:
        """Give now as all who use this database have it; due times and leases go by it."""

    # -- opening and closing -------------------------------------------------------------------

    def listen(self, listener: Listener) -> None:
        """Hand deliveries over to ``listener`` from now on; there is one."""

    def watch(self, changed: Changed) -> None:
        """Tell ``changed`` of what every commit changed, before its callers are answered."""

    async def close(self) -> None:
        """Finish what was handed in, and let go of the database."""

    async def check(self) -> None:
        """Return when the database answers and can commit; for the readiness check."""

    # -- the hot way ---------------------------------------------------------------------------

    async def add_events(self, events: Sequence[NewEvent], now: Micros) -> Sequence[AddResult]:
        """Store events, and a delivery for each enabled endpoint that wants the type.

        Deliveries within the account's plan are pending, claimed for this process as far as its
        listener has room; those over the plan's hour are held.
        """

    async def emitted(self, limit: int) -> Sequence[Emitted]:
        """Return the first events that applications have written into this database, in order.

        Only PostgreSQL has room for them.
        """

    async def accept_emitted(
        self, events: Mapping[int, NewEvent], refused: Mapping[int, str], why: Why
    ) -> Mapping[int, AddResult]:
        """Store these events (by the row that each was emitted as), and forget their rows.

        One transaction: whatever breaks, an event is either a row or stored. Rows in ``refused``,
        and those that ``why`` gives a reason for, are set aside with the reason. Another process
        may have been faster: returns what became of those that it left. What is taken over later is
        accepted later, in whichever process.
        """

    def record(self, done: Done) -> None:
        """Hand in an attempt; it is stored with the next commit, or kept until one succeeds.

        Fenced: if the claim is no longer the delivery's, only a 2xx still counts.
        """

    async def recorded(self) -> None:
        """Return when everything handed to ``record`` so far is committed."""

    async def claim_due(
        self, endpoint_ids: Sequence[int], now: Micros, lease: Micros, each: int
    ) -> Sequence[Claim]:
        """Claim up to ``each`` due deliveries of each endpoint, oldest due first."""

    async def release(self, claims: Sequence[Claim], now: Micros) -> None:
        """Give back claims whose attempt was never made: they are due now."""

    async def due_heads(self) -> Mapping[int, Micros]:
        """Return, per endpoint that has pending deliveries, when the first is due."""

    async def add_test(
        self, scope: Scope, endpoint_id: int, event: NewEvent, now: Micros, lease: Micros
    ) -> Claim:
        """Store a test event with one delivery, for this endpoint, claimed by the caller.

        :raises LimitError: the plan's hour is full.
        """

    async def resend(self, scope: Scope, delivery_id: int, now: Micros) -> Delivery:
        """Make a new delivery of the same event for the same endpoint.

        :raises RefusedError: the endpoint is disabled, or the delivery is held and still to come.
        """

    # -- what is to be told --------------------------------------------------------------------

    async def add_happening(self, happening: Happening) -> None:
        """Keep something that is to be told of, once for its key.

        The store itself keeps what happens in its own transactions: endpoints disabled or failing,
        deliveries failed, hours used up, secrets rotated. Nothing is kept where there is no
        built-in project (``operations.PROJECT``), nor of what happens in it.
        """

    async def happenings(self, limit: int) -> Sequence[tuple[int, Happening]]:
        """Return what is to be told of, the oldest first, each with its project's id."""

    async def forget_happenings(self, keys: Sequence[str]) -> None:
        """Forget what was told."""

    # -- upkeep --------------------------------------------------------------------------------

    async def release_held(self, now: Micros, limit: int) -> int:
        """Make held deliveries pending as far as their plans' hours have room; how many."""

    async def give_back_expired(self, now: Micros, limit: int) -> int:
        """Make claims whose lease has ended due again; how many."""

    async def discard_stale(self, now: Micros, limit: int) -> int:
        """Discard deliveries of endpoints that were disabled or removed; how many."""

    async def retire_secrets(self, now: Micros) -> int:
        """Forget secrets whose overlap is over; how many."""

    async def log_new(self, limit: int) -> int:
        """Enter new deliveries and events into the logs that lists are read from; how many.

        Lists are complete without it, only slower: what is not entered yet is looked through.
        """

    async def drop_old(self, now: Micros, limit: int) -> int:
        """Remove ended events, deliveries and attempts past their project's retention."""

    async def counts(self) -> Counts:
        """Count what waits."""

    async def sizes(self) -> Sequence[ProjectSize]:
        """Count what is kept of each project, by name.

        Reads the whole log, which may take minutes; nothing else waits for it, and who asks
        meanwhile gets the same answer.
        """

    # -- projects and accounts -----------------------------------------------------------------

    async def put_project(self, project: Project, now: Micros) -> ProjectRow:
        """Add the project, or replace the configuration of the one with its name."""

    async def get_project(self, scope: Scope, name: str) -> ProjectRow:
        """Find a project by name."""

    async def get_project_by_id(self, project_id: int) -> ProjectRow:
        """Find a project by id."""

    async def list_projects(self, scope: Scope) -> Sequence[ProjectRow]:
        """Return the projects, by name."""

    async def remove_project(self, project_id: int, now: Micros) -> None:
        """Remove a project that has no accounts, with its keys and its people.

        :raises RefusedError: it has accounts.
        """

    async def add_account(
        self, project_id: int, reference: str, name: str, plan: str, now: Micros
    ) -> Account:
        """Add an account.

        :raises RefusedError: the project has an account with this reference.
        """

    async def get_account(self, scope: Scope, account_id: int) -> Account:
        """Find an account by id."""

    async def search_accounts(self, scope: Scope, text: str, limit: int) -> Sequence[Account]:
        """Return accounts whose reference or name begins with a text, by reference.

        Small and capital letters are the same, at least those of ASCII.
        """

    async def find_account(self, scope: Scope, reference: str) -> Account:
        """Find an account by the product's own id for it.

        :raises RefusedError: the scope spans projects, and several have this reference.
        """

    async def list_accounts(self, scope: Scope, before: int | None, limit: int) -> Page:
        """Return accounts, newest first."""

    async def change_account(
        self, scope: Scope, account_id: int, changes: Mapping[str, Any], now: Micros
    ) -> Account:
        """Change an account's ``name`` or ``plan``."""

    async def remove_account(self, scope: Scope, account_id: int, now: Micros) -> None:
        """Remove an account with its endpoints and keys; nothing more goes out for it."""

    # -- endpoints -----------------------------------------------------------------------------

    async def add_endpoint(
        self, endpoint: Endpoint, secret: Secret, limit: int | None, now: Micros
    ) -> Endpoint:
        """Add an endpoint (its id, secrets and times are made here).

        :raises LimitError: the account has ``limit`` endpoints already.
        """

    async def get_endpoint(self, scope: Scope, endpoint_id: int) -> Endpoint:
        """Find an endpoint, with the secrets in force."""

    async def list_endpoints(self, scope: Scope, before: int | None, limit: int) -> Page:
        """Return endpoints, newest first."""

    async def change_endpoint(
        self, scope: Scope, endpoint_id: int, changes: Mapping[str, Any], now: Micros
    ) -> Endpoint:
        """Change ``url``, ``event_types``, ``name``, ``description`` or ``headers``."""

    async def remove_endpoint(self, scope: Scope, endpoint_id: int, now: Micros) -> None:
        """Remove an endpoint; what is pending for it is discarded."""

    async def disable_endpoint(
        self, scope: Scope, endpoint_id: int, reason: str, now: Micros
    ) -> Endpoint:
        """Send nothing more to it; what is pending is discarded, with the reason."""

    async def enable_endpoint(self, scope: Scope, endpoint_id: int, now: Micros) -> Endpoint:
        """Send to it again, its count of failures at zero."""

    async def rotate_secret(
        self, scope: Scope, endpoint_id: int, secret: Secret, overlap: Micros, now: Micros
    ) -> Endpoint:
        """Sign with ``secret``; the old one signs along for ``overlap`` more, then stops."""

    # -- the log -------------------------------------------------------------------------------

    async def get_event(self, scope: Scope, event_id: int) -> EventRow:
        """Find an event."""

    async def list_events(
        self,
        scope: Scope,
        before: int | None,
        limit: int,
        event_type: str | None = None,
        *,
        after: int | None = None,
    ) -> Page:
        """Return events (``EventRow``), newest first; ``after``: only those with a larger id."""

    async def events_of(self, scope: Scope, event_ids: Sequence[int]) -> Mapping[int, EventRow]:
        """Return those of these events that there are, by id."""

    async def get_delivery(self, scope: Scope, delivery_id: int) -> Delivery:
        """Find a delivery."""

    async def list_deliveries(
        self,
        scope: Scope,
        before: int | None,
        limit: int,
        *,
        endpoint_id: int | None = None,
        event_id: int | None = None,
        state: DeliveryState | None = None,
        after: int | None = None,
    ) -> Page:
        """Return deliveries, newest first; ``after``: only those with a larger id."""

    async def list_attempts(self, scope: Scope, delivery_id: int) -> Sequence[Attempt]:
        """Return the attempts of a delivery, first to last."""

    async def last_attempts(
        self, scope: Scope, delivery_ids: Sequence[int]
    ) -> Mapping[int, Attempt]:
        """Return the newest attempt of each of these deliveries that has one, by delivery."""

    # -- replays -------------------------------------------------------------------------------

    async def count_replay(self, scope: Scope, wanted: NewReplay, now: Micros) -> ReplayCount:
        """Count the events that a replay would send, as far as that is soon done.

        Of what the endpoint wants now. ``failed``: the event was sent to it in that time, failed,
        and nothing of it was delivered or still waits. ``missed``: the event was accepted in that
        time and never sent to it, or discarded. A test is neither.

        :raises NotFoundError: there is no such endpoint, or its account has no such event.
        """

    async def add_replay(
        self, scope: Scope, wanted: NewReplay, counted: ReplayCount, now: Micros
    ) -> Replay:
        """Begin a replay; ``run_replays`` makes its deliveries.

        :raises NotFoundError: there is no such endpoint, or its account has no such event.
        :raises RefusedError: the endpoint is disabled, or a replay of it is running.
        """

    async def get_replay(self, scope: Scope, replay_id: int) -> Replay:
        """Find a replay."""

    async def list_replays(
        self, scope: Scope, endpoint_id: int, before: int | None, limit: int
    ) -> Page:
        """Return an endpoint's replays, newest first."""

    async def cancel_replay(self, scope: Scope, replay_id: int, reason: str, now: Micros) -> Replay:
        """Have a replay make nothing more, if it is running; what it made stays."""

    async def run_replays(self, now: Micros, limit: int) -> int:
        """Make up to ``limit`` deliveries of each replay that is running.

        Deliveries and how far it has looked are one transaction: no event twice, none left out,
        whoever dies when. Nothing is made for an endpoint that has ``limit`` deliveries due and
        not sent, nor while its account's plan holds something back. Returns how many events were
        looked at for the busiest.
        """

    # -- keys ----------------------------------------------------------------------------------

    async def add_key(self, key: ApiKey, digest: bytes) -> ApiKey:
        """Add a key (its id is made here) by the SHA-256 of its text.

        :raises RefusedError: there is, or was, a key with this text.
        """

    async def find_key(self, digest: bytes) -> ApiKey | None:
        """Find a key that is not revoked."""

    async def get_key(self, scope: Scope, key_id: int) -> ApiKey:
        """Find a key, revoked or not."""

    async def list_keys(self, scope: Scope, before: int | None, limit: int) -> Page:
        """Return keys, newest first, revoked ones included."""

    async def revoke_key(self, scope: Scope, key_id: int, now: Micros) -> ApiKey:
        """Revoke a key, at once and for good."""

    async def touch_keys(self, used: Mapping[int, Micros]) -> None:
        """Write down when keys were last used."""

    # -- people --------------------------------------------------------------------------------

    async def add_person(
        self, name: str, role: Role, project_id: int | None, now: Micros
    ) -> Person:
        """Add somebody, who has no password yet.

        :raises NotFoundError: there is no such project.
        :raises RefusedError: ``person_exists``: somebody has this name.
        """

    async def get_person(self, person_id: int) -> Person:
        """Find somebody by id."""

    async def find_person(self, name: str) -> Person:
        """Find somebody by name, however it is capitalised."""

    async def list_people(self) -> Sequence[Person]:
        """Return everybody, by name."""

    async def change_person(
        self, person_id: int, changes: Mapping[str, Any], now: Micros
    ) -> Person:
        """Change somebody's ``name``, ``role``, ``project_id`` or ``password``.

        :raises NotFoundError: there is nobody of this id, or no such project.
        :raises RefusedError: ``person_exists``, or ``last_owner``: nobody would be left who owns
            all projects.
        """

    async def remove_person(self, person_id: int, now: Micros) -> None:
        """Remove somebody, and end their sessions and login links.

        :raises RefusedError: ``last_owner``: nobody would be left who owns all projects.
        """

    async def add_login_link(self, person_id: int, digest: bytes, expires_at: Micros) -> None:
        """Add a link that logs somebody in once, by the SHA-256 of its token."""

    async def take_login_link(self, digest: bytes, now: Micros) -> Person:
        """Use a login link up, and say whose it was.

        :raises NotFoundError: there is none, or none any more.
        """

    async def add_session(
        self,
        digest: bytes,
        person_id: int | None,
        key_id: int | None,
        now: Micros,
        expires_at: Micros,
    ) -> None:
        """Log a person or a key in, by the SHA-256 of the session's token.

        :raises NotFoundError: there is no such person.
        """

    async def find_session(self, digest: bytes, now: Micros) -> Session | None:
        """Find a session; None once it has expired, its person is removed or its key revoked.

        Writes down when the person was seen, to the minute.
        """

    async def end_session(self, digest: bytes) -> None:
        """Log out."""

    async def end_sessions(self, person_id: int) -> None:
        """Log somebody out everywhere; the links that would log them in open nothing any more."""

    # -- changes -------------------------------------------------------------------------------

    async def add_change(self, change: Change, now: Micros) -> Change:
        """Write a line of the log of changes (its id is made here)."""

    async def list_changes(
        self, scope: Scope, before: int | None, limit: int, *, subject: str | None = None
    ) -> Page:
        """Return changes, newest first; ``subject``: only those made to it."""

    # -- numbers -------------------------------------------------------------------------------

    async def add_tallies(
        self, minutes: Sequence[ProjectMinute], hours: Sequence[EndpointHour]
    ) -> None:
        """Add numbers to those that are there."""

    async def health(
        self, scope: Scope, endpoint_ids: Sequence[int], since: Micros
    ) -> Mapping[int, Health]:
        """Return how endpoints do, by id; those to which nothing was ever sent are absent.

        Counted from the beginning of the hour in which ``since`` is.
        """

    async def chart(
        self, scope: Scope, since: Micros, until: Micros, step_minutes: int
    ) -> Sequence[ChartPoint]:
        """Return what happened from ``since`` on and before ``until``, in steps, first to last.

        Of all projects or of one: an account has no chart, only zeros. Every step is there; the
        first begins at or before ``since``.
        """

    async def busiest(self, scope: Scope, since: Micros, limit: int) -> Sequence[Busy]:
        """Return the accounts for which most was sent, from the hour of ``since`` on."""

    async def slowest(self, scope: Scope, since: Micros, limit: int) -> Sequence[Slow]:
        """Return the endpoints whose answers took longest on average, from that hour on."""

    async def troubled(self, scope: Scope, limit: int) -> Sequence[Endpoint]:
        """Return endpoints that need somebody's eye, without their secrets.

        First those that fail now, most deliveries failed in a row first, longest first where it is
        none yet; then those that Hooktide disabled, newest first.
        """

    async def account_usage(self, scope: Scope, account_id: int, now: Micros) -> AccountUsage:
        """Return what an account has of its plan."""

    # -- bins ----------------------------------------------------------------------------------

    async def add_bin(self, new: Bin, most: int) -> Bin:
        """Add a bin (its id is made here); an owner has ``most`` that have not expired.

        :raises RefusedError: ``too_many_bins``.
        """

    async def get_bin(self, token: str, now: Micros) -> Bin:
        """Find a bin that has not expired, by its token."""

    async def change_bin(self, token: str, script: str, now: Micros) -> Bin:
        """Set the answers a bin gives from now on."""

    async def add_bin_request(self, request: BinRequest, keep: int) -> BinRequest:
        """Keep a request (its id is made here); the newest ``keep`` of a bin stay."""

    async def list_bin_requests(self, bin_id: int, before: int | None, limit: int) -> Page:
        """Return a bin's requests, newest first."""

    async def get_bin_request(self, bin_id: int, request_id: int) -> BinRequest:
        """Find one request of a bin."""

    async def clear_bin(self, bin_id: int) -> None:
        """Remove a bin's requests."""

    async def remove_bin(self, bin_id: int) -> None:
        """Remove a bin and its requests; its URL answers 404 from then on."""

    async def endpoints_at(self, url: str) -> Sequence[Endpoint]:
        """Return the endpoints with exactly this URL (a bin's), with their secrets."""
