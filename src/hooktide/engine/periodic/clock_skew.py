"""Compares this machine's clock, used for signatures, with the database's, used for all else."""

import logging
from collections.abc import Callable

from hooktide.domain.model import HOUR, SECOND, Micros
from hooktide.runtime.clock import monotonic, wall_clock

log = logging.getLogger("hooktide.engine")

MAX_SKEW: Micros = 30 * SECOND
"""A larger skew is logged. Most receivers accept a timestamp that is five minutes off."""
WARNING_INTERVAL: Micros = HOUR


class ClockSkew:
    """Measures how far this machine's clock is ahead of the store's (SQLite uses this
    machine's)."""

    def __init__(
        self,
        clock: Callable[[], Micros],
        wall: Callable[[], Micros] = wall_clock,
        monotonic: Callable[[], Micros] = monotonic,
    ) -> None:
        self._clock = clock
        self._wall = wall
        self._monotonic = monotonic
        self._warn_at: Micros = 0

    @property
    def skew(self) -> Micros:
        """How far this machine's clock is ahead; negative: behind."""
        return self._wall() - self._clock()

    async def check(self) -> int:
        """Warn, once an hour, if the clocks disagree; return 0."""
        skew, now = self.skew, self._monotonic()
        if abs(skew) <= MAX_SKEW:
            self._warn_at = 0
        elif now >= self._warn_at:
            self._warn_at = now + WARNING_INTERVAL
            log.warning(
                "this machine's clock is %.0f s %s the database's: receivers may refuse signatures "
                "whose timestamps are off; correct whichever is wrong (NTP)",
                abs(skew) / SECOND,
                "ahead of" if skew > 0 else "behind",
            )
        return 0
