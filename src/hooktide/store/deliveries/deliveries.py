"""Reading deliveries and their attempts, and creating tests and resends."""

from collections.abc import Mapping, Sequence
from typing import Any

from hooktide.domain.audit_log import Action, snapshot
from hooktide.domain.errors import NotFoundError
from hooktide.domain.ids import ABOVE_ALL
from hooktide.domain.model import (
    Attempt,
    Claim,
    Delivery,
    DeliveryState,
    Endpoint,
    Micros,
    Scope,
)
from hooktide.store import refusals, rows
from hooktide.store.base import NewEvent, Page
from hooktide.store.configuration.endpoints import (
    hold_enabled,
    hold_for_test,
    mark_stale,
)
from hooktide.store.deliveries.early import hurry, stop
from hooktide.store.deliveries.events import by_ids, read_event
from hooktide.store.journal.audit_log import record_action, record_change
from hooktide.store.sql.lists import conditions, in_scope, newest
from hooktide.store.sql.repository import Repository, reads, writes
from hooktide.store.sql.transaction import Transaction
from hooktide.store.writing.fanout import again_row, rows_of_test_event

PENDING = DeliveryState.PENDING


class Deliveries(Repository):
    """The store's methods for reading deliveries, and for tests and resends."""

    @reads
    async def get_delivery(self, tx: Transaction, scope: Scope, delivery_id: int) -> Delivery:
        """Find a delivery."""
        return await _read(tx, scope, delivery_id)

    @reads
    async def list_deliveries(
        self,
        tx: Transaction,
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
        wanted: list[tuple[str, str, Any]] = [
            ("d.id < :before", "before", before),
            ("d.id > :after", "after", after),
            ("d.endpoint_id = :endpoint_id", "endpoint_id", endpoint_id),
            ("d.event_id = :event_id", "event_id", event_id),
            ("d.state = :state", "state", None if state is None else state.value),
            *in_scope(scope, "d."),
        ]
        if event_id is None and (name := _log_of(scope, endpoint_id)):
            wanted.append((tx.sql(name), "below", before or ABOVE_ALL))
        values = {"state": None, "above": -1 if after is None else after}
        return await newest(tx, "deliveries", wanted, limit, rows.delivery, values, by="d.id")

    @reads
    async def list_attempts(
        self, tx: Transaction, scope: Scope, delivery_id: int
    ) -> Sequence[Attempt]:
        """Return the attempts of a delivery, first to last."""
        await _read(tx, scope, delivery_id)
        found = await tx.rows("attempts", {"delivery_id": delivery_id})
        return [rows.attempt(delivery_id, row) for row in found]

    @reads
    async def last_attempts(
        self, tx: Transaction, scope: Scope, delivery_ids: Sequence[int]
    ) -> Mapping[int, Attempt]:
        """Return the newest attempt of each of these deliveries that has one, by delivery."""
        found = await by_ids(tx, "last_attempts", scope, delivery_ids)
        return {row[0]: rows.attempt(row[0], row[1:]) for row in found}

    async def add_test(
        self,
        scope: Scope,
        endpoint_id: int,
        event: NewEvent,
        now: Micros,
        lease: Micros,
    ) -> Claim:
        """Store a test event with one delivery, for this endpoint, claimed by the caller.

        That of a disabled endpoint is discarded if the caller loses its claim.

        :raises RefusedError: the provider disabled the endpoint, and the scope is an account's.
        :raises LimitError: the plan's hourly limit is reached.
        """
        lease_ends_at = now + lease + self.lease_shift()  # the clock may be set until it is written
        return await self._add_test(scope, endpoint_id, event, now, lease_ends_at)

    @writes
    async def _add_test(
        self,
        tx: Transaction,
        scope: Scope,
        endpoint_id: int,
        event: NewEvent,
        now: Micros,
        lease_ends_at: Micros,
    ) -> Claim:
        endpoint = await hold_for_test(tx, scope, endpoint_id, self._vault)
        limit, taken = await _take_room(tx, endpoint, now)
        if limit is not None and not taken:
            raise refusals.hour_is_full(limit)
        claim, event_row, row = rows_of_test_event(tx.ids, endpoint, event, now, lease_ends_at)
        await tx.writer.insert(tx, [event_row], [row])
        if not endpoint.enabled:
            await mark_stale(tx, endpoint, now)
        return claim

    @writes
    async def resend(
        self,
        tx: Transaction,
        scope: Scope,
        delivery_id: int,
        now: Micros,
        action: Action | None = None,
    ) -> Delivery:
        """Create a new delivery of the same event for the same endpoint.

        :raises RefusedError: the endpoint is disabled, or the delivery is still held.
        """
        old = await _read(tx, scope, delivery_id)
        if old.state is DeliveryState.HELD:
            raise refusals.delivery_held()
        await tx.rows("lock_event", {"id": old.event_id})
        refusals.check_not_erased((await read_event(tx, Scope(), old.event_id)).event)
        try:
            endpoint = await hold_enabled(tx, Scope(), old.endpoint_id, self._vault)
        except NotFoundError:
            raise refusals.endpoint_deleted() from None
        limit, taken = await _take_room(tx, endpoint, now)
        id_, held_by = tx.ids(now), None if taken else limit
        await tx.writer.insert(tx, [], [again_row(id_, old.event_id, endpoint, held_by, now)])
        if held_by is None:
            tx.effects.due_at(endpoint.id, now)
            tx.effects.changed.append(("resend", endpoint.id))
        made = await _read(tx, Scope(), id_)
        await record_change(tx, action, None, snapshot(made), now)
        return made

    @writes
    async def retry_now(
        self,
        tx: Transaction,
        scope: Scope,
        delivery_ids: Sequence[int],
        now: Micros,
        action: Action | None = None,
    ) -> Sequence[Delivery]:
        """Have those of these deliveries that are pending tried at once; return all, in order.

        Their endpoints' rests are lifted. One whose attempt is out, is held or has ended stays as
        it is.
        """
        found = [await _read(tx, scope, each) for each in delivery_ids]
        waiting = [each for each in found if each.state is PENDING and not each.sending]
        ids = [each.id for each in waiting]
        await hurry(tx, ids, list({each.endpoint_id for each in waiting}), now)
        for each in waiting:
            await record_action(tx, action, snapshot(each), now)
        return [await _read(tx, Scope(), each.id) for each in found]

    @writes
    async def stop_deliveries(
        self,
        tx: Transaction,
        scope: Scope,
        delivery_ids: Sequence[int],
        reason: str,
        now: Micros,
        action: Action | None = None,
    ) -> Sequence[Delivery]:
        """Discard those of these deliveries that are pending or held; return all, in order.

        An attempt that is out is not cut: a 2xx that it brings makes its delivery delivered.
        """
        found = [await _read(tx, scope, each) for each in delivery_ids]
        await stop(tx, [each.id for each in found], reason, now)
        after = [await _read(tx, Scope(), each.id) for each in found]
        for old, new in zip(found, after, strict=True):
            await record_change(tx, action, snapshot(old), snapshot(new), now)
        return after


async def _read(tx: Transaction, scope: Scope, delivery_id: int) -> Delivery:
    where, values = conditions([("d.id = :id", "id", delivery_id), *in_scope(scope, "d.")])
    return rows.delivery(await tx.one("delivery", "deliveries", values, where))


def _log_of(scope: Scope, endpoint_id: int | None) -> str:
    """Name the condition by which a list's deliveries are indexed; empty: by their own id."""
    if endpoint_id is not None:
        return "deliveries_of_endpoint"
    return "deliveries_of_account" if scope.account_id is not None else ""


async def _take_room(tx: Transaction, endpoint: Endpoint, now: Micros) -> tuple[int | None, bool]:
    """Count a delivery in its account's hour; return the limit, and whether it was within it."""
    limit, usage = await tx.writer.hour(tx, endpoint.account_id, now)
    if limit is None:
        return None, True
    taken = usage.take(endpoint.account_id, limit, now)
    if not taken:
        usage.holding.add(endpoint.account_id)
    await tx.writer.save_hour(tx, usage)
    return limit, taken
