"""Releases the claims of dead processes immediately instead of at the end of their lease.

Each process holds a session lock under its number (``nodes``), which the server frees when the
process or its machine is gone. Each checks every two seconds for free locks. A process that finds a
lock free in two checks raises its owner's generation and releases its claims, in one transaction. A
process that only lost its connection takes its lock again before that; if it was too late, its
generation tells it to drop what it has not started.

A restarted server has no locks, and neither has a promoted standby. So for some seconds after
taking its own lock a process releases nothing; and it draws no conclusions from a server that does
not show its own lock.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Protocol, TypeAlias

from hooktide.domain.errors import HooktideError
from hooktide.domain.ids import NODES
from hooktide.domain.model import SECOND, Micros
from hooktide.runtime.background import cancel, keep
from hooktide.store.postgres.connection.connection import Database, PgConnection, deadline
from hooktide.store.postgres.processes.nodes import SESSION_LOCKS, Node
from hooktide.store.sql.repository import MAINTENANCE_TIMEOUT, REQUEST_TIMEOUT

log = logging.getLogger("hooktide.store")

LOOK_INTERVAL: Micros = 2 * SECOND
"""Interval between two checks; a lock that is free in both belongs to a dead process."""
FIRST_LOOK_DELAY: Micros = SECOND
GRACE_PERIOD: Micros = 5 * SECOND
"""How long a process releases nothing after taking its own lock, so that others can retake
theirs."""

Absent: TypeAlias = tuple[int, int]
"""A process whose lock is free: its number, and its generation."""


class Write(Protocol):
    """Runs work in a transaction, and notifies everyone of what it changed."""

    def __call__(
        self, work: Callable[[PgConnection], Awaitable[int]], within: float, /
    ) -> Awaitable[int]: ...


class Looks:
    """Decides which processes are dead, from several checks."""

    def __init__(self) -> None:
        self._absent_since: dict[Absent, Micros] = {}

    def dead(self, absent: Iterable[Absent], now: Micros, held_since: Micros) -> list[Absent]:
        """Return those that were also absent in an earlier check, long enough ago.

        ``held_since``: when this process took its own lock. All are instants of a monotonic clock.
        """
        known = self._absent_since
        self._absent_since = {
            each: since if (since := known.get(each, now)) >= held_since else now for each in absent
        }
        if now - held_since < GRACE_PERIOD:
            return []
        return [each for each, since in self._absent_since.items() if now - since >= LOOK_INTERVAL]


class DeadProcesses:
    """Finds dead processes, and releases their claims. ``released`` counts them."""

    def __init__(
        self,
        db: Database,
        sql: Mapping[str, str],
        write: Write,
        node: Node,
        clock: Callable[[], Micros],
    ) -> None:
        self._db = db
        self._sql = sql
        self._write = write
        self._node = node
        self._clock = clock
        self._looks = Looks()
        self._looking: asyncio.Task[None] | None = None
        self.released = 0

    def start(self) -> None:
        """Start looking."""
        self._looking = keep(self._run, "look for dead processes")

    async def stop(self) -> None:
        """Stop looking."""
        await cancel(self._looking)

    async def _run(self) -> None:
        await asyncio.sleep(FIRST_LOOK_DELAY / SECOND)
        while True:
            try:
                await self.look()
            except HooktideError as error:  # without the database no process can claim either
                log.info("could not look for dead processes: %s", error)
            await asyncio.sleep(LOOK_INTERVAL / SECOND + 0.01)

    async def look(self, now: Micros | None = None) -> int:
        """Check once; return how many claims were released. ``now``: by the monotonic clock.

        :raises UnavailableError: the database did not answer.
        """
        now = self._node.monotonic() if now is None else now
        values = {"lock": SESSION_LOCKS, "own": self._node.number}
        async with deadline(REQUEST_TIMEOUT), self._db.connection() as conn:
            absent = await conn.rows(self._sql["absent_nodes"], values)
        dead = self._looks.dead(map(tuple, absent), now, self._node.held_since)
        return sum([await self._release(*each) for each in dead])

    async def _release(self, node: int, generation: int) -> int:
        released = await self._write(
            lambda conn: self._release_claims(conn, node, generation), MAINTENANCE_TIMEOUT
        )
        if released:
            self.released += released
            log.warning("process %d is dead; released its %d claims", node, released)
        return released

    async def _release_claims(self, conn: PgConnection, node: int, generation: int) -> int:
        """Release a process's claims, unless it is back or another process has released them."""
        lock = {"lock": SESSION_LOCKS, "node": node}
        if not await conn.value(self._sql["try_lock_node"], lock):
            return 0
        values = {"node": node, "generation": generation}
        if not await conn.run(self._sql["raise_generation"], values):
            return 0
        now = self._clock()
        values = {"node": node, "mask": NODES - 1, "now": now}
        released = await conn.rows(self._sql["release_claims_of_node"], values)
        for (endpoint_id,) in released:
            conn.effects.due_at(endpoint_id, now)
        return len(released)
