"""Opens the database file: sets and verifies pragmas, and migrates the schema.

apsw bundles a current SQLite; the distributions' are inside the WAL-reset corruption bug.
"""

import errno
import fcntl
import logging
import os
from pathlib import Path
from typing import Any, NoReturn

import apsw

from hooktide.domain.errors import ConfigError, HooktideError, UnavailableError
from hooktide.store.maintenance.migrate import load_migrations, missing
from hooktide.store.sqlite.connection.dialect import PACKAGE

log = logging.getLogger("hooktide.store")

BUSY_TIMEOUT_MS = 1800
"""How long a statement waits while another program has locked the database: less than the two
seconds within which every request is answered."""
EXIT_SYNC_FAILED = 74

_WRITER_PRAGMAS = {
    "journal_mode": "wal",
    "synchronous": 2,  # FULL: a confirmed commit survives a power failure
    "foreign_keys": 1,
    "wal_autocheckpoint": 0,  # checkpoints run on another thread, not inside commits
    "cache_size": -32768,
    "temp_store": 2,
    "busy_timeout": BUSY_TIMEOUT_MS,
}
_READER_PRAGMAS = {"query_only": 1, "cache_size": -4096, "busy_timeout": BUSY_TIMEOUT_MS}


def open_writer(path: str) -> apsw.Connection:
    """Open the one connection that writes, on a schema that is up to date.

    Only its owner may read the file afterwards.

    :raises ConfigError: the file is not a database, is damaged, or belongs to a newer Hooktide.
    :raises UnavailableError: it cannot be opened now: the disk is full, or another program has
        locked the database.
    """
    try:
        _make_private(path)
        db = apsw.Connection(path, statementcachesize=256)
        _set(db, _WRITER_PRAGMAS)
        _check(db, path)
        _migrate(db)
    except (apsw.Error, OSError) as error:
        raise cannot_open(path, error) from error
    return db


def _make_private(path: str) -> None:
    """Create the file if needed; it and its log are accessible to their owner only."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    for file in (Path(path), Path(f"{path}-wal"), Path(f"{path}-shm")):
        if file.exists() and file.stat().st_mode & 0o077:
            try:
                file.chmod(0o600)
            except PermissionError:
                log.warning("others may read %s, and this process may not change that", file)


_WRONG = (
    apsw.NotADBError,
    apsw.CorruptError,
    apsw.CantOpenError,
    apsw.PermissionsError,
    apsw.ReadOnlyError,
)
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def cannot_open(path: str, error: apsw.Error | OSError) -> HooktideError:
    """Return the error for a database, or its lock file, that cannot be opened."""
    if isinstance(error, OSError):
        if error.errno in _NO_ROOM:
            return UnavailableError(_FULL, retry_after=10, reason=f"{path}: {_FULL}")
        return ConfigError(f"cannot open {path}: {error.strerror}", key="database")
    if isinstance(error, _WRONG):
        return ConfigError(f"cannot open {path}: {error}", key="database")
    return translate(error, path)


def open_reader(path: str) -> apsw.Connection:
    """Open a connection that only reads."""
    db = apsw.Connection(path, statementcachesize=128)
    _set(db, _READER_PRAGMAS)
    return db


def lock(path: str) -> int:
    """Acquire the database's lock file, which the process holds until it ends.

    :raises ConfigError: another server has it, or the file cannot be made.
    :raises UnavailableError: the disk is full.
    """
    try:
        descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise cannot_open(f"{path}.lock", error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise ConfigError(
            f"another hooktide server is using {path}; stop it first, or use its API",
            key="database",
        ) from None
    return descriptor


_FULL = "the disk is full: free some space, then try again"


def translate(error: apsw.Error, path: str = "") -> UnavailableError:
    """Translate a database error; the result names the file at ``path``, if given."""
    where = f"{path}: " if path else ""
    if isinstance(error, apsw.FullError):
        return UnavailableError(_FULL, retry_after=10, reason=where + _FULL)
    code = apsw.mapping_extended_result_codes.get(getattr(error, "extendedresult", 0), "")
    reason = f"{error} ({code})"
    if isinstance(error, apsw.BusyError):
        reason = "another program has locked the database, like a shell in a transaction; end it"
    return UnavailableError(
        "the database did not answer; try again", retry_after=2, reason=where + reason
    )


_SYNC_FAILED = (apsw.SQLITE_IOERR_FSYNC, apsw.SQLITE_IOERR_DIR_FSYNC)


def end_if_sync_failed(error: Exception) -> None:
    """End the process if a sync failed: the disk may not hold what was written.

    The kernel drops pages that it could not write and then reports success, so nothing after this
    could be trusted. The next start reads what is really on disk; no 202 was sent for the rest.
    """
    if getattr(error, "extendedresult", 0) in _SYNC_FAILED:
        _end(error)


def _end(error: Exception) -> NoReturn:
    log.critical("the disk failed to sync (%s); ending, so that a restart reads it again", error)
    logging.shutdown()
    os._exit(EXIT_SYNC_FAILED)


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
    for step in missing(load_migrations(PACKAGE), applied):
        with db:
            for _ in db.execute(step.sql):
                pass
            db.execute(f"PRAGMA user_version = {step.number}")
