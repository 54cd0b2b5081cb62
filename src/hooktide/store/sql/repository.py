"""The base of the store's methods that are written once: how they get a transaction.

``@reads`` and ``@writes`` wrap a method that takes a transaction: callers omit it, and it runs in a
new one. Code shared by several methods within a transaction is a function that takes it.
"""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar

from hooktide.domain.ids import ABOVE_ALL, IdMaker, first_at
from hooktide.domain.model import Micros
from hooktide.runtime.clock import StoreClock
from hooktide.runtime.vault import Vault
from hooktide.store.base import COMMIT_LAG
from hooktide.store.sql.transaction import Transaction

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R", bound="Repository")
Work: TypeAlias = Callable[[Transaction], Coroutine[Any, Any, T]]
Method: TypeAlias = Callable[Concatenate[R, Transaction, P], Coroutine[Any, Any, T]]
Public: TypeAlias = Callable[Concatenate[R, P], Coroutine[Any, Any, T]]

REQUEST_TIMEOUT = 1.8
"""Seconds that a request waits for the database before it counts as unavailable."""
MAINTENANCE_TIMEOUT = 60.0
"""Seconds that maintenance waits for it."""


class Repository(ABC):
    """A part of the store; all parts share the database, the vault and the id maker."""

    _vault: Vault
    _ids: IdMaker
    one_writer: bool
    """Whether a single thread of a single process does all writes."""
    clock: StoreClock
    """The database's current time, used for due times and expiries."""

    def lease_shift(self) -> Micros:
        """Return how far ahead of ``clock`` leases are measured: 0 unless the clock was set
        recently.

        A lease ends when the clock plus this reaches ``lease_ends_at``, so that setting the clock
        does not end it.
        """
        return self.clock.lease_shift()

    def ended_leases(self, now: Micros, shift: Micros) -> Micros:
        """Return up to which ``lease_ends_at`` leases have ended.

        None has while this process may measure them otherwise than the one that made the claim.
        """
        return now + shift if self.clock.agrees() else 0

    def settled(self, now: Micros) -> int:
        """Return the id up to which every event is committed, or never will be."""
        return ABOVE_ALL if self.one_writer else first_at(now - COMMIT_LAG) - 1

    @abstractmethod
    async def reading(self, work: Work[T], within: float = REQUEST_TIMEOUT) -> T:
        """Run ``work``, which only reads.

        :raises UnavailableError: the database did not answer in time.
        """

    @abstractmethod
    async def writing(self, work: Work[T], within: float = REQUEST_TIMEOUT) -> T:
        """Run ``work`` in a transaction, and notify everyone of what it changed.

        It may be run again from its beginning if it collided with another transaction.

        :raises UnavailableError: the database did not answer in time; it may have committed.
        """


def reads(method: Method[R, P, T]) -> Public[R, P, T]:
    """Make a method read-only."""

    @functools.wraps(method)
    async def public(self: R, /, *args: P.args, **given: P.kwargs) -> T:
        return await self.reading(lambda tx: method(self, tx, *args, **given))

    return public


def writes(method: Method[R, P, T]) -> Public[R, P, T]:
    """Run a method in a transaction, committed when it returns."""

    @functools.wraps(method)
    async def public(self: R, /, *args: P.args, **given: P.kwargs) -> T:
        return await self.writing(lambda tx: method(self, tx, *args, **given))

    return public


def surveys(method: Method[R, P, T]) -> Public[R, P, T]:
    """Make a method read-only, with the timeout of maintenance."""

    @functools.wraps(method)
    async def public(self: R, /, *args: P.args, **given: P.kwargs) -> T:
        return await self.reading(lambda tx: method(self, tx, *args, **given), MAINTENANCE_TIMEOUT)

    return public


def maintains(method: Method[R, P, T]) -> Public[R, P, T]:
    """Run a method in a transaction, with the timeout of maintenance."""

    @functools.wraps(method)
    async def public(self: R, /, *args: P.args, **given: P.kwargs) -> T:
        return await self.writing(lambda tx: method(self, tx, *args, **given), MAINTENANCE_TIMEOUT)

    return public
