"""Randomness that is the same for the same seed: each random decision has its own named number.

Numbers are drawn by name and not in sequence, so that adding a decision does not change others.
"""

import random
from collections.abc import Sequence
from typing import TypeVar

from hooktide.domain.model import Micros

T = TypeVar("T")


class Chance:
    """The random numbers of a seed for one subject."""

    def __init__(self, *names: object) -> None:
        self._names = names
        self._random = random.Random("/".join(map(str, names)))

    def of(self, *names: object) -> "Chance":
        """Return the random numbers of a part of this subject."""
        return Chance(*self._names, *names)

    def number(self) -> float:
        """Return a random number from 0 to 1."""
        return self._random.random()

    def happens(self, share: float) -> bool:
        """Return true with this probability."""
        return self._random.random() < share

    def span(self, least: Micros, most: Micros) -> Micros:
        """Return a uniformly distributed span."""
        return least + int(self._random.random() * (most - least))

    def scale(self, least: Micros, most: Micros) -> Micros:
        """Return a log-uniformly distributed span: each power of ten is equally likely."""
        return int(least * (most / least) ** self._random.random())

    def whole(self, least: int, most: int) -> int:
        """Return an integer from ``least`` to ``most``."""
        return least + int(self._random.random() * (most - least + 1))

    def one(self, items: Sequence[T]) -> T:
        """Return one of these items."""
        return items[int(self._random.random() * len(items))]
