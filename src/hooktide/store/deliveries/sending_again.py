"""What jobs that send old events again have in common: their deliveries, and when to wait."""

from collections.abc import Sequence

from hooktide.domain.ids import made_at
from hooktide.domain.model import Endpoint, Micros, Origin
from hooktide.store.rows import Row
from hooktide.store.sql.transaction import Transaction
from hooktide.store.writing.fanout import again_row
from hooktide.store.writing.usage import Usage


async def has_enough(
    tx: Transaction, endpoint: Endpoint, usage: Usage, now: Micros, limit: int
) -> bool:
    """Whether so many deliveries wait for an endpoint, or are held, that a job must not add
    more."""
    if endpoint.account_id in usage.holding:
        return True
    return await is_busy(tx, endpoint.id, now, limit)


async def is_busy(tx: Transaction, endpoint_id: int, now: Micros, limit: int) -> bool:
    """Whether an endpoint has ``limit`` due deliveries."""
    values = {"endpoint_id": endpoint_id, "now": now, "limit": limit}
    return int(await tx.value("replay_backlog", values)) >= limit


async def make_again(
    tx: Transaction,
    endpoint: Endpoint,
    event_ids: Sequence[int],
    job_id: int,
    hour: tuple[int | None, Usage],
    now: Micros,
    origin: Origin,
) -> int:
    """Create deliveries for those of these events that still exist; return how many."""
    there = {id_ for (id_,) in await tx.rows("lock_events", {"ids": list(event_ids)})}
    per_hour, usage = hour
    made: list[Row] = []
    for event_id in event_ids:
        if event_id not in there:
            continue
        taken = per_hour is None or usage.take(endpoint.account_id, per_hour, now)
        # Larger than the job's id, whichever process made that, and thus than the stale mark.
        id_ = tx.ids(max(now, made_at(job_id) + 1))
        held_by = None if taken else per_hour
        made.append(again_row(id_, event_id, endpoint, held_by, now, origin))
        if held_by is None:
            tx.effects.due_at(endpoint.id, now)
        else:
            usage.holding.add(endpoint.account_id)
    if made:
        await tx.writer.insert(tx, [], made)
        await tx.writer.save_hour(tx, usage)
    return len(made)
