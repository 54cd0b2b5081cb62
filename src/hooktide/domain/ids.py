"""Ids: 63-bit integers inside, a prefix and 16 hexadecimal digits outside.

An id is microseconds since 1970 shifted left by 11 bits, plus the node that made it, so ids sort
by time in both forms and two nodes never make the same one. The integer is what the database
keys by; the text is what people and receivers see: ``evt_0c8f1e5a3b2d4800``.
"""

from hooktide.domain.errors import NotFoundError

NODE_BITS = 11
NODES = 1 << NODE_BITS
ABOVE_ALL = (1 << 63) - 1
"""An id that is larger than every other."""


class IdMaker:
    """Makes ids that only ever grow, even when the wall clock steps back, so ids define the order
    of events.

    Across processes, too: a process that has read an id which its own ids must exceed calls
    ``pass_by``.

    ``floor`` is the largest id already in use; ``node`` is this process's number, 0..2047.
    """

    def __init__(self, node: int = 0, floor: int = 0) -> None:
        self._node = node
        self._last = (floor >> NODE_BITS << NODE_BITS) | node

    def pass_by(self, number: int) -> None:
        """Make only ids larger than ``number`` from now on, even if the clock steps back."""
        if number > self._last:
            self._last = (number >> NODE_BITS << NODE_BITS) + NODES | self._node

    def move(self, node: int) -> None:
        """Make ids as another node from now on."""
        self._node = node
        self._last = (self._last >> NODE_BITS << NODE_BITS) + NODES | node

    def __call__(self, now: int) -> int:
        """Return a new id for the instant ``now`` (microseconds since 1970)."""
        fresh = now << NODE_BITS | self._node
        if fresh <= self._last:
            fresh = self._last + NODES
        self._last = fresh
        return fresh


def made_at(number: int) -> int:
    """Return when an id was made, in microseconds since 1970."""
    return number >> NODE_BITS


def first_at(instant: int) -> int:
    """Return the smallest id that can be made at an instant, or later."""
    return instant << NODE_BITS


def between(
    since: int | None, until: int | None, before: int | None = None
) -> tuple[int | None, int | None]:
    """Return exclusive id bounds for what was made from ``since`` on and before ``until``.

    ``None`` means no bound. ``before`` is a further upper bound, such as a page's.
    """
    after = None if since is None else first_at(since) - 1
    if until is None:
        return after, before
    return after, first_at(until) if before is None else min(before, first_at(until))


def show(prefix: str, number: int) -> str:
    """Write an id as text: ``show("evt", 1)`` is ``evt_0000000000000001``."""
    return f"{prefix}_{number:016x}"


_DIGITS = frozenset("0123456789abcdef")


def read(prefix: str, text: str) -> int:
    """Read an id with this prefix; any other text counts as not found.

    :raises NotFoundError: the text is not an id of this kind.
    """
    head, _, digits = text.partition("_")
    if head != prefix or len(digits) != 16 or not _DIGITS.issuperset(digits) or digits[0] > "7":
        raise NotFoundError(prefix)
    return int(digits, 16)
