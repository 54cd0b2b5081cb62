"""Reading for long, beside the servers that use a database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hooktide.domain.errors import ConfigError
from hooktide.store.migrate import load_migrations, missing
from hooktide.store.postgres.alone import alone
from hooktide.store.postgres.connection import Link
from hooktide.store.postgres.migrating import applied


@asynccontextmanager
async def reading(url: str) -> AsyncIterator[Link]:
    """Lend a connection to a database that is on this program's schema.

    Its statements are planned for what they are, unlike those of the servers' connections.

    :raises ConfigError: it is not ours, or is on another schema.
    :raises UnavailableError: it did not answer.
    """
    async with alone(url, pooled=True) as connection:
        if missing(load_migrations(__package__), await applied(connection)):
            raise ConfigError(
                "the database is on an earlier schema: bring it up to date with hooktide "
                "migrate, or by starting a server",
                key="database",
            )
        yield Link(connection)
