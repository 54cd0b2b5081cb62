"""Dedicated connections, for what takes long: a migration, an audit, a count."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from hooktide.store.postgres.connection.connection import (
    AsyncpgConnection,
    connect,
    end,
    translated,
)


@asynccontextmanager
async def dedicated(url: str, *, pooled: bool = False) -> AsyncIterator[AsyncpgConnection]:
    """Lend a connection without a deadline; ``pooled``: a pooler may be between.

    :raises ConfigError: the database is not there, or not for us.
    :raises UnavailableError: it did not answer.
    """
    connection = await connect(url, pooled=pooled)
    try:
        yield connection
    except (
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
        OSError,
    ) as error:
        raise translated(error) from error
    finally:
        await end(connection)
