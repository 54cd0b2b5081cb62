"""This process's number among those on one database, and the database's clock.

Each has a distinct number, the last bits of its ids, so that no two create the same id. It is
renewed every few seconds and kept for a day, longer than any process is suspended.

A running process holds a session lock under its number, on the listening connection: the claims of
processes without a lock are released (``dead_processes``).
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping

import asyncpg

from hooktide.domain.errors import HooktideError, UnavailableError
from hooktide.domain.ids import NODES, IdMaker
from hooktide.domain.model import DAY, MINUTE, SECOND, Micros
from hooktide.runtime.background import cancel, keep
from hooktide.runtime.clock import FOLLOW, RemoteClock, StoreClock
from hooktide.store.postgres.connection.connection import (
    AsyncpgConnection,
    Database,
    PgConnection,
    deadline,
    transaction,
)
from hooktide.store.sql.repository import REQUEST_TIMEOUT

log = logging.getLogger("hooktide.store")

NODE_RETENTION: Micros = DAY
RETENTION_AFTER_END: Micros = MINUTE
RENEW_INTERVAL = 10.0
MAX_RENEWAL_AGE: Micros = 5 * MINUTE
"""A node renewed more recently than this may belong to a process that is suspended."""
RENEWAL_TIMEOUT: Micros = 15 * SECOND
"""A process that is alive and not suspended has renewed its node within this time."""
RENEWAL_POLL_INTERVAL = 0.2
NO_NODE = -1
NODES_LOCK = 0x686F6F6B6E6F6465
SESSION_LOCKS = 0x686E6F64
"""The first of a session lock's two numbers; the process's is the second."""


class Node:
    """This process's number. ``me`` is a unique name.

    ``on_released`` is called when others took this process for dead and released its claims.
    """

    def __init__(
        self,
        db: Database,
        sql: Mapping[str, str],
        me: str,
        clock: RemoteClock,
        store: StoreClock,
        on_released: Callable[[], None],
    ) -> None:
        self._db = db
        self._sql = sql
        self._me = me
        self._clock = clock
        self._store_clock = store
        self._on_released = on_released
        self._renewing: asyncio.Task[None] | None = None
        self._session: AsyncpgConnection | None = None
        self._session_pid = 0
        self._generation = 0
        self.ids = IdMaker()
        self.number = 0
        self.held_since: Micros = 0
        """When the session lock was taken last, by the monotonic clock."""
        self.monotonic = clock.monotonic

    async def start(self) -> None:
        """Take a number.

        :raises UnavailableError: the database did not answer, or no number is free.
        """
        await self._until_renewed()
        async with deadline(2 * REQUEST_TIMEOUT), transaction(self._db) as conn:
            await self._measure_leases(conn)
            await self._take(conn)
        self._store_clock.agree_for(RENEWAL_TIMEOUT)
        self._renewing = keep(self._renew, "renew the process's number")

    async def _until_renewed(self) -> None:
        """Wait for a renewal if other processes exist and none has been renewed recently.

        Then either the database's clock has just been set, and none of them has recorded how it
        measures leases since; or they are suspended, for which we wait no longer than one renewal.
        """
        end = self.monotonic() + RENEWAL_TIMEOUT
        while self.monotonic() < end:
            latest = self._clock() + NODE_RETENTION
            since, until = latest - RENEWAL_TIMEOUT, latest + SECOND
            # Of those that hold their session lock alone: no instant is in this range.
            values = {"lock": SESSION_LOCKS, "own": NO_NODE, "since": until + 1, "until": until}
            async with deadline(2 * REQUEST_TIMEOUT), self._db.connection() as conn:
                found = await conn.row(self._sql["lease_shift"], values)
            if found is None or since <= found[1] <= until:
                return
            await asyncio.sleep(RENEWAL_POLL_INTERVAL)

    async def _take(self, conn: PgConnection) -> None:
        await conn.script(f"SELECT pg_advisory_xact_lock({NODES_LOCK})")
        now = self._clock()
        values = {
            "holder": self._me,
            "now": now,
            "free_at": now + NODE_RETENTION,
            "nodes": NODES,
            "lease_shift": self._store_clock.lease_shift(),
        }
        taken = await conn.row(self._sql["take_node"], values)
        if taken is None:
            raise UnavailableError(f"{NODES} processes have used this database within a day")
        self.number, self._generation = taken
        self.ids.move(self.number)

    async def hold(self, connection: AsyncpgConnection) -> None:
        """Hold the session lock on this connection until it closes."""
        conn = PgConnection(connection)
        while True:
            lock = {"lock": SESSION_LOCKS, "node": self.number}
            await self._terminate_session(conn, lock)
            await conn.rows(self._sql["lock_node"], lock)
            self._session, self._session_pid = connection, connection.get_server_pid()
            held = {"node": self.number, "holder": self._me}
            generation = await conn.value(self._sql["hold_node"], held)
            if generation is not None:
                break
            await self._take_another()
            await conn.rows(self._sql["unlock_node"], lock)
        self.held_since = self.monotonic()
        self._heard(generation)

    async def _terminate_session(self, conn: PgConnection, lock: Mapping[str, int]) -> None:
        """End this process's previous session, in case the server still considers it alive."""
        if self._session_pid:
            values = {**lock, "session": self._session_pid}
            with contextlib.suppress(
                asyncpg.InsufficientPrivilegeError
            ):  # it would also end without this
                await conn.rows(self._sql["terminate_session"], values)

    def _heard(self, generation: int) -> None:
        """Check whether others have taken this process for dead."""
        if generation == self._generation:
            return
        self._generation = generation
        log.warning("this process was taken for dead: its claims were released")
        self._on_released()

    async def _take_another(self) -> None:
        log.warning("another process took node %d; taking a new one", self.number)
        async with transaction(self._db) as conn:
            await self._take(conn)

    async def _measure_leases(self, conn: PgConnection) -> None:
        """Measure leases as the other processes do, regardless of how the clock was set before.

        They may be suspended: the time since their last record is added. A record in the future was
        written before the clock was set back by as much.
        """
        latest = self._clock() + NODE_RETENTION
        values = {
            "lock": SESSION_LOCKS,
            "own": NO_NODE,
            "since": latest - MAX_RENEWAL_AGE,
            "until": latest + SECOND,
        }
        found = await conn.row(self._sql["lease_shift"], values)
        if found is None:
            return
        shift, free_at = found
        if free_at > latest + SECOND:
            shift += free_at - latest
        followed = max(0, latest - free_at) // FOLLOW
        shift = max(0, shift - followed) if shift > 0 else min(0, shift + followed)
        if shift:
            self._store_clock.measure_leases(shift)

    async def _measure_leases_again(self, conn: PgConnection) -> None:
        """Measure leases as another process does that was renewed while this one was not.

        If the clock was set meanwhile, a suspended process can tell when no better than one that
        started then. Whoever could release the claims of the other has to measure as it does.
        """
        latest = self._clock() + NODE_RETENTION
        since, until = latest - RENEWAL_TIMEOUT, latest + SECOND
        values = {"lock": SESSION_LOCKS, "own": self.number, "since": since, "until": until}
        found = await conn.row(self._sql["lease_shift"], values)
        if found is not None and since <= found[1] <= until:
            self._store_clock.measure_leases(found[0])

    async def stop(self) -> None:
        """Free the number for another process, a little later."""
        await cancel(self._renewing)
        try:
            async with deadline(REQUEST_TIMEOUT), self._db.connection() as conn:
                await self._keep(conn, RETENTION_AFTER_END)
        except HooktideError as error:
            log.info("could not free node %d: %s", self.number, error)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_INTERVAL)
            try:
                async with deadline(2 * REQUEST_TIMEOUT):
                    await self._renew_once()
            except HooktideError as error:
                log.info("could not renew node %d: %s", self.number, error)

    async def _renew_once(self) -> None:
        async with transaction(self._db) as conn:
            await read_clock(conn, self._sql["clock"], self._clock)
            if not self._store_clock.agrees():
                await self._measure_leases_again(conn)
            generation = await self._keep(conn, NODE_RETENTION)
        self._store_clock.agree_for(RENEWAL_TIMEOUT)
        if generation is not None:
            self._heard(generation)
            return
        await self._take_another()
        if self._session is not None:
            self._session.terminate()  # the next one holds the new number

    async def _keep(self, conn: PgConnection, kept: Micros) -> int | None:
        values = {
            "node": self.number,
            "holder": self._me,
            "free_at": self._clock() + kept,
            "lease_shift": self._store_clock.lease_shift(),
        }
        generation: int | None = await conn.value(self._sql["keep_node"], values)
        return generation


async def read_clock(conn: PgConnection, sql: str, clock: RemoteClock) -> None:
    """Read the database's clock."""
    asked = clock.monotonic()
    clock.heard(await conn.value(sql), asked)
