"""The log's daily partitions of events, ended deliveries and attempts."""

import logging
from collections.abc import Iterable, Mapping

from hooktide.domain.errors import UnavailableError
from hooktide.domain.ids import NODE_BITS
from hooktide.domain.model import DAY, Micros
from hooktide.domain.time.times import read_time, show_time
from hooktide.store.postgres.connection.connection import (
    Database,
    PgConnection,
    deadline,
    transaction,
)
from hooktide.store.postgres.connection.dialect import SCHEMA
from hooktide.store.sql.repository import MAINTENANCE_TIMEOUT

log = logging.getLogger("hooktide.store")

PARENTS = {"events": "id", "ended": "id", "attempts": "delivery_id", "event_terms": "event_id"}
"""The tables, with the column that they are partitioned by."""
AHEAD = 3
MAKE_LOCK = 0x686F6F6B64617973
LOCK_TIMEOUT = "200ms"
"""How long deliveries may be made to wait for a day to be made or dropped; else it is tried again
later. A long read of the table, as by pg_dump, delays both."""


class Partitions:
    """Creates partitions before their days begin, and drops them once they are past retention."""

    def __init__(self, db: Database, sql: Mapping[str, str]) -> None:
        self._db = db
        self._sql = sql
        self._made: set[int] = set()

    async def make(self, now: Micros) -> None:
        """Create the partitions of yesterday, today and the next days, or try again later."""
        today = now // DAY
        wanted = set(range(today - 1, today + AHEAD + 1))
        if wanted <= self._made:
            return
        try:
            async with deadline(MAINTENANCE_TIMEOUT), transaction(self._db) as conn:
                await conn.script(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
                await make_days(conn, self._sql["partitions"], wanted)
        except UnavailableError as error:
            log.info("did not make the log's next days yet: %s", error)
        else:
            self._made = wanted

    async def drop_before(self, before: Micros, limit: int) -> int:
        """Drop the days that were over at an instant, oldest first, except those that waiting
        deliveries need.

        Returns how many idempotency keys were deleted, at most ``limit``: if it is reached, there
        are more, and the day is dropped once they are gone.
        """
        dropped = 0
        for day in await self._days():
            lower, upper = _ids_of(day)
            if (day + 1) * DAY > before or await self._waiting(lower, upper):
                break
            values = {"before": upper, "limit": limit}
            async with deadline(MAINTENANCE_TIMEOUT), transaction(self._db) as conn:
                dropped = await conn.run(self._sql["drop_keys_before"], values)
            if dropped >= limit or not await self._drop(day):
                break
        return dropped

    async def _days(self) -> list[int]:
        async with deadline(MAINTENANCE_TIMEOUT), self._db.connection() as conn:
            found = await conn.rows(self._sql["partitions"])
        names = [name for parent, name in found if parent == "events"]
        return sorted(_day_of(name) for name in names if name[-1].isdigit())

    async def _waiting(self, lower: int, upper: int) -> bool:
        async with deadline(MAINTENANCE_TIMEOUT), self._db.connection() as conn:
            return bool(
                await conn.value(self._sql["waiting_for"], {"lower": lower, "upper": upper})
            )

    async def _drop(self, day: int) -> bool:
        """Drop a day; False if it is locked, or a waiting delivery needs it after all."""
        lower, upper = _ids_of(day)
        values = {"lower": lower, "upper": upper}
        events, *others = (f"{SCHEMA}.{_name(parent, day)}" for parent in PARENTS)
        try:
            async with deadline(MAINTENANCE_TIMEOUT), transaction(self._db) as conn:
                await conn.script(
                    f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'; "
                    f"LOCK TABLE {events} IN ACCESS EXCLUSIVE MODE"
                )
                if await conn.value(self._sql["waiting_for"], values):
                    return False
                await conn.run(self._sql["drop_later_attempts"], values)
                await conn.run(self._sql["drop_later_deliveries"], values)
                await conn.run(self._sql["drop_terms_in_default"], values)
                await conn.script(f"DROP TABLE IF EXISTS {', '.join((events, *others))}")
        except UnavailableError as error:
            log.info("did not drop %s yet: %s", events, error)
            return False
        log.info("dropped the log of a day past retention: %s", events)
        return True


async def make_days(conn: PgConnection, partitions: str, wanted: Iterable[int]) -> None:
    """Create the missing partitions of these days (counted from 1970), within a transaction.

    ``partitions`` is the statement that lists the existing ones.
    """
    await conn.script(f"SELECT pg_advisory_xact_lock({MAKE_LOCK})")
    there = {name for _, name in await conn.rows(partitions)}
    for day in sorted(wanted):
        lower, upper = _ids_of(day)
        for parent in PARENTS:
            name = _name(parent, day)
            if name not in there and not await _in_default(conn, parent, lower, upper):
                await conn.script(
                    f"CREATE TABLE {SCHEMA}.{name} PARTITION OF {SCHEMA}.{parent} "
                    f"FOR VALUES FROM ({lower}) TO ({upper})"
                )


async def _in_default(conn: PgConnection, parent: str, lower: int, upper: int) -> bool:
    """Whether the default partition has rows of that day: then they stay there."""
    column = PARENTS[parent]
    found = await conn.value(
        f"SELECT EXISTS (SELECT 1 FROM {SCHEMA}.{parent}_default "  # noqa: S608 - our own names
        f"WHERE {column} >= {lower} AND {column} < {upper})"
    )
    return bool(found)


def _ids_of(day: int) -> tuple[int, int]:
    """Return the first id of a day (counted from 1970), and the first after it."""
    return (day * DAY) << NODE_BITS, ((day + 1) * DAY) << NODE_BITS


def _name(parent: str, day: int) -> str:
    return f"{parent}_{show_time(day * DAY)[:10].replace('-', '')}"


def _day_of(name: str) -> int:
    text = name[-8:]
    return read_time(f"{text[:4]}-{text[4:6]}-{text[6:]}T00:00:00Z") // DAY
