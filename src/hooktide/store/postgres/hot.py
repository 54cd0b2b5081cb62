"""The hot way through PostgreSQL: events in with their deliveries, attempts recorded.

Every batch is a transaction of a few statements, each for many rows. What this process remembers of
an account's endpoints is compared with the database's version of it inside the transaction that
uses it, so an event goes exactly where the database says at that moment.
"""

import logging
from collections.abc import Callable, Mapping, Sequence

from hooktide.domain.errors import NotFoundError
from hooktide.domain.ids import IdMaker
from hooktide.domain.model import MINUTE, Micros
from hooktide.domain.verdict import Again, Delivered, RetryAt
from hooktide.store import rows
from hooktide.store.base import Done, Room
from hooktide.store.batch import Publish
from hooktide.store.failures import Failures, counted
from hooktide.store.fanout import FanOut, Known, Routes, idempotency_keys
from hooktide.store.postgres.connection import BEGIN, Link
from hooktide.store.rows import Row
from hooktide.store.usage import WINDOW_MINUTES, Minutes, Usage

log = logging.getLogger("hooktide.store")

ROUTES_KEPT = 20_000
LOCK_SPACE = 0x686F6F6B
BUCKETS = 256
"""Accounts share this many locks: few enough that a large batch does not fill the lock table."""


class KeyTakenError(Exception):
    """Another process used an idempotency key of this batch a moment ago: read, and do it again."""


class HotPath:
    """Writes batches, and remembers where events go.

    Each method is a part of a transaction that its caller begins and commits.
    """

    def __init__(self, queries: Mapping[str, str], ids: IdMaker, lease: Micros) -> None:
        self._sql = queries
        self._ids = ids
        self._lease = lease
        self._routes: dict[int, Routes] = {}

    # -- events in -----------------------------------------------------------------------------

    def begin(self, publishes: Sequence[Publish]) -> str:
        """Return how a transaction for these events begins: their endpoints stay as they are."""
        accounts = {event.account_id for publish in publishes for event in publish.events}
        buckets = sorted({bucket_of(account_id) for account_id in accounts})
        locks = ", ".join(f"pg_advisory_xact_lock_shared({LOCK_SPACE}, {one})" for one in buckets)
        return f"{BEGIN}; SELECT {locks}"

    async def add(self, link: Link, publishes: Sequence[Publish], room: Room) -> None:
        """Store events and their deliveries, and set what their publishers are answered.

        :raises KeyTakenError: it has to be done again, in a new transaction.
        """
        accounts = {event.account_id for publish in publishes for event in publish.events}
        routes = await self.routes(link, accounts)
        now = max(publish.now for publish in publishes)
        limited = [id_ for id_, known in routes.items() if known.per_hour is not None]
        fan_out = FanOut(
            ids=self._ids,
            lease=self._lease,
            room=room,
            routes=routes.get,
            usage=await self.usage(link, limited, now),
            known=await self._known_keys(link, idempotency_keys(publishes)),
            effects=link.effects,
        )
        for publish in publishes:
            publish.results = [fan_out.add(event, publish.now) for event in publish.events]
        await self._insert(link, fan_out)

    async def _insert(self, link: Link, fan_out: FanOut) -> None:
        if fan_out.keys:
            await self._add_keys(link, fan_out.keys)
        if fan_out.events:
            await link.many(self._sql["add_events"], fan_out.events)
        if fan_out.deliveries:
            await link.many(self._sql["add_deliveries"], fan_out.deliveries)
        await self.save_usage(link, fan_out.usage)

    async def _add_keys(self, link: Link, keys: list[Row]) -> None:
        columns = {
            str(place + 1): list(items) for place, items in enumerate(zip(*keys, strict=True))
        }
        if await link.run(self._sql["add_keys"], columns) != len(keys):
            raise KeyTakenError

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

    async def record(self, link: Link, dones: Sequence[Done]) -> None:
        """Store attempts and move their deliveries."""
        settled = [
            (*rows.settle_columns(done, ""), done.claim.endpoint_id, _ended_at(done))
            for done in dones
        ]
        moved = {id_ for (id_,) in await link.many(self._sql["settle"], settled)}
        attempts = [
            _attempt_columns(done, done.claim.attempt)
            for done in dones
            if done.claim.delivery_id in moved and type(done.verdict) is not Again
        ]
        for done in dones:
            if done.claim.delivery_id not in moved:
                attempts += await self._late(link, done)
        if attempts:
            await link.many(self._sql["add_attempts"], attempts)
        kept = [done for done in dones if done.claim.delivery_id in moved]
        for done in kept:
            if isinstance(done.verdict, RetryAt | Again):
                link.effects.due_at(done.claim.endpoint_id, done.verdict.due_at)
        await self._count(link, kept)

    async def _late(self, link: Link, done: Done) -> list[Row]:
        """An attempt whose claim was lost: nothing but a 2xx still counts."""
        number = None
        if isinstance(done.verdict, Delivered):
            values = {"id": done.claim.delivery_id, "ended_at": _ended_at(done)}
            number = await link.value(self._sql["settle_late"], values)
        if number is None:
            log.warning("lost the lease of delivery %016x; another has it", done.claim.delivery_id)
            return []
        return [_attempt_columns(done, number)]

    async def _count(self, link: Link, dones: Sequence[Done]) -> None:
        """Keep each endpoint's count of deliveries that failed in a row, and act on it."""
        well, ill = counted(dones)
        locked = await link.rows(self._sql["failing_endpoints"], {"well": well, "ill": ill})
        if not locked:
            return
        accounts = {done.claim.event.account_id for done in dones}
        routes = await self.routes(link, accounts) if ill else {}
        failures = Failures(dict(locked))
        to_disable = failures.count(dones, _disable_after(routes))
        if failures.changed:
            await link.many(self._sql["set_failing"], list(failures.changed.items()))
        for done, reason in to_disable:
            account_id = done.claim.event.account_id
            await self.switch_off(link, done.claim.endpoint_id, account_id, reason, _ended_at(done))

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
            link.effects.changed.append(("endpoint", endpoint_id))

    async def account_changed(self, link: Link, account_id: int) -> None:
        """Wait until no transaction accepts events for an account; have each later one look anew.

        To be called before its endpoints or its plan change.
        """
        values = {"space": LOCK_SPACE, "buckets": [bucket_of(account_id)]}
        await link.rows(self._sql["lock_accounts"], values)
        await link.run(self._sql["account_changed"], {"id": account_id})


def bucket_of(account_id: int) -> int:
    """Return which of the locks is an account's."""
    return (account_id ^ account_id >> 11) % BUCKETS


def _disable_after(routes: Mapping[int, Routes]) -> Callable[[int], int]:
    return lambda account_id: routes[account_id].disable_after if account_id in routes else 0


def _nothing_read(account_id: int, since: int) -> Minutes:
    raise LookupError(f"account {account_id} was not read")


def _ended_at(done: Done) -> Micros:
    return done.attempt.started_at + done.attempt.duration


def _attempt_columns(done: Done, number: int) -> Row:
    made, claim = done.attempt, done.claim
    return (made.delivery_id, number, claim.event.account_id, *rows.attempt_columns(made))


def _read_routes(row: Row) -> Routes:
    _, project_id, config, plan, version, project_version, endpoints = row
    return Routes(
        project_id,
        rows.read_project_json(config),
        plan,
        rows.read_routes(endpoints),
        (version, project_version),
    )
