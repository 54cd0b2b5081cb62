"""Releases claims whose commit was not confirmed, as soon as they turn out to exist.

A commit whose confirmation is lost may have succeeded. Its deliveries would then wait for the end
of their lease, claimed by a process that does not know about them.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence

from hooktide.domain.errors import UnavailableError
from hooktide.domain.model import Claim
from hooktide.runtime.background import cancel, keep
from hooktide.runtime.clock import StoreClock
from hooktide.store.postgres.connection.connection import Database, deadline, single
from hooktide.store.postgres.connection.notifier import Notifier
from hooktide.store.postgres.writing.repository import again_after_collisions
from hooktide.store.sql.repository import REQUEST_TIMEOUT

LOOK_INTERVAL = 1.0


class UncertainClaims:
    """Looks for such claims until they are found, or their lease has ended."""

    def __init__(
        self,
        db: Database,
        sql: Mapping[str, str],
        notifier: Notifier,
        clock: StoreClock,
    ) -> None:
        self._db = db
        self._release_claims = sql["release_claims"]
        self._notifier = notifier
        self._clock = clock
        self._claims: dict[int, Claim] = {}
        self._looking: asyncio.Task[None] | None = None

    def take(self, claims: Sequence[Claim]) -> None:
        """Release these, if they were committed."""
        self._claims.update((claim.delivery_id, claim) for claim in claims)
        if self._claims and (self._looking is None or self._looking.done()):
            self._looking = keep(self._look, "release claims whose commit was not confirmed")

    async def stop(self) -> None:
        """Leave the others until their lease ends."""
        await cancel(self._looking)

    async def _look(self) -> None:
        while self._claims:
            with contextlib.suppress(UnavailableError):  # other requests report it
                await again_after_collisions(self._release_found)
            await asyncio.sleep(LOOK_INTERVAL)
            now = self._clock() + self._clock.lease_shift()
            self._claims = {
                id_: claim for id_, claim in self._claims.items() if claim.lease_ends_at > now
            }

    async def _release_found(self) -> None:
        now = self._clock()
        values = {
            "ids": list(self._claims),
            "tokens": [claim.token for claim in self._claims.values()],
            "due_at": [claim.due_at for claim in self._claims.values()],
            "now": now,
        }
        async with deadline(REQUEST_TIMEOUT), single(self._db) as conn:
            found = await conn.rows(self._release_claims, values)
            for _, endpoint_id in found:
                conn.effects.due_at(endpoint_id, now)
        for id_, _ in found:
            del self._claims[id_]
        self._notifier.tell(conn.effects)
