"""Connections for commands, to a database that a server may be using.

The server's lock file excludes a second server, not these connections.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from hooktide.domain.errors import ConfigError
from hooktide.store.maintenance.migrate import load_migrations, missing
from hooktide.store.sqlite.connection.connection import BUSY_TIMEOUT_MS
from hooktide.store.sqlite.connection.dialect import PACKAGE

PROGRESS_INTERVAL = 1_000_000


@contextmanager
def read_only(path: str, stop: Callable[[], bool] = lambda: False) -> Iterator[apsw.Connection]:
    """Lend a read-only connection, which does not even checkpoint the log.

    A running statement is interrupted when ``stop`` returns true.

    :raises ConfigError: the database does not exist or is invalid, or a statement was interrupted.
    """
    if not Path(path).is_file():
        raise _not_there(path)
    try:
        db = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
        try:
            db.set_busy_timeout(5000)
            # A long statement would block Ctrl-C; this lets Python handle signals meanwhile.
            db.set_progress_handler(stop, PROGRESS_INTERVAL)
            yield db
        finally:
            db.close()
    except apsw.Error as error:
        raise ConfigError(f"cannot read {path}: {error}", key="database") from error


def open_beside_server(path: str) -> apsw.Connection:
    """Open a connection that writes, to a database on this program's schema; its server may run.

    :raises ConfigError: the database does not exist, or has another schema version.
    """
    if not Path(path).is_file():
        raise _not_there(path)
    try:
        db = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            db.set_busy_timeout(BUSY_TIMEOUT_MS)
            check_schema(db)
        except BaseException:
            db.close()
            raise
    except apsw.Error as error:
        raise ConfigError(f"cannot open {path}: {error}", key="database") from error
    return db


def _not_there(path: str) -> ConfigError:
    return ConfigError(f"no database exists at {path}", key="database")


def schema(db: apsw.Connection) -> int:
    """Return the number of the last applied migration; 0 if none."""
    return int(db.pragma("user_version"))


def check_schema(db: apsw.Connection) -> None:
    """Check that the database is on this program's schema.

    :raises ConfigError: it has an earlier or a later version; the error says what to do.
    """
    if missing(load_migrations(PACKAGE), schema(db)):
        raise ConfigError(
            "the database is on an earlier schema: bring it up to date with hooktide migrate, or "
            "by starting the server",
            key="database",
        )
