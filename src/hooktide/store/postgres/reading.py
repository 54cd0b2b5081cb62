"""Reading for long, on a connection of its own that plans for it and has no deadline."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from hooktide.domain.errors import ConfigError
from hooktide.store.migrate import load_migrations, missing
from hooktide.store.postgres.connection import Link, connect, translated
from hooktide.store.postgres.migrating import applied


@asynccontextmanager
async def reading(url: str) -> AsyncIterator[Link]:
    """Lend a connection to a database that is on this program's schema.

    :raises ConfigError: it is not ours, or is on another schema.
    :raises UnavailableError: it did not answer.
    """
    connection = await connect(url, pooled=True)  # a pooler may be between, or not
    try:
        if missing(load_migrations(__package__), await applied(connection)):
            raise ConfigError(
                "the database is on an earlier schema: bring it up to date with hooktide "
                "migrate, or by starting a server",
                key="database",
            )
        yield Link(connection)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise translated(error) from error
    finally:
        connection.terminate()
