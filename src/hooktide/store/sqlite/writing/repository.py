"""What SQLite's repositories share: writing on a single thread, reading on a few others."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import apsw

from hooktide.store.sql.repository import REQUEST_TIMEOUT, Repository, Work
from hooktide.store.sqlite.connection.connection import open_reader, translate
from hooktide.store.sqlite.connection.transactions import SqliteTransaction, finish
from hooktide.store.sqlite.writing.batch_writer import SqliteBatchWriter
from hooktide.store.sqlite.writing.writer import Writer
from hooktide.store.writing.batch import Effects

T = TypeVar("T")
READERS = 2


class Readers:
    """A few threads, each with a connection that only reads."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="hooktide-reader")
        self._local = threading.local()
        self._open: list[apsw.Connection] = []

    async def run(self, read: Callable[[apsw.Connection], T]) -> T:
        """Run ``read`` with a connection, off the event loop.

        :raises UnavailableError: the database did not answer.
        """
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._run, read)

    def _run(self, read: Callable[[apsw.Connection], T]) -> T:
        try:
            return read(self._connection())
        except apsw.Error as error:
            raise translate(error) from error

    def _connection(self) -> apsw.Connection:
        found: apsw.Connection | None = getattr(self._local, "db", None)
        if found is None:
            found = self._local.db = open_reader(self._path)
            self._open.append(found)
        return found

    def close(self) -> None:
        """End the threads and close their connections."""
        self._pool.shutdown(wait=True)
        for db in self._open:
            db.close()


class SqliteRepository(Repository):
    """A SQLite-specific part of the store."""

    one_writer = True
    _writer: Writer
    _readers: Readers
    _batch_writer: SqliteBatchWriter
    _sql: Mapping[str, str]

    async def reading(self, work: Work[T], within: float = REQUEST_TIMEOUT) -> T:
        return await self._read(lambda db: finish(work(self._transaction_on(db, Effects()))))

    async def writing(self, work: Work[T], within: float = REQUEST_TIMEOUT) -> T:
        return await self._write(
            lambda db, effects: finish(work(self._transaction_on(db, effects)))
        )

    def _transaction_on(self, db: apsw.Connection, effects: Effects) -> SqliteTransaction:
        return SqliteTransaction(db, self._sql, self._ids, self._batch_writer, effects)

    async def _write(self, run: Callable[[apsw.Connection, Effects], T]) -> T:
        db = self._batch_writer.db
        return await self._writer.call(lambda effects: run(db, effects))

    async def _read(self, run: Callable[[apsw.Connection], T]) -> T:
        return await self._readers.run(run)
