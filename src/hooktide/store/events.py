"""Events, as they are read."""

from collections.abc import Mapping, Sequence
from typing import Any

from hooktide.domain.model import Scope
from hooktide.store import rows
from hooktide.store.base import EventRow, Page
from hooktide.store.lists import ABOVE_ALL, conditions, in_scope, newest, within
from hooktide.store.repository import Repository, reads
from hooktide.store.transaction import Transaction


class Events(Repository):
    """The store's methods for reading events."""

    @reads
    async def get_event(self, tx: Transaction, scope: Scope, event_id: int) -> EventRow:
        """Find an event."""
        return await read_event(tx, scope, event_id)

    @reads
    async def list_events(
        self,
        tx: Transaction,
        scope: Scope,
        before: int | None,
        limit: int,
        event_type: str | None = None,
        *,
        after: int | None = None,
    ) -> Page:
        """Return events (``EventRow``), newest first; ``after``: only those with a larger id."""
        wanted: list[tuple[str, str, Any]] = [
            ("id < :before", "before", before),
            ("id > :after", "after", after),
            ("type = :type", "type", event_type),
            *in_scope(scope),
        ]
        if scope.account_id is not None:
            wanted.append((tx.sql("events_of_account"), "below", before or ABOVE_ALL))
        values = {"type": None, "above": -1 if after is None else after}
        return await newest(tx, "events", wanted, limit, rows.event_row, values)

    @reads
    async def events_of(
        self, tx: Transaction, scope: Scope, event_ids: Sequence[int]
    ) -> Mapping[int, EventRow]:
        """Return those of these events that there are, by id."""
        found = await by_ids(tx, "events_of", scope, event_ids)
        return {row[0]: rows.event_row(row) for row in found}


async def read_event(tx: Transaction, scope: Scope, event_id: int) -> EventRow:
    """Find an event.

    :raises NotFoundError: there is none in the scope.
    """
    where, values = conditions([("id = :id", "id", event_id), *in_scope(scope)])
    return rows.event_row(await tx.one("event", "events", values, where))


async def by_ids(
    tx: Transaction, name: str, scope: Scope, ids: Sequence[int]
) -> Sequence[rows.Row]:
    """Ask for these ids; the first and the last lead to the days that they are of."""
    if not ids:
        return []
    values = {"ids": sorted(set(ids)), "first": min(ids), "last": max(ids), **within(scope)}
    return await tx.rows(name, values)
