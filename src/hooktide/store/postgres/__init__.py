"""The store in PostgreSQL: many processes on many machines, one behaviour.

``queries.sql`` and ``own.sql`` hold every statement. ``writer`` commits in groups, ``hot`` is an
event's way through the database, ``queue`` its claims and upkeep, ``orphans`` the claims that
nobody knows of, ``emitted`` takes over what applications have written; ``registry``, ``endpoints``,
``log``, ``replays``, ``people``, ``numbers``, ``bins`` are the rest.
``signals`` is what processes tell each other, ``nodes`` who they are, ``partitions`` the days of
the log.
"""

import secrets
from collections.abc import Sequence

from hooktide.clock import FarClock, SteadyClock, monotonic
from hooktide.domain.errors import ConfigError
from hooktide.domain.model import Micros
from hooktide.store.base import LEASE, AddResult, Changed, Done, Listener, NewEvent
from hooktide.store.postgres.bins import Bins
from hooktide.store.postgres.connection import (
    UPKEEP_WITHIN,
    WITHIN,
    Database,
    Link,
    deadline,
    transaction,
)
from hooktide.store.postgres.emitted import TakesOver
from hooktide.store.postgres.hot import HotPath
from hooktide.store.postgres.migrating import migrate
from hooktide.store.postgres.nodes import Node, read_clock
from hooktide.store.postgres.numbers import Numbers
from hooktide.store.postgres.orphans import Orphans
from hooktide.store.postgres.partitions import Partitions
from hooktide.store.postgres.people import People
from hooktide.store.postgres.queue import Queue
from hooktide.store.postgres.replays import Replays
from hooktide.store.postgres.signals import Signals
from hooktide.store.postgres.sizes import Sizes, sizes_in_postgres
from hooktide.store.postgres.writer import Writer
from hooktide.store.queries import load_queries
from hooktide.store.sizes import Counting
from hooktide.vault import Vault

CONNECTIONS = 10


class PostgresStore(TakesOver, Replays, Numbers, People, Queue, Bins, Sizes):
    """The Store (see ``store.base``) in a PostgreSQL database."""

    def __init__(self, db: Database, direct: str, vault: Vault, far: FarClock) -> None:
        me = secrets.token_hex(8)
        self._db = db
        self._sql = load_queries(__package__)
        self._vault = vault
        self.clock = SteadyClock(far)
        self._node = Node(db, self._sql, me, far)
        self._ids = self._node.ids
        self._signals = Signals(db, self._sql["notify"], direct, me, self.clock)
        self._partitions = Partitions(db, self._sql)
        self._hot = HotPath(self._sql, self._ids, LEASE)
        self._orphans = Orphans(db, self._sql, self._signals, self.clock)
        self._writer = Writer(db, self._hot, self._signals, self._orphans)
        self._sizes = Counting(lambda: sizes_in_postgres(direct))

    async def start(self, now: Micros) -> None:
        """Check what has to be right, and begin to hear the other processes.

        :raises ConfigError: the database or the key is not fit for use.
        :raises UnavailableError: the database did not answer.
        """
        async with deadline(UPKEEP_WITHIN), self._db.connection() as link:
            await _check_durable(link)
            sealed = await link.value(self._sql["any_secret"])
        if sealed is not None:
            self._vault.open(sealed)  # with another key nothing could be sent: say so now
        await self._partitions.make(now)
        await self._node.start()
        await self._signals.start()

    def listen(self, listener: Listener) -> None:
        self._signals.listener = listener

    def watch(self, changed: Changed) -> None:
        self._signals.watchers.append(changed)

    async def close(self) -> None:
        await self._writer.recorded()
        await self._orphans.stop()
        await self._sizes.close()
        await self._signals.stop()
        await self._node.stop()
        self._db.close()

    async def check(self) -> None:
        async with deadline(WITHIN), transaction(self._db) as link:
            await link.rows(self._sql["durable"])

    async def add_events(self, events: Sequence[NewEvent], now: Micros) -> Sequence[AddResult]:
        return await self._writer.publish(events, now)

    def record(self, done: Done) -> None:
        self._writer.record(done)

    async def recorded(self) -> None:
        await self._writer.recorded()


async def open_postgres(
    url: str,
    vault: Vault,
    now: Micros | None = None,
    *,
    direct: str = "",
    connections: int = CONNECTIONS,
) -> PostgresStore:
    """Open a database, its schema brought up to date.

    Parameters
    ----------
    url
        Where it is: ``postgresql://user:password@host:5432/name``, as libpq has it.
    now
        The instant that the log's first days are made around. By default the database's own.
    direct
        The same database, not through a pooler. To be given where ``url`` leads through one
        (PgBouncer in transaction mode): what needs a session goes here.
    connections
        How many may be open at once, besides the one that listens.

    :raises ConfigError: the database is not fit for use; says why.
    :raises UnavailableError: it did not answer.
    """
    await migrate(direct or url)
    db = Database(url, pooled=bool(direct), connections=connections)
    clock = FarClock(0, monotonic())
    async with deadline(UPKEEP_WITHIN), db.connection() as link:
        await read_clock(link, load_queries(__package__)["clock"], clock)
    store = PostgresStore(db, direct or url, vault, clock)
    try:
        await store.start(clock() if now is None else now)
    except BaseException:
        db.close()
        raise
    return store


async def _check_durable(link: Link) -> None:
    """Refuse a server that answers before it has written.

    :raises ConfigError: it does.
    """
    for setting in ("synchronous_commit", "fsync", "full_page_writes"):
        if await link.value(f"SHOW {setting}") == "off":
            raise ConfigError(
                f"PostgreSQL runs with {setting} = off: what it has accepted would be lost when "
                "it stops suddenly; set it to on",
                key="database",
            )
