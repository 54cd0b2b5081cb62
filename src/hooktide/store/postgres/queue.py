"""Claims and upkeep in PostgreSQL: what is due, what was held, what is stale, what is old."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from hooktide.domain.errors import UnavailableError
from hooktide.domain.ids import NODE_BITS
from hooktide.domain.model import HOUR, MINUTE, Claim, Micros
from hooktide.store import rows
from hooktide.store.base import LEASE, Counts
from hooktide.store.postgres.connection import UPKEEP_WITHIN, Link
from hooktide.store.postgres.orphans import Orphans
from hooktide.store.postgres.part import Part
from hooktide.store.postgres.partitions import Partitions
from hooktide.store.tallies import drop_by_now

EXPIRED_AT_ONCE = 1000


class Queue(Part):
    """The store's methods for claims and for upkeep."""

    _partitions: Partitions
    _orphans: Orphans

    async def claim_due(
        self, endpoint_ids: Sequence[int], now: Micros, lease: Micros, each: int
    ) -> Sequence[Claim]:
        claims: list[Claim] = []

        async def write(link: Link) -> list[Claim]:
            await self._give_back_expired(link, now, EXPIRED_AT_ONCE)
            wanted = {"endpoints": list(endpoint_ids)}
            enabled = await link.rows(self._sql["claimable_endpoints"], wanted)
            values = {
                "endpoints": [id_ for id_, _ in enabled],
                "stale_before": [before for _, before in enabled],
                "now": now,
                "each": each,
            }
            found = await link.rows(self._sql["claimable"], values)
            token, ends_at = self._ids(now), now + lease
            claims[:] = [rows.claim(row, token, ends_at) for row in found]
            if claims:
                ids = [claim.delivery_id for claim in claims]
                values = {"ids": ids, "token": token, "lease_ends_at": ends_at}
                await link.run(self._sql["claim"], values)
            for endpoint_id, due_at in await link.rows(self._sql["next_due"], wanted):
                link.effects.due_at(endpoint_id, due_at)
            return claims

        try:
            return await self._write(write)
        except (UnavailableError, asyncio.CancelledError):
            self._orphans.take(claims)
            raise

    async def give_back_expired(self, now: Micros, limit: int) -> int:
        return await self._write(
            lambda link: self._give_back_expired(link, now, limit), UPKEEP_WITHIN
        )

    async def _give_back_expired(self, link: Link, now: Micros, limit: int) -> int:
        values = {"now": now, "ended": now, "limit": limit}
        given_back = await link.rows(self._sql["give_back_expired"], values)
        _all_due(link, given_back, now)
        return len(given_back)

    async def release(self, claims: Sequence[Claim], now: Micros) -> None:
        async def write(link: Link) -> None:
            values = {
                "ids": [claim.delivery_id for claim in claims],
                "tokens": [claim.token for claim in claims],
                "now": now,
            }
            await link.run(self._sql["give_back"], values)
            _all_due(link, [(claim.endpoint_id,) for claim in claims], now)

        await self._write(write, UPKEEP_WITHIN)

    async def due_heads(self) -> Mapping[int, Micros]:
        found = await self._read(lambda link: link.rows(self._sql["due_heads"]), UPKEEP_WITHIN)
        return dict(found)

    async def counts(self) -> Counts:
        heads = await self.due_heads()
        found = await self._read(lambda link: link.row(self._sql["counts"]), UPKEEP_WITHIN)
        pending, held = found
        return Counts(pending=pending, held=held, oldest_due_at=min(heads.values(), default=None))

    # -- upkeep --------------------------------------------------------------------------------

    async def release_held(self, now: Micros, limit: int) -> int:
        released = 0
        held = await self._read(lambda link: link.rows(self._sql["held_accounts"]), UPKEEP_WITHIN)
        for (account_id,) in held:
            released += await self._release_account(account_id, now, limit - released)
        return released

    async def _release_account(self, account_id: int, now: Micros, limit: int) -> int:
        async def write(link: Link) -> int:
            most = limit
            usage = await self._hot.usage(link, [account_id], now)
            routes = (await self._hot.routes(link, {account_id})).get(account_id)
            if routes is not None and routes.per_hour is not None:
                most = min(limit, usage.room(account_id, routes.per_hour, now))
            if most <= 0:
                return 0
            values = {"account_id": account_id, "limit": most}
            found = await link.rows(self._sql["held_of_account"], values)
            ids = [id_ for id_, _ in found]
            await link.run(self._sql["let_go"], {"ids": ids, "now": now})
            usage.count(account_id, len(found), now)
            await self._hot.save_usage(link, usage)
            _all_due(link, [(endpoint_id,) for _, endpoint_id in found], now)
            return len(found)

        return await self._write(write, UPKEEP_WITHIN)

    async def discard_stale(self, now: Micros, limit: int) -> int:
        async def write(link: Link) -> int:
            values = {"limit": limit}
            found = await link.rows(self._sql["stale"], values)
            found += await link.rows(self._sql["stale_held"], values)
            if found:
                ids, reasons = zip(*found, strict=True)
                await link.run(self._sql["discard"], {"ids": ids, "reasons": reasons, "now": now})
            if len(found) < limit:
                older = (now - 2 * LEASE) << NODE_BITS
                await link.run(self._sql["settled_stale"], {"older": older})
            return len(found)

        return await self._write(write, UPKEEP_WITHIN)

    async def log_new(self, limit: int) -> int:
        """Do nothing: here the lists have indexes."""
        return 0

    async def drop_old(self, now: Micros, limit: int) -> int:
        await self._partitions.make(now)
        projects = await self._read(
            lambda link: link.rows(self._sql["all_projects"]), UPKEEP_WITHIN
        )
        kept = {id_: rows.read_project_json(config).retention for id_, config in projects}
        dropped = await self._drop_small(now, limit)
        if kept:
            dropped += await self._partitions.drop_before(now - max(kept.values()), limit)
        for project_id, keep in kept.items():
            if dropped < limit:
                before = (now - keep) << NODE_BITS
                dropped += await self._drop_events(project_id, before, limit - dropped)
        return dropped

    async def _drop_small(self, now: Micros, limit: int) -> int:
        async def write(link: Link) -> None:
            await link.run(self._sql["drop_expired_bins"], {"now": now})
            await link.run(self._sql["drop_usage"], {"before": (now - 2 * HOUR) // MINUTE})
            for name, values in drop_by_now(now).items():
                await link.run(self._sql[name], values)

        await self._write(write, UPKEEP_WITHIN)
        return 0

    async def _drop_events(self, project_id: int, before: int, limit: int) -> int:
        values = {"project_id": project_id, "before": before, "limit": limit}

        async def write(link: Link) -> int:
            await link.run(self._sql["drop_replays"], values)
            found = [id_ for (id_,) in await link.rows(self._sql["old_events"], values)]
            if found:
                for name in (
                    "drop_attempts_of_events",
                    "drop_keys_of_events",
                    "drop_deliveries_of_events",
                    "drop_events",
                ):
                    await link.run(self._sql[name], {"ids": found})
            return len(found)

        return await self._write(write, UPKEEP_WITHIN)


def _all_due(link: Link, endpoints: Iterable[rows.Row], now: Micros) -> None:
    for (endpoint_id,) in endpoints:
        link.effects.due_at(endpoint_id, now)
