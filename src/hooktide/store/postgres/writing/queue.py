"""Claims in PostgreSQL, and the maintenance that differs: stale deliveries and the log's days."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from hooktide.domain.errors import UnavailableError
from hooktide.domain.ids import NODE_BITS
from hooktide.domain.model import Claim, Micros
from hooktide.store import rows
from hooktide.store.base import LEASE
from hooktide.store.deliveries.stats import count_discarded
from hooktide.store.postgres.connection.connection import PgConnection
from hooktide.store.postgres.partitions import Partitions
from hooktide.store.postgres.writing.repository import PostgresRepository
from hooktide.store.postgres.writing.uncertain_claims import UncertainClaims
from hooktide.store.sql.repository import MAINTENANCE_TIMEOUT

EXPIRED_BATCH_SIZE = 1000
FOLD_LOCK = 0x686F6F6B666F6C64


class Queue(PostgresRepository):
    """The store's methods for claims and for maintenance."""

    parts_of_events: Sequence[str] = (
        "drop_attempts_of_events",
        "drop_keys_of_events",
        "drop_terms_of_events",
        "drop_deliveries_of_events",
        "drop_events",
    )
    _partitions: Partitions
    _uncertain_claims: UncertainClaims

    async def claim_due(
        self, endpoint_ids: Sequence[int], now: Micros, lease: Micros, each: int
    ) -> Sequence[Claim]:
        claims: list[Claim] = []
        shift = self.lease_shift()  # as of `now`: the clock may be set while the write waits
        ended = self.ended_leases(now, shift)

        async def write(conn: PgConnection) -> list[Claim]:
            await self._release_expired_claims(conn, now, ended, EXPIRED_BATCH_SIZE)
            wanted = {"endpoints": list(endpoint_ids)}
            enabled = await conn.rows(self._sql["lock_enabled_endpoints"], wanted)
            values = {
                "endpoints": [id_ for id_, _, _ in enabled],
                "stale_before": [before for _, before, _ in enabled],
                "resting": [rests_until > now for _, _, rests_until in enabled],
                "now": now,
                "each": each,
            }
            found = await conn.rows(self._sql["claimable"], values)
            token, ends_at = self._ids(now), now + lease + shift
            claims[:] = [rows.claim(row, token, ends_at) for row in found]
            if claims:
                ids = [claim.delivery_id for claim in claims]
                values = {"ids": ids, "token": token, "lease_ends_at": ends_at}
                await conn.run(self._sql["claim"], values)
            for endpoint_id, due_at in await conn.rows(self._sql["next_due"], wanted):
                conn.effects.due_at(endpoint_id, due_at)
            return claims

        try:
            return await self._write(write)
        except (UnavailableError, asyncio.CancelledError):
            self._uncertain_claims.take(claims)
            raise

    async def release_expired_claims(self, now: Micros, limit: int) -> int:
        ended = self.ended_leases(now, self.lease_shift())
        return await self._write(
            lambda conn: self._release_expired_claims(conn, now, ended, limit),
            MAINTENANCE_TIMEOUT,
        )

    async def _release_expired_claims(
        self, conn: PgConnection, now: Micros, ended: Micros, limit: int
    ) -> int:
        values = {"now": now, "ended": ended, "limit": limit}
        released = await conn.rows(self._sql["release_expired_claims"], values)
        _all_due(conn, released, now)
        return len(released)

    async def release_claims(self, claims: Sequence[Claim], now: Micros) -> None:
        async def write(conn: PgConnection) -> None:
            values = {
                "ids": [claim.delivery_id for claim in claims],
                "tokens": [claim.token for claim in claims],
                "due_at": [claim.due_at for claim in claims],
                "now": now,
            }
            await conn.run(self._sql["release_claims"], values)
            _all_due(conn, [(claim.endpoint_id,) for claim in claims], now)

        await self._write(write, MAINTENANCE_TIMEOUT)

    async def due_heads(self) -> Mapping[int, Micros]:
        found = await self._read(
            lambda conn: conn.rows(self._sql["due_heads"]), MAINTENANCE_TIMEOUT
        )
        return dict(found)

    async def discard_stale(self, now: Micros, limit: int) -> int:
        async def write(conn: PgConnection) -> int:
            values = {"limit": limit}
            found = await conn.rows(self._sql["stale"], values)
            found += await conn.rows(self._sql["stale_held"], values)
            if found:
                ids, reasons = zip(*found, strict=True)
                wanted = {"ids": ids, "reasons": reasons, "now": now}
                gone = await conn.rows(self._sql["discard"], wanted)
                await count_discarded(self._transaction_on(conn), map(tuple, gone), now)
            if len(found) < limit:
                values = {
                    "older": (now - 2 * LEASE) << NODE_BITS,
                    "ahead": (now + LEASE) << NODE_BITS,
                }
                await conn.run(self._sql["settled_stale"], values)
            return len(found)

        return await self._write(write, MAINTENANCE_TIMEOUT)

    async def fold_waiting_counts(self) -> int:
        fold = self._sql["fold_waiting_counts"]
        await self._write(lambda conn: conn.run(fold, {"lock": FOLD_LOCK}), MAINTENANCE_TIMEOUT)
        return 0

    async def log_new(self, limit: int) -> int:
        """Do nothing: here the lists have indexes."""
        return 0

    async def drop_days(self, before: Micros, limit: int) -> int:
        return await self._partitions.drop_before(before, limit)

    async def prepare_log(self, now: Micros) -> int:
        await self._partitions.make(now)
        return 0


def _all_due(conn: PgConnection, endpoints: Iterable[rows.Row], now: Micros) -> None:
    for (endpoint_id,) in endpoints:
        conn.effects.due_at(endpoint_id, now)
