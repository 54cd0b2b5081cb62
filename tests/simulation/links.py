"""Connects simulated processes to the model of PostgreSQL's sessions, and injects faults."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Protocol, TypeVar
from weakref import WeakKeyDictionary, WeakSet

import apsw
import asyncpg
from simulation.loop import WORLD, VirtualLoop
from simulation.sessions import Server, Session

from hooktide.domain.errors import UnavailableError
from hooktide.domain.model import SECOND, Micros
from hooktide.runtime.clock import RemoteClock, StoreClock
from hooktide.store.postgres.connection.connection import PgConnection, translated
from hooktide.store.postgres.processes.dead_processes import DeadProcesses, Looks
from hooktide.store.postgres.processes.nodes import SESSION_LOCKS

T = TypeVar("T")
HOST_GONE: Micros = 6 * SECOND
"""How long the server keeps a session after its client's machine has gone."""


class Client(Protocol):
    """A process that connects to the server.

    It opens no listening session until ``apart_until``.
    """

    dead: bool
    context: Any
    apart_until: Micros


class SimulatedServer(Server):
    """The server, with network latency. ``is_away`` says whether it is unreachable now."""

    def __init__(
        self,
        loop: VirtualLoop,
        db: apsw.Connection,
        wall: Callable[[], Micros],
        latency: Callable[[], Micros],
        is_away: Callable[[], bool],
    ) -> None:
        super().__init__(db, wall)
        self._loop = loop
        self._latency = latency
        self._is_away = is_away
        self._process_of: WeakKeyDictionary[Session, Client] = WeakKeyDictionary()
        self._inside: Session | None = None
        self._last: WeakKeyDictionary[Session, Micros] = WeakKeyDictionary()
        self._absent_since: dict[int, Micros] = {}
        self._absent: set[int] = set()
        self._deaf: WeakSet[Session] = WeakSet()
        self.restarted_at: Micros = -HOST_GONE

    async def travel(self, session: Session, work: Callable[[], T]) -> T:
        if session is self._inside:
            return work()
        if session.closed:
            raise asyncpg.InterfaceError("connection is closed")
        answer: asyncio.Future[T] = self._loop.create_future()
        self._loop.after(self._latency(), self._do, session, work, answer, context=WORLD)
        return await answer

    def _do(self, session: Session, work: Callable[[], T], answer: "asyncio.Future[T]") -> None:
        result: Any = None
        error: Exception | None = None
        process = self._process_of.get(session)
        if self._is_away():
            error = asyncpg.ConnectionDoesNotExistError("the database is away")
        else:
            try:
                result = work()
            except Exception as trouble:  # noqa: BLE001 - for who asked
                error = trouble
        if process is not None:
            context = process.context
            self._loop.after(self._latency(), give, answer, result, error, context=context)

    def arrive(self, session: Session, what: Callable[..., object], *args: Any) -> None:
        process = self._process_of.get(session)
        if process is None or session in self._deaf:
            return
        at = max(self._loop.now + self._latency(), self._last.get(session, 0))
        self._last[session] = at  # messages arrive in the order in which they were sent
        self._loop.after(at - self._loop.now, what, *args, context=process.context)

    def connect_from(self, process: Client) -> Session:
        """Open a session for a process."""
        session = self.connect()
        self._process_of[session] = process
        return session

    async def listen_from(self, process: Client) -> Any:
        """Open a process's listening session.

        :raises UnavailableError: if the server is away, or this process cannot reach it.
        """
        await asyncio.sleep(self._latency() / SECOND)
        if self._is_away() or self._loop.now < process.apart_until:
            raise UnavailableError("the database did not answer", reason="it is not reached")
        return self.connect_from(process)

    def left(self, session: Session) -> None:
        self._loop.after(self._latency(), super().left, session, context=WORLD)

    def end(self, session: Session) -> None:
        for (_, node), (holder, _) in self.held.items():
            if holder is session and session is not self._inside:
                self._absent_since[node] = self._loop.now
                self._absent.add(node)
        super().end(session)

    @contextmanager
    def inside(self) -> Iterator[Session]:
        """Yield a session for one transaction that takes no time."""
        self._inside = session = self.connect()
        session.in_transaction = True
        try:
            yield session
        finally:
            self.end(session)
            self._inside = None

    def is_held(self, node: int) -> bool:
        """Return whether a node's lock was taken, and its claims have not been released since."""
        return bool(list(self._db.execute("SELECT 1 FROM nodes WHERE node = ? AND held", (node,))))

    def absent_for(self, node: int) -> Micros:
        """Return for how long no session has held a node's lock."""
        holder, until_commit = self.held.get((SESSION_LOCKS, node), (None, True))
        if holder is not None and not until_commit:
            return 0
        return self._loop.now - self._absent_since.get(node, self._loop.now)

    def held_at_least_since(self, node: int, at: Micros) -> bool:
        """Return whether a node's lock has been held without a gap since ``at``."""
        return not self.absent_for(node) and self._absent_since.get(node, at) <= at

    def somebody_is_absent(self) -> bool:
        """Return whether a check would find a node's lock free."""
        for node in list(self._absent):
            if not (self.absent_for(node) and self.is_held(node)):
                self._absent.discard(node)
        return bool(self._absent)

    # Faults of sessions.

    def sessions_of(self, process: Client) -> list[Session]:
        """Return the sessions of a process that the server considers open."""
        return [each for each in self.sessions.values() if self._process_of.get(each) is process]

    def died(self, process: Client, with_host: bool) -> None:
        """Notice that a process is gone: at once, or late if its machine is gone too."""
        after = HOST_GONE if with_host else self._latency()
        for session in self.sessions_of(process):
            self._loop.after(after, super().left, session, context=WORLD)

    def deafen(self, process: Client) -> None:
        """Drop everything for the sessions that a process has now."""
        self._deaf.update(self.sessions_of(process))

    def restart(self, span: Micros) -> None:
        """End every session, so that no lock is held, and be available again after a span."""
        self.restarted_at = self._loop.now + span
        for session in list(self.sessions.values()):
            self.end(session)


def give(future: "asyncio.Future[Any]", result: Any, error: Exception | None) -> None:
    """Resolve a future, unless it was cancelled."""
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)


class SimulatedDeadProcesses(DeadProcesses):
    """Looks for dead processes. A check that would find none is skipped."""

    def __init__(self, server: SimulatedServer, *parts: Any) -> None:
        super().__init__(*parts)
        self._server = server

    async def look(self, now: Micros | None = None) -> int:
        if self._server.somebody_is_absent():
            return await super().look(now)
        self._looks = Looks()
        return 0


class Pool:
    """Provides connections to a process, as ``connection.Database`` does."""

    pooled = False
    begin = "BEGIN"

    def __init__(self, server: SimulatedServer, process: Client) -> None:
        self._server = server
        self._process = process

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[PgConnection]:
        session = self._server.connect_from(self._process)
        try:
            yield PgConnection(session)
        except BaseException as error:
            trouble = translated(error)
            if trouble is error:
                raise
            raise trouble from error
        finally:
            if session.pid in self._server.sessions:
                self._server.end(session)


class ServersClock(RemoteClock):
    """A process's estimate of the server's clock."""

    def __init__(self, clock: StoreClock, monotonic: Callable[[], Micros]) -> None:
        super().__init__(0, 0, monotonic)
        self._clock = clock

    def __call__(self) -> Micros:
        return self._clock()
