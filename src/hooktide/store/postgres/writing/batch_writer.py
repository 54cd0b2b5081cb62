"""Writes events with their deliveries, and attempts, to PostgreSQL in batches: the hot path.

Every batch is a transaction of a few statements, each for many rows. The cached routing of an
account is compared with the database's version inside the transaction that uses it, so events are
routed exactly as stored at that moment.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import asyncpg

from hooktide.domain.delivery.rest import Rest
from hooktide.domain.delivery.verdict import Delivered, Requeued, RetryAt
from hooktide.domain.ids import IdMaker
from hooktide.domain.model import MINUTE, Micros
from hooktide.runtime.cache import Cache
from hooktide.store import rows
from hooktide.store.base import AttemptRecord, Capacity
from hooktide.store.configuration.endpoints import disable_by_rule
from hooktide.store.deliveries.stats import count_discarded
from hooktide.store.journal.operational_events import add_operational_events, events_of_attempts
from hooktide.store.postgres.connection.connection import PgConnection, columns_of
from hooktide.store.postgres.connection.transactions import PostgresTransaction
from hooktide.store.rows import Row
from hooktide.store.sql.transaction import BatchWriter, Transaction
from hooktide.store.writing.batch import Publish
from hooktide.store.writing.failures import Failures, counted
from hooktide.store.writing.fanout import (
    FanOut,
    Known,
    Matched,
    Routes,
    idempotency_keys,
    match_in_turns,
)
from hooktide.store.writing.rests import concern_rests, rests_after
from hooktide.store.writing.usage import WINDOW_MINUTES, Minutes, Usage

log = logging.getLogger("hooktide.store")

MAX_CACHED_ROUTES = 20_000


class Recorded(NamedTuple):
    """The attempts whose claim was lost, and the (endpoint, account, project) of each delivery that
    was discarded instead of retried."""

    lost: list[AttemptRecord]
    discarded: list[Row]


class PostgresBatchWriter(BatchWriter):
    """Writes batches, and caches the routing of events.

    ``lease`` returns what to add to the time of a claim made now for the end of its lease.
    """

    def __init__(
        self, queries: Mapping[str, str], ids: IdMaker, lease: Callable[[], Micros]
    ) -> None:
        self._sql = queries
        self._ids = ids
        self.lease = lease
        self._routes: Cache[int, Routes] = Cache(MAX_CACHED_ROUTES)

    def _tx(self, conn: PgConnection) -> PostgresTransaction:
        return PostgresTransaction(conn, self._sql, self._ids, self)

    async def add(
        self, conn: PgConnection, publishes: Sequence[Publish], capacity: Capacity
    ) -> bool:
        """Store events by the cached routing, with one statement that is its own transaction, and
        set their publishers' results.

        Returns False, and stores nothing, if something has changed, a key was used before, or a
        plan has a limit, or a payload expires; then use ``add_carefully``.
        """
        routes = {id_: self._routes.get(id_) for id_ in _accounts(publishes)}
        if any(known is None or known.per_hour is not None for known in routes.values()):
            return False
        if any(event.retention_days for publish in publishes for event in publish.events):
            return False
        matched = await match_in_turns(publishes, routes)
        fan_out = self._fan_out(conn, capacity, routes, Usage(_nothing_read, ()), {}, matched)
        fan_out.add_all(publishes)
        try:
            return await self._accept(conn, fan_out, routes)
        except asyncpg.UniqueViolationError:
            return False

    async def add_carefully(
        self, conn: PgConnection, publishes: Sequence[Publish], capacity: Capacity
    ) -> bool:
        """Store events by the stored routing, within a transaction that commits afterwards.

        Returns False, and stores nothing, if something changed meanwhile; then the batch must be
        repeated.
        """
        routes: dict[int, Routes | None] = {**await self.routes(conn, _accounts(publishes))}
        now = max(publish.now for publish in publishes)
        limited = [id_ for id_, known in routes.items() if known and known.per_hour is not None]
        usage = await self.usage(conn, sorted(limited), now)
        known = await self._known_keys(conn, idempotency_keys(publishes))
        matched = await match_in_turns(publishes, routes)
        fan_out = self._fan_out(conn, capacity, routes, usage, known, matched)
        fan_out.add_all(publishes)
        try:
            added = await self._accept(conn, fan_out, routes)
        except asyncpg.UniqueViolationError:  # another process used a key since the lookup
            return False
        if added:
            await self.save_usage(conn, usage)
            await self._tx(conn).many("add_payload_expiries", fan_out.payload_expiries)
            await add_operational_events(self._tx(conn), fan_out.operational_events)
            if known:  # an earlier commit may still be waiting for a standby
                await conn.rows(self._sql["durable"])
        return added

    def _fan_out(
        self,
        conn: PgConnection,
        capacity: Capacity,
        routes: Mapping[int, Routes | None],
        usage: Usage,
        known: Mapping[tuple[int, str], Known],
        matched: Matched,
    ) -> FanOut:
        return FanOut(
            ids=self._ids,
            capacity=capacity,
            routes=routes.get,
            usage=usage,
            known=known,
            effects=conn.effects,
            matched=matched,
        )

    async def _accept(
        self, conn: PgConnection, fan_out: FanOut, routes: Mapping[int, Routes | None]
    ) -> bool:
        versions = [(id_, *known.version) for id_, known in routes.items() if known is not None]
        columns = [
            *columns_of(versions, 3),
            *columns_of(sorted(fan_out.keys), 5),  # in one order everywhere: no deadlock
            *columns_of(fan_out.events, 11),
            *columns_of(fan_out.deliveries, 10),
        ]
        [(added,)] = await conn.columns(self._sql["accept"], *columns)
        return bool(added)

    async def routes(self, conn: PgConnection, account_ids: set[int]) -> dict[int, Routes]:
        """Return the current routing of accounts' events."""
        ids = list(account_ids)
        found: dict[int, Routes] = {}
        unknown: list[int] = []
        for id_, *version in await conn.rows(self._sql["versions"], {"ids": ids}):
            known = self._routes.get(id_)
            if known is not None and known.version == tuple(version):
                found[id_] = known
            else:
                unknown.append(id_)
        if unknown:
            read = await conn.rows(self._sql["routes_of_account"], {"ids": unknown})
            fresh = {row[0]: _read_routes(row) for row in read}
            self._ids.pass_by(max((row[7] for row in read), default=0))
            for id_, routes in fresh.items():
                self._routes.keep(id_, routes)
            found |= fresh
        return found

    async def _known_keys(
        self, conn: PgConnection, wanted: list[tuple[int, str]]
    ) -> dict[tuple[int, str], Known]:
        if not wanted:
            return {}
        project_ids, keys = zip(*wanted, strict=True)
        values = {"project_ids": project_ids, "keys": keys}
        found = await conn.rows(self._sql["known_keys"], values)
        return {(row[0], row[1]): (row[2], row[3], row[4]) for row in found}

    async def usage(self, conn: PgConnection, account_ids: list[int], now: Micros) -> Usage:
        """Return the hours of limited accounts, which are locked until the commit."""
        if not account_ids:
            return Usage(_nothing_read, ())
        ids = {"ids": account_ids}
        await conn.rows(self._sql["lock_hours"], ids)
        values = {"account_ids": account_ids, "since": now // MINUTE - WINDOW_MINUTES}
        minutes: dict[int, Minutes] = {id_: {} for id_ in account_ids}
        for account_id, minute, deliveries in await conn.rows(self._sql["usage_window"], values):
            minutes[account_id][minute] = deliveries
        holding = await conn.rows(self._sql["holding"], ids)
        return Usage(lambda account_id, _: minutes[account_id], [id_ for (id_,) in holding])

    async def save_usage(self, conn: PgConnection, usage: Usage) -> None:
        """Write the changes of the accounts' hours."""
        if changed := usage.changed():
            await conn.many(self._sql["set_usage"], changed)

    async def hour(self, tx: Transaction, account_id: int, now: Micros) -> tuple[int | None, Usage]:
        conn = _pg_connection(tx)
        routes = (await self.routes(conn, {account_id})).get(account_id)
        per_hour = None if routes is None else routes.per_hour
        return per_hour, await self.usage(conn, [] if per_hour is None else [account_id], now)

    async def held_accounts(self, tx: Transaction) -> Sequence[int]:
        return [id_ for (id_,) in await tx.rows("held_accounts")]

    async def save_hour(self, tx: Transaction, usage: Usage) -> None:
        await self.save_usage(_pg_connection(tx), usage)

    async def insert(
        self, tx: Transaction, events: Sequence[Row], deliveries: Sequence[Row]
    ) -> None:
        await tx.many("add_events", events)
        await tx.many("add_deliveries", deliveries)

    async def record(self, conn: PgConnection, records: Sequence[AttemptRecord]) -> Recorded:
        """Store attempts and move their deliveries.

        It takes one statement if it ``is_plain``: then it may be its own transaction.
        """
        well, ill = counted(records)
        settled = columns_of([_settle_columns(record) for record in records], 19)
        careful = bool(ill or concern_rests(records))
        reset = [] if careful else well
        found = await conn.columns(self._sql["settle"], *settled, reset)
        moved = dict(found)
        kept = [record for record in records if record.claim.delivery_id in moved]
        for record in kept:
            if isinstance(record.verdict, RetryAt | Requeued):
                conn.effects.due_at(record.claim.endpoint_id, record.verdict.due_at)
        if careful:
            await self._count(conn, records, kept, well, ill)
        return Recorded(
            lost=[record for record in records if record.claim.delivery_id not in moved],
            discarded=[
                (record.claim.endpoint_id, record.claim.event.account_id, project_id)
                for record in kept
                if (project_id := moved[record.claim.delivery_id]) is not None
            ],
        )

    async def record_late(self, conn: PgConnection, record: AttemptRecord) -> None:
        """Store an attempt whose claim was lost, if it was a 2xx: nothing else still counts."""
        number = None
        if isinstance(record.verdict, Delivered):
            values = {"id": record.claim.delivery_id, "ended_at": record.attempt.ended_at}
            number = await conn.value(self._sql["settle_late"], values)
        if number is None:
            log.warning(
                "lost the lease of delivery %016x; another has it", record.claim.delivery_id
            )
            return
        claim = record.claim
        key = (claim.delivery_id, number, claim.event.account_id)
        await conn.many(self._sql["add_attempts"], [(*key, *rows.attempt_columns(record.attempt))])
        well, _ = counted([record])
        for endpoint_id in well:
            await conn.many(self._sql["set_failing"], [(endpoint_id, 0)])

    async def count_discarded(
        self, conn: PgConnection, discarded: Sequence[Row], now: Micros
    ) -> None:
        """Count deliveries that were discarded instead of retried."""
        await count_discarded(self._tx(conn), discarded, now)

    async def _count(
        self,
        conn: PgConnection,
        handed_in: Sequence[AttemptRecord],
        records: Sequence[AttemptRecord],
        well: list[int],
        ill: list[int],
    ) -> None:
        """Update each endpoint's rest and its count of consecutive failures.

        A receiver's request counts, no matter which process has the claim now.
        """
        concerned = concern_rests(handed_in)
        values = {"well": well, "ill": [*{*ill, *concerned}]}
        found = await conn.rows(self._sql["failing_endpoints"], values)
        rests = {id_: Rest(*rest) for id_, _, *rest in found}
        for endpoint_id, rest in rests_after(rests, handed_in).items():
            if endpoint_id in rests:
                await conn.run(self._sql["set_rest"], rows.rest_values(endpoint_id, rest))
        conn.effects.changed.extend(("rest", endpoint_id) for endpoint_id in concerned)
        await self._count_failures(conn, records, {id_: failing for id_, failing, *_ in found})

    async def _count_failures(
        self, conn: PgConnection, records: Sequence[AttemptRecord], failing: dict[int, int]
    ) -> None:
        """Update each endpoint's count of consecutive failures, and disable endpoints if needed."""
        tx = self._tx(conn)
        accounts = {record.claim.event.account_id for record in records}
        routes = await self.routes(conn, accounts)
        failures = Failures(failing)
        to_disable = failures.count(records, _disable_after(routes))
        if failures.changed:
            await conn.many(self._sql["set_failing"], list(failures.changed.items()))
        for off in to_disable:
            known = routes.get(off.record.claim.event.account_id)
            await disable_by_rule(tx, off, None if known is None else known.project_id)
        await add_operational_events(
            tx, events_of_attempts(records, failures, _disable_after(routes))
        )

    async def lock_account(self, tx: Transaction, account_id: int) -> None:
        """Invalidate the account's routing for every transaction after this commit."""
        await tx.run("account_changed", {"id": account_id})

    def project_changed(self) -> None:
        """Do nothing: the project's version shows it."""

    def rest_changed(self, endpoint_id: int, rest: Rest) -> None:
        """Do nothing: rests are read."""

    def enabled(self, endpoint_id: int) -> None:
        """Do nothing: failures are counted in the database."""

    def went_stale(self, endpoint_id: int, account_id: int, before: int, reason: str) -> None:
        """Do nothing: the endpoint's row shows it."""


def _pg_connection(tx: Transaction) -> PgConnection:
    if not isinstance(tx, PostgresTransaction):
        raise TypeError("not a transaction of PostgreSQL")
    return tx.conn


def is_plain(records: Sequence[AttemptRecord]) -> bool:
    """Whether attempts change nothing about their endpoints beyond what one statement does."""
    return not counted(records)[1] and not concern_rests(records)


def _accounts(publishes: Sequence[Publish]) -> set[int]:
    return {event.account_id for publish in publishes for event in publish.events}


def _disable_after(routes: Mapping[int, Routes]) -> Callable[[int], int]:
    return lambda account_id: routes[account_id].disable_after if account_id in routes else 0


def _nothing_read(account_id: int, since: int) -> Minutes:
    raise LookupError(f"account {account_id} was not read")


def _settle_columns(record: AttemptRecord) -> Row:
    claim = record.claim
    number = None if type(record.verdict) is Requeued else claim.attempt
    settled = rows.settle_columns(record, "")
    attempt = rows.attempt_columns(record.attempt)
    return (*settled, claim.endpoint_id, record.attempt.ended_at, number, *attempt)


def _read_routes(row: Row) -> Routes:
    _, project_id, config, plan, version, project_version, endpoints, _ = row
    return Routes(
        project_id,
        rows.read_project_json(config),
        plan,
        rows.read_routes(endpoints),
        (version, project_version),
    )
