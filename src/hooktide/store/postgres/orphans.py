"""Claims of transactions whose end nobody heard: given back as soon as they turn out to be there.

A commit whose answer is lost may have been made. Its deliveries would then wait for their lease to
end, claimed by a process that knows nothing of them.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence

from hooktide.domain.errors import UnavailableError
from hooktide.domain.model import Claim, Micros
from hooktide.store.postgres.connection import WITHIN, Database, deadline, single
from hooktide.store.postgres.part import again_after_collisions
from hooktide.store.postgres.signals import Signals

LOOK_EVERY = 1.0


class Orphans:
    """Looks for such claims until it has found them, or their lease has ended."""

    def __init__(
        self,
        db: Database,
        sql: Mapping[str, str],
        signals: Signals,
        clock: Callable[[], Micros],
    ) -> None:
        self._db = db
        self._give_back = sql["give_back"]
        self._signals = signals
        self._clock = clock
        self._claims: dict[int, Claim] = {}
        self._looking: asyncio.Task[None] | None = None

    def take(self, claims: Sequence[Claim]) -> None:
        """Give these back, if they were committed."""
        self._claims.update((claim.delivery_id, claim) for claim in claims)
        if self._claims and (self._looking is None or self._looking.done()):
            self._looking = asyncio.create_task(self._look())

    async def stop(self) -> None:
        """Leave what is left to its lease."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    async def _look(self) -> None:
        while self._claims:
            with contextlib.suppress(UnavailableError):  # whoever else asks for something says so
                await again_after_collisions(self._give_back_found)
            await asyncio.sleep(LOOK_EVERY)
            now = self._clock()
            self._claims = {
                id_: claim for id_, claim in self._claims.items() if claim.lease_ends_at > now
            }

    async def _give_back_found(self) -> None:
        now = self._clock()
        values = {
            "ids": list(self._claims),
            "tokens": [claim.token for claim in self._claims.values()],
            "now": now,
        }
        async with deadline(WITHIN), single(self._db) as link:
            found = await link.rows(self._give_back, values)
            for _, endpoint_id in found:
                link.effects.due_at(endpoint_id, now)
        for id_, _ in found:
            del self._claims[id_]
        self._signals.tell(link.effects)
