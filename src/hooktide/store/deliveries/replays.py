"""Replays: jobs that create new deliveries of the events in a window of ids, in batches.

A transaction reads a batch and creates its deliveries: each event once, even if a process dies. It
locks in the same order as all others: account, endpoint, replay.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from hooktide.domain.audit_log import Action, snapshot
from hooktide.domain.filtering.filter import Filter, read_exactly, stored_filter
from hooktide.domain.ids import first_at
from hooktide.domain.labels import is_addressed
from hooktide.domain.model import (
    SECOND,
    Endpoint,
    Micros,
    Origin,
    Replay,
    ReplayState,
    ReplayWhat,
    Scope,
)
from hooktide.domain.project.project import wants
from hooktide.runtime.clock import monotonic
from hooktide.runtime.vault import Vault
from hooktide.store import refusals
from hooktide.store.base import NewReplay, Page, ReplayCount
from hooktide.store.configuration.endpoints import hold_enabled, read_endpoint
from hooktide.store.deliveries.events import by_ids, read_event
from hooktide.store.deliveries.sending_again import has_enough, make_again
from hooktide.store.journal.audit_log import record_change
from hooktide.store.rows import Row, read_labels
from hooktide.store.sql.lists import conditions, in_scope, newest
from hooktide.store.sql.repository import Repository, maintains, reads, surveys, writes
from hooktide.store.sql.transaction import Transaction
from hooktide.store.writing.batch import run_apart
from hooktide.store.writing.usage import Usage

LOOK = 1000
"""Rows examined in one transaction."""
FILTER_LOOK = 100
FILTER_BYTES = 512 * 1024
"""How many events, and about how much of their payloads, are matched in one transaction."""

MAX_COUNTED = 100_000
COUNT_TIMEOUT: Micros = 2 * SECOND
"""Maximum rows examined for a count, and for how long; beyond that the count is "at least"."""

EVENT_GONE = "the event is past retention"


class Window(NamedTuple):
    """The ids still to be examined: those after ``after``, up to ``upto``."""

    after: int
    upto: int


class Piece(NamedTuple):
    """A batch: the events to send, and the id up to which it reaches.

    ``whole``: the window is done.
    """

    event_ids: list[int]
    looked_to: int
    whole: bool


class Looked(NamedTuple):
    """What was looked at: (its key, its event, the event's type, whether to send it, ...) each.

    ``whole``: there was nothing more in the window.
    """

    rows: Sequence[Row]
    whole: bool


class Replays(Repository):
    """The store's methods for replays."""

    async def count_replay(self, scope: Scope, wanted: NewReplay, now: Micros) -> ReplayCount:
        """Count the events that a replay would send, within bounded time.

        Only event types that the endpoint subscribes to now count. ``failed``: the event was sent
        to it in that time, failed, and nothing of it was delivered or still waits. ``missed``: the
        event was accepted in that time and never sent to it, or discarded. A test is neither.

        :raises NotFoundError: there is no such endpoint, or its account has no such event.
        """
        endpoint = await self._endpoint_of_replay(scope, wanted)
        if wanted.what is ReplayWhat.EVENT:
            return ReplayCount(1)
        id_ = self._ids(now)
        after, upto = _window(wanted, id_)

        async def look(after: int) -> Looked:
            return await self._look_at(wanted.what, endpoint, Window(after, upto), id_)

        return await _count(look, endpoint.event_types, after)

    @reads
    async def _endpoint_of_replay(
        self, tx: Transaction, scope: Scope, wanted: NewReplay
    ) -> Endpoint:
        endpoint = await read_endpoint(tx, scope, wanted.endpoint_id, self._vault)
        await _check_event(tx, endpoint, wanted)
        return endpoint

    @surveys
    async def _look_at(
        self, tx: Transaction, what: ReplayWhat, endpoint: Endpoint, piece: Window, id_: int
    ) -> Looked:
        return await _look(tx, what, endpoint, piece, id_)

    @writes
    async def create_replay(
        self,
        tx: Transaction,
        scope: Scope,
        wanted: NewReplay,
        counted: ReplayCount,
        now: Micros,
        action: Action | None = None,
    ) -> Replay:
        """Start a replay; ``run_replays`` creates its deliveries.

        :raises NotFoundError: there is no such endpoint, or its account has no such event.
        :raises RefusedError: the endpoint is disabled, or a replay of it is running.
        """
        endpoint = await hold_enabled(tx, scope, wanted.endpoint_id, self._vault)
        await _check_event(tx, endpoint, wanted)
        id_ = tx.ids(now)
        values = _replay_values(id_, endpoint, wanted, counted)
        values["looked_to"] = _window(wanted, id_).after
        if not await tx.rows("create_replay", values):
            raise refusals.replay_running(await _running(tx, endpoint.id))
        made = await _read(tx, Scope(), id_)
        await record_change(tx, action, None, snapshot(made), now)
        return made

    @reads
    async def get_replay(self, tx: Transaction, scope: Scope, replay_id: int) -> Replay:
        """Find a replay."""
        return await _read(tx, scope, replay_id)

    @reads
    async def list_replays(
        self, tx: Transaction, scope: Scope, endpoint_id: int, before: int | None, limit: int
    ) -> Page:
        """Return an endpoint's replays, newest first."""
        wanted = [
            ("endpoint_id = :endpoint_id", "endpoint_id", endpoint_id),
            ("id < :before", "before", before),
            *in_scope(scope),
        ]
        return await newest(tx, "replays", wanted, limit, _replay)

    @writes
    async def cancel_replay(
        self,
        tx: Transaction,
        scope: Scope,
        replay_id: int,
        reason: str,
        now: Micros,
        action: Action | None = None,
    ) -> Replay:
        """Cancel a running replay; the deliveries that it created stay."""
        found = await _read(tx, scope, replay_id)
        await tx.run("cancel_replay", {"id": found.id, "reason": reason, "now": now})
        new = await _read(tx, Scope(), found.id)
        await record_change(tx, action, snapshot(found), snapshot(new), now)
        return new

    async def run_replays(self, now: Micros, limit: int) -> int:
        """Create up to ``limit`` deliveries for each running replay.

        Deliveries and progress are stored in one transaction: no event twice, none left out, even
        if a process dies. Nothing is created for an endpoint that has ``limit`` due deliveries, nor
        while its account has held deliveries. Returns the number of events examined for the busiest
        replay.
        """
        looked = await run_apart(
            await self._running_replays(),
            lambda replay_id: self._run_piece(replay_id, now, limit),
            "continue replay",
        )
        return max(looked, default=0)

    @surveys
    async def _running_replays(self, tx: Transaction) -> Sequence[int]:
        return [id_ for (id_,) in await tx.rows("running_replays")]

    @maintains
    async def _run_piece(self, tx: Transaction, replay_id: int, now: Micros, limit: int) -> int:
        """Create the next deliveries of a replay; return how many events were examined."""
        replay = await _read(tx, Scope(), replay_id)
        hour = await tx.writer.hour(tx, replay.account_id, now)
        endpoint = await _hold(tx, replay, self._vault)
        if endpoint is None:
            return 0
        replay = await _read(tx, Scope(), replay_id)  # read again under the lock
        if replay.what is ReplayWhat.EVENT:
            piece = Piece([replay.event_id or 0], 0, whole=True)
            made = await _make(tx, replay, endpoint, piece, hour, now)
            await _move(tx, replay, piece, made, now, reason="" if made else EVENT_GONE)
            return 1
        if await has_enough(tx, endpoint, hour[1], now, limit):
            return 0
        left, last = _left(replay, self.settled(now))
        looked = await _look(tx, replay.what, endpoint, left, replay.id)
        piece = _choose(looked, endpoint.event_types, replay.looked_to, limit)
        made = await _make(tx, replay, endpoint, piece, hour, now)
        await _move(tx, replay, piece._replace(whole=piece.whole and last), made, now)
        return len(looked.rows)


async def _check_event(tx: Transaction, endpoint: Endpoint, wanted: NewReplay) -> None:
    """Check that a replay's event, if any, belongs to the endpoint's account."""
    if wanted.event_id is not None:
        row = await read_event(tx, Scope(account_id=endpoint.account_id), wanted.event_id)
        refusals.check_not_erased(row.event)


async def _hold(tx: Transaction, replay: Replay, vault: Vault) -> Endpoint | None:
    """Lock a replay and its endpoint; ``None`` if another process has it, or it has ended."""
    if not await tx.rows("lock_enabled_endpoints", {"endpoints": [replay.endpoint_id]}):
        return None
    if not await tx.rows("lock_replay", {"id": replay.id}):
        return None
    return await read_endpoint(tx, Scope(), replay.endpoint_id, vault)


async def _read(tx: Transaction, scope: Scope, replay_id: int) -> Replay:
    where, values = conditions([("id = :id", "id", replay_id), *in_scope(scope)])
    return _replay(await tx.one("replay", "replays", values, where))


async def _running(tx: Transaction, endpoint_id: int) -> int:
    where = " WHERE endpoint_id = :endpoint_id ORDER BY id DESC LIMIT 1"
    return int(await tx.value("replays", {"endpoint_id": endpoint_id}, where))


async def _look(
    tx: Transaction, what: ReplayWhat, endpoint: Endpoint, piece: Window, id_: int
) -> Looked:
    values = {
        "endpoint_id": endpoint.id,
        "account_id": endpoint.account_id,
        "after": piece.after,
        "upto": piece.upto,
        "replay_id": id_,
        "look": LOOK,
    }
    rows = await tx.rows(f"looked_{what.value}", values)
    found = Looked(rows, whole=len(rows) < LOOK)
    if what is not ReplayWhat.MISSED:
        return found
    if endpoint.channels:
        found = found._replace(rows=[_addressed(row, endpoint.channels) for row in rows])
    filter_ = stored_filter(endpoint.filter) if endpoint.filter else None
    if filter_ is None:
        return found
    return await _filtered(tx, found, endpoint.event_types, filter_)


def _addressed(row: Row, channels: tuple[str, ...]) -> Row:
    """Take the channels of an event that was missed into account."""
    id_, event_id, type_, open_, text = row
    own = read_labels(text) if text else ()
    return id_, event_id, type_, open_ and is_addressed(channels, own), text


async def _filtered(
    tx: Transaction, looked: Looked, types: tuple[str, ...], filter_: Filter
) -> Looked:
    """Match what was looked at with a filter, as far as reading the payloads is soon done."""
    wanted = [row[1] for row in looked.rows if row[3] and wants(types, row[2])]
    part = wanted[:FILTER_LOOK]
    payloads = {row[0]: row[8] for row in await by_ids(tx, "events_of", Scope(), part)}
    matching, size = set[int](), 0
    for number, event_id in enumerate(part):
        if size > FILTER_BYTES:
            part = part[:number]
            break
        payload = payloads.get(event_id, b"")  # empty: past retention since
        size += len(payload)
        if payload and filter_.matches(read_exactly(payload)):
            matching.add(event_id)
    upto = part[-1] if len(part) < len(wanted) else None
    rows = [
        (id_, event_id, type_, open_ and event_id in matching)
        for id_, event_id, type_, open_, *_ in looked.rows
        if upto is None or event_id <= upto
    ]
    return Looked(rows, looked.whole and upto is None)


async def _make(
    tx: Transaction,
    replay: Replay,
    endpoint: Endpoint,
    piece: Piece,
    hour: tuple[int | None, Usage],
    now: Micros,
) -> int:
    origin = Origin.REPLAY
    return await make_again(tx, endpoint, piece.event_ids, replay.id, hour, now, origin)


async def _move(
    tx: Transaction, replay: Replay, piece: Piece, made: int, now: Micros, reason: str = ""
) -> None:
    state = ReplayState.DONE if piece.whole else ReplayState.RUNNING
    values = {
        "id": replay.id,
        "state": state.value,
        "reason": reason,
        "ended_at": now if piece.whole else None,
        "looked_to": piece.looked_to,
        "made": made,
    }
    await tx.run("move_replay", values)


def _left(replay: Replay, settled: int) -> tuple[Window, bool]:
    """Return the window that a replay may examine now, and whether it is the last."""
    upto = _window(replay, replay.id).upto
    return Window(replay.looked_to, min(upto, settled)), upto <= settled


def _window(wanted: NewReplay | Replay, before: int) -> Window:
    """Return the window of a replay, below ``before``."""
    since, until = wanted.since or 0, wanted.until
    upto = before if until is None else min(before, first_at(until))
    return Window(first_at(since) - 1, upto - 1)


def _choose(looked: Looked, types: tuple[str, ...], after: int, most: int) -> Piece:
    """Return the events that an endpoint wants (``types``) of those looked at, ``most`` at most."""
    chosen: dict[int, None] = {}
    for id_, event_id, type_, open_, *_ in looked.rows:
        if open_ and event_id not in chosen and wants(types, type_):
            if len(chosen) == most:
                return Piece(list(chosen), after, whole=False)
            chosen[event_id] = None
        after = id_
    return Piece(list(chosen), after, whole=looked.whole)


async def _count(
    look: Callable[[int], Awaitable[Looked]], types: tuple[str, ...], after: int
) -> ReplayCount:
    """Count what a replay would send; ``look`` returns the batch after an id."""
    events: set[int] = set()
    looked, began = 0, monotonic()
    while looked < MAX_COUNTED and monotonic() - began < COUNT_TIMEOUT:
        found = await look(after)
        piece = _choose(found, types, after, LOOK)
        events.update(piece.event_ids)
        after, looked = piece.looked_to, looked + len(found.rows)
        if piece.whole:
            return ReplayCount(len(events))
    return ReplayCount(len(events), at_least=True)


def _replay(row: Row) -> Replay:
    """Read a replay's columns."""
    return Replay(
        id=row[0],
        project_id=row[1],
        account_id=row[2],
        endpoint_id=row[3],
        what=ReplayWhat(row[4]),
        since=row[5],
        until=row[6],
        event_id=row[7],
        state=ReplayState(row[8]),
        reason=row[9],
        counted=row[10],
        at_least=bool(row[11]),
        made=row[12],
        looked_to=row[13],
        ended_at=row[14],
    )


def _replay_values(
    id_: int, endpoint: Endpoint, wanted: NewReplay, counted: ReplayCount
) -> dict[str, Any]:
    """Return the values of a new replay for ``create_replay``, except its start."""
    return {
        "id": id_,
        "project_id": endpoint.project_id,
        "account_id": endpoint.account_id,
        "endpoint_id": endpoint.id,
        "what": wanted.what.value,
        "since": wanted.since,
        "until": wanted.until,
        "event_id": wanted.event_id,
        "counted": counted.events,
        "at_least": int(counted.at_least),
    }
