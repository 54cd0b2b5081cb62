"""The store in PostgreSQL: many processes on many machines, one behaviour.

``writer`` collects writes into batches, ``batch_writer`` writes them. ``queue`` has the claims and
the maintenance that differs from SQLite's, ``uncertain_claims`` the claims whose commit was not
confirmed, ``outbox_ingest`` accepts the events that applications have written. Everything that is
written once for both databases runs on ``transactions``. ``notifier`` has the notifications between
processes, ``nodes`` their numbers, ``dead_processes`` the claims of those that died, ``partitions``
the days of the log. ``queries.sql`` and ``own.sql`` hold the statements that are PostgreSQL's own.
"""

import secrets
from collections.abc import Mapping, Sequence
from functools import partial

from hooktide.domain.errors import ConfigError
from hooktide.domain.model import Micros
from hooktide.domain.throttling.timeline import AHEAD, ASKING, LEAP, SlotAsk, Slots
from hooktide.runtime.clock import RemoteClock, StoreClock, monotonic
from hooktide.runtime.vault import Vault
from hooktide.store.base import (
    LEASE,
    RECORD_DELAY,
    AddResult,
    AttemptRecord,
    Changed,
    Listener,
    NewEvent,
    Waiter,
)
from hooktide.store.contract import Store
from hooktide.store.maintenance.sealed import check_key
from hooktide.store.maintenance.storage_usage import Counting
from hooktide.store.postgres.connection.connection import (
    LISTENING,
    Database,
    PgConnection,
    connect,
    deadline,
    transaction,
)
from hooktide.store.postgres.connection.dialect import SCHEMA, statements
from hooktide.store.postgres.connection.notifier import Notifier
from hooktide.store.postgres.maintenance.migrating import migrate
from hooktide.store.postgres.maintenance.storage_usage import (
    StorageUsageReader,
    storage_usage_in_postgres,
)
from hooktide.store.postgres.partitions import Partitions
from hooktide.store.postgres.processes.dead_processes import DeadProcesses
from hooktide.store.postgres.processes.nodes import Node
from hooktide.store.postgres.writing.batch_writer import PostgresBatchWriter
from hooktide.store.postgres.writing.outbox_ingest import OutboxIngestRepository
from hooktide.store.postgres.writing.queue import Queue
from hooktide.store.postgres.writing.uncertain_claims import UncertainClaims
from hooktide.store.postgres.writing.writer import Writer
from hooktide.store.sql.repository import MAINTENANCE_TIMEOUT, REQUEST_TIMEOUT
from hooktide.store.writing.batch import Publish, Refused

CONNECTIONS = 10


class PostgresStore(OutboxIngestRepository, Queue, StorageUsageReader, Store):
    """The Store (see ``store.base``) in a PostgreSQL database."""

    def __init__(
        self,
        db: Database,
        direct: str,
        vault: Vault,
        far: RemoteClock,
        record_delay: float = RECORD_DELAY,
    ) -> None:
        me = self._me = secrets.token_hex(8)
        self._refused = Refused()
        self._db = db
        self._sql = statements()
        self._vault = vault
        self.clock = StoreClock(far)
        self._node = Node(db, self._sql, me, far, self.clock, self._claims_released)
        self._ids = self._node.ids
        listen = partial(connect, direct, settings=LISTENING)
        self._notifier = Notifier(db, self._sql["notify"], listen, me, self.clock, self._node.hold)
        self._dead = DeadProcesses(db, self._sql, self._write, self._node, self.clock)
        self._partitions = Partitions(db, self._sql)
        self._batch_writer = PostgresBatchWriter(
            self._sql, self._ids, lambda: LEASE + self.lease_shift()
        )
        self._uncertain_claims = UncertainClaims(db, self._sql, self._notifier, self.clock)
        self._writer = Writer(
            db,
            self._batch_writer,
            self._refused,
            self._notifier,
            self._uncertain_claims,
            record_delay,
        )
        self._storage_usage = Counting(lambda: storage_usage_in_postgres(direct))

    async def start(self, now: Micros) -> None:
        """Check the database, and start to listen to the other processes.

        :raises ConfigError: the database or the key is unusable.
        :raises UnavailableError: the database did not answer.
        """
        async with deadline(MAINTENANCE_TIMEOUT), self._db.connection() as conn:
            await _check_durable(conn)
            for endpoint_id, *secret in await conn.rows(self._sql["any_secret"]):
                check_key(endpoint_id, secret, self._vault)
        await self._partitions.make(now)
        await self._node.start()
        try:
            await self._notifier.start()
        except BaseException:
            await self._node.stop()  # the next attempt takes another number
            raise
        self._dead.start()

    def _claims_released(self) -> None:
        self._notifier.tell_watchers("claims", 0)

    def listen(self, listener: Listener) -> None:
        self._notifier.listener = listener

    def watch(self, changed: Changed) -> None:
        self._notifier.watchers.append(changed)

    async def close(self) -> None:
        await self._writer.recorded()
        await self._uncertain_claims.stop()
        await self._storage_usage.close()
        await self._dead.stop()
        await self._notifier.stop()
        await self._node.stop()
        await self._db.close()

    @property
    def wal_bytes(self) -> int:
        return 0

    @property
    def released_claims(self) -> int:
        return self._dead.released

    async def check(self) -> None:
        async with deadline(REQUEST_TIMEOUT), transaction(self._db) as conn:
            await conn.script(self._sql["lock_as_publishing_does"])
            await conn.rows(self._sql["read_as_publishing_does"])
            if size := self._refused.bytes:  # a full disk has room for a little
                await self._try_writing(conn, size)
            await conn.rows(self._sql["durable"])
        self._refused.written(size)
        self._notifier.check()

    def submit_events(
        self, events: Sequence[NewEvent], now: Micros, waiter: Waiter[list[AddResult]]
    ) -> None:
        self._writer.publish(Publish(events, now, self._batch_writer.lease(), waiter))

    async def _try_writing(self, conn: PgConnection, size: int) -> None:
        """Write this many bytes into a table that only this transaction sees.

        A new table needs new blocks, however much is free in others.
        """
        table = f"{SCHEMA}.write_probe_{self._me}"
        await conn.script(f"CREATE TABLE {table} (filler bytea NOT NULL)")
        sql = self._sql["try_writing"].replace(f"{SCHEMA}.write_probe", table)
        await conn.rows(sql, {"bytes": size})
        await conn.script(f"DROP TABLE {table}")

    async def reserve_slots(self, asks: Sequence[SlotAsk], now: Micros) -> Sequence[Slots]:
        values = {
            "owners": [ask.owner_id for ask in asks],
            "spans": [ask.interval for ask in asks],
            "bursts": [ask.burst for ask in asks],
            "counts": [ask.count for ask in asks],
            "shares": [ask.share for ask in asks],
            "node": self._node.number,
            "now": now,
            "since": now - ASKING,
            "ahead": AHEAD,
            "leap": LEAP,
        }
        async with deadline(REQUEST_TIMEOUT), self._db.connection() as conn:
            return [Slots(*row) for row in await conn.rows(self._sql["reserve_slots"], values)]

    async def drop_idle_timelines(self, before: Micros) -> int:
        async with deadline(MAINTENANCE_TIMEOUT), self._db.connection() as conn:
            return await conn.run(self._sql["drop_idle_timelines"], {"before": before})

    def record(self, record: AttemptRecord) -> None:
        self._writer.record(record)

    def unrecorded_rests(self) -> Mapping[int, Micros]:
        return self._writer.unrecorded_rests()

    async def recorded(self) -> None:
        await self._writer.recorded()


async def open_postgres(
    url: str,
    vault: Vault,
    now: Micros | None = None,
    *,
    direct: str = "",
    connections: int = CONNECTIONS,
    record_delay: float = RECORD_DELAY,
) -> PostgresStore:
    """Open a database, and migrate its schema.

    Parameters
    ----------
    url
        Where it is: ``postgresql://user:password@host:5432/name``, as libpq has it.
    now
        The instant around which the log's first days are created. By default the database's time.
    direct
        A URL of the same database that bypasses the pooler, required if ``url`` goes through one
        (PgBouncer in transaction mode). It is used for everything that needs a session.
    connections
        Maximum open connections, besides the one that listens.
    record_delay
        Seconds for which attempts are collected before they are recorded.

        :raises ConfigError: the database cannot be used; the error explains why.
    :raises UnavailableError: it did not answer.
    """
    await migrate(direct or url)
    db = Database(url, pooled=bool(direct), connections=connections)
    async with deadline(MAINTENANCE_TIMEOUT), db.connection() as conn:
        asked = monotonic()
        clock = RemoteClock(await conn.value(statements()["clock"]), asked)
    store = PostgresStore(db, direct or url, vault, clock, record_delay)
    try:
        await store.start(clock() if now is None else now)
    except BaseException:
        await db.close()
        raise
    return store


async def _check_durable(conn: PgConnection) -> None:
    """Refuse a server that confirms commits before they are durable.

    :raises ConfigError: it does.
    """
    for setting in ("synchronous_commit", "fsync", "full_page_writes"):
        if await conn.value(f"SHOW {setting}") == "off":
            raise ConfigError(
                f"PostgreSQL runs with {setting} = off: accepted events would be lost in a crash; "
                f"set it to on",
                key="database",
            )
