"""What one transaction of the SQLite writer consists of."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from hooktide.domain.errors import HooktideError, UnavailableError
from hooktide.store.base import AttemptRecord, Capacity
from hooktide.store.writing.batch import Effects, Publish


class Call:
    """A single write, run inside the batch's transaction, and its waiter."""

    __slots__ = ("error", "future", "result", "run")

    def __init__(self, run: Callable[[Effects], Any], future: "asyncio.Future[Any]") -> None:
        self.run = run
        self.future = future
        self.result: Any = None
        self.error: HooktideError | None = None


class Batch:
    """The writes of one transaction, and their result.

    ``at_fault``: the data itself failed, and would fail again. ``waited``: it failed after waiting
    for another program that has locked the database.
    """

    __slots__ = (
        "at_fault",
        "calls",
        "capacity",
        "effects",
        "error",
        "publishes",
        "records",
        "waited",
    )

    def __init__(
        self,
        publishes: Sequence[Publish] = (),
        records: Sequence[AttemptRecord] = (),
        calls: Sequence[Call] = (),
    ) -> None:
        self.publishes = list(publishes)
        self.records = list(records)
        self.calls = list(calls)
        self.capacity = Capacity(0, 0)
        self.effects = Effects()
        self.error: UnavailableError | None = None
        self.at_fault = False
        self.waited = False

    def __bool__(self) -> bool:
        return bool(self.publishes or self.records or self.calls)

    def split(self) -> list["Batch"]:
        """Split it into a batch for each of its parts, in the order they are written."""
        return [
            *[Batch(records=[record]) for record in self.records],
            *[Batch(publishes=[publish]) for publish in self.publishes],
            *[Batch(calls=[call]) for call in self.calls],
        ]
