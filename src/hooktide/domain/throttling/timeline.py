"""The slots of a rate: instants at which one request each may be sent, handed out once.

All processes reserve them from one timeline, a rate's ``reserved_to``, so that together they send
no more than the rate allows, however many there are and whichever of them die. A process reserves
a little ahead, so what a dead one had reserved is missed for a fraction of a second only.
"""

from collections.abc import Sequence

import msgspec

from hooktide.domain.model import SECOND, Micros

AHEAD: Micros = SECOND // 4
"""How far ahead slots can be reserved."""
LEAP: Micros = 20 * SECOND
"""A timeline that is further ahead than this was written before the clock was set back: it is
longer than the slowest pace's interval (``engine.scheduling.pacing``) and ``AHEAD``."""
ASKING: Micros = 2 * SECOND
"""A process that has reserved slots within this time shares the rate."""


class SlotAsk(msgspec.Struct, frozen=True, gc=False):
    """A process wants ``count`` slots of a rate, which an endpoint or an account (by id) has.

    ``share``: how many of them may be still to come, so that others get some, too.
    """

    owner_id: int
    interval: Micros
    burst: int
    count: int
    share: int


class Slots(msgspec.Struct, frozen=True, gc=False):
    """``count`` slots from ``first_at`` on, an interval apart; 0: ``first_at`` is the next free
    one. ``sharing`` processes reserve slots of this rate, this one included.
    """

    owner_id: int
    first_at: Micros
    count: int
    sharing: int


def reserve(reserved_to: Micros | None, ask: SlotAsk, now: Micros) -> tuple[Micros, int]:
    """Return the first slot that a process gets, and how many; after them the timeline goes on.

    ``reserved_to`` is the timeline's next slot; None: the rate is new, and its burst is yet to be
    saved up. The statement ``reserve_slots`` in PostgreSQL's ``own.sql`` must match this.
    """
    first = now if reserved_to is None or reserved_to > now + LEAP else reserved_to
    first = max(first, now - (ask.burst - 1) * ask.interval)
    past = max(0, (now - first) // ask.interval + 1)
    free = (now + AHEAD - first) // ask.interval + 1
    return first, max(0, min(ask.count, past + ask.share, free))


class Timelines:
    """The timelines of a database that only this process uses, in memory."""

    def __init__(self) -> None:
        self._reserved_to: dict[int, Micros] = {}
        self._asked_at: dict[int, dict[int, Micros]] = {}

    def reserve(self, asks: Sequence[SlotAsk], node: int, now: Micros) -> list[Slots]:
        """Reserve slots for a process (``node``)."""
        return [self._reserve(ask, node, now) for ask in asks]

    def _reserve(self, ask: SlotAsk, node: int, now: Micros) -> Slots:
        first, count = reserve(self._reserved_to.get(ask.owner_id), ask, now)
        if count:
            self._reserved_to[ask.owner_id] = first + count * ask.interval
        asked = self._asked_at.setdefault(ask.owner_id, {})
        asked[node] = now
        sharing = sum(1 for at in asked.values() if now - ASKING < at <= now + ASKING)
        return Slots(ask.owner_id, first, count, sharing)

    def forget(self, before: Micros) -> int:
        """Forget timelines that have not been used since then; return how many."""
        idle = [id_ for id_, to in self._reserved_to.items() if to < before]
        for owner_id in idle:
            del self._reserved_to[owner_id]
            del self._asked_at[owner_id]
        return len(idle)
