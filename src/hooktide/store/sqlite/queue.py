"""Claims and upkeep in SQLite: what is due, what was held, what is stale, what is old."""

import itertools
from collections.abc import Mapping, Sequence

import apsw

from hooktide.domain.ids import NODE_BITS, made_at
from hooktide.domain.model import HOUR, MINUTE, Claim, Micros
from hooktide.store import rows
from hooktide.store.base import Counts
from hooktide.store.batch import Effects
from hooktide.store.rows import json_text
from hooktide.store.sqlite.decode import read_claimable, read_pairs
from hooktide.store.sqlite.part import Part
from hooktide.store.tallies import drop_by_now

STALE_AT_ONCE = 200


class Queue(Part):
    """The store's methods for claims and for upkeep."""

    async def claim_due(
        self, endpoint_ids: Sequence[int], now: Micros, lease: Micros, each: int
    ) -> Sequence[Claim]:
        def write(db: apsw.Connection, effects: Effects) -> list[Claim]:
            self._give_back_expired(db, effects, now, -1)
            wanted = json_text(list(endpoint_ids))
            values = {"endpoints": wanted, "now": now, "each": each}
            [[text]] = list(db.execute(self._sql["claimable"], values))
            token, ends_at = self._ids(now), now + lease
            claims = [
                rows.claim((*item, payload.encode()), token, ends_at)
                for *item, payload in read_claimable(text)
            ]
            if claims:
                ids = json_text([claim.delivery_id for claim in claims])
                values = {"ids": ids, "token": token, "lease_ends_at": ends_at}
                db.execute(self._sql["claim"], values)
            self._note_next(db, wanted, effects)
            return claims

        return await self._write(write)

    def _note_next(self, db: apsw.Connection, endpoints: str, effects: Effects) -> None:
        [[text]] = list(db.execute(self._sql["next_due"], {"endpoints": endpoints}))
        for endpoint_id, due_at in read_pairs(text):
            if due_at is not None:
                effects.due_at(endpoint_id, due_at)

    async def give_back_expired(self, now: Micros, limit: int) -> int:
        return await self._write(
            lambda db, effects: self._give_back_expired(db, effects, now, limit)
        )

    def _give_back_expired(
        self, db: apsw.Connection, effects: Effects, now: Micros, limit: int
    ) -> int:
        values = {"now": now, "ended": now, "limit": limit}
        given_back = list(db.execute(self._sql["give_back_expired"], values))
        for [endpoint_id] in given_back:
            effects.due_at(endpoint_id, now)
        return len(given_back)

    async def release(self, claims: Sequence[Claim], now: Micros) -> None:
        def write(db: apsw.Connection, effects: Effects) -> None:
            pairs = json_text([(claim.delivery_id, claim.token) for claim in claims])
            db.execute(self._sql["give_back"], {"claims": pairs, "now": now})
            for claim in claims:
                effects.due_at(claim.endpoint_id, now)

        await self._write(write)

    async def due_heads(self) -> Mapping[int, Micros]:
        [[text]] = await self._read(lambda db: list(db.execute(self._sql["due_heads"])))
        return {id_: due_at for id_, due_at in read_pairs(text) if due_at is not None}

    async def counts(self) -> Counts:
        heads = await self.due_heads()
        [[pending, held]] = await self._read(lambda db: list(db.execute(self._sql["counts"])))
        return Counts(pending=pending, held=held, oldest_due_at=min(heads.values(), default=None))

    # -- upkeep --------------------------------------------------------------------------------

    async def release_held(self, now: Micros, limit: int) -> int:
        if not self._hot.usage.holding:
            return 0
        return await self._write(lambda db, effects: self._release_held(db, effects, now, limit))

    def _release_held(self, db: apsw.Connection, effects: Effects, now: Micros, limit: int) -> int:
        released = 0
        for account_id in list(self._hot.usage.holding):
            released += self._release_account(db, effects, account_id, now, limit - released)
        self._hot.save_usage()
        return released

    def _release_account(
        self, db: apsw.Connection, effects: Effects, account_id: int, now: Micros, limit: int
    ) -> int:
        routes, usage = self._hot.routes(account_id), self._hot.usage
        if routes is not None and routes.per_hour is not None:
            limit = min(limit, usage.room(account_id, routes.per_hour, now))
        if limit <= 0:
            return 0
        values = {"account_id": account_id, "limit": limit}
        found = list(db.execute(self._sql["held_of_account"], values))
        ids = json_text([id_ for id_, _ in found])
        db.execute(self._sql["let_go"], {"ids": ids, "now": now})
        usage.count(account_id, len(found), now)
        if len(found) < limit:
            usage.holding.discard(account_id)
        for _, endpoint_id in found:
            effects.due_at(endpoint_id, now)
        return len(found)

    async def discard_stale(self, now: Micros, limit: int) -> int:
        if not self._hot.stale:
            return 0

        return await self._write(lambda db, _: self._discard_stale(db, now, limit))

    def _discard_stale(self, db: apsw.Connection, now: Micros, limit: int) -> int:
        """Go once around the endpoints that are marked, a few at a time.

        A mark that found nothing goes to the end of the row, or away once no attempt that began
        before it can still be out.
        """
        stale, discarded = self._hot.stale, 0
        for endpoint_id in list(itertools.islice(stale, STALE_AT_ONCE)):
            mark = stale[endpoint_id]
            discarded += self._discard_of(db, endpoint_id, mark, now, limit - discarded)
            if discarded >= limit:
                break
            del stale[endpoint_id]
            if now - made_at(mark[1]) < 2 * self._hot.lease:
                stale[endpoint_id] = mark
        return discarded

    def _discard_of(
        self,
        db: apsw.Connection,
        endpoint_id: int,
        mark: tuple[int, int, str],
        now: Micros,
        limit: int,
    ) -> int:
        account_id, before, reason = mark
        values = {
            "endpoint_id": endpoint_id,
            "account_id": account_id,
            "before": before,
            "limit": limit,
        }
        found = list(db.execute(self._sql["stale"], values))
        found += list(db.execute(self._sql["stale_held"], values))
        if found:
            ids = json_text([id_ for [id_] in found])
            db.execute(self._sql["discard"], {"ids": ids, "now": now, "reason": reason})
        return len(found)

    async def log_new(self, limit: int) -> int:
        def write(db: apsw.Connection, _: Effects) -> int:
            return max(self._log_new(db, what, limit) for what in ("deliveries", "events"))

        return await self._write(write)

    def _log_new(self, db: apsw.Connection, what: str, limit: int) -> int:
        [[after]] = list(db.execute(self._sql["logged"], {"what": what}))
        values = {"after": after, "limit": limit}
        [[upto, count]] = list(db.execute(self._sql[f"next_{what}"], values))
        if count:
            db.execute(self._sql[f"log_{what}"], {"after": after, "upto": upto})
            db.execute(self._sql["set_logged"], {"what": what, "upto": upto})
        return int(count)

    async def drop_old(self, now: Micros, limit: int) -> int:
        def write(db: apsw.Connection, _: Effects) -> int:
            db.execute(self._sql["drop_expired_bins"], {"now": now})
            db.execute(self._sql["drop_usage"], {"before": (now - 2 * HOUR) // MINUTE})
            for name, values in drop_by_now(now).items():
                db.execute(self._sql[name], values)
            dropped = 0
            for project_id, config in list(db.execute(self._sql["all_projects"])):
                keep = rows.read_project_json(config).retention
                before = (now - keep) << NODE_BITS
                dropped += self._drop_events(db, project_id, before, limit - dropped)
            return dropped

        return await self._write(write)

    def _drop_events(self, db: apsw.Connection, project_id: int, before: int, limit: int) -> int:
        values = {"project_id": project_id, "before": before, "limit": limit}
        db.execute(self._sql["drop_replays"], {"project_id": project_id, "before": before})
        found = [id_ for [id_] in db.execute(self._sql["old_events"], values)]
        if found:
            ids = {"ids": json_text(found)}
            for name in (
                "drop_attempts_of_events",
                "drop_keys_of_events",
                "drop_endpoint_log_of_events",
                "drop_account_log_of_events",
                "drop_deliveries_of_events",
                "drop_events",
            ):
                db.execute(self._sql[name], ids)
        return len(found)
