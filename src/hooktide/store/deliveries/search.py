"""The search index of payloads: filled from stored events a moment later, and read by search.

A transaction indexes a batch of events and moves the mark up to which that is done: each event
once, even if a process dies. What is not indexed yet is read by each search, so that it finds what
was just accepted (``docs/decisions``, "the search index is filled later").
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from hooktide.domain.audit_log import Action, project_snapshot
from hooktide.domain.ids import ABOVE_ALL, made_at
from hooktide.domain.model import Micros, Scope, SearchIndex
from hooktide.domain.searching.index import Index, Value, index_of
from hooktide.store import rows
from hooktide.store.base import EventRow
from hooktide.store.configuration.projects import read_project
from hooktide.store.deliveries.events import by_ids
from hooktide.store.journal.audit_log import record_action
from hooktide.store.rows import Row
from hooktide.store.sql.lists import beginning, conditions
from hooktide.store.sql.repository import Repository, maintains, reads, surveys, writes
from hooktide.store.sql.transaction import Transaction
from hooktide.store.writing.batch import run_apart

EVENTS = 200
BYTES = 512 * 1024
"""How many events, and about how much of their payloads, are indexed in one transaction."""
MAX_TERMS = 100
"""How many different terms one search may be the beginning of."""
NEWEST = 300
NEWEST_BYTES = 2 * 1024 * 1024
"""How many events that are not indexed yet a search reads, and how much of their payloads, the
newest first."""


class FoundEvents(NamedTuple):
    """One page of what a search found, newest first; the next holds ids below ``next_before``.

    ``too_broad``: more than ``MAX_TERMS`` values begin like this. Then only those that are it, as a
    whole or from a word on, count.
    """

    items: Sequence[EventRow]
    next_before: int | None
    too_broad: bool


class _State(NamedTuple):
    """How far a project is indexed; the columns of ``search_indexes``."""

    project_id: int
    paths: str
    upto: int
    complete_from: int
    filling: int
    filled: int
    started_at: Micros | None
    ended_at: Micros | None


class Search(Repository):
    """The store's methods for the search index."""

    @reads
    async def search_indexes(self, tx: Transaction, scope: Scope) -> Mapping[int, SearchIndex]:
        """Return how far each project is indexed that ever named paths, by its id."""
        found = await _states(tx, scope)
        return {each.project_id: _shown(each) for each in found}

    @reads
    async def search_events(
        self,
        tx: Transaction,
        scope: Scope,
        text: str,
        before: int | None,
        limit: int,
        *,
        after: int | None = None,
    ) -> FoundEvents:
        """Return events with an indexed value that begins with a text, or has a word that does.

        ``text`` is a normal form (``domain.searching.index``), not empty. Newest first;
        ``after``: only those with a larger id.
        """
        above, below = -1 if after is None else after, before or ABOVE_ALL
        ids, too_broad = set[int](), False
        for state in await _states(tx, scope):
            terms = await _terms(tx, scope, state, text)
            if len(terms) > MAX_TERMS:
                too_broad, terms = True, [term for term in terms if term == text]
            window = {"after": above, "before": below, "limit": limit + 1}
            if terms:
                values = {**_owner(scope, state), "terms": terms, **window}
                name = f"events_of_terms_of_{_whose(scope)}"
                ids |= {id_ for (id_,) in await tx.rows(name, values)}
            ids |= await _in_newest(tx, scope, state, text, max(above, state.upto), below)
        chosen = sorted(ids, reverse=True)
        page = chosen[:limit]
        found = {row[0]: rows.event_row(row) for row in await by_ids(tx, "events_of", scope, page)}
        items = [found[id_] for id_ in page if id_ in found]
        return FoundEvents(items, page[-1] if len(chosen) > limit else None, too_broad)

    @reads
    async def titles_of(self, tx: Transaction, event_ids: Sequence[int]) -> Mapping[int, list[str]]:
        """Return the indexed values of these events, as people read them."""
        found: dict[int, list[str]] = {}
        for event_id, shown in await by_ids(tx, "titles_of_events", Scope(), event_ids):
            found.setdefault(event_id, []).append(shown)
        return found

    @writes
    async def start_filling_index(
        self, tx: Transaction, project_id: int, now: Micros, action: Action | None = None
    ) -> SearchIndex | None:
        """Start to index a project's older events, as ``run_indexing`` then does.

        If it runs already it goes on. None: the project has never named a path.

        :raises NotFoundError: there is no such project.
        """
        row = await read_project(tx, project_id)
        if await tx.run("start_filling", {"project_id": project_id, "now": now}):
            await record_action(tx, action, project_snapshot(row.id, row.project), now)
        states = await _states(tx, Scope(project_id=project_id))
        return _shown(states[0]) if states else None

    async def run_indexing(self, now: Micros) -> int:
        """Index the next events of each project; return how many, of the busiest.

        New ones first; then, where that was asked for, the newest of the older ones.
        """
        settled = self.settled(now)
        done = await run_apart(
            await self._waiting_indexes(settled),
            lambda project_id: self._index_piece(project_id, settled, now),
            "index events of project",
        )
        return max(done, default=0)

    @surveys
    async def _waiting_indexes(self, tx: Transaction, settled: int) -> Sequence[int]:
        return [id_ for (id_,) in await tx.rows("waiting_indexes", {"settled": settled})]

    @maintains
    async def _index_piece(
        self, tx: Transaction, project_id: int, settled: int, now: Micros
    ) -> int:
        taken = await tx.row("take_index", {"project_id": project_id})
        if taken is None:
            return 0  # another process has it
        paths, upto, complete_from, filling = taken
        put = _Putting(tx, project_id, _read_paths(paths))
        done = 0
        if paths != NO_PATHS:
            done = await put.newer(upto, settled)
        if filling and not done:
            done = await put.older(complete_from, now)
        return done


class _Putting:
    """Puts events of one project into its index, which is locked meanwhile."""

    def __init__(self, tx: Transaction, project_id: int, paths: tuple[str, ...]) -> None:
        self._tx = tx
        self._project_id = project_id
        self._values_of = index_of(paths).values if paths else _nothing

    async def newer(self, upto: int, settled: int) -> int:
        """Index the events after the mark, and move it; return how many."""
        events = await self._events("events_to_index", after=upto, upto=settled)
        if events:
            await self._put(events)
            mark = {"project_id": self._project_id, "upto": events[-1][0]}
            await self._tx.run("move_index", mark)
        return len(events)

    async def older(self, complete_from: int, now: Micros) -> int:
        """Index the events before those that are complete; return how many."""
        events = await self._events("events_to_fill", before=complete_from)
        mark = {"project_id": self._project_id}
        if not events:
            await self._tx.run("end_filling", {**mark, "now": now})
            return 0
        await self._put(events)
        moved = {"complete_from": events[-1][0], "filled": len(events)}
        await self._tx.run("move_filling", {**mark, **moved})
        return len(events)

    async def _events(self, name: str, **window: int) -> Sequence[tuple[int, int]]:
        """Return the next events, as (id, account), so that reading their payloads is soon done."""
        values = {"project_id": self._project_id, **window, "limit": EVENTS}
        return _soon_read(await self._tx.rows(name, values), BYTES)

    async def _put(self, events: Sequence[tuple[int, int]]) -> None:
        """Replace what is indexed of events; in the order of the index, which is quicker."""
        ids = sorted(id_ for id_, _ in events)
        bounds = {"ids": ids, "first": ids[0], "last": ids[-1]}
        await self._tx.run("drop_terms_of_events", bounds)
        if self._values_of is _nothing:
            return
        accounts = dict(events)
        terms = [
            (id_, value.place, start, self._project_id, accounts[id_], term, shown)
            for id_, payload in await _payloads(self._tx, events)
            for value in self._values_of(payload)
            for start, term, shown in _numbered(value)
        ]
        await self._tx.many("add_terms", sorted(terms, key=_by_term))


NO_PATHS = "[]"


def _numbered(value: Value) -> Sequence[tuple[int, str, str]]:
    return [(start, term, "" if start else value.shown) for start, term in enumerate(value.terms)]


def _by_term(row: Row) -> tuple[str, int]:
    return row[5], row[0]


def _nothing(payload: bytes) -> list[Value]:
    return []


async def _states(tx: Transaction, scope: Scope) -> Sequence[_State]:
    own = [("project_id = :scope_project", "scope_project", await _project_of(tx, scope))]
    where, values = conditions(own)
    return [_State(*row) for row in await tx.rows("search_indexes", values, where)]


async def _project_of(tx: Transaction, scope: Scope) -> int | None:
    if scope.project_id is not None or scope.account_id is None:
        return scope.project_id
    row = await tx.row("accounts", {"id": scope.account_id}, " WHERE id = :id")
    return 0 if row is None else row[1]


async def _terms(tx: Transaction, scope: Scope, state: _State, text: str) -> list[str]:
    """Return the terms that begin with a text, or one more than are allowed."""
    values = {**_owner(scope, state), **beginning(text), "limit": MAX_TERMS + 1}
    return [term for (term,) in await tx.rows(f"terms_of_{_whose(scope)}", values)]


async def _in_newest(
    tx: Transaction, scope: Scope, state: _State, text: str, above: int, below: int
) -> set[int]:
    """Search the newest events of a project that are not indexed yet."""
    if state.paths == NO_PATHS:
        return set()
    values = {
        "project_id": state.project_id,
        "account_id": scope.account_id,
        "after": above,
        "before": below,
        "limit": NEWEST,
    }
    events = _soon_read(await tx.rows("newest_events", values), NEWEST_BYTES)
    index = index_of(_read_paths(state.paths))
    return {id_ for id_, payload in await _payloads(tx, events) if _begins(index, payload, text)}


def _soon_read(found: Sequence[Row], most: int) -> list[tuple[int, int]]:
    """Return events, as (id, account), up to about this many bytes of their payloads."""
    chosen: list[tuple[int, int]] = []
    size = 0
    for id_, account_id, payload_bytes in found:
        if chosen and size + payload_bytes > most:
            break
        size += payload_bytes
        chosen.append((id_, account_id))
    return chosen


async def _payloads(tx: Transaction, events: Sequence[tuple[int, int]]) -> Sequence[Row]:
    """Return the payloads of events, as (id, payload)."""
    return await by_ids(tx, "payloads_of", Scope(), [id_ for id_, _ in events])


def _begins(index: Index, payload: bytes, text: str) -> bool:
    values = index.values(payload)
    return any(term.startswith(text) for value in values for term in value.terms)


def _whose(scope: Scope) -> str:
    return "project" if scope.account_id is None else "account"


def _owner(scope: Scope, state: _State) -> dict[str, Any]:
    return {"owner": state.project_id if scope.account_id is None else scope.account_id}


def _read_paths(text: str) -> tuple[str, ...]:
    return msgspec.json.decode(text, type=tuple[str, ...])


def _shown(state: _State) -> SearchIndex:
    return SearchIndex(
        project_id=state.project_id,
        paths=_read_paths(state.paths),
        complete_since=made_at(state.complete_from) if state.complete_from else None,
        filling=bool(state.filling),
        filled=state.filled,
        started_at=state.started_at,
        ended_at=state.ended_at,
    )
