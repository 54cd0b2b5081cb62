"""A model of what only PostgreSQL has: sessions, their locks, LISTEN and NOTIFY, and the nodes.

The production code runs on it with its own statements. ``test_sessions`` compares it with the real
server: the same calls have to return the same results. ``simulation.links`` injects faults.
"""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import apsw
import asyncpg

from hooktide.domain.model import Micros
from hooktide.store.postgres.connection.connection import compiled
from hooktide.store.postgres.connection.dialect import statements

T = TypeVar("T")
Lock: TypeAlias = tuple[int, ...]
Rows: TypeAlias = list[tuple[Any, ...]]

NODES = """CREATE TABLE nodes (node INTEGER PRIMARY KEY, holder, free_at, lease_shift,
    generation DEFAULT 0, held DEFAULT 0)"""
CLAIMED_BY = "claim <> 0 AND claim & ?2::bigint = ?3::bigint"
CLAIMED_HERE = "?2 AND claim IN (SELECT token FROM tokens WHERE node = ?3)"
VOID: Rows = [(None,)]
FREE = "SELECT node FROM nodes WHERE free_at <= ?5 ORDER BY free_at, node LIMIT 1"
UNUSED = "SELECT count(*) FROM nodes HAVING count(*) < ?4"
TAKE = """INSERT INTO nodes (holder, free_at, lease_shift, node) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT DO UPDATE SET holder = ?1, free_at = ?2, lease_shift = ?3, held = 0
RETURNING node, generation"""


class Session:
    """The part of asyncpg's connection that is used. ``closed`` is set once its process knows."""

    def __init__(self, server: "Server", pid: int) -> None:
        self._server = server
        self.pid = pid
        self._heard: dict[str, Callable[..., object]] = {}
        self._on_end: list[Callable[[Any], object]] = []
        self.closed = False
        self.in_transaction = False
        self.untold: list[tuple[str, str]] = []

    def get_server_pid(self) -> int:
        return self.pid

    def is_closed(self) -> bool:
        return self.closed

    def add_termination_listener(self, ended: Callable[[Any], object]) -> None:
        self._on_end.append(ended)

    async def add_listener(self, channel: str, heard: Callable[..., object]) -> None:
        self._heard[channel] = heard
        await self._server.travel(self, lambda: self._server.listen(self, channel))

    async def fetch(self, text: str, *values: Any) -> Rows:
        answer = await self._server.travel(self, lambda: self._server.run(self, text, values))
        rows: Rows = await answer if isinstance(answer, asyncio.Future) else answer
        return rows

    async def execute(self, text: str, *values: Any) -> str:
        await self.fetch(text, *values)
        return f"UPDATE {self._server.changes()}"

    def terminate(self) -> None:
        self.lost()
        self._server.left(self)

    def lost(self) -> None:
        """Note that the session has ended."""
        ended, self._on_end = self._on_end, []
        self.closed = True
        for hears in ended:
            hears(self)

    def hear(self, pid: int, channel: str, payload: str) -> None:
        if not self.closed:
            self._heard[channel](self, pid, channel, payload)


class Server:
    """The server. ``db`` holds its tables, ``wall`` is its clock. No operation takes time."""

    def __init__(self, db: apsw.Connection, wall: Callable[[], Micros]) -> None:
        self._db = db
        self._wall = wall
        self._listening: defaultdict[str, list[Session]] = defaultdict(list)
        self._waiting: list[tuple[Lock, Session, asyncio.Future[Rows]]] = []
        self._pids = itertools.count(1)
        self._sql = statements()
        self._names = {compiled(text)[0]: name for name, text in self._sql.items()}
        self.held: dict[Lock, tuple[Session, bool]] = {}
        """Who holds each lock, and whether only until its transaction ends."""
        self.sessions: dict[int, Session] = {}
        self.changes = db.changes
        db.execute(NODES)

    async def travel(self, session: Session, work: Callable[[], T]) -> T:
        """Run an operation on the server, and return its result."""
        return work()

    def arrive(self, session: Session, what: Callable[..., object], *args: Any) -> None:
        """Deliver a message from the server to a session's process."""
        asyncio.get_running_loop().call_soon(what, *args)

    def connect(self) -> Session:
        """Open a session."""
        pid = next(self._pids)
        return self.sessions.setdefault(pid, Session(self, pid))

    def left(self, session: Session) -> None:
        """Handle a session that its process has closed."""
        if session.pid in self.sessions:
            self.end(session)

    def end(self, session: Session) -> None:
        """End a session: release its locks, and notify its process."""
        del self.sessions[session.pid]
        for sessions in self._listening.values():
            if session in sessions:
                sessions.remove(session)
        self._waiting = [each for each in self._waiting if each[1] is not session]
        for lock in [lock for lock, (holder, _) in self.held.items() if holder is session]:
            self._unlock_node(session, *lock)
        self.arrive(session, session.lost)

    def listen(self, session: Session, channel: str) -> None:
        """Subscribe a session to a channel."""
        self._listening[channel].append(session)

    def run(self, session: Session, text: str, values: tuple[Any, ...]) -> Any:
        """Run a statement. Return its rows, or a future of them if it waits for a lock."""
        if session.pid not in self.sessions:
            raise asyncpg.ConnectionDoesNotExistError("connection was closed")
        if text in {"BEGIN", "COMMIT", "ROLLBACK"}:
            return self._transaction(session, text)
        if text not in self._names:  # SELECT 1, or a lock that serializes transactions
            return [(1,)]
        name = self._names[text]
        own = getattr(self, f"_{name}", None)
        return own(session, *values) if own else self._tables(name, values)

    def _tables(self, name: str, values: tuple[Any, ...]) -> Rows:
        """Run a production statement on the tables, in its SQLite version."""
        text = compiled(self._sql[name])[0].replace("hooktide.queue", "deliveries")
        text = text.replace("hooktide.", "").replace("$", "?").replace(CLAIMED_BY, CLAIMED_HERE)
        return list(self._db.execute(text, values))

    def _transaction(self, session: Session, text: str) -> Rows:
        session.in_transaction = text == "BEGIN"
        untold, session.untold = session.untold, []
        for channel, payload in untold if text == "COMMIT" else ():
            for each in self._listening[channel]:
                self.arrive(each, each.hear, session.pid, channel, payload)
        for lock in [lock for lock, held in self.held.items() if held == (session, True)]:
            self._unlock_node(session, *lock)
        return []

    # Statements that do more than read and write tables, by name.

    def _notify(self, session: Session, channel: str, payload: str) -> Rows:
        session.untold.append((channel, payload))
        if not session.in_transaction:
            self._transaction(session, "COMMIT")
        return VOID

    def _clock(self, _: Session) -> Rows:
        return [(self._wall(),)]

    def _take_node(self, _: Session, *values: Any) -> Rows:
        free = list(self._db.execute(FREE, values)) or list(self._db.execute(UNUSED, values[:4]))
        return list(self._db.execute(TAKE, (*values[:3], free[0][0]))) if free else []

    def _hold_node(self, _: Session, *node: Any) -> Rows:
        self._db.execute("UPDATE nodes SET held = 1 WHERE node = ?1 AND holder = ?2", node)
        sql = "SELECT generation FROM nodes WHERE node = ?1 AND holder = ?2"
        return list(self._db.execute(sql, node))

    def _absent_nodes(self, _: Session, space: int, own: int) -> Rows:
        held = self._db.execute("SELECT node, generation FROM nodes WHERE held ORDER BY node")
        seen = (space, own) in self.held
        return [each for each in held if seen and (space, each[0]) not in self.held]

    def _lease_shift(self, _: Session, *values: int) -> Rows:
        space, own, since, until = values
        sql = "SELECT lease_shift, free_at, node FROM nodes WHERE node <> ?"
        nodes = list(self._db.execute(sql, (own,)))
        locked = {node for within, node in self.held if within == space}
        present = [each for each in nodes if each[2] in locked]
        lately = [each for each in nodes if since <= each[1] <= until]
        found = sorted(present if locked else lately, key=lambda each: (each[1] <= until, each[1]))
        return [each[:2] for each in found[-1:]]

    def _lock_node(self, session: Session, *lock: int) -> Any:
        if lock not in self.held:
            self.held[lock] = (session, False)
            return VOID
        waits: asyncio.Future[Rows] = asyncio.get_running_loop().create_future()
        self._waiting.append((lock, session, waits))
        return waits

    def _unlock_node(self, session: Session, *lock: int) -> Rows:
        if lock not in self.held or self.held[lock][0] is not session:
            return [(False,)]
        del self.held[lock]
        for each in [each for each in self._waiting if each[0] == lock][:1]:
            self._waiting.remove(each)
            self.held[lock] = (each[1], False)
            self.arrive(each[1], each[2].set_result, VOID)
        return [(True,)]

    def _try_lock_node(self, session: Session, *lock: int) -> Rows:
        free = lock not in self.held
        if free and session.in_transaction:
            self.held[lock] = (session, True)
        return [(free,)]

    def _terminate_session(self, _: Session, space: int, node: int, pid: int) -> Rows:
        found = self.sessions.get(pid)
        if self.held.get((space, node)) != (found, False) or found is None:
            return []
        self.end(found)
        return [(True,)]
