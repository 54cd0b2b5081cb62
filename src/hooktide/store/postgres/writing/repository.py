"""What PostgreSQL's repositories share: transactions, notifications of changes, reads."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TypeAlias, TypeVar

from hooktide.domain.errors import UnavailableError
from hooktide.store.postgres.connection.connection import (
    COLLISION,
    Database,
    PgConnection,
    deadline,
    transaction,
)
from hooktide.store.postgres.connection.notifier import Notifier
from hooktide.store.postgres.connection.transactions import PostgresTransaction
from hooktide.store.postgres.writing.batch_writer import PostgresBatchWriter
from hooktide.store.sql.repository import REQUEST_TIMEOUT, Repository, Work
from hooktide.store.writing.batch import Effects

T = TypeVar("T")
Lend: TypeAlias = Callable[[Database], AbstractAsyncContextManager[PgConnection]]

TRIES = 4


class NotCommittedError(UnavailableError):
    """The database did not answer, and certainly committed nothing."""


class PostgresRepository(Repository):
    """A PostgreSQL-specific part of the store."""

    one_writer = False
    _db: Database
    _sql: Mapping[str, str]
    _notifier: Notifier
    _batch_writer: PostgresBatchWriter

    async def reading(self, work: Work[T], within: float = REQUEST_TIMEOUT) -> T:
        return await self._read(lambda conn: work(self._transaction_on(conn)), within)

    async def writing(self, work: Work[T], within: float = REQUEST_TIMEOUT) -> T:
        return await self._write(lambda conn: work(self._transaction_on(conn)), within)

    def _transaction_on(self, conn: PgConnection) -> PostgresTransaction:
        return PostgresTransaction(conn, self._sql, self._ids, self._batch_writer)

    async def _read(
        self, work: Callable[[PgConnection], Awaitable[T]], within: float = REQUEST_TIMEOUT
    ) -> T:
        """Run ``work`` on a connection.

        :raises UnavailableError: the database did not answer in time.
        """
        async with deadline(within), self._db.connection() as conn:
            return await work(conn)

    async def _write(
        self, work: Callable[[PgConnection], Awaitable[T]], within: float = REQUEST_TIMEOUT
    ) -> T:
        """Run ``work`` in a transaction, and notify everyone of what it changed.

        It is run again from its beginning if it collided with another transaction.

        :raises UnavailableError: the database did not answer in time; it may have committed.
        """

        def unconfirmed(effects: Effects) -> None:
            self._notifier.unconfirmed(effects.changed)

        run = partial(run_once, transaction, self._db, self._notifier, work, unconfirmed)
        async with deadline(within):
            result, effects = await again_after_collisions(run)
        self._notifier.tell(effects)
        return result


async def run_once(
    lend: Lend,
    db: Database,
    notifier: Notifier,
    work: Callable[[PgConnection], Awaitable[T]],
    unconfirmed: Callable[[Effects], None],
) -> tuple[T, Effects]:
    """Run ``work`` in a transaction that notifies the others of what it changes, if it commits.

    ``unconfirmed`` takes the effects of one that may have committed, or may commit later.

    :raises NotCommittedError: no connection could be made, so nothing was changed.
    :raises UnavailableError: the database did not answer; it may have committed.
    """
    conn = None
    try:
        async with lend(db) as conn:
            result = await work(conn)
            await notifier.changed(conn, conn.effects.changed)
    except (UnavailableError, asyncio.CancelledError) as error:
        if conn is not None:
            unconfirmed(conn.effects)
        elif isinstance(error, UnavailableError):
            raise NotCommittedError(
                error.detail, retry_after=error.retry_after, reason=error.reason
            ) from error
        raise
    return result, conn.effects


async def again_after_collisions(run: Callable[[], Awaitable[T]]) -> T:
    """Run a transaction, and retry it a few times after a deadlock or serialization failure.

    :raises UnavailableError: it failed each time.
    """
    for _ in range(TRIES):
        try:
            return await run()
        except COLLISION:
            await asyncio.sleep(random.random() * 0.02)  # noqa: S311 - so that they part
    raise UnavailableError("the database is too busy; try again")
