"""A SQLite transaction: its statements return immediately, on the thread they run on."""

from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import apsw

from hooktide.domain.ids import IdMaker
from hooktide.store.rows import Row, json_text
from hooktide.store.sql.transaction import (
    NO_VALUES,
    BatchWriter,
    ForeignKeyError,
    Statements,
    Transaction,
    UniqueError,
    Values,
)
from hooktide.store.sqlite.connection.dialect import to_sqlite
from hooktide.store.writing.batch import Effects

T = TypeVar("T")


class SqliteStatements(Statements):
    """Runs statements on a connection; the caller begins and ends the transaction."""

    def __init__(self, db: apsw.Connection, sql: Mapping[str, str]) -> None:
        self.db = db
        self._sql = sql

    def sql(self, name: str) -> str:
        return self._sql[name]

    async def rows(self, name: str, values: Values = NO_VALUES, then: str = "") -> Sequence[Row]:
        with _told_apart():
            return list(self.db.execute(self._sql[name] + to_sqlite(then), _bindings(values)))

    async def run(self, name: str, values: Values = NO_VALUES) -> int:
        await self.rows(name, values)
        return self.db.changes()

    async def many(self, name: str, items: Sequence[Row]) -> None:
        await self.run(name, {"rows": items})


class SqliteTransaction(SqliteStatements, Transaction):
    """A transaction of the writer, or on a reader's connection."""

    def __init__(
        self,
        db: apsw.Connection,
        sql: Mapping[str, str],
        ids: IdMaker,
        writer: BatchWriter,
        effects: Effects,
    ) -> None:
        super().__init__(db, sql)
        self.ids = ids
        self.writer = writer
        self.effects = effects

    async def lock(self, space: int, number: int) -> None:
        """Return at once: there is one writer."""

    @contextmanager
    def erasing(self) -> Iterator[None]:
        """Have SQLite overwrite deleted content with zeros; by default it only marks the space as
        free."""
        self.db.pragma("secure_delete", 1)
        try:
            yield
        finally:
            self.db.pragma("secure_delete", 0)


def finish(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that awaits nothing but a transaction's statements.

    :raises RuntimeError: it awaits something else.
    """
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    work.close()
    raise RuntimeError("work in a transaction of SQLite may wait for its statements only")


def _bindings(values: Values) -> dict[str, Any]:
    return {
        name: json_text(value) if isinstance(value, list | tuple) else value
        for name, value in values.items()
    }


_UNIQUE = (
    apsw.SQLITE_CONSTRAINT_UNIQUE,
    apsw.SQLITE_CONSTRAINT_PRIMARYKEY,
    apsw.SQLITE_CONSTRAINT_ROWID,
)


@contextmanager
def _told_apart() -> Iterator[None]:
    try:
        yield
    except apsw.ConstraintError as error:
        code = getattr(error, "extendedresult", 0)
        if code in _UNIQUE:
            raise UniqueError from error
        if code == apsw.SQLITE_CONSTRAINT_FOREIGNKEY:
            raise ForeignKeyError from error
        raise
