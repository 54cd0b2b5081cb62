"""The schema of a SQLite file that no server uses: its version, and its migration."""

import os
from pathlib import Path

from hooktide.store.maintenance.migrate import Migration, load_migrations, missing
from hooktide.store.sqlite.connection.connection import lock, open_writer
from hooktide.store.sqlite.connection.dialect import PACKAGE
from hooktide.store.sqlite.maintenance.read_only import read_only, schema


def missing_in_sqlite(path: str) -> tuple[int, list[Migration]]:
    """Return a database's schema version, and the pending migrations.

    A missing file has version 0. The server may run meanwhile.

    :raises ConfigError: the database was made by a newer Hooktide, or is not a database.
    """
    number = 0
    if Path(path).exists():
        with read_only(path) as db:
            number = schema(db)
    return number, missing(load_migrations(PACKAGE), number)


def migrate_sqlite(path: str) -> None:
    """Migrate a database: a transaction for each migration.

    :raises ConfigError: a server uses it, or it cannot be opened.
    """
    held = lock(path)
    try:
        open_writer(path).close()
    finally:
        os.close(held)
