"""Adding and reading events."""

import asyncio
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from hooktide.domain.audit_log import Action, Snapshot
from hooktide.domain.ids import ABOVE_ALL, show
from hooktide.domain.model import ERASED, PAYLOAD_ERASED, Micros, Scope
from hooktide.store import rows
from hooktide.store.base import SETTLE_DELAY, AddResult, EventRow, NewEvent, Page, Waiter
from hooktide.store.deliveries.early import stop
from hooktide.store.journal.audit_log import record_action
from hooktide.store.sql.lists import conditions, in_scope, newest, within
from hooktide.store.sql.repository import Repository, maintains, reads, writes
from hooktide.store.sql.transaction import Transaction


class Events(Repository):
    """The store's methods for events."""

    async def add_events(self, events: Sequence[NewEvent], now: Micros) -> Sequence[AddResult]:
        """Store events, and a delivery for each enabled endpoint that subscribes to the type.

        Deliveries within the account's plan are pending, claimed for this process as far as its
        listener has capacity; those over the plan's hourly limit are held.
        """
        future: asyncio.Future[list[AddResult]] = asyncio.get_running_loop().create_future()
        self.submit_events(events, now, future)
        return await future

    @abstractmethod
    def submit_events(
        self, events: Sequence[NewEvent], now: Micros, waiter: Waiter[list[AddResult]]
    ) -> None:
        """Store events as ``add_events`` does; ``waiter`` gets the results after the commit.

        :raises UnavailableError: the database accepts no writes now.
        """

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
        tag: str | None = None,
        channel: str | None = None,
    ) -> Page:
        """Return events (``EventRow``), newest first; ``after``: only those with a larger id."""
        wanted: list[tuple[str, str, Any]] = [
            ("id < :before", "before", before),
            ("id > :after", "after", after),
            ("type = :type", "type", event_type),
            (tx.sql("has_tag"), "tag", tag),
            (tx.sql("has_channel"), "channel", channel),
            *in_scope(scope),
        ]
        if scope.account_id is not None:
            wanted.append((tx.sql("events_of_account"), "below", before or ABOVE_ALL))
        values = {
            "type": None,
            "tag": None,
            "channel": None,
            "above": -1 if after is None else after,
        }
        return await newest(tx, "events", wanted, limit, rows.event_row, values)

    @reads
    async def events_of(
        self, tx: Transaction, scope: Scope, event_ids: Sequence[int]
    ) -> Mapping[int, EventRow]:
        """Return the existing events among these, by id."""
        found = await by_ids(tx, "events_of", scope, event_ids)
        return {row[0]: rows.event_row(row) for row in found}

    @writes
    async def erase_payload(
        self,
        tx: Transaction,
        scope: Scope,
        event_id: int,
        now: Micros,
        action: Action | None = None,
    ) -> EventRow:
        """Erase an event's payload, and the heads and bodies of its attempts; the rest stays.

        Its pending and held deliveries are discarded. An attempt that is out is not cut.
        """
        with tx.erasing():
            await _lock_to_erase(tx, [event_id])
            before = await read_event(tx, scope, event_id)
            erased, _ = await _erase_payloads(tx, [event_id], now)
            if erased:
                await record_action(tx, action, _audited(before), now)
            return await read_event(tx, Scope(), event_id)

    @maintains
    async def erase_expired_payloads(self, tx: Transaction, now: Micros, limit: int) -> int:
        """Erase up to ``limit`` payloads that are past their retention; return how many were due.

        An event that had deliveries to stop is due again later, for what an attempt that was out
        has brought.
        """
        values = {"now": now, "limit": limit}
        due = sorted([id_ for (id_,) in await tx.rows("expired_payloads", values)])
        if not due:
            return 0
        with tx.erasing():
            found = await _lock_to_erase(tx, due)
            _, stopped = await _erase_payloads(tx, found, now)
        again = {"ids": sorted(stopped), "erase_at": now + SETTLE_DELAY}
        await tx.run("put_off_payload_expiries", again)
        await tx.run("drop_payload_expiries", {"ids": sorted(set(due) - stopped)})
        return len(due)


async def _lock_to_erase(tx: Transaction, ids: Sequence[int]) -> list[int]:
    """Lock events whose payloads are to be erased; return those that are still there.

    Their indexes come first, as in retention and in the erasure of an account: in another order two
    of them could wait for each other.
    """
    await tx.rows("hold_indexes_of_events", {"ids": ids})
    return [id_ for (id_,) in await tx.rows("lock_events_to_erase", {"ids": ids})]


async def _erase_payloads(
    tx: Transaction, ids: Sequence[int], now: Micros
) -> tuple[int, AbstractSet[int]]:
    """Erase events' payloads and what is kept of them; return how many had one, and those events
    whose deliveries were stopped. The events are locked."""
    if not ids:
        return 0, set()
    stopped = await _discard_waiting(tx, ids, now)
    await tx.run("drop_terms_of_events", {"ids": ids, "first": ids[0], "last": ids[-1]})
    await tx.rows("erase_attempts", {"ids": ids})
    erased = await tx.run("erase_payloads", {"ids": ids, "erased": ERASED, "now": now})
    return erased, stopped


async def _discard_waiting(tx: Transaction, ids: Sequence[int], now: Micros) -> AbstractSet[int]:
    """Discard the events' deliveries that wait; return the events that had some."""
    waiting = await tx.rows("waiting_of_events", {"ids": ids})
    await stop(tx, [id_ for id_, _ in waiting], PAYLOAD_ERASED, now)
    return {event_id for _, event_id in waiting}


def _audited(row: EventRow) -> Snapshot:
    event = row.event
    return Snapshot(
        project_id=row.project_id,
        account_id=event.account_id,
        target=show("evt", event.id),
        label=event.type,
        facts={},
    )


async def read_event(tx: Transaction, scope: Scope, event_id: int) -> EventRow:
    """Find an event.

    :raises NotFoundError: it is not in the scope.
    """
    where, values = conditions([("id = :id", "id", event_id), *in_scope(scope)])
    return rows.event_row(await tx.one("event", "events", values, where))


async def by_ids(
    tx: Transaction, name: str, scope: Scope, ids: Sequence[int]
) -> Sequence[rows.Row]:
    """Return the parameters for these ids; the first and last select the partitions."""
    if not ids:
        return []
    values = {"ids": sorted(set(ids)), "first": min(ids), "last": max(ids), **within(scope)}
    return await tx.rows(name, values)
