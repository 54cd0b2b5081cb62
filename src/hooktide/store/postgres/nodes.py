"""Which of the processes on one database this is, and what the database's clock says.

Each has a number of its own, the last bits of its ids, so that no two ever make the same. It is
renewed every few seconds and kept for a day, longer than any process stands still and goes on.
"""

import asyncio
import logging
from collections.abc import Mapping

from hooktide.clock import FarClock, monotonic
from hooktide.domain.errors import HooktideError, UnavailableError
from hooktide.domain.ids import NODES, IdMaker
from hooktide.domain.model import DAY, MINUTE, Micros
from hooktide.store.postgres.connection import WITHIN, Database, Link, deadline, transaction

log = logging.getLogger("hooktide.store")

KEPT: Micros = DAY
KEPT_AFTER_END: Micros = MINUTE
RENEW_EVERY = 10.0
NODES_LOCK = 0x686F6F6B6E6F6465


class Node:
    """This process among the others. ``me`` is a name that no other has."""

    def __init__(self, db: Database, sql: Mapping[str, str], me: str, clock: FarClock) -> None:
        self._db = db
        self._sql = sql
        self._me = me
        self._clock = clock
        self._renewing: asyncio.Task[None] | None = None
        self.ids = IdMaker()
        self.number = 0

    async def start(self) -> None:
        """Take a number.

        :raises UnavailableError: the database did not answer, or no number is free.
        """
        async with deadline(2 * WITHIN), transaction(self._db) as link:
            await self._take(link)
        self._renewing = asyncio.create_task(self._renew())

    async def _take(self, link: Link) -> None:
        await link.script(f"SELECT pg_advisory_xact_lock({NODES_LOCK})")
        now = self._clock()
        values = {"holder": self._me, "now": now, "free_at": now + KEPT, "nodes": NODES}
        number = await link.value(self._sql["take_node"], values)
        if number is None:
            raise UnavailableError(f"{NODES} processes have used this database within a day")
        self.number = number
        self.ids.move(number)

    async def stop(self) -> None:
        """Let another process have the number, a little later."""
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)
        try:
            async with deadline(WITHIN), self._db.connection() as link:
                await self._keep(link, KEPT_AFTER_END)
        except HooktideError as error:
            log.info("could not give back node %d: %s", self.number, error)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY)
            try:
                async with deadline(WITHIN), transaction(self._db) as link:
                    await read_clock(link, self._sql["clock"], self._clock)
                    if not await self._keep(link, KEPT):
                        log.warning("another process took node %d; taking a new one", self.number)
                        await self._take(link)
            except HooktideError as error:
                log.info("could not renew node %d: %s", self.number, error)

    async def _keep(self, link: Link, kept: Micros) -> int:
        values = {"node": self.number, "holder": self._me, "free_at": self._clock() + kept}
        return await link.run(self._sql["keep_node"], values)


async def read_clock(link: Link, sql: str, clock: FarClock) -> None:
    """Ask the database for its clock."""
    asked = monotonic()
    clock.heard(await link.value(sql), asked)
