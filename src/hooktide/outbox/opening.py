"""Opens the outbox at a URL."""

import re

from hooktide.domain.errors import ConfigError
from hooktide.outbox.relay import Outbox
from hooktide.outbox.row import TABLE
from hooktide.outbox.sqlite import SqliteOutbox
from hooktide.runtime.extras import import_postgres

_DRIVER = re.compile(r"^(postgresql|postgres|sqlite)\+\w+:")


def open_outbox(url: str, table: str = TABLE) -> Outbox:
    """Return the outbox in a database; SQLAlchemy URLs are accepted too.

    :raises ConfigError: the URL is not of a supported database, or the driver is missing.
    """
    url = _DRIVER.sub(r"\1:", url)
    if url.startswith(("postgresql://", "postgres://")):
        postgres = import_postgres("hooktide.outbox.postgres", "--from")
        found: Outbox = postgres.PostgresOutbox(url, table)
        return found
    path = url.removeprefix("sqlite:///")
    if "://" in path:
        raise ConfigError(
            "give a SQLite file, or postgresql://user:password@host/name", key="--from"
        )
    return SqliteOutbox(path, table)
