"""The clock that deliveries are scheduled by: it never leaps.

A wall clock that is set forward by a day would make every retry due at once, and one that is set
back would stop them. This one runs with the monotonic clock and follows the wall clock slowly: no
span that it measures is wrong by more than a tenth.
"""

import time
from collections.abc import Callable

from hooktide.domain.model import Micros

FOLLOW = 10
"""A tenth of the time that passes is how much it may be corrected by."""


def wall_clock() -> Micros:
    """Return now, in microseconds since 1970."""
    return time.time_ns() // 1000


def monotonic() -> Micros:
    """Return microseconds since some instant, whatever is done to the wall clock."""
    return time.monotonic_ns() // 1000


class SteadyClock:
    """Follows ``wall`` without ever leaping; call it for now, in microseconds since 1970."""

    def __init__(
        self, wall: Callable[[], Micros] = wall_clock, monotonic: Callable[[], Micros] = monotonic
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._seen = monotonic()
        self._now = wall()

    def __call__(self) -> Micros:
        """Return now."""
        seen = self._monotonic()
        passed = seen - self._seen
        self._seen = seen
        expected = self._now + passed
        most = (passed + FOLLOW - 1) // FOLLOW
        self._now = expected + max(-most, min(most, self._wall() - expected))
        return self._now


class FarClock:
    """Another machine's wall clock: call it for that machine's now, as far as it is known.

    ``heard`` is told what that machine said, and when it was asked (``monotonic``).
    """

    def __init__(
        self, said: Micros, asked: Micros, monotonic: Callable[[], Micros] = monotonic
    ) -> None:
        self._monotonic = monotonic
        self.heard(said, asked)

    def heard(self, said: Micros, asked: Micros) -> None:
        """Take over what the other machine said: its answer is from between asking and now."""
        self._ahead = said - (asked + self._monotonic()) // 2

    def __call__(self) -> Micros:
        """Return the other machine's now."""
        return self._monotonic() + self._ahead
