"""Replays in SQLite: jobs that make new deliveries of old events, a transaction for each piece."""

from collections.abc import Sequence

import apsw

from hooktide.domain.errors import NotFoundError
from hooktide.domain.model import Endpoint, Micros, Origin, Replay, ReplayWhat, Scope
from hooktide.store import refusals, rows
from hooktide.store.base import NewReplay, Page, ReplayCount
from hooktide.store.batch import Effects
from hooktide.store.fanout import again_row
from hooktide.store.lists import conditions, in_scope, page
from hooktide.store.replaying import (
    EVENT_GONE,
    LOOK,
    Piece,
    Window,
    choose,
    count,
    ending,
    later_than,
    window,
)
from hooktide.store.rows import Row
from hooktide.store.sqlite.log import Log


class Replays(Log):
    """The store's methods for replays."""

    async def count_replay(self, scope: Scope, wanted: NewReplay, now: Micros) -> ReplayCount:
        endpoint = await self._read(lambda db: self._of_replay(db, scope, wanted))
        if wanted.what is ReplayWhat.EVENT:
            return ReplayCount(1)
        id_ = self._ids(now)
        after, upto = window(wanted, id_)

        async def look(after: int) -> Sequence[Row]:
            piece = Window(after, upto)
            return await self._read(lambda db: self._look(db, wanted.what, endpoint, piece, id_))

        return await count(look, endpoint.event_types, after)

    def _of_replay(self, db: apsw.Connection, scope: Scope, wanted: NewReplay) -> Endpoint:
        """Find the endpoint that a replay is for; its event, if it has one, is the account's."""
        endpoint = self._endpoint(db, scope, wanted.endpoint_id)
        if wanted.event_id is not None:
            self._event(db, Scope(account_id=endpoint.account_id), wanted.event_id)
        return endpoint

    def _look(
        self, db: apsw.Connection, what: ReplayWhat, endpoint: Endpoint, piece: Window, id_: int
    ) -> list[Row]:
        values = {
            "endpoint_id": endpoint.id,
            "account_id": endpoint.account_id,
            "after": piece.after,
            "upto": piece.upto,
            "replay_id": id_,
            "look": LOOK,
        }
        return list(db.execute(self._sql[f"looked_{what.value}"], values))

    async def add_replay(
        self, scope: Scope, wanted: NewReplay, counted: ReplayCount, now: Micros
    ) -> Replay:
        def write(db: apsw.Connection, _: Effects) -> Replay:
            endpoint = self._of_replay(db, scope, wanted)
            refusals.check_enabled(endpoint)
            id_ = self._ids(now)
            values = rows.replay_values(id_, endpoint, wanted, counted)
            values["looked_to"] = window(wanted, id_).after
            if not list(db.execute(self._sql["add_replay"], values)):
                raise refusals.replay_running(self._running(db, endpoint.id))
            return self._replay(db, Scope(), id_)

        return await self._write(write)

    def _running(self, db: apsw.Connection, endpoint_id: int) -> int:
        sql = self._sql["replays"] + " WHERE endpoint_id = :endpoint_id AND state = 'running'"
        [[id_, *_]] = list(db.execute(sql, {"endpoint_id": endpoint_id}))
        return int(id_)

    async def get_replay(self, scope: Scope, replay_id: int) -> Replay:
        return await self._read(lambda db: self._replay(db, scope, replay_id))

    def _replay(self, db: apsw.Connection, scope: Scope, replay_id: int) -> Replay:
        where, values = conditions([("id = :id", "id", replay_id), *in_scope(scope)])
        return rows.replay(self._one(db, "replay", self._sql["replays"] + where, values))

    async def list_replays(
        self, scope: Scope, endpoint_id: int, before: int | None, limit: int
    ) -> Page:
        wanted = [
            ("endpoint_id = :endpoint_id", "endpoint_id", endpoint_id),
            ("id < :before", "before", before),
            *in_scope(scope),
        ]
        where, values = conditions(wanted)
        sql = self._sql["replays"] + where + " ORDER BY id DESC LIMIT :limit"
        values["limit"] = limit + 1
        found = await self._read(lambda db: list(db.execute(sql, values)))
        return page(found, limit, rows.replay)

    async def cancel_replay(self, scope: Scope, replay_id: int, reason: str, now: Micros) -> Replay:
        def write(db: apsw.Connection, _: Effects) -> Replay:
            found = self._replay(db, scope, replay_id)
            values = {"id": found.id, "reason": reason, "now": now}
            db.execute(self._sql["cancel_replay"], values)
            return self._replay(db, Scope(), found.id)

        return await self._write(write)

    # -- upkeep --------------------------------------------------------------------------------

    async def run_replays(self, now: Micros, limit: int) -> int:
        running = await self._read(lambda db: list(db.execute(self._sql["running_replays"])))
        most = 0
        for [id_] in running:
            most = max(most, await self._go_on(id_, now, limit))
        return most

    async def _go_on(self, replay_id: int, now: Micros, limit: int) -> int:
        """Make the next deliveries of a replay; how many events were looked at."""
        return await self._write(
            lambda db, effects: self._next_piece(db, effects, replay_id, now, limit)
        )

    def _next_piece(
        self, db: apsw.Connection, effects: Effects, replay_id: int, now: Micros, limit: int
    ) -> int:
        sql = self._sql["replays"] + " WHERE id = :id AND state = 'running'"
        row = next(iter(db.execute(sql, {"id": replay_id})), None)
        if row is None:
            return 0
        replay = rows.replay(row)
        endpoint = self._endpoint(db, Scope(), replay.endpoint_id)
        if replay.what is ReplayWhat.EVENT:
            self._send_one(db, effects, replay, endpoint, now)
            return 1
        if self._has_enough(db, endpoint, now, limit):
            return 0
        left = Window(replay.looked_to, window(replay, replay.id).upto)
        looked = self._look(db, replay.what, endpoint, left, replay.id)
        piece = choose(looked, endpoint.event_types, replay.looked_to, limit)
        self._make(db, effects, replay, endpoint, piece, now)
        self._move(db, replay, piece, now, done=piece.whole)
        return len(looked)

    def _send_one(
        self,
        db: apsw.Connection,
        effects: Effects,
        replay: Replay,
        endpoint: Endpoint,
        now: Micros,
    ) -> None:
        event_id = replay.event_id or 0
        try:
            self._event(db, Scope(account_id=replay.account_id), event_id)
        except NotFoundError:
            piece, reason = Piece([], 0, whole=True), EVENT_GONE
        else:
            piece, reason = Piece([event_id], 0, whole=True), ""
        self._make(db, effects, replay, endpoint, piece, now)
        self._move(db, replay, piece, now, done=True, reason=reason)

    def _has_enough(self, db: apsw.Connection, endpoint: Endpoint, now: Micros, limit: int) -> bool:
        """Whether so much waits for an endpoint, or is held, that more would be in the way."""
        if endpoint.account_id in self._hot.usage.holding:
            return True
        values = {"endpoint_id": endpoint.id, "now": now, "limit": limit}
        [[due]] = list(db.execute(self._sql["replay_backlog"], values))
        return int(due) >= limit

    def _make(
        self,
        db: apsw.Connection,
        effects: Effects,
        replay: Replay,
        endpoint: Endpoint,
        piece: Piece,
        now: Micros,
    ) -> None:
        made: list[Row] = []
        for event_id in piece.event_ids:
            limit, taken = self._take_room(endpoint.account_id, now)
            id_ = self._ids(later_than(now, replay.id))
            held_by = None if taken else limit
            made.append(again_row(id_, event_id, endpoint, held_by, now, Origin.REPLAY))
            if held_by is None:
                effects.due_at(endpoint.id, now)
            else:
                self._hot.usage.holding.add(endpoint.account_id)
        if made:
            self._hot.insert([], [], made)
            self._hot.save_usage()

    def _move(
        self,
        db: apsw.Connection,
        replay: Replay,
        piece: Piece,
        now: Micros,
        *,
        done: bool,
        reason: str = "",
    ) -> None:
        values = ending(replay, done, now, reason)
        values |= {"looked_to": piece.looked_to, "made": len(piece.event_ids)}
        db.execute(self._sql["move_replay"], values)
