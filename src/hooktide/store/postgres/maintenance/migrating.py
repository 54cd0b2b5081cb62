"""Migrates the schema: a transaction for each migration, one process at a time.

Servers of the previous version keep running meanwhile. A statement that waits for a table's lock
blocks all later ones, even reads: so a migration waits only for a moment, then tries again later.
"""

import asyncio
import logging

import asyncpg

from hooktide.store.maintenance.migrate import Migration, load_migrations, missing
from hooktide.store.postgres.connection.connection import AsyncpgConnection
from hooktide.store.postgres.connection.dedicated import dedicated
from hooktide.store.postgres.connection.dialect import PACKAGE

log = logging.getLogger("hooktide.store")

MIGRATE_LOCK = 0x686F6F6B74696465
RETRY_DELAY = 2.0
_WAIT_FOR_A_MOMENT = "SET LOCAL lock_timeout = '1s'"

_PREPARE = """
CREATE SCHEMA IF NOT EXISTS hooktide;
CREATE TABLE IF NOT EXISTS hooktide.migrations (
    number integer PRIMARY KEY,
    name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""


async def migrate(url: str) -> None:
    """Migrate the schema; a second process waits, and finds it done.

    If it is killed, all migrations before the current one are complete.

    :raises ConfigError: the database belongs to a newer Hooktide, or may not be changed by us.
    :raises UnavailableError: it did not answer.
    """
    async with dedicated(url) as connection:
        await _migrate(connection)


async def _migrate(connection: AsyncpgConnection) -> None:
    while True:
        try:
            if await _done(connection):
                return
        except asyncpg.LockNotAvailableError:
            log.warning(
                "a migration waits: a table is being read for long (by a backup, an audit?)"
            )
            await asyncio.sleep(RETRY_DELAY)


async def _done(connection: AsyncpgConnection) -> bool:
    """Apply the next migration; return whether there was none."""
    async with connection.transaction():
        await connection.execute(f"SELECT pg_advisory_xact_lock({MIGRATE_LOCK})")
        await connection.execute(_WAIT_FOR_A_MOMENT)
        await connection.execute(_PREPARE)
        left = missing(load_migrations(PACKAGE), await applied(connection))
        if not left:
            return True
        await connection.execute(left[0].sql)
        await connection.execute(
            "INSERT INTO hooktide.migrations (number, name) VALUES ($1, $2)",
            left[0].number,
            left[0].name,
        )
    return False


async def applied(connection: AsyncpgConnection) -> int:
    """Return the number of the last applied migration; 0 if there is no schema yet."""
    if await connection.fetchval("SELECT to_regclass('hooktide.migrations')") is None:
        return 0
    return int(
        await connection.fetchval("SELECT coalesce(max(number), 0) FROM hooktide.migrations")
    )


async def missing_in(url: str) -> tuple[int, list[Migration]]:
    """Return a database's schema version, and the pending migrations.

    :raises ConfigError: the database was made by a newer Hooktide, or may not be read by us.
    :raises UnavailableError: it did not answer.
    """
    async with dedicated(url) as connection:
        number = await applied(connection)
    return number, missing(load_migrations(PACKAGE), number)
