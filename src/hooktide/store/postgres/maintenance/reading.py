"""Connections for commands, which run long reads or small writes while servers run."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hooktide.domain.errors import ConfigError
from hooktide.store.maintenance.migrate import load_migrations, missing
from hooktide.store.postgres.connection.connection import PgConnection
from hooktide.store.postgres.connection.dedicated import dedicated
from hooktide.store.postgres.connection.dialect import PACKAGE
from hooktide.store.postgres.maintenance.migrating import applied


@asynccontextmanager
async def reading(url: str) -> AsyncIterator[PgConnection]:
    """Lend a connection to a database that is on this program's schema.

    Its statements use the default planner settings, unlike those of the servers' connections.

    :raises ConfigError: it is not ours, or is on another schema.
    :raises UnavailableError: it did not answer.
    """
    async with dedicated(url, pooled=True) as connection:
        if missing(load_migrations(PACKAGE), await applied(connection)):
            raise ConfigError(
                "the database is on an earlier schema: bring it up to date with hooktide "
                "migrate, or by starting a server",
                key="database",
            )
        yield PgConnection(connection)


@asynccontextmanager
async def writing(url: str) -> AsyncIterator[PgConnection]:
    """Lend a connection as ``reading`` does, in a transaction."""
    async with reading(url) as conn:
        await conn.script("BEGIN")
        try:
            yield conn
        except BaseException:
            await conn.roll_back()
            raise
        await conn.script("COMMIT")
