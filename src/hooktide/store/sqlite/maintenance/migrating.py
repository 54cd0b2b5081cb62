"""The schema of a SQLite file that no server has: which it is on, and brought up to date."""

import os
from pathlib import Path

from hooktide.store.maintenance.migrate import Migration, load_migrations, missing
from hooktide.store.sqlite.connection.connection import lock, open_writer
from hooktide.store.sqlite.connection.dialect import PACKAGE
from hooktide.store.sqlite.maintenance.read_only import read_only, schema


def missing_in_sqlite(path: str) -> tuple[int, list[Migration]]:
    """Return the number of the schema that a database is on, and the migrations it has not had.

    A file that is not there yet is on schema 0. The server may run meanwhile.

    :raises ConfigError: the database was made by a newer Hooktide, or is not a database.
    """
    number = 0
    if Path(path).exists():
        with read_only(path) as db:
            number = schema(db)
    return number, missing(load_migrations(PACKAGE), number)


def migrate_sqlite(path: str) -> None:
    """Bring a database up to date: a transaction for each migration.

    :raises ConfigError: a server has it, or it cannot be opened.
    """
    held = lock(path)
    try:
        open_writer(path).close()
    finally:
        os.close(held)
