"""What the parts of the PostgreSQL store share: a transaction, what follows from it, a read."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from hooktide.domain.errors import NotFoundError, UnavailableError
from hooktide.domain.ids import IdMaker
from hooktide.store.batch import Effects
from hooktide.store.postgres.connection import (
    COLLISION,
    WITHIN,
    Database,
    Link,
    Values,
    deadline,
    transaction,
)
from hooktide.store.postgres.hot import HotPath
from hooktide.store.postgres.signals import Signals
from hooktide.vault import Vault

T = TypeVar("T")

TRIES = 4


class Part:
    """One part of the store's methods; they all stand on the same database and vault."""

    _db: Database
    _sql: Mapping[str, str]
    _vault: Vault
    _ids: IdMaker
    _signals: Signals
    _hot: HotPath

    async def _read(self, work: Callable[[Link], Awaitable[T]], within: float = WITHIN) -> T:
        """Run ``work`` on a connection.

        :raises UnavailableError: the database did not answer in time.
        """
        async with deadline(within), self._db.connection() as link:
            return await work(link)

    async def _write(self, work: Callable[[Link], Awaitable[T]], within: float = WITHIN) -> T:
        """Run ``work`` in a transaction, and tell everyone what it changed.

        It is run again from its beginning when it collided with another.

        :raises UnavailableError: the database did not answer in time; it may have committed.
        """
        async with deadline(within):
            effects, result = await again_after_collisions(lambda: self._transaction(work))
        self._signals.tell(effects)
        return result

    async def _transaction(self, work: Callable[[Link], Awaitable[T]]) -> tuple[Effects, T]:
        async with transaction(self._db) as link:
            result = await work(link)
            await self._signals.changed(link, link.effects.changed)
        return link.effects, result

    async def _one(self, link: Link, what: str, sql: str, values: Values) -> Any:
        row = await link.row(sql, values)
        if row is None:
            raise NotFoundError(what)
        return row


async def again_after_collisions(run: Callable[[], Awaitable[T]]) -> T:
    """Run a transaction; again, a few times, when the database gave it up for another's sake.

    :raises UnavailableError: it was given up each time.
    """
    for _ in range(TRIES):
        try:
            return await run()
        except COLLISION:
            await asyncio.sleep(random.random() * 0.02)  # noqa: S311 - so that they part
    raise UnavailableError("the database is too busy; try again")
