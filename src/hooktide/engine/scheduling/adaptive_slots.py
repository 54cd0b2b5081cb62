"""How many concurrent requests an endpoint gets: as many as it handles well.

As TCP finds its window: the slots grow while all of them are in use and the answers are good, by
one for each answer until something goes wrong, by one for each round of answers from then on. They
are halved when the receiver says or shows that it has too many (429, 503, refused connections,
timeouts). If responses usually take much longer than before, the growth is undone, down to
``START``; if they still take as long then, that is the receiver's normal time, and the slots grow
again. A single quick response, as to an event that the receiver ignores, proves nothing. Nothing
here reads a clock or a socket.
"""

from hooktide.domain.model import MINUTE, SECOND, Attempt, Micros

START = 10
"""Slots of an unknown endpoint."""
FORGET_AFTER: Micros = 10 * MINUTE
"""The state is reset when nothing has been sent for this long."""
TOLERANCE = 2
"""The slots shrink when responses usually take more than this many times their best time."""
SPARE: Micros = SECOND // 20
"""Microseconds that they may take longer in any case, because of network jitter."""
SMOOTHING = 16
"""Number of responses from which the usual response time is computed."""
_OVERLOADED = frozenset((429, 503))
_UNREACHED = frozenset(("connect_error", "timeout"))


class AdaptiveSlots:
    """The slots of one endpoint in this process, ``ceiling`` at most.

    ``count``: how many there are now. ``round``: how often they were halved; a request belongs to
    the round in which it was sent, and only one of the current round may halve them again, so that
    what fails together counts once.
    """

    __slots__ = (
        "_best",
        "_ceiling",
        "_credit",
        "_doubling",
        "_timed",
        "_used_at",
        "_usual",
        "count",
        "round",
    )

    def __init__(self, ceiling: int) -> None:
        self._ceiling = ceiling
        self.round = 0
        self._reset(0)

    def _reset(self, now: Micros) -> None:
        self.count = min(START, self._ceiling)
        self._credit = 0
        self._doubling = True
        self._timed = 0
        self._best: Micros = 0
        self._usual: Micros = 0
        self._used_at = now

    def use(self, now: Micros) -> None:
        """Note that a request is sent (by the monotonic clock)."""
        if now - self._used_at > FORGET_AFTER:
            self._reset(now)
        self._used_at = now

    def answered(self, attempt: Attempt, round_: int, *, full: bool) -> None:
        """Learn from an attempt of a round; ``full``: all slots were in use until it ended."""
        if attempt.status in _OVERLOADED or attempt.error in _UNREACHED:
            if round_ == self.round:
                self._halve()
        elif attempt.status is not None and 200 <= attempt.status < 300:
            self._time(attempt.duration)
            if self._timed >= SMOOTHING and self._usual > self._best * TOLERANCE + SPARE:
                self._shrink()
            elif full and self.count < self._ceiling:
                self._grow()

    def restrain(self) -> None:
        """Limit the slots to the initial number: the endpoint keeps failing."""
        self.count = min(self.count, START)

    def _halve(self) -> None:
        self.count = max(1, self.count // 2)
        self.round += 1
        self._credit = 0
        self._doubling = False

    def _time(self, duration: Micros) -> None:
        self._usual += (duration - self._usual) // SMOOTHING if self._timed else duration
        self._timed += 1
        if self._timed <= SMOOTHING or self._usual < self._best:
            self._best = self._usual

    def _grow(self) -> None:
        self._credit += 1
        if self._doubling or self._credit >= self.count:
            self.count += 1
            self._credit = 0

    def _shrink(self) -> None:
        self._doubling = False
        self._credit -= 1
        if self._credit > -self.count:
            return
        self._credit = 0
        if self.count > START:
            self.count = max(START, self.count * 7 // 8)
        else:
            self._best = self._usual
