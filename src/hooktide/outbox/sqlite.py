"""An outbox in an application's SQLite file.

The application writes there too, so nothing is locked during a request to Hooktide: a lock on a
file next to the database decides which relay is active. It ends with its process.

This is Python's own ``sqlite3``, as the application has it, and not the SQLite of Hooktide's store:
two copies of SQLite in one process do not see each other's locks on a file, and may corrupt it.
"""

import asyncio
import contextlib
import fcntl
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from hooktide.domain.errors import ConfigError, UnavailableError
from hooktide.outbox.reading import ALL_COLUMNS, SHOWN, check_name, columns, read_refused, read_rows
from hooktide.outbox.relay import Refused, Taken, Waiting, no_outbox

T = TypeVar("T")

BUSY_TIMEOUT = 10.0
"""Seconds to wait for the application's own transactions."""


class SqliteOutbox:
    """The outbox (see ``relay.Outbox``) in the file at ``path``."""

    def __init__(self, path: str, table: str) -> None:
        self._path = path
        self._table = check_name(table)
        self._connection: sqlite3.Connection | None = None
        self._lock: int | None = None
        self._columns = ""

    @contextlib.asynccontextmanager
    async def take(self, most: int, most_bytes: int) -> AsyncIterator[Taken]:
        """Lend the first rows."""
        rows: list[Waiting] = []
        if await asyncio.to_thread(self._my_turn):
            rows = await self._do(lambda database: self._first(database, most, most_bytes))
        taken = Taken(rows)
        yield taken
        if taken.accepted or taken.refused:
            await self._do(lambda database: self._settle(database, taken))

    def _first(self, database: sqlite3.Connection, most: int, most_bytes: int) -> list[Waiting]:
        if self._columns != ALL_COLUMNS:  # they may have been added since
            looked = database.execute(f"SELECT * FROM {self._table} LIMIT 0")  # noqa: S608 - a checked name
            self._columns = columns(name for name, *_ in looked.description)
        sql = f"SELECT {self._columns} FROM {self._table} WHERE refused = '' ORDER BY id LIMIT ?"  # noqa: S608 - a checked name
        # rows are read one by one: those that do not fit never come into memory
        return read_rows(database.execute(sql, (most,)), most_bytes)

    def _my_turn(self) -> bool:
        """Whether this is the active relay; it then stays so until it ends."""
        if self._lock is None:
            descriptor = os.open(f"{self._path}.relay", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return False
            self._lock = descriptor
        return True

    def _settle(self, database: sqlite3.Connection, taken: Taken) -> None:
        with _transaction(database):
            done = [(id_,) for id_ in taken.accepted]
            database.executemany(f"DELETE FROM {self._table} WHERE id = ?", done)  # noqa: S608 - a checked name
            aside = [(reason, id_) for id_, reason in taken.refused.items()]
            database.executemany(f"UPDATE {self._table} SET refused = ? WHERE id = ?", aside)  # noqa: S608 - a checked name

    async def waiting(self) -> int:
        """Count the rows that wait."""
        sql = f"SELECT count(*) FROM {self._table} WHERE refused = ''"  # noqa: S608 - a checked name
        return int((await self._rows(sql))[0][0])

    async def refused(self) -> Sequence[Refused]:
        """Return the rows that were set aside."""
        sql = f"SELECT {SHOWN} FROM {self._table} WHERE refused <> '' ORDER BY id"  # noqa: S608 - a checked name
        return [read_refused(row) for row in await self._rows(sql)]

    async def retry(self, ids: Sequence[int] | None = None) -> int:
        """Retry refused rows."""
        return await self._change_refused(f"UPDATE {self._table} SET refused = ''", ids)  # noqa: S608 - a checked name

    async def discard(self, ids: Sequence[int] | None = None) -> int:
        """Delete refused rows."""
        return await self._change_refused(f"DELETE FROM {self._table}", ids)  # noqa: S608 - a checked name

    async def _change_refused(self, statement: str, ids: Sequence[int] | None) -> int:
        sql = f"{statement} WHERE refused <> ''"
        if ids is None:
            return await self._do(lambda database: database.execute(sql).rowcount)
        rows = [(id_,) for id_ in ids]
        return await self._do(lambda database: _each(database, f"{sql} AND id = ?", rows))

    async def close(self) -> None:
        """Close the database, and release the lock."""
        if self._connection is not None:
            await asyncio.to_thread(self._connection.close)
            self._connection = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def _rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[Any]:
        return await self._do(lambda database: list(database.execute(sql, values)))

    async def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.to_thread(self._on_connection, work)

    def _on_connection(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            if self._connection is None:
                self._connection = _open(self._path)
            return work(self._connection)
        except sqlite3.Error as error:
            if "no such" in str(error):
                raise no_outbox(self._table) from error
            raise UnavailableError(f"{self._path}: {error}") from error


def _open(path: str) -> sqlite3.Connection:
    if not Path(path).exists():
        raise ConfigError(f"the file {path} does not exist", key="--from")
    database = sqlite3.connect(path, BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
    # SQLite stores any bytes as text. One invalid row must not stop the reading of the others.
    database.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
    return database


def _each(database: sqlite3.Connection, sql: str, rows: Sequence[tuple[int]]) -> int:
    """Run a statement for each row, in one transaction; return how many rows it changed."""
    with _transaction(database):
        return database.executemany(sql, rows).rowcount


@contextlib.contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")
