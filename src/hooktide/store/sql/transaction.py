"""A transaction of either database, for code that is written once for both.

Statements and their values are passed by name. On PostgreSQL each one is awaited. On SQLite it
returns immediately, on the thread that has the connection: the same coroutine runs there from
beginning to end without an event loop (``sqlite.transactions.finish``), so it must await nothing
but its statements.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import MappingProxyType
from typing import Any, TypeAlias

from hooktide.domain.delivery.rest import Rest
from hooktide.domain.errors import NotFoundError
from hooktide.domain.ids import IdMaker
from hooktide.domain.model import Micros
from hooktide.store.rows import Row
from hooktide.store.writing.batch import Effects
from hooktide.store.writing.usage import Usage

Values: TypeAlias = Mapping[str, Any]

NO_VALUES: Values = MappingProxyType({})


class UniqueError(Exception):
    """Another row has this unique value."""


class ForeignKeyError(Exception):
    """The referenced row does not exist."""


class Statements(ABC):
    """Runs statements by name, and returns their rows.

    A read-only transaction sees what is committed when each of its statements begins.
    """

    @abstractmethod
    def sql(self, name: str) -> str:
        """Return a statement, or a fragment, to be used in another."""

    @abstractmethod
    async def rows(self, name: str, values: Values = NO_VALUES, then: str = "") -> Sequence[Row]:
        """Return all rows of a statement; ``then`` is SQL to add at its end.

        A list or tuple among the values is an array: the statement says ``= ANY(:name::type[])``.
        """

    @abstractmethod
    async def run(self, name: str, values: Values = NO_VALUES) -> int:
        """Run a statement; return how many rows it wrote.

        :raises UniqueError: it would write a duplicate of a unique value.
        :raises ForeignKeyError: it would refer to a row that is not there.
        """

    @abstractmethod
    async def many(self, name: str, items: Sequence[Row]) -> None:
        """Run a statement once for many rows, whose columns it knows by their places."""

    async def row(self, name: str, values: Values = NO_VALUES, then: str = "") -> Row | None:
        """Return the first row, or None."""
        found = await self.rows(name, values, then)
        return found[0] if found else None

    async def one(self, what: str, name: str, values: Values = NO_VALUES, then: str = "") -> Row:
        """Return the first row.

        :raises NotFoundError: it does not exist; ``what`` says of which kind.
        """
        found = await self.row(name, values, then)
        if found is None:
            raise NotFoundError(what)
        return found

    async def value(self, name: str, values: Values = NO_VALUES, then: str = "") -> Any:
        """Return the first column of the first row, or None."""
        found = await self.row(name, values, then)
        return None if found is None else found[0]


class BatchWriter(ABC):
    """What each database does in its own way to keep publishing fast.

    It caches the routing of events, so it must be told of changes: each method is called within the
    transaction that makes the change.
    """

    @abstractmethod
    async def lock_account(self, tx: "Transaction", account_id: int) -> None:
        """Lock an account whose endpoints or plan are about to change.

        Other processes that change them, or add events, wait for the commit.
        """

    @abstractmethod
    def project_changed(self) -> None:
        """Note that a project was changed."""

    @abstractmethod
    def rest_changed(self, endpoint_id: int, rest: Rest) -> None:
        """Note that an endpoint's rest began or ended."""

    @abstractmethod
    def enabled(self, endpoint_id: int) -> None:
        """Note that an endpoint was enabled again: its count of failures is zero."""

    @abstractmethod
    def went_stale(self, endpoint_id: int, account_id: int, before: int, reason: str) -> None:
        """Mark an endpoint's deliveries with ids below ``before`` for discarding."""

    @abstractmethod
    async def hour(
        self, tx: "Transaction", account_id: int, now: Micros
    ) -> tuple[int | None, Usage]:
        """Return the limit of an account's hour (None: it has none), and the hour.

        No other transaction counts in it until the commit.
        """

    @abstractmethod
    async def held_accounts(self, tx: "Transaction") -> Sequence[int]:
        """Return the accounts with held deliveries."""

    @abstractmethod
    async def save_hour(self, tx: "Transaction", usage: Usage) -> None:
        """Write what was counted."""

    @abstractmethod
    async def insert(
        self, tx: "Transaction", events: Sequence[Row], deliveries: Sequence[Row]
    ) -> None:
        """Insert events and deliveries, by the columns of ``add_events`` and ``add_deliveries``."""


class Transaction(Statements):
    """Statements that are committed together; ``effects`` are applied after the commit."""

    effects: Effects
    ids: IdMaker
    writer: BatchWriter

    @abstractmethod
    async def lock(self, space: int, number: int) -> None:
        """Hold a lock until the end of this transaction."""

    def erasing(self) -> AbstractContextManager[None]:
        """Have the database overwrite what is deleted meanwhile, as far as it can."""
        return nullcontext()
