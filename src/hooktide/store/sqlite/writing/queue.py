"""Claims in SQLite, and the maintenance that differs: stale deliveries and the log's days."""

import itertools
from collections.abc import Mapping, Sequence

import apsw

from hooktide.domain.ids import made_at
from hooktide.domain.model import Claim, Micros
from hooktide.store import rows
from hooktide.store.base import LEASE
from hooktide.store.deliveries.stats import count_discarded
from hooktide.store.rows import json_text
from hooktide.store.sqlite.connection.transactions import finish
from hooktide.store.sqlite.writing.decode import read_claimable, read_pairs
from hooktide.store.sqlite.writing.repository import SqliteRepository
from hooktide.store.writing.batch import Effects

STALE_BATCH_SIZE = 200


class Queue(SqliteRepository):
    """The store's methods for claims and for maintenance."""

    parts_of_events: Sequence[str] = (
        "drop_attempts_of_events",
        "drop_keys_of_events",
        "drop_terms_of_events",
        "drop_endpoint_log_of_events",
        "drop_account_log_of_events",
        "drop_deliveries_of_events",
        "drop_events",
    )

    async def claim_due(
        self, endpoint_ids: Sequence[int], now: Micros, lease: Micros, each: int
    ) -> Sequence[Claim]:
        shift = self.lease_shift()  # as of `now`: the clock may be set while the write waits
        ended = self.ended_leases(now, shift)

        def write(db: apsw.Connection, effects: Effects) -> list[Claim]:
            self._release_expired_claims(db, effects, now, ended, -1)
            wanted = json_text(list(endpoint_ids))
            values = {"endpoints": wanted, "now": now, "each": each}
            [[text]] = list(db.execute(self._sql["claimable"], values))
            token, ends_at = self._ids(now), now + lease + shift
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

    async def release_expired_claims(self, now: Micros, limit: int) -> int:
        ended = self.ended_leases(now, self.lease_shift())
        return await self._write(
            lambda db, effects: self._release_expired_claims(db, effects, now, ended, limit)
        )

    def _release_expired_claims(
        self, db: apsw.Connection, effects: Effects, now: Micros, ended: Micros, limit: int
    ) -> int:
        values = {"now": now, "ended": ended, "limit": limit}
        released = list(db.execute(self._sql["release_expired_claims"], values))
        for [endpoint_id] in released:
            effects.due_at(endpoint_id, now)
        return len(released)

    async def release_claims(self, claims: Sequence[Claim], now: Micros) -> None:
        def write(db: apsw.Connection, effects: Effects) -> None:
            pairs = json_text([(each.delivery_id, each.token, each.due_at) for each in claims])
            db.execute(self._sql["release_claims"], {"claims": pairs, "now": now})
            for claim in claims:
                effects.due_at(claim.endpoint_id, now)

        await self._write(write)

    async def due_heads(self) -> Mapping[int, Micros]:
        [[text]] = await self._read(lambda db: list(db.execute(self._sql["due_heads"])))
        return {id_: due_at for id_, due_at in read_pairs(text) if due_at is not None}

    async def discard_stale(self, now: Micros, limit: int) -> int:
        if not self._batch_writer.stale:
            return 0

        return await self._write(lambda db, _: self._discard_stale(db, now, limit))

    def _discard_stale(self, db: apsw.Connection, now: Micros, limit: int) -> int:
        """Process the marked endpoints, a few at a time.

        A mark that found nothing moves to the end of the queue, and is removed once no attempt that
        began before it can still be in flight.
        """
        stale, discarded = self._batch_writer.stale, 0
        for endpoint_id in list(itertools.islice(stale, STALE_BATCH_SIZE)):
            mark = stale[endpoint_id]
            discarded += self._discard_of(db, endpoint_id, mark, now, limit - discarded)
            if discarded >= limit:
                break
            del stale[endpoint_id]
            if now - made_at(mark[1]) < 2 * LEASE or self._is_out(db, endpoint_id, mark[1]):
                stale[endpoint_id] = mark
        return discarded

    def _is_out(self, db: apsw.Connection, endpoint_id: int, before: int) -> bool:
        """Whether an earlier delivery is still claimed: its process may have been suspended."""
        values = {"endpoint_id": endpoint_id, "before": before}
        [[is_out]] = list(db.execute(self._sql["stale_and_out"], values))
        return bool(is_out)

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
            given = {"ids": ids, "now": now, "reason": reason}
            gone = list(db.execute(self._sql["discard"], given))
            finish(count_discarded(self._transaction_on(db, Effects()), gone, now))
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

    async def drop_days(self, before: Micros, limit: int) -> int:
        """Do nothing: the log is not partitioned."""
        return 0

    async def prepare_log(self, now: Micros) -> int:
        """Do nothing: the log is not partitioned."""
        return 0
