"""What is done with waiting deliveries before they are due: they are stopped, or sent at once."""

from collections.abc import Sequence

from hooktide.domain.delivery.rest import lifted
from hooktide.domain.model import Micros
from hooktide.store.configuration.endpoints import set_rest
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


async def hurry(
    tx: Transaction, ids: Sequence[int], endpoint_ids: Sequence[int], now: Micros
) -> None:
    """Make pending deliveries that no worker holds due now, and lift their endpoints' rests."""
    await tx.rows("hurry", {"ids": ids, "now": now})
    for endpoint_id, _ in await tx.rows("resting_of", {"now": now, "ids": endpoint_ids}):
        await set_rest(tx, endpoint_id, lifted(now))
    for endpoint_id in endpoint_ids:
        tx.effects.due_at(endpoint_id, now)
        tx.effects.changed.append(("resend", endpoint_id))
