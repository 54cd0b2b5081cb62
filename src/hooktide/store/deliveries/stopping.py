"""Stops deliveries: by hand, by a job, or because their event's payload is erased."""

from collections.abc import Sequence

from hooktide.domain.model import Micros
from hooktide.store.deliveries.stats import count_discarded
from hooktide.store.sql.transaction import Transaction


async def stop(tx: Transaction, ids: Sequence[int], reason: str, now: Micros) -> int:
    """Discard those of these deliveries that are pending or held; return how many.

    Workers that hold them are notified, and do not start them.
    """
    stopped = await tx.rows("stop", {"ids": ids, "reason": reason, "now": now})
    await count_discarded(tx, [tuple(row[:3]) for row in stopped], now)
    tx.effects.changed += [("stopped", row[3]) for row in stopped]
    return len(stopped)
