"""The schema brought up to date: a transaction for each migration, one process at a time."""

import asyncpg

from hooktide.domain.errors import UnavailableError
from hooktide.store.migrate import load_migrations, missing
from hooktide.store.postgres.connection import Connection, connect, translated

MIGRATE_LOCK = 0x686F6F6B74696465
TRIES = 20

_PREPARE = """
CREATE SCHEMA IF NOT EXISTS hooktide;
CREATE TABLE IF NOT EXISTS hooktide.migrations (
    number integer PRIMARY KEY,
    name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""


async def migrate(url: str) -> None:
    """Bring the schema up to date; whoever comes second waits, and finds it done.

    Killed at any step, it leaves the migrations before that one, whole.

    :raises ConfigError: the database belongs to a newer Hooktide, or may not be changed by us.
    """
    connection = await connect(url)
    try:
        await _migrate(connection)
    except asyncpg.PostgresError as error:
        raise translated(error) from error
    finally:
        await connection.close()


async def _migrate(connection: Connection) -> None:
    while True:
        async with connection.transaction():
            await connection.execute(f"SELECT pg_advisory_xact_lock({MIGRATE_LOCK})")
            await connection.execute(_PREPARE)
            left = missing(load_migrations(__package__), await applied(connection))
            if not left:
                return
            await connection.execute(left[0].sql)
            await connection.execute(
                "INSERT INTO hooktide.migrations (number, name) VALUES ($1, $2)",
                left[0].number,
                left[0].name,
            )


async def applied(connection: Connection) -> int:
    """Return the number of the last migration that was applied; 0: there is no schema yet."""
    if await connection.fetchval("SELECT to_regclass('hooktide.migrations')") is None:
        return 0
    return int(
        await connection.fetchval("SELECT coalesce(max(number), 0) FROM hooktide.migrations")
    )


async def state(url: str) -> int:
    """Return the schema's number without changing anything.

    :raises UnavailableError: the database did not answer.
    """
    connection = await connect(url)
    try:
        return await applied(connection)
    except OSError as error:
        raise UnavailableError("the database did not answer; try again") from error
    finally:
        await connection.close()
