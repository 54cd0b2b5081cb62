"""The hot way through PostgreSQL: events in with their deliveries, attempts recorded.

Every batch is a transaction of a few statements, each for many rows. What this process remembers of
an account's endpoints is compared with the database's version of it inside the transaction that
uses it, so an event goes exactly where the database says at that moment.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

import asyncpg

from hooktide.domain.errors import NotFoundError
from hooktide.domain.ids import IdMaker
from hooktide.domain.model import MINUTE, Micros
from hooktide.domain.operations import Happening, disabled
from hooktide.domain.verdict import Again, Delivered, RetryAt
from hooktide.store import rows
from hooktide.store.base import Done, Room
from hooktide.store.batch import Publish
from hooktide.store.failures import Failures, counted
from hooktide.store.fanout import FanOut, Known, Routes, idempotency_keys
from hooktide.store.happening import of_attempts, values
from hooktide.store.postgres.connection import Link, columns_of
from hooktide.store.rows import Row
from hooktide.store.usage import WINDOW_MINUTES, Minutes, Usage

log = logging.getLogger("hooktide.store")

ROUTES_KEPT = 20_000


class HotPath:
    """Writes batches, and remembers where events go."""

    def __init__(self, queries: Mapping[str, str], ids: IdMaker, lease: Micros) -> None:
        self._sql = queries
        self._ids = ids
        self._lease = lease
        self._routes: dict[int, Routes] = {}

    # -- events in -----------------------------------------------------------------------------

    async def add(self, link: Link, publishes: Sequence[Publish], room: Room) -> bool:
        """Store events by what is remembered, with one statement that is its own transaction.

        Sets what their publishers are answered. False, and nothing is stored: something has
        changed, a key was used before, or a plan has a limit; then ``add_carefully`` does it.
        """
        routes = {id_: self._routes.get(id_) for id_ in _accounts(publishes)}
        if any(known is None or known.per_hour is not None for known in routes.values()):
            return False
        fan_out = self._fan_out(link, room, routes, Usage(_nothing_read, ()), {})
        _fan(fan_out, publishes)
        try:
            return await self._accept(link, fan_out, routes)
        except asyncpg.UniqueViolationError:
            return False

    async def add_carefully(self, link: Link, publishes: Sequence[Publish], room: Room) -> bool:
        """Store events by what the database says, within a transaction that commits afterwards.

        False, and nothing is stored: something changed meanwhile, so it has to be done again.
        """
        routes: dict[int, Routes | None] = {**await self.routes(link, _accounts(publishes))}
        now = max(publish.now for publish in publishes)
        limited = [id_ for id_, known in routes.items() if known and known.per_hour is not None]
        usage = await self.usage(link, sorted(limited), now)
        known = await self._known_keys(link, idempotency_keys(publishes))
        fan_out = self._fan_out(link, room, routes, usage, known)
        _fan(fan_out, publishes)
        try:
            added = await self._accept(link, fan_out, routes)
        except asyncpg.UniqueViolationError:  # another process used a key since it was looked for
            return False
        if added:
            await self.save_usage(link, usage)
            await self.happened(link, fan_out.happened)
            if known:  # what an earlier commit promised may still be waiting for a standby
                await link.rows(self._sql["durable"])
        return added

    def _fan_out(
        self,
        link: Link,
        room: Room,
        routes: Mapping[int, Routes | None],
        usage: Usage,
        known: Mapping[tuple[int, str], Known],
    ) -> FanOut:
        return FanOut(
            ids=self._ids,
            lease=self._lease,
            room=room,
            routes=routes.get,
            usage=usage,
            known=known,
            effects=link.effects,
        )

    async def _accept(
        self, link: Link, fan_out: FanOut, routes: Mapping[int, Routes | None]
    ) -> bool:
        versions = [(id_, *known.version) for id_, known in routes.items() if known is not None]
        columns = [
            *columns_of(versions, 3),
            *columns_of(sorted(fan_out.keys), 5),  # in one order everywhere: no deadlock
            *columns_of(fan_out.events, 9),
            *columns_of(fan_out.deliveries, 10),
        ]
        [(added,)] = await link.columns(self._sql["accept"], *columns)
        return bool(added)

    async def routes(self, link: Link, account_ids: set[int]) -> dict[int, Routes]:
        """Return where accounts' events go, as the database has it now."""
        ids = list(account_ids)
        found: dict[int, Routes] = {}
        unknown: list[int] = []
        for id_, *version in await link.rows(self._sql["versions"], {"ids": ids}):
            known = self._routes.get(id_)
            if known is not None and known.version == tuple(version):
                found[id_] = known
            else:
                unknown.append(id_)
        if unknown:
            if len(self._routes) + len(unknown) > ROUTES_KEPT:
                self._routes.clear()
            read = await link.rows(self._sql["routes_of_account"], {"ids": unknown})
            fresh = {row[0]: _read_routes(row) for row in read}
            self._routes |= fresh
            found |= fresh
        return found

    async def _known_keys(
        self, link: Link, wanted: list[tuple[int, str]]
    ) -> dict[tuple[int, str], Known]:
        if not wanted:
            return {}
        project_ids, keys = zip(*wanted, strict=True)
        values = {"project_ids": project_ids, "keys": keys}
        found = await link.rows(self._sql["known_keys"], values)
        return {(row[0], row[1]): (row[2], row[3], row[4]) for row in found}

    # -- the plans' hours ------------------------------------------------------------------------

    async def usage(self, link: Link, account_ids: list[int], now: Micros) -> Usage:
        """Return the hours of limited accounts, which are locked until the commit."""
        if not account_ids:
            return Usage(_nothing_read, ())
        ids = {"ids": account_ids}
        await link.rows(self._sql["lock_hours"], ids)
        values = {"account_ids": account_ids, "since": now // MINUTE - WINDOW_MINUTES}
        minutes: dict[int, Minutes] = {id_: {} for id_ in account_ids}
        for account_id, minute, deliveries in await link.rows(self._sql["usage_window"], values):
            minutes[account_id][minute] = deliveries
        holding = await link.rows(self._sql["holding"], ids)
        return Usage(lambda account_id, _: minutes[account_id], [id_ for (id_,) in holding])

    async def save_usage(self, link: Link, usage: Usage) -> None:
        """Write what changed of the accounts' hours."""
        if changed := usage.changed():
            await link.many(self._sql["set_usage"], changed)

    async def take_room(self, link: Link, account_id: int, now: Micros) -> tuple[int | None, bool]:
        """Count a delivery in the account's hour; return its limit, and whether there was room.

        :raises NotFoundError: there is no such account.
        """
        routes = (await self.routes(link, {account_id})).get(account_id)
        if routes is None:
            raise NotFoundError("account")
        if routes.per_hour is None:
            return None, True
        usage = await self.usage(link, [account_id], now)
        taken = usage.take(account_id, routes.per_hour, now)
        await self.save_usage(link, usage)
        return routes.per_hour, taken

    # -- attempts recorded -----------------------------------------------------------------------

    async def record(self, link: Link, dones: Sequence[Done]) -> list[Done]:
        """Store attempts and move their deliveries; return those whose claim was lost.

        One statement, where no delivery failed: then it may be its own transaction.
        """
        well, ill = counted(dones)
        settled = columns_of([_settle_columns(done) for done in dones], 19)
        reset = [] if ill else well
        found = await link.columns(self._sql["settle"], *settled, reset)
        moved = {id_ for (id_,) in found}
        kept = [done for done in dones if done.claim.delivery_id in moved]
        for done in kept:
            if isinstance(done.verdict, RetryAt | Again):
                link.effects.due_at(done.claim.endpoint_id, done.verdict.due_at)
        if ill:
            await self._count(link, kept, well, ill)
        return [done for done in dones if done.claim.delivery_id not in moved]

    async def record_late(self, link: Link, done: Done) -> None:
        """Store an attempt whose claim was lost, if it was a 2xx: nothing else still counts."""
        number = None
        if isinstance(done.verdict, Delivered):
            values = {"id": done.claim.delivery_id, "ended_at": _ended_at(done)}
            number = await link.value(self._sql["settle_late"], values)
        if number is None:
            log.warning("lost the lease of delivery %016x; another has it", done.claim.delivery_id)
            return
        claim = done.claim
        key = (claim.delivery_id, number, claim.event.account_id)
        await link.many(self._sql["add_attempts"], [(*key, *rows.attempt_columns(done.attempt))])
        well, _ = counted([done])
        for endpoint_id in well:
            await link.many(self._sql["set_failing"], [(endpoint_id, 0)])

    async def _count(
        self, link: Link, dones: Sequence[Done], well: list[int], ill: list[int]
    ) -> None:
        """Keep each endpoint's count of deliveries that failed in a row, and act on it."""
        locked = await link.rows(self._sql["failing_endpoints"], {"well": well, "ill": ill})
        accounts = {done.claim.event.account_id for done in dones}
        routes = await self.routes(link, accounts)
        failures = Failures(dict(locked))
        to_disable = failures.count(dones, _disable_after(routes))
        if failures.changed:
            await link.many(self._sql["set_failing"], list(failures.changed.items()))
        for done, reason in to_disable:
            account_id = done.claim.event.account_id
            await self.switch_off(link, done.claim.endpoint_id, account_id, reason, _ended_at(done))
        await self.happened(link, of_attempts(dones, failures, _disable_after(routes)))

    async def happened(self, link: Link, happenings: Iterable[Happening]) -> None:
        """Keep what is to be told of."""
        for happening in happenings:
            await link.run(self._sql["add_happening"], values(happening))

    # -- endpoints -------------------------------------------------------------------------------

    async def switch_off(
        self, link: Link, endpoint_id: int, account_id: int, reason: str, now: Micros
    ) -> None:
        """Disable an endpoint if it is enabled, and mark what is pending for it as stale."""
        await self.account_changed(link, account_id)
        values = {
            "id": endpoint_id,
            "reason": reason,
            "now": now,
            "stale_before": self._ids(now),
            "stale_reason": f"endpoint disabled: {reason}",
        }
        if await link.run(self._sql["disable_endpoint"], values):
            await self.cancel_replays(link, endpoint_id, f"endpoint disabled: {reason}", now)
            link.effects.changed.append(("endpoint", endpoint_id))
            await self.happened(link, [disabled(account_id, endpoint_id, reason, now)])

    async def cancel_replays(self, link: Link, endpoint_id: int, reason: str, now: Micros) -> None:
        """End the replay of an endpoint that is off from now on."""
        values = {"endpoint_id": endpoint_id, "reason": reason, "now": now}
        await link.run(self._sql["cancel_replays"], values)

    async def account_changed(self, link: Link, account_id: int) -> None:
        """Have each transaction look anew where an account's events go, from this commit on.

        To be called before its endpoints or its plan change: others who want to wait for it.
        """
        await link.run(self._sql["account_changed"], {"id": account_id})


def _accounts(publishes: Sequence[Publish]) -> set[int]:
    return {event.account_id for publish in publishes for event in publish.events}


def _fan(fan_out: FanOut, publishes: Sequence[Publish]) -> None:
    for publish in publishes:
        publish.results = [fan_out.add(event, publish.now) for event in publish.events]


def _disable_after(routes: Mapping[int, Routes]) -> Callable[[int], int]:
    return lambda account_id: routes[account_id].disable_after if account_id in routes else 0


def _nothing_read(account_id: int, since: int) -> Minutes:
    raise LookupError(f"account {account_id} was not read")


def _ended_at(done: Done) -> Micros:
    return done.attempt.started_at + done.attempt.duration


def _settle_columns(done: Done) -> Row:
    claim = done.claim
    number = None if type(done.verdict) is Again else claim.attempt
    settled = rows.settle_columns(done, "")
    attempt = rows.attempt_columns(done.attempt)
    return (*settled, claim.endpoint_id, _ended_at(done), number, *attempt)


def _read_routes(row: Row) -> Routes:
    _, project_id, config, plan, version, project_version, endpoints = row
    return Routes(
        project_id,
        rows.read_project_json(config),
        plan,
        rows.read_routes(endpoints),
        (version, project_version),
    )
