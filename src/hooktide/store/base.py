"""The contract of every store, which the conformance tests check on each database.

Each method is one transaction (on the hot path, shared with everything that arrived during the last
commit) and returns after the commit. Instants are microseconds; ``now`` is an argument. Objects
outside a ``Scope`` raise ``NotFoundError``, like a random id. ``action`` names the actor: its audit
log entry is written in the same transaction, if anything was changed (None: no entry). Database
failures raise ``UnavailableError``.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

import msgspec

from hooktide.domain.audit_log import Action
from hooktide.domain.delivery.rest import RestRequest
from hooktide.domain.delivery.verdict import Verdict
from hooktide.domain.errors import NotFoundError
from hooktide.domain.model import (
    DAY,
    MINUTE,
    SECOND,
    Attempt,
    Claim,
    Endpoint,
    Event,
    Micros,
    ReplayWhat,
)
from hooktide.domain.project.project import Project
from hooktide.domain.throttling.login_throttle import LoginRecord
from hooktide.domain.throttling.timeline import SlotAsk, Slots

AUDIT_LOG_RETENTION: Micros = 400 * DAY
"""How long the audit log goes back."""
NUMBERS_RETENTION: Micros = 31 * DAY
"""How long what was counted by the minute and by the hour is kept: charts of 30 days."""

COMMIT_LAG: Micros = 3 * SECOND
"""An event's id is made before its commit, and by any process. An event older than this is
committed or never will be: no accepted event takes longer to commit."""

RECORD_DELAY = 0.01
"""How many seconds attempts are collected before they are recorded together."""

LEASE: Micros = MINUTE
"""How long a claim lasts: longer than the longest timeout plus some waiting."""

SETTLE_DELAY: Micros = 2 * LEASE
"""No attempt that began before its delivery was discarded can be recorded later than this."""


class NewEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An event that has passed every check and is ready to be stored.

    With ``idempotency_key`` (empty: none) and ``digest`` (of everything that the caller sent), a
    second call with the same key gets the same result. After ``retention_days`` (0: with the event)
    its payload is erased.
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
    channels: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    retention_days: int = 0


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """The event is durable, and so are its deliveries. ``replayed``: it was stored before.

    ``held`` of the deliveries are held because of the plan's hourly limit.
    """

    event_id: int
    deliveries: int
    replayed: bool = False
    held: int = 0


class KeyReused(msgspec.Struct, frozen=True, gc=False):
    """The idempotency key was used for another event; nothing was stored."""

    event_id: int


class AccountGone(msgspec.Struct, frozen=True, gc=False):
    """The account was deleted meanwhile; nothing was stored."""


AddResult: TypeAlias = Accepted | KeyReused | AccountGone


Why: TypeAlias = Callable[[AddResult], str]
"""Returns why an event was refused; empty if it was not."""


class Emitted(msgspec.Struct, frozen=True, gc=False):
    """An event that an application has written into this database itself, not processed yet.

    ``project`` is a name, ``occurred_at`` RFC 3339 (empty: now), ``channels`` and ``tags`` are JSON
    arrays (empty: none).
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
    channels: str = ""
    tags: str = ""


class AttemptRecord(msgspec.Struct, frozen=True, gc=False):
    """An attempt with its claim and verdict.

    ``rest``: the rest that the receiver asked for, if any.
    """

    claim: Claim
    attempt: Attempt
    verdict: Verdict
    rest: RestRequest | None = None


T_contra = TypeVar("T_contra", contravariant=True)


class Waiter(Protocol[T_contra]):
    """Gets the result of a write after its commit: a future, or an object that needs no task."""

    def done(self) -> bool:
        """Return whether the result is no longer awaited."""

    def set_result(self, result: T_contra, /) -> None:
        """Take the result."""

    def set_exception(self, error: Exception, /) -> None:
        """Record why there is no result."""


class Capacity(msgspec.Struct, frozen=True, gc=False):
    """How many deliveries the worker can take straight from the accepting transaction, claimed."""

    deliveries: int
    payload_bytes: int
    full_endpoints: frozenset[int] = frozenset()


class Listener(Protocol):
    """Takes over claimed deliveries; called on the event loop, after the commit."""

    def capacity(self) -> Capacity:
        """Return how many new deliveries may be handed over now."""

    def handed_over(self, claims: Sequence[Claim]) -> None:
        """Take deliveries that were claimed in the transaction that accepted them."""

    def due(self, hints: Mapping[int, Micros]) -> None:
        """Note that these endpoints (by id) have pending deliveries due at these instants."""


LoginEdit: TypeAlias = Callable[[Sequence[LoginRecord]], Sequence[LoginRecord]]
"""Maps the records of some places to the new ones: a pure function, called in the transaction."""

EndpointEdit: TypeAlias = Callable[[Endpoint], Mapping[str, Any]]
"""Maps the current endpoint to the fields to change: a pure function, called in the transaction."""

Changed: TypeAlias = Callable[[str, int], None]
"""Called when a ``project``, ``account``, ``endpoint`` or ``key`` (by id) was changed or deleted.

``rest``: an endpoint's rest may have begun, or was lifted. ``resend``: an endpoint has a delivery
to be sent although it may rest. ``stopped``: a delivery (by id) was stopped. ``claims`` (0): the
claims of this process were released because it was taken for dead. ``everything`` (0): anything may
have changed, as notifications may have been missed.

When a database does not say whether it committed, what may have changed is announced too.
"""


class NewReplay(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The events to send to an endpoint again.

    ``failed`` and ``missed``: of those from ``since`` on and before ``until`` (None: now).
    ``event``: ``event_id`` alone.
    """

    endpoint_id: int
    what: ReplayWhat
    since: Micros | None = None
    until: Micros | None = None
    event_id: int | None = None


class ReplayCount(msgspec.Struct, frozen=True, gc=False):
    """How many events a replay would send; ``at_least``: not all candidates were examined."""

    events: int
    at_least: bool = False


class JobItem(msgspec.Struct, frozen=True, gc=False):
    """A delivery that a job has collected.

    ``subject`` is what the job does it with, once for each endpoint: the delivery's id, or its
    event's.
    """

    endpoint_id: int
    subject: int


class EventRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A stored event with the other columns that the log shows."""

    event: Event
    project_id: int
    deliveries: int


class Page(msgspec.Struct, frozen=True, gc=False):
    """One page of a list, newest first; the next one starts below ``next_before`` (None: last)."""

    items: Sequence[Any]
    next_before: int | None


class RefusedRow(msgspec.Struct, frozen=True, gc=False):
    """A row of ``hooktide.emitted`` that was refused; ``payload_size`` is in bytes."""

    id: int
    project: str
    account: str
    type: str
    reason: str
    payload_size: int


class ProjectRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A project as stored: its id and its whole configuration.

    ``version`` grows with each change of it.
    """

    id: int
    project: Project
    created_at: Micros
    updated_at: Micros
    version: int


class EditedProject(msgspec.Struct, frozen=True, gc=False):
    """A project before (None: it is new) and after an edit; the same row if nothing changed."""

    before: ProjectRow | None
    after: ProjectRow


ProjectEdit: TypeAlias = Callable[[Project | None], Project]
"""Returns a project's new configuration, given the current one (None: it does not exist).

It may be called several times, and refuses by raising.
"""


class Waiting(msgspec.Struct, frozen=True, gc=False):
    """An unclaimed delivery that is not due yet.

    ``attempted_at`` and ``response_head`` are those of its last attempt (0 and empty: none).
    """

    endpoint_id: int
    due_at: Micros
    delivery_id: int
    account_id: int
    attempts: int
    attempted_at: Micros
    response_head: bytes

    @property
    def place(self) -> tuple[int, Micros, int]:
        """Return where it is in the order of ``Store.waiting_after``."""
        return self.endpoint_id, self.due_at, self.delivery_id


class Counts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Queue counts: pending and held deliveries, and the earliest due time.

    Exact, but for what a disabled endpoint has left behind: that counts no more.

    ``refused_emitted``: events that applications wrote into this database and that were refused.
    """

    pending: int
    held: int
    oldest_due_at: Micros | None
    refused_emitted: int = 0


class ProjectUsage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a project stores; ``oldest_at`` is when the oldest event was accepted."""

    project_id: int
    name: str
    events: int
    deliveries: int
    attempts: int
    payload_bytes: int
    oldest_at: Micros | None


class OwnStore(Protocol):
    """What each database implements itself (see ``store.contract`` for the whole)."""

    def listen(self, listener: Listener) -> None:
        """Hand deliveries over to ``listener``, the only one."""

    def watch(self, changed: Changed) -> None:
        """Call ``changed`` with what every commit changed, before its callers are answered."""

    async def close(self) -> None:
        """Write everything pending, and close the database."""

    @property
    def wal_bytes(self) -> int:
        """How much of SQLite's write-ahead log is not in the database yet; 0 on PostgreSQL."""

    @property
    def released_claims(self) -> int:
        """How many claims of dead processes this store has released so far."""

    async def check(self) -> None:
        """Check that publishing would work, by doing the same without an event.

        After a refusal it tries to write as much as was refused. With PostgreSQL it must also
        receive the other processes' changes.

        :raises UnavailableError: it would not; ``reason`` says why.
        """

    async def emitted(self, limit: int) -> Sequence[Emitted]:
        """Return the first events that applications have written into this database, in order.

        Only PostgreSQL stores them: by default there are no rows, and no refused ones.
        """
        return ()

    async def list_refused_rows(self, before: int | None, limit: int) -> Page:
        """Return the refused rows that applications wrote into this database, newest first."""
        return Page([], None)

    async def retry_refused_row(self, row_id: int, now: Micros, action: Action) -> None:
        """Retry a refused row.

        :raises NotFoundError: the row does not exist, or is not refused.
        """
        raise NotFoundError("row")

    async def discard_refused_row(self, row_id: int, now: Micros, action: Action) -> None:
        """Remove a refused row; its event is never accepted.

        :raises NotFoundError: the row does not exist, or is not refused.
        """
        raise NotFoundError("row")

    async def accept_emitted(
        self,
        events: Mapping[int, NewEvent],
        refused: Mapping[int, str],
        ignored: Sequence[int],
        why: Why,
    ) -> Mapping[int, AddResult]:
        """Store these events (by the id of their rows), and delete their rows.

        One transaction: an event is always either a row or stored. Rows in ``refused``, and those
        that ``why`` gives a reason for, are set aside with the reason; rows in ``ignored`` are
        deleted. A row whose account was deleted meanwhile stays, to be processed again. Another
        process may have been faster: returns the results of the remaining rows. Rows are accepted
        in order, across processes.
        """
        return {}

    def record(self, record: AttemptRecord) -> None:
        """Record an attempt; it is stored with the next commit, or kept until one succeeds.

        Fenced: if the claim is outdated, only a 2xx still counts.
        """

    async def recorded(self) -> None:
        """Return when everything passed to ``record`` so far is committed."""

    def unrecorded_rests(self) -> Mapping[int, Micros]:
        """Return when the rests end, by endpoint id, that attempts passed to ``record`` asked for
        and that are not committed yet: ``resting`` may not include them."""

    async def claim_due(
        self, endpoint_ids: Sequence[int], now: Micros, lease: Micros, each: int
    ) -> Sequence[Claim]:
        """Claim up to ``each`` due deliveries of each endpoint, oldest due first.

        Of an endpoint that rests, only what ignores rests (``domain.delivery.rest.ignores_rest``).
        """

    async def reserve_slots(self, asks: Sequence[SlotAsk], now: Micros) -> Sequence[Slots]:
        """Reserve slots of the timelines of rates (``domain.throttling.timeline``).

        ``now`` and the slots are instants of the leases' clock. SQLite has them in memory.
        """

    async def drop_idle_timelines(self, before: Micros) -> int:
        """Forget timelines that were not used since then; how many, as far as is known."""

    async def release_claims(self, claims: Sequence[Claim], now: Micros) -> None:
        """Release claims whose attempt was never made: their deliveries are due now."""

    async def release_expired_claims(self, now: Micros, limit: int) -> int:
        """Make claims whose lease has ended due again; how many."""

    async def discard_stale(self, now: Micros, limit: int) -> int:
        """Discard deliveries of endpoints that were disabled or deleted; how many."""

    async def fold_waiting_counts(self) -> int:
        """Add up what transactions have appended to the counts of what waits; returns 0.

        SQLite has nothing to add up: its one writer changes an endpoint's count in place.
        """
        return 0

    async def log_new(self, limit: int) -> int:
        """Add new deliveries and events to the logs that lists are read from; return how many.

        Lists are complete without it, only slower, because new rows are scanned.
        """

    async def prepare_log(self, now: Micros) -> int:
        """Create the partitions for the log's next days, if it has any; returns 0."""

    async def storage_usage(self) -> Sequence[ProjectUsage]:
        """Count what is kept of each project, by name.

        Reads the whole log, which may take minutes; nothing else waits for it, and concurrent
        callers share the result.
        """
