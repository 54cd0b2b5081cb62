"""Waiting deliveries: releasing held ones, correcting due times, counting."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence

from hooktide.domain.ids import made_at
from hooktide.domain.model import Micros, Scope
from hooktide.domain.stats import Backlog, EndpointBacklog, Oldest
from hooktide.store.base import Counts, Waiting
from hooktide.store.sql.lists import within
from hooktide.store.sql.repository import Repository, maintains, reads, surveys
from hooktide.store.sql.transaction import Transaction
from hooktide.store.writing.batch import run_batch


class WaitingDeliveries(Repository):
    """The store's methods for waiting deliveries."""

    @abstractmethod
    async def due_heads(self) -> Mapping[int, Micros]:
        """Return, per endpoint that has pending deliveries, when the first may be claimed."""

    async def counts(self) -> Counts:
        """Count the waiting deliveries."""
        heads = await self.due_heads()
        backlog = await self.backlog(Scope())
        return Counts(
            pending=backlog.pending,
            held=backlog.held,
            oldest_due_at=min(heads.values(), default=None),
            refused_emitted=await self._count_refused(),
        )

    @surveys
    async def _count_refused(self, tx: Transaction) -> int:
        return int(await tx.value("refused_count"))

    @reads
    async def backlog(
        self, tx: Transaction, scope: Scope, endpoint_id: int | None = None, largest: int = 0
    ) -> Backlog:
        """Return exactly how much waits, and for which endpoints most, up to ``largest``.

        What waits for a disabled or removed endpoint does not count, from the commit on that
        disabled it: it is about to be discarded.
        """
        return await read_backlog(tx, scope, endpoint_id, largest)

    @reads
    async def oldest_waiting(
        self, tx: Transaction, scope: Scope, endpoint_id: int | None = None
    ) -> Oldest:
        """Return since when the oldest waits of what waits, and when the first of it is due."""
        values = {**within(scope), "endpoint_id": endpoint_id}
        oldest, due_at = await tx.one("waiting", "oldest_waiting", values)
        return Oldest(None if oldest is None else made_at(oldest), due_at)

    async def unhold(self, now: Micros, limit: int) -> int:
        """Make held deliveries pending as far as their plans' hourly limits allow; return how
        many."""
        unheld = 0

        async def unhold(account_ids: Sequence[int]) -> None:
            nonlocal unheld
            unheld += await self._unhold_accounts(account_ids, now, limit - unheld)

        held = await self._held_accounts()
        # If writes are serialized, nothing waits for a lock, and each commit costs the same.
        batches = [held] if self.one_writer else [[account_id] for account_id in held]
        for batch in batches:
            await run_batch(batch, unhold, "send held deliveries of account {}".format)
        return unheld

    @surveys
    async def _held_accounts(self, tx: Transaction) -> Sequence[int]:
        return await tx.writer.held_accounts(tx)

    @maintains
    async def _unhold_accounts(
        self, tx: Transaction, account_ids: Sequence[int], now: Micros, limit: int
    ) -> int:
        unheld = 0
        for account_id in account_ids:
            unheld += await _unhold_account(tx, account_id, now, limit - unheld)
        return unheld

    @surveys
    async def waiting_after(
        self, tx: Transaction, instant: Micros, after: tuple[int, Micros, int], limit: int
    ) -> Sequence[Waiting]:
        """Return unclaimed deliveries that are due after ``instant``.

        The first ``limit`` after the place ``after``, by endpoint, due time and id.
        """
        values = _waiting_values(instant, after, limit)
        return [Waiting(*row) for row in await tx.rows("waiting_after", values)]

    @maintains
    async def redate(self, tx: Transaction, due: Mapping[tuple[int, Micros], Micros]) -> int:
        """Set when deliveries are due, by (id, when each is due now); return how many.

        A delivery that was claimed or changed meanwhile is left alone.
        """
        new = [(id_, old, at) for (id_, old), at in due.items()]
        values = {
            "due": new,
            "ids": [id_ for id_, _, _ in new],
            "old": [old for _, old, _ in new],
            "new": [at for _, _, at in new],
        }
        moved = await tx.rows("redate", values)
        for endpoint_id, due_at in moved:
            tx.effects.due_at(endpoint_id, due_at)
        return len(moved)


async def read_backlog(
    tx: Transaction, scope: Scope, endpoint_id: int | None = None, largest: int = 0
) -> Backlog:
    """Return what ``WaitingDeliveries.backlog`` does, within a transaction."""
    values = {**within(scope), "endpoint_id": endpoint_id, "limit": largest}
    whole, *found = await tx.rows("backlog", values)
    waiting, retries, held, endpoints, in_flight = whole[3:]
    largest_ones = [EndpointBacklog(*row[:6]) for row in found]
    return Backlog(waiting, retries, held, endpoints, in_flight, largest_ones)


def _waiting_values(instant: Micros, after: tuple[int, Micros, int], limit: int) -> dict[str, int]:
    """Return what ``waiting_after`` is asked with."""
    endpoint_id, due_at, id_ = after
    return {
        "endpoint_id": endpoint_id,
        "due_at": due_at,
        "id": id_,
        "instant": instant,
        "limit": limit,
    }


async def _unhold_account(tx: Transaction, account_id: int, now: Micros, limit: int) -> int:
    per_hour, usage = await tx.writer.hour(tx, account_id, now)
    most = limit if per_hour is None else min(limit, usage.remaining(account_id, per_hour, now))
    if most <= 0:
        await tx.writer.save_hour(tx, usage)
        return 0
    found = await tx.rows("held_of_account", {"account_id": account_id, "limit": most})
    await tx.run("unhold", {"ids": [id_ for id_, _ in found], "now": now})
    if per_hour is not None:
        usage.count(account_id, len(found), now)
    if len(found) < most:
        usage.holding.discard(account_id)
    await tx.writer.save_hour(tx, usage)
    for _, endpoint_id in found:
        tx.effects.due_at(endpoint_id, now)
    return len(found)
