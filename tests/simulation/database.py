"""The production SQLite store, in memory and on one thread, shared by several simulated processes.

Each process has a ``SimulatedStore``: the production store's methods and writer, over a connection
and a ``SqliteBatchWriter`` that all of them share. A request travels to the database and back, and
may meet a fault on the way: the database is unavailable or slow, the disk is full, or the commit
succeeds but its response is lost. The features that only PostgreSQL has are modelled in
``sessions``. On that model runs the production code that notifies other processes of changes and
due deliveries, and releases the claims of dead processes and of commits whose response was lost.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar, cast

import apsw
from simulation.chance import Chance
from simulation.links import Client as LinkClient
from simulation.links import (
    Pool,
    ServersClock,
    SimulatedDeadProcesses,
    SimulatedServer,
    give,
)
from simulation.loop import WORLD, VirtualLoop
from simulation.sessions import Session
from simulation.truth import SLOWEST

from hooktide.domain.errors import UnavailableError
from hooktide.domain.ids import IdMaker
from hooktide.domain.model import SECOND, Claim, Micros
from hooktide.domain.throttling.timeline import SlotAsk, Slots, Timelines
from hooktide.runtime.clock import StoreClock
from hooktide.runtime.vault import Vault
from hooktide.store.base import RECORD_DELAY, Changed, Listener
from hooktide.store.maintenance.migrate import load_migrations
from hooktide.store.postgres.connection.connection import PgConnection, deadline
from hooktide.store.postgres.connection.dialect import statements as postgres_statements
from hooktide.store.postgres.connection.notifier import CLOCK_SLACK, Notifier
from hooktide.store.postgres.processes.nodes import Node
from hooktide.store.postgres.writing.uncertain_claims import UncertainClaims
from hooktide.store.rows import json_text
from hooktide.store.sql.repository import REQUEST_TIMEOUT
from hooktide.store.sqlite import SqliteStore
from hooktide.store.sqlite.connection.connection import translate
from hooktide.store.sqlite.connection.dialect import statements
from hooktide.store.sqlite.connection.transactions import finish
from hooktide.store.sqlite.maintenance.storage_usage import StorageUsageCounter
from hooktide.store.sqlite.writing.batch import Batch
from hooktide.store.sqlite.writing.batch_writer import SqliteBatchWriter
from hooktide.store.sqlite.writing.writer import Writer
from hooktide.store.writing.batch import Effects, Refused

T = TypeVar("T")
MS: Micros = SECOND // 1000
PACKAGE = "hooktide.store.sqlite"


TOKENS = "CREATE TABLE tokens (token INTEGER PRIMARY KEY, node INT)"
"""Which node made a claim: in SQLite the last bits of an id do not say it."""


class Client(LinkClient, Protocol):
    """A process that the database serves."""

    number: int

    def told(self, changed: Sequence[tuple[str, int]]) -> None:
        """Record that the process was notified of changes."""


class LostAnswerError(UnavailableError):
    """A commit succeeded, but its response was lost."""


class Observer(Protocol):
    """Is notified of each commit."""

    def committed(self, process: Client, batches: Sequence[Batch]) -> None:
        """Check what the batches have changed."""

    def refused(self, process: Client, why: str) -> None:
        """Note that the database refused a process's request."""

    def unheard(self, claims: Sequence[Claim]) -> None:
        """Note that claims were committed, and that no process received them."""


class Trouble:
    """The database's current faults. Each lasts until a time of the event loop."""

    def __init__(self) -> None:
        self.away_until: Micros = 0
        self.slow_until: Micros = 0
        self.full_until: Micros = 0
        self.silent_until: Micros = 0
        """Commits are made and their answers lost, now and then."""

    def end(self) -> None:
        self.away_until = self.slow_until = self.full_until = self.silent_until = 0

    @property
    def until(self) -> Micros:
        """When the last fault ends or ended."""
        return max(self.away_until, self.slow_until, self.full_until, self.silent_until)


class Database:
    """One database; ``wall`` is its clock."""

    def __init__(
        self, loop: VirtualLoop, chance: Chance, wall: Callable[[], Micros], vault: Vault
    ) -> None:
        self.loop = loop
        self.wall = wall
        self.vault = vault
        self.trouble = Trouble()
        self.remembers = True
        self.observer: Observer | None = None
        self.sql = statements()
        self.db = _open()
        self.ids = IdMaker()
        self.timelines = Timelines()
        self.batch_writer = SqliteBatchWriter(self.db, self.sql, self.ids)
        self._chance = chance
        self._committing: SimulatedStore | None = None
        self.db.create_scalar_function("committing", self._committing_node, 0)
        self.server = SimulatedServer(loop, self.db, wall, self.latency, self.is_away)

    def _committing_node(self, *_: object) -> int:
        return self._committing.node.number if self._committing else 0

    def is_away(self) -> bool:
        return self.loop.now < self.trouble.away_until

    def latency(self) -> Micros:
        if self.loop.now < self.trouble.slow_until:
            return self._chance.scale(50 * MS, SLOWEST)
        return self._chance.scale(MS // 5, 8 * MS)

    # A read travels to the database, runs there, and its result travels back.

    async def read(self, store: "SimulatedStore", read: Callable[[apsw.Connection], T]) -> T:
        answer: asyncio.Future[T] = self.loop.create_future()
        self.loop.after(self.latency(), self._read, store, read, answer, context=WORLD)
        return await answer

    def _read(
        self,
        store: "SimulatedStore",
        read: Callable[[apsw.Connection], T],
        answer: "asyncio.Future[T]",
    ) -> None:
        result: Any = None
        error: Exception | None = None
        if self.is_away():
            error = self._away(store, "a read")
        else:
            try:
                result = read(self.db)
            except apsw.Error as trouble:
                error = translate(trouble)
            except Exception as refusal:  # noqa: BLE001 - like NotFoundError: for who asked
                error = refusal
        self.loop.after(self.latency(), give, answer, result, error, context=store.process.context)

    def _away(self, store: "SimulatedStore", what: str) -> UnavailableError:
        if self.observer is not None:
            self.observer.refused(store.process, f"{what}: the database is away")
        return UnavailableError("the database did not answer; try again", reason="it is away")

    # A batch travels to the database, is committed there, and its result travels back.

    def commit(self, store: "SimulatedStore", batch: Batch) -> None:
        self.loop.after(self.latency(), self._commit, store, batch, context=WORLD)

    def _commit(self, store: "SimulatedStore", batch: Batch) -> None:
        if store.process.dead and self._chance.happens(0.5):
            return  # the connection broke before the whole batch had arrived
        batches = [batch]
        if self.is_away():
            batch.error = self._away(store, "a commit")
        else:
            batches = self._write(store, batch)
            if self.loop.now < self.trouble.silent_until and self._chance.happens(0.4):
                self._lose_answer(store, batches)
        self.loop.after(
            self.latency(), store.writer.finished, batches, context=store.process.context
        )

    def _write(self, store: "SimulatedStore", batch: Batch) -> list[Batch]:
        full = self.loop.now < self.trouble.full_until
        if full:
            self.db.pragma("max_page_count", self.db.pragma("page_count"))
        self._committing = store
        try:
            batches = store.writer.commit_apart(batch)
        finally:
            self._committing = None
            if full:
                self.db.pragma("max_page_count", 1 << 30)
        if self.observer is not None:
            self.observer.committed(store.process, batches)
        for each in batches:
            if each.error is None:
                self._tell_all(store, each.effects)
        return batches

    def _lose_answer(self, store: "SimulatedStore", batches: Sequence[Batch]) -> None:
        """Report to the process that the database is gone, although it has committed."""
        if self.observer is not None:
            self.observer.refused(store.process, "a commit was made, and its answer lost")
        for batch in batches:
            if batch.error is None:
                batch.error = LostAnswerError("the database did not answer", reason="it is gone")
                if self.observer is not None:
                    self.observer.unheard(batch.effects.claims)

    def _tell_all(self, store: "SimulatedStore", effects: Effects) -> None:
        """Notify the processes of what a commit changed, as PostgreSQL's transaction does."""
        with self.server.inside() as session:
            finish(store.notifier.changed(as_link(session), effects.changed))
            self.server.run(session, "COMMIT", ())


def _open() -> apsw.Connection:
    db = apsw.Connection(":memory:", statementcachesize=512)
    for pragma, value in (("foreign_keys", 1), ("temp_store", 2), ("cache_size", -32768)):
        db.pragma(pragma, value)
    for step in load_migrations(PACKAGE):
        with db:
            for _ in db.execute(step.sql):
                pass
    db.execute(TOKENS)
    for event in ("INSERT", "UPDATE OF claim"):
        db.execute(
            f"CREATE TEMP TRIGGER claimed_by_{event[:6]} AFTER {event} ON main.deliveries "
            "WHEN new.claim > 0 BEGIN "
            "INSERT OR IGNORE INTO main.tokens VALUES (new.claim, committing()); END"
        )
    return db


class SimulatedWriter(Writer):
    """The production writer, whose thread is the database."""

    def __init__(self, store: "SimulatedStore", database: Database) -> None:
        self._store = store
        self._database = database
        remembers = database.remembers
        super().__init__(database.db, database.batch_writer, Refused(), lambda: None, RECORD_DELAY)
        database.remembers = remembers

    def _start(self) -> None:
        """Do nothing: there is no writer thread."""

    def _hand_in(self, batch: Batch) -> None:
        self._database.commit(self._store, batch)

    @property
    def _remembers(self) -> bool:
        """Whether the cached state of the shared ``SqliteBatchWriter`` is valid."""
        return self._database.remembers

    @_remembers.setter
    def _remembers(self, remembers: bool) -> None:
        self._database.remembers = remembers

    def commit_apart(self, batch: Batch) -> list[Batch]:
        return self._commit_apart(batch)

    def finished(self, batches: Sequence[Batch]) -> None:
        self._finished(batches)

    def _committed(self, batch: Batch) -> None:
        super()._committed(batch)
        self._store.tell_what_is_due(batch.effects)

    def _failed(self, batch: Batch, error: UnavailableError) -> None:
        if isinstance(error, LostAnswerError):
            self._store.unconfirmed(batch.effects)
        super()._failed(batch, error)


class SimulatedReaders:
    """Reads as ``sqlite.repository.Readers`` does, through the simulated database."""

    def __init__(self, store: "SimulatedStore", database: Database) -> None:
        self._store = store
        self._database = database

    async def run(self, read: Callable[[apsw.Connection], T]) -> T:
        return await self._database.read(self._store, read)


class SimulatedStore(SqliteStore):
    """The store of one process. ``clock`` is the process's estimate of the database's clock."""

    def __init__(self, database: Database, process: Client, clock: StoreClock) -> None:
        self.process = process
        self.clock = clock
        self.writer = SimulatedWriter(self, database)
        self._loop = database.loop
        self._database = database
        self._sql = database.sql
        self._vault = database.vault
        self._refused = Refused()
        self._ids = database.ids
        self._batch_writer = database.batch_writer
        self._readers = SimulatedReaders(self, database)  # type: ignore[assignment]
        self._storage_usage = StorageUsageCounter(":memory:")
        self._writer = self.writer
        me, sql, pool = (
            str(process),
            postgres_statements(),
            cast(Any, Pool(database.server, process)),
        )
        far = ServersClock(clock, lambda: database.loop.now)
        self.node = Node(pool, sql, me, far, clock, self._claims_released)
        self.notifier = Notifier(
            pool,
            sql["notify"],
            lambda: database.server.listen_from(process),
            me,
            clock,
            self.node.hold,
        )
        self.dead_processes = SimulatedDeadProcesses(
            database.server, pool, sql, self._write_linked, self.node, clock
        )
        self.uncertain_claims = UncertainClaims(cast(Any, Written(self)), sql, self.notifier, clock)

    async def start(self) -> None:
        """Take a node number, listen, and look for dead processes, as ``PostgresStore`` does."""
        await self.node.start()
        try:
            await self.notifier.start()
        except BaseException:
            await self.node.stop()
            raise
        self.dead_processes.start()

    def listen(self, listener: Listener) -> None:
        self.notifier.listener = listener
        super().listen(listener)

    def watch(self, changed: Changed) -> None:
        self.notifier.watchers.append(changed)
        super().watch(changed)

    def _check_wal(self) -> None:
        """Do nothing: there is no write-ahead log."""

    async def close(self) -> None:
        await self._writer.quiet()
        await self.uncertain_claims.stop()
        await self.dead_processes.stop()
        await self.notifier.stop()
        await self.node.stop()

    def _claims_released(self) -> None:
        self.notifier.tell_watchers("claims", 0)

    def tell_what_is_due(self, effects: Effects) -> None:
        """Notify the other processes of what a commit has made due. This process knows."""
        self.notifier._tell_others(effects.due, self.clock() + CLOCK_SLACK)

    def unconfirmed(self, effects: Effects) -> None:
        """Handle the effects of a commit whose response was lost."""
        self.uncertain_claims.take(effects.claims)
        self.notifier.unconfirmed(effects.changed)

    async def _write_linked(
        self, work: Callable[[PgConnection], Awaitable[int]], within: float
    ) -> int:
        """Run the writes of PostgreSQL's store in a transaction of this database."""

        def write(_: apsw.Connection, effects: Effects) -> int:
            with self._database.server.inside() as session:
                link = as_link(session)
                link.effects = effects
                released: int = finish(cast(Any, work(link)))
                return released

        async with deadline(within):
            return await self._write(write)

    async def reserve_slots(self, asks: Sequence[SlotAsk], now: Micros) -> Sequence[Slots]:
        """Reserve slots where all processes do."""
        async with deadline(REQUEST_TIMEOUT):
            return await self._database.read(
                self, lambda _: self._database.timelines.reserve(asks, self.node.number, now)
            )

    async def drop_idle_timelines(self, before: Micros) -> int:
        return self._database.timelines.forget(before)

    async def give_back(self, claims: Sequence[tuple[int, int, int]], now: Micros) -> list[Any]:
        """Release claims. Return the delivery and endpoint of those that still existed."""

        def write(db: apsw.Connection, _: Effects) -> list[Any]:
            values = {"claims": json_text(list(claims)), "now": now}
            found = list(db.execute(FOUND_CLAIMS, values))
            db.execute(self._sql["release_claims"], values)
            return found

        return await self._write(write)


FOUND_CLAIMS = """SELECT d.id, d.endpoint_id FROM json_each(:claims) AS held
JOIN deliveries AS d ON d.id = held.value ->> 0 AND d.claim = held.value ->> 1"""


class Written:
    """Releases claims whose commit's response was lost, through the store's writer."""

    pooled = False

    def __init__(self, store: SimulatedStore) -> None:
        self._store = store
        self.effects = Effects()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator["Written"]:
        yield Written(self._store)

    async def rows(self, _: str, values: dict[str, Any]) -> list[Any]:
        claims = list(zip(values["ids"], values["tokens"], values["due_at"], strict=True))
        return await self._store.give_back(claims, values["now"])


def as_link(session: Session) -> PgConnection:
    return PgConnection(cast(Any, session))
