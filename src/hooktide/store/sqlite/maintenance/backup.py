"""Copies a database while its server runs: a consistent snapshot, checked and synced.

It copies in small steps, each synced and followed by a pause: a copy at full speed, or one that
syncs at the end, would make every commit of the server wait
(docs/decisions/0012-a-backup-goes-in-small-steps.md).
"""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import apsw

from hooktide.domain.errors import ConfigError
from hooktide.store.sqlite.connection.dialect import statements
from hooktide.store.sqlite.maintenance.read_only import read_only, schema

STEP_PAGES = 256
RESTS = 3
"""Pages per step, and the pause after a step as a multiple of its duration."""


class Copied(NamedTuple):
    """What is in a backup; ``size`` is its bytes."""

    events: int
    deliveries: int
    size: int


def back_up(path: str, target: str) -> Copied:
    """Copy the database file at ``path`` to ``target``, which appears complete or not at all.

    :raises ConfigError: ``target`` exists or cannot be written, or ``path`` is not an intact
    database.
    """
    _refuse(Path(target))
    try:
        with read_only(path) as db, _unfinished(Path(target)) as unfinished:
            there = _copy(db, unfinished)
            found = _check(unfinished)
            if found != there:
                raise ConfigError(f"the copy has {found}, the database {there}", key="database")
            _sync(unfinished)
            _refuse(Path(target))
            unfinished.rename(target)
            _sync(Path(target).parent)
    except OSError as error:
        raise ConfigError(f"cannot write {target}: {error.strerror}", key="target") from error
    return Copied(found.events, found.deliveries, Path(target).stat().st_size)


def _refuse(target: Path) -> None:
    if target.exists():
        raise ConfigError(f"{target} is there already; it is not overwritten", key="target")


class _Inside(NamedTuple):
    schema: int
    events: int
    deliveries: int


@contextmanager
def _unfinished(target: Path) -> Iterator[Path]:
    """Yield a temporary file in the target's folder, readable only by us, that is deleted in the
    end."""
    descriptor, name = tempfile.mkstemp(".unfinished", f"{target.name}.", target.parent)
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _copy(db: apsw.Connection, copy: Path) -> _Inside:
    """Copy a snapshot of the database; return its size and schema."""
    db.execute("BEGIN")
    there = _inside(db)  # the first read fixes the connection's snapshot
    out = apsw.Connection(str(copy))
    descriptor = os.open(copy, os.O_RDWR)
    try:
        for pragma in ("journal_mode = off", "synchronous = off", "cache_size = -2048"):
            out.execute(f"PRAGMA {pragma}")
        _copy_pages(db, out, descriptor)
    except (apsw.FullError, apsw.IOError):
        raise ConfigError("the disk is full or fails", key="target") from None
    finally:
        os.close(descriptor)
        out.close()
        db.execute("ROLLBACK")
    return there


def _copy_pages(db: apsw.Connection, out: apsw.Connection, descriptor: int) -> None:
    with out.backup("main", db, "main") as backup:
        while not backup.done:
            began = time.monotonic()
            backup.step(STEP_PAGES)
            os.fdatasync(descriptor)
            if not backup.done:
                time.sleep(RESTS * (time.monotonic() - began))


def _check(copy: Path) -> _Inside:
    """Check the copy, and make it one plain file without a separate log."""
    db = apsw.Connection(str(copy))
    try:
        db.pragma("journal_mode", "delete")
        if (found := db.pragma("quick_check", 1)) != "ok":
            raise ConfigError(f"the database is damaged ({found}); restore an earlier backup")
        return _inside(db)
    finally:
        db.close()


def _inside(db: apsw.Connection) -> _Inside:
    [[events, deliveries]] = db.execute(statements()["inside"])
    return _Inside(schema(db), events, deliveries)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
