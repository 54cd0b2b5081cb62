"""How a replay goes through what there was: a window of ids, a piece at a time, each event once.

No database in here: both stores look at a piece first, and write what follows from it afterwards,
in the same transaction.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from hooktide.clock import monotonic
from hooktide.domain.ids import NODE_BITS, made_at
from hooktide.domain.model import SECOND, Micros, Replay, ReplayState
from hooktide.domain.project import wants
from hooktide.store.base import NewReplay, ReplayCount
from hooktide.store.rows import Row

LOOK = 1000
"""How much is looked at in one transaction."""

MOST_COUNTED = 100_000
COUNT_WITHIN: Micros = 2 * SECOND
"""How much is looked at to count, and for how long; more is "at least"."""

EVENT_GONE = "the event is not kept any more"


class Window(NamedTuple):
    """The ids that are still to be looked at: those after ``after``, up to ``upto``."""

    after: int
    upto: int


def window(wanted: NewReplay | Replay, before: int) -> Window:
    """Return the ids that a replay looks at, all of them smaller than ``before``."""
    since, until = wanted.since or 0, wanted.until
    upto = before if until is None else min(before, until << NODE_BITS)
    return Window((since << NODE_BITS) - 1, upto - 1)


class Piece(NamedTuple):
    """What was found in a piece: the events to send, and how far that leads.

    ``whole``: there was nothing more in the window.
    """

    event_ids: list[int]
    looked_to: int
    whole: bool


def choose(looked: Sequence[Row], types: tuple[str, ...], after: int, most: int) -> Piece:
    """Return the events that an endpoint wants (``types``) of those looked at, ``most`` at most.

    Each row is (the id it is found by, its event, the event's type, whether it is to be sent).
    """
    chosen: dict[int, None] = {}
    for id_, event_id, type_, open_ in looked:
        if open_ and event_id not in chosen and wants(types, type_):
            if len(chosen) == most:
                return Piece(list(chosen), after, whole=False)
            chosen[event_id] = None
        after = id_
    return Piece(list(chosen), after, whole=len(looked) < LOOK)


async def count(
    look: Callable[[int], Awaitable[Sequence[Row]]], types: tuple[str, ...], after: int
) -> ReplayCount:
    """Count what a replay would send; ``look`` returns the piece after an id."""
    events: set[int] = set()
    looked, began = 0, monotonic()
    while looked < MOST_COUNTED and monotonic() - began < COUNT_WITHIN:
        found = await look(after)
        piece = choose(found, types, after, LOOK)
        events.update(piece.event_ids)
        after, looked = piece.looked_to, looked + len(found)
        if piece.whole:
            return ReplayCount(len(events))
    return ReplayCount(len(events), at_least=True)


def later_than(now: Micros, id_: int) -> Micros:
    """Return an instant whose ids are larger than this one, wherever they are made."""
    return max(now, made_at(id_) + 1)


def ending(replay: Replay, done: bool, now: Micros, reason: str = "") -> dict[str, object]:
    """Return the values that say whether a replay goes on, for ``move_replay``."""
    state = ReplayState.DONE if done else ReplayState.RUNNING
    return {
        "id": replay.id,
        "state": state.value,
        "reason": reason,
        "ended_at": now if done else None,
    }
