"""How the database file is opened: pragmas set and read back, the schema brought up to date.

apsw bundles a current SQLite; the distributions' are inside the WAL-reset corruption bug.
"""

import fcntl
import os
from pathlib import Path
from typing import Any

import apsw

from hooktide.domain.errors import ConfigError, UnavailableError
from hooktide.store.migrate import load_migrations, missing

_WRITER_PRAGMAS = {
    "journal_mode": "wal",
    "synchronous": 2,  # FULL: a commit that was answered survives a power cut
    "foreign_keys": 1,
    "wal_autocheckpoint": 0,  # checkpoints run beside the writer, not inside its commits
    "cache_size": -32768,
    "temp_store": 2,
    "busy_timeout": 5000,
}
_READER_PRAGMAS = {"query_only": 1, "cache_size": -4096, "busy_timeout": 5000}


def open_writer(path: str) -> apsw.Connection:
    """Open the one connection that writes, on a schema that is up to date.

    :raises ConfigError: the file is no database, is damaged, or belongs to a newer Hooktide.
    """
    try:
        db = apsw.Connection(path, statementcachesize=256)
        _set(db, _WRITER_PRAGMAS)
        _check(db, path)
        _migrate(db)
    except apsw.Error as error:
        raise ConfigError(f"cannot open {path}: {error}", key="database") from error
    return db


def open_reader(path: str) -> apsw.Connection:
    """Open a connection that only reads."""
    db = apsw.Connection(path, statementcachesize=128)
    _set(db, _READER_PRAGMAS)
    return db


def lock(path: str) -> int:
    """Take the lock file beside the database; the process holds it until it ends.

    :raises ConfigError: another server has it.
    """
    descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise ConfigError(
            f"another hooktide server is using {path}; stop it first, or use its API",
            key="database",
        ) from None
    return descriptor


def translate(error: apsw.Error) -> UnavailableError:
    """Turn a database's trouble into ours."""
    if isinstance(error, apsw.FullError):
        return UnavailableError("the disk is full: free some space, then try again", retry_after=10)
    return UnavailableError("the database did not answer; try again", retry_after=2)


def _set(db: apsw.Connection, pragmas: dict[str, Any]) -> None:
    for name, value in pragmas.items():
        list(db.execute(f"PRAGMA {name} = {value}"))
        read_back = db.pragma(name)
        if read_back != value and name != "busy_timeout":
            raise ConfigError(f"SQLite refused {name} = {value} ({read_back})", key="database")


def _check(db: apsw.Connection, path: str) -> None:
    small = Path(path).stat().st_size < _QUICK_CHECK_BELOW
    if small and (found := db.pragma("quick_check", 1)) != "ok":
        raise ConfigError(f"{path} is damaged ({found}); restore a backup", key="database")


_QUICK_CHECK_BELOW = 64 * 1024 * 1024


def _migrate(db: apsw.Connection) -> None:
    applied = int(db.pragma("user_version"))
    for step in missing(load_migrations(__package__), applied):
        with db:
            for _ in db.execute(step.sql):
                pass
            db.execute(f"PRAGMA user_version = {step.number}")
