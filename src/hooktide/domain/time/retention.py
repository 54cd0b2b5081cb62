"""When retention may trust the clock, since deletion cannot be undone."""

from dataclasses import dataclass

from hooktide.domain.model import DAY, HOUR, Micros

FIRST_DELETE_DELAY: Micros = HOUR
"""Nothing is deleted for this long after a start: a clock that is wrong at boot is corrected by
then."""
MAX_CLOCK_LEAD: Micros = DAY
"""Maximum distance of the clock from the newest instant known to be right."""
HOLD_TIMEOUT: Micros = DAY
"""A clock that stays ahead for this long is accepted as right."""


@dataclass(frozen=True, slots=True)
class ClockMark:
    """What a database knows about the clock.

    ``seen_at`` is the newest instant at which the clock was trusted (0: never yet), ``accepted_at``
    when an operator last confirmed the clock, ``newest_at`` the newest instant in the log.
    """

    seen_at: Micros
    accepted_at: Micros
    newest_at: Micros


class RetentionGuard:
    """Decides whether expired data may be deleted. Instants are microseconds.

    ``started_at`` is monotonic time. One guard per process; the database's mark is shared.
    """

    def __init__(self, started_at: Micros) -> None:
        self._started_at = started_at
        self._accepted_at: Micros | None = None
        self._ahead_since: Micros | None = None
        self._confirmed = False
        self.lead: Micros = 0
        """How far the clock is past the newest trusted instant while nothing is deleted; else 0."""

    def trusts(self, now: Micros, monotonic: Micros, mark: ClockMark) -> bool:
        """Return whether the clock is trusted; then ``now`` is the mark's next ``seen_at``."""
        if self._accepted_at is None:
            self._accepted_at = mark.accepted_at
        elif mark.accepted_at != self._accepted_at:
            self._accepted_at, self._confirmed = mark.accepted_at, True
        trusted_at = mark.seen_at or mark.newest_at
        lead = now - trusted_at if trusted_at else 0
        if lead <= MAX_CLOCK_LEAD:
            self._ahead_since, self.lead = None, 0
            return True
        if self._ahead_since is None:
            self._ahead_since = monotonic
        if monotonic - self._ahead_since >= HOLD_TIMEOUT:
            self._ahead_since, self.lead = None, 0
            return True
        self.lead = lead
        return False

    def may_delete(self, now: Micros, monotonic: Micros, mark: ClockMark) -> bool:
        """Return whether retention may delete: the clock is trusted, and the start is over."""
        trusted = self.trusts(now, monotonic, mark)
        return trusted and (self._confirmed or monotonic - self._started_at >= FIRST_DELETE_DELAY)
