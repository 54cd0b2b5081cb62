"""A PostgreSQL transaction, for code that is written once for both databases."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import asyncpg

from hooktide.domain.ids import IdMaker
from hooktide.store.postgres.connection.connection import PgConnection
from hooktide.store.rows import Row
from hooktide.store.sql.transaction import (
    NO_VALUES,
    BatchWriter,
    ForeignKeyError,
    Statements,
    Transaction,
    UniqueError,
    Values,
)


class PostgresStatements(Statements):
    """Runs statements on a connection; the caller begins and ends the transaction."""

    def __init__(self, conn: PgConnection, sql: Mapping[str, str]) -> None:
        self.conn = conn
        self._sql = sql

    def sql(self, name: str) -> str:
        return self._sql[name]

    async def rows(self, name: str, values: Values = NO_VALUES, then: str = "") -> Sequence[Row]:
        with _told_apart():
            return await self.conn.rows(self._sql[name] + then, values)

    async def run(self, name: str, values: Values = NO_VALUES) -> int:
        with _told_apart():
            return await self.conn.run(self._sql[name], values)

    async def many(self, name: str, items: Sequence[Row]) -> None:
        if items:
            await self.conn.many(self._sql[name], items)


class PostgresTransaction(PostgresStatements, Transaction):
    """A transaction of the store, or a read-only one."""

    def __init__(
        self, conn: PgConnection, sql: Mapping[str, str], ids: IdMaker, writer: BatchWriter
    ) -> None:
        super().__init__(conn, sql)
        self.ids = ids
        self.writer = writer
        self.effects = conn.effects

    async def lock(self, space: int, number: int) -> None:
        await self.conn.rows(self._sql["lock"], {"space": space, "number": number})


@contextmanager
def _told_apart() -> Iterator[None]:
    try:
        yield
    except asyncpg.UniqueViolationError as error:
        raise UniqueError from error
    except asyncpg.ForeignKeyViolationError as error:
        raise ForeignKeyError from error
