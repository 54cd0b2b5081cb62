"""Chance that is the same for the same seed: each thing that is up to it has a number of its own.

Numbers are drawn by name and not in turn, so that one more of one kind moves none of another.
"""

import random
from collections.abc import Sequence
from typing import TypeVar

from hooktide.domain.model import Micros

T = TypeVar("T")


class Chance:
    """What a seed decides about one thing."""

    def __init__(self, *names: object) -> None:
        self._names = names
        self._random = random.Random("/".join(map(str, names)))

    def of(self, *names: object) -> "Chance":
        """Return the chance of a part of it."""
        return Chance(*self._names, *names)

    def number(self) -> float:
        """Return a number from 0 to 1."""
        return self._random.random()

    def happens(self, share: float) -> bool:
        """Whether something happens that happens in this share of all cases."""
        return self._random.random() < share

    def span(self, least: Micros, most: Micros) -> Micros:
        """Return a span, as likely as any other between these."""
        return least + int(self._random.random() * (most - least))

    def scale(self, least: Micros, most: Micros) -> Micros:
        """Return a span that is as likely to be short as to be ten times as long."""
        return int(least * (most / least) ** self._random.random())

    def whole(self, least: int, most: int) -> int:
        """Return one of the numbers from ``least`` to ``most``."""
        return least + int(self._random.random() * (most - least + 1))

    def one(self, items: Sequence[T]) -> T:
        """Return one of these."""
        return items[int(self._random.random() * len(items))]
