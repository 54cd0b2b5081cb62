"""Replays in PostgreSQL: jobs that make new deliveries of old events, whichever process is next.

A transaction for each piece, which locks in the order that all do: account, endpoint, replay.
"""

from collections.abc import Sequence

from hooktide.domain.ids import NODE_BITS
from hooktide.domain.model import SECOND, Endpoint, Micros, Origin, Replay, ReplayWhat, Scope
from hooktide.store import refusals, rows
from hooktide.store.base import NewReplay, Page, ReplayCount
from hooktide.store.fanout import again_row
from hooktide.store.lists import conditions, in_scope, page
from hooktide.store.postgres.connection import UPKEEP_WITHIN, Link
from hooktide.store.postgres.log import Log
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
from hooktide.store.usage import Usage

SETTLED: Micros = 3 * SECOND
"""An event's id is made before its commit, and other processes make ids too. What is older than
this is there, or never will be: nothing accepted takes longer to commit."""


class Replays(Log):
    """The store's methods for replays."""

    async def count_replay(self, scope: Scope, wanted: NewReplay, now: Micros) -> ReplayCount:
        endpoint = await self._read(lambda link: self._of_replay(link, scope, wanted))
        if wanted.what is ReplayWhat.EVENT:
            return ReplayCount(1)
        id_ = self._ids(now)
        after, upto = window(wanted, id_)

        async def look(after: int) -> Sequence[Row]:
            piece = Window(after, upto)
            return await self._read(
                lambda link: self._look(link, wanted.what, endpoint, piece, id_), UPKEEP_WITHIN
            )

        return await count(look, endpoint.event_types, after)

    async def _of_replay(self, link: Link, scope: Scope, wanted: NewReplay) -> Endpoint:
        """Find the endpoint that a replay is for; its event, if it has one, is the account's."""
        endpoint = await self._endpoint(link, scope, wanted.endpoint_id)
        if wanted.event_id is not None:
            await self._event(link, Scope(account_id=endpoint.account_id), wanted.event_id)
        return endpoint

    async def _look(
        self, link: Link, what: ReplayWhat, endpoint: Endpoint, piece: Window, id_: int
    ) -> list[Row]:
        values = {
            "endpoint_id": endpoint.id,
            "account_id": endpoint.account_id,
            "after": piece.after,
            "upto": piece.upto,
            "replay_id": id_,
            "look": LOOK,
        }
        return await link.rows(self._sql[f"looked_{what.value}"], values)

    async def add_replay(
        self, scope: Scope, wanted: NewReplay, counted: ReplayCount, now: Micros
    ) -> Replay:
        async def write(link: Link) -> Replay:
            await self._of_replay(link, scope, wanted)
            endpoint = await self._enabled(link, scope, wanted.endpoint_id)
            [(_, stale_before)] = await link.rows(
                self._sql["claimable_endpoints"], {"endpoints": [endpoint.id]}
            )
            id_ = self._ids(later_than(now, stale_before))
            values = rows.replay_values(id_, endpoint, wanted, counted)
            values["looked_to"] = window(wanted, id_).after
            if not await link.rows(self._sql["add_replay"], values):
                raise refusals.replay_running(await self._running(link, endpoint.id))
            return await self._replay(link, Scope(), id_)

        return await self._write(write)

    async def _running(self, link: Link, endpoint_id: int) -> int:
        sql = self._sql["replays"] + " WHERE endpoint_id = :endpoint_id ORDER BY id DESC LIMIT 1"
        return int(await link.value(sql, {"endpoint_id": endpoint_id}))

    async def get_replay(self, scope: Scope, replay_id: int) -> Replay:
        return await self._read(lambda link: self._replay(link, scope, replay_id))

    async def _replay(self, link: Link, scope: Scope, replay_id: int) -> Replay:
        where, values = conditions([("id = :id", "id", replay_id), *in_scope(scope)])
        return rows.replay(await self._one(link, "replay", self._sql["replays"] + where, values))

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
        found = await self._read(lambda link: link.rows(sql, values))
        return page(found, limit, rows.replay)

    async def cancel_replay(self, scope: Scope, replay_id: int, reason: str, now: Micros) -> Replay:
        async def write(link: Link) -> Replay:
            found = await self._replay(link, scope, replay_id)
            values = {"id": found.id, "reason": reason, "now": now}
            await link.run(self._sql["cancel_replay"], values)
            return await self._replay(link, Scope(), found.id)

        return await self._write(write)

    # -- upkeep --------------------------------------------------------------------------------

    async def run_replays(self, now: Micros, limit: int) -> int:
        running = await self._read(
            lambda link: link.rows(self._sql["running_replays"]), UPKEEP_WITHIN
        )
        most = 0
        for (id_,) in running:
            most = max(most, await self._go_on(id_, now, limit))
        return most

    async def _go_on(self, replay_id: int, now: Micros, limit: int) -> int:
        """Make the next deliveries of a replay; how many events were looked at."""
        return await self._write(
            lambda link: self._next_piece(link, replay_id, now, limit), UPKEEP_WITHIN
        )

    async def _next_piece(self, link: Link, replay_id: int, now: Micros, limit: int) -> int:
        replay = await self._replay(link, Scope(), replay_id)
        per_hour, usage = await self._hour(link, replay.account_id, now)
        endpoint = await self._taken(link, replay)
        if endpoint is None:
            return 0
        replay = await self._replay(link, Scope(), replay_id)  # as it is now that it is locked
        if replay.what is ReplayWhat.EVENT:
            piece = Piece([replay.event_id or 0], 0, whole=True)
            made = await self._make(link, replay, endpoint, piece, (per_hour, usage), now)
            await self._move(link, replay, piece, made, now, reason="" if made else EVENT_GONE)
            return 1
        if endpoint.account_id in usage.holding or await self._waits(link, endpoint, now, limit):
            return 0
        left, settled = _left(replay, now)
        looked = await self._look(link, replay.what, endpoint, left, replay.id)
        piece = choose(looked, endpoint.event_types, replay.looked_to, limit)
        made = await self._make(link, replay, endpoint, piece, (per_hour, usage), now)
        await self._move(link, replay, piece._replace(whole=piece.whole and settled), made, now)
        return len(looked)

    async def _hour(self, link: Link, account_id: int, now: Micros) -> tuple[int | None, Usage]:
        """Return the limit of an account's hour, and the hour, locked until the commit."""
        routes = (await self._hot.routes(link, {account_id})).get(account_id)
        per_hour = None if routes is None else routes.per_hour
        limited = [] if per_hour is None else [account_id]
        return per_hour, await self._hot.usage(link, limited, now)

    async def _taken(self, link: Link, replay: Replay) -> Endpoint | None:
        """Lock a replay and its endpoint; None: another process has it, or it has ended."""
        enabled = {"endpoints": [replay.endpoint_id]}
        if not await link.rows(self._sql["claimable_endpoints"], enabled):
            return None
        if not await link.rows(self._sql["lock_replay"], {"id": replay.id}):
            return None
        return await self._endpoint(link, Scope(), replay.endpoint_id)

    async def _waits(self, link: Link, endpoint: Endpoint, now: Micros, limit: int) -> bool:
        """Whether so much waits for an endpoint that more of it would be in the way."""
        values = {"endpoint_id": endpoint.id, "now": now, "limit": limit}
        return int(await link.value(self._sql["replay_backlog"], values)) >= limit

    async def _make(
        self,
        link: Link,
        replay: Replay,
        endpoint: Endpoint,
        piece: Piece,
        hour: tuple[int | None, Usage],
        now: Micros,
    ) -> int:
        """Make deliveries of those of these events that retention has left; how many."""
        ids = {"ids": piece.event_ids}
        there = {id_ for (id_,) in await link.rows(self._sql["lock_events"], ids)}
        per_hour, usage = hour
        made: list[Row] = []
        for event_id in piece.event_ids:
            if event_id not in there:
                continue
            taken = per_hour is None or usage.take(endpoint.account_id, per_hour, now)
            id_ = self._ids(later_than(now, replay.id))
            held_by = None if taken else per_hour
            made.append(again_row(id_, event_id, endpoint, held_by, now, Origin.REPLAY))
            if held_by is None:
                link.effects.due_at(endpoint.id, now)
            else:
                usage.holding.add(endpoint.account_id)
        if made:
            await link.many(self._sql["add_deliveries"], made)
            await self._hot.save_usage(link, usage)
        return len(made)

    async def _move(
        self, link: Link, replay: Replay, piece: Piece, made: int, now: Micros, reason: str = ""
    ) -> None:
        values = ending(replay, piece.whole, now, reason)
        values |= {"looked_to": piece.looked_to, "made": made}
        await link.run(self._sql["move_replay"], values)


def _left(replay: Replay, now: Micros) -> tuple[Window, bool]:
    """Return what a replay may look at now, and whether that is all that it ever will."""
    upto = window(replay, replay.id).upto
    settled = ((now - SETTLED) << NODE_BITS) - 1
    return Window(replay.looked_to, min(upto, settled)), upto <= settled
