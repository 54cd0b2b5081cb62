"""What the store's methods that are written once have in common: how they get a transaction.

``@reads`` and ``@writes`` wrap a method that takes a transaction: its callers omit it, and it runs
in a new one. What several methods need within the same transaction is a function that takes it.
"""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar

from hooktide.domain.ids import IdMaker
from hooktide.domain.model import Micros
from hooktide.runtime.clock import StoreClock
from hooktide.runtime.vault import Vault
from hooktide.store.sql.transaction import Transaction

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R", bound="Repository")
Work: TypeAlias = Callable[[Transaction], Coroutine[Any, Any, T]]
Method: TypeAlias = Callable[Concatenate[R, Transaction, P], Coroutine[Any, Any, T]]
Public: TypeAlias = Callable[Concatenate[R, P], Coroutine[Any, Any, T]]

REQUEST_TIMEOUT = 1.8
"""Seconds that a request waits for the database; after that the database counts as away."""
MAINTENANCE_TIMEOUT = 60.0
"""Seconds that maintenance waits for it."""


class Repository(ABC):
    """A part of the store; all its parts stand on the same database, vault and ids."""

    _vault: Vault
    _ids: IdMaker
    one_writer: bool
    """Whether one thread of one process writes all."""
    clock: StoreClock
    """The database's current time, which due times and expiries use."""

    def lease_shift(self) -> Micros:
        """Return how far ahead of ``clock`` leases are measured: 0 unless that was set lately.

        A claim's lease ends at its ``lease_ends_at`` by the clock plus this, so that no setting of
        a clock ends it.
        """
        return self.clock.lease_shift()

    @abstractmethod
    async def reading(self, work: Work[T], within: float = REQUEST_TIMEOUT) -> T:
        """Run ``work``, which only reads.

        :raises UnavailableError: the database did not answer in time.
        """

    @abstractmethod
    async def writing(self, work: Work[T], within: float = REQUEST_TIMEOUT) -> T:
        """Run ``work`` in a transaction, and notify everyone of what it changed.

        It may be run again from its beginning, if it collided with another.

        :raises UnavailableError: the database did not answer in time; it may have committed.
        """


def reads(method: Method[R, P, T]) -> Public[R, P, T]:
    """Make a method one that only reads."""

    @functools.wraps(method)
    async def public(self: R, /, *args: P.args, **given: P.kwargs) -> T:
        return await self.reading(lambda tx: method(self, tx, *args, **given))

    return public


def writes(method: Method[R, P, T]) -> Public[R, P, T]:
    """Make a method one that runs in a transaction, committed when it returns."""

    @functools.wraps(method)
    async def public(self: R, /, *args: P.args, **given: P.kwargs) -> T:
        return await self.writing(lambda tx: method(self, tx, *args, **given))

    return public


def surveys(method: Method[R, P, T]) -> Public[R, P, T]:
    """Make a method one that only reads, for as long as maintenance may take."""

    @functools.wraps(method)
    async def public(self: R, /, *args: P.args, **given: P.kwargs) -> T:
        return await self.reading(lambda tx: method(self, tx, *args, **given), MAINTENANCE_TIMEOUT)

    return public


def maintains(method: Method[R, P, T]) -> Public[R, P, T]:
    """Make a method one that runs in a transaction, for as long as maintenance may take."""

    @functools.wraps(method)
    async def public(self: R, /, *args: P.args, **given: P.kwargs) -> T:
        return await self.writing(lambda tx: method(self, tx, *args, **given), MAINTENANCE_TIMEOUT)

    return public
