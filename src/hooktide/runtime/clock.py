"""The clocks of a store: one for the times that people read, one for leases.

Events, due times and expiries follow the wall clock at once, so that a corrected clock is right
everywhere. A lease must not end because a clock was set: leases use a clock that runs with the
monotonic clock and follows the wall clock slowly.
"""

import threading
import time
from collections.abc import Callable

from hooktide.domain.model import SECOND, Micros

FOLLOW = 10
"""The maximum correction, as a share of the time that passes."""
MIN_STEP: Micros = SECOND
"""A smaller difference is not a clock step: reading two clocks takes time, and networks are
slow."""


def wall_clock() -> Micros:
    """Return the current time, in microseconds since 1970."""
    return time.time_ns() // 1000


def monotonic() -> Micros:
    """Return microseconds since some fixed instant, unaffected by changes of the wall clock."""
    return time.monotonic_ns() // 1000


class SteadyClock:
    """Follows ``wall`` without jumps; call it for the time, in microseconds since 1970.

    No span that it measures is wrong by more than a tenth. ``ahead``: how far ahead of ``wall`` it
    starts. It may be called from any thread.
    """

    def __init__(
        self,
        wall: Callable[[], Micros] = wall_clock,
        monotonic: Callable[[], Micros] = monotonic,
        ahead: Micros = 0,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._seen = monotonic()
        self._now = wall() + ahead

    def __call__(self) -> Micros:
        """Return now."""
        return self._read()[0]

    def ahead(self) -> Micros:
        """Return how far it is ahead of the wall clock; negative: behind it."""
        now, wall = self._read()
        return now - wall

    def _read(self) -> tuple[Micros, Micros]:
        with self._lock:
            seen = self._monotonic()
            passed = seen - self._seen
            self._seen = seen
            expected = self._now + passed
            most = (passed + FOLLOW - 1) // FOLLOW
            wall = self._wall()
            self._now = expected + max(-most, min(most, wall - expected))
            return self._now, wall


class StoreClock:
    """A store's clock: call it for the wall clock's time, in microseconds since 1970."""

    def __init__(
        self,
        wall: Callable[[], Micros] = wall_clock,
        monotonic: Callable[[], Micros] = monotonic,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._lease = SteadyClock(wall, monotonic)
        self._agrees_until: Micros | None = None

    def __call__(self) -> Micros:
        """Return now."""
        return self._wall()

    def lease_shift(self) -> Micros:
        """Return how far ahead of this clock leases are measured: 0 unless it was set recently."""
        ahead = self._lease.ahead()
        return ahead if abs(ahead) >= MIN_STEP else 0

    def measure_leases(self, shift: Micros) -> None:
        """Measure leases as the other processes on the same database do, from now on."""
        self._lease = SteadyClock(self._wall, self._monotonic, shift)

    def agree_for(self, span: Micros) -> None:
        """Note that the other processes measure leases as this one does; it holds for ``span``."""
        self._agrees_until = self._monotonic() + span

    def agrees(self) -> bool:
        """Return whether the other processes, if there are any, measure leases as this one does."""
        return self._agrees_until is None or self._monotonic() < self._agrees_until


class StepDetector:
    """Detects that a clock was set: ``step`` returns by how much since the last call.

    Call ``note`` in between whenever times of this clock may be stored: a clock that was set
    forward and back again between two calls of ``step`` has left times too far ahead.
    """

    def __init__(
        self, clock: Callable[[], Micros], monotonic: Callable[[], Micros] = monotonic
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._offset = self._highest = clock() - monotonic()

    def note(self) -> None:
        """Note what the clock says now."""
        # This order: time that passes between the two reads must not look like a step forward.
        offset = self._clock() - self._monotonic()
        if offset > self._highest:
            self._highest = offset

    def step(self) -> Micros:
        """Return how far the clock was set forward (negative: back); 0 for less than a second.

        If it was set both ways, return how far it was set back.
        """
        offset = self._clock() - self._monotonic()
        fallen, moved = offset - self._highest, offset - self._offset
        self._offset = self._highest = offset
        if fallen <= -MIN_STEP:
            return fallen
        return moved if moved >= MIN_STEP else 0


class RemoteClock:
    """An estimate of another machine's wall clock: call it for that machine's time.

    ``heard`` is called with that machine's time, and when it was asked (by ``monotonic``). A slow
    answer is imprecise: it is ignored if a faster one is known.
    """

    def __init__(
        self, said: Micros, asked: Micros, monotonic: Callable[[], Micros] = monotonic
    ) -> None:
        self.monotonic = monotonic
        self._ahead = 0
        self._took: Micros | None = None
        self.heard(said, asked)

    def heard(self, said: Micros, asked: Micros) -> None:
        """Update the estimate: the answer was given between asking and now."""
        answered = self.monotonic()
        took = answered - asked
        if took < MIN_STEP or self._took is None or took < self._took:
            self._ahead = said - (asked + answered) // 2
            self._took = took

    def __call__(self) -> Micros:
        """Return the other machine's time."""
        return self.monotonic() + self._ahead
