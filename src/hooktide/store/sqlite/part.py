"""What the parts of the SQLite store share: writing on the one thread, reading beside it."""

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import apsw

from hooktide.domain.errors import NotFoundError
from hooktide.domain.ids import IdMaker
from hooktide.domain.model import Scope
from hooktide.store.base import Page
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


def conditions(wanted: Iterable[tuple[str, str, Any]]) -> tuple[str, dict[str, Any]]:
    """Join the conditions whose value is given into a WHERE clause.

    Each is (SQL with one placeholder, the placeholder's name, value or None); the SQL is ours.
    """
    given = [item for item in wanted if item[2] is not None]
    clause = " AND ".join(sql for sql, _, _ in given)
    return f" WHERE {clause}" if clause else "", {name: value for _, name, value in given}


def in_scope(scope: Scope, table: str = "") -> list[tuple[str, str, Any]]:
    """Return the conditions that keep a query inside a scope."""
    return [
        (f"{table}project_id = :scope_project", "scope_project", scope.project_id),
        (f"{table}account_id = :scope_account", "scope_account", scope.account_id),
    ]


def page(found: Sequence[Row], limit: int, read: Callable[[Row], Any]) -> Page:
    """Make a page of rows read newest first, one more than ``limit`` where there are more."""
    items = [read(row) for row in found[:limit]]
    return Page(items, found[limit - 1][0] if len(found) > limit else None)
