"""What the parts of the SQLite store share: writing on the one thread, reading beside it."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import apsw

from hooktide.domain.errors import NotFoundError
from hooktide.domain.ids import IdMaker
from hooktide.store.batch import Effects
from hooktide.store.rows import Row
from hooktide.store.sqlite.connection import open_reader, translate
from hooktide.store.sqlite.hot import HotPath
from hooktide.store.sqlite.writer import Writer
from hooktide.vault import Vault

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


class Part:
    """One part of the store's methods; they all stand on the same writer, readers and vault."""

    _writer: Writer
    _readers: Readers
    _hot: HotPath
    _sql: Mapping[str, str]
    _vault: Vault
    _ids: IdMaker

    async def _write(self, run: Callable[[apsw.Connection, Effects], T]) -> T:
        db = self._hot.db
        return await self._writer.call(lambda effects: run(db, effects))

    async def _read(self, run: Callable[[apsw.Connection], T]) -> T:
        return await self._readers.run(run)

    def _one(self, db: apsw.Connection, what: str, sql: str, values: Mapping[str, Any]) -> Row:
        row: Row | None = next(iter(db.execute(sql, dict(values))), None)
        if row is None:
            raise NotFoundError(what)
        return row
