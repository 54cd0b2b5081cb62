"""What to read from the store next, so that nothing due is forgotten and no rest is missed.

Like the scheduler that it belongs to, it does no I/O: ``next_rests`` and ``next_due`` return what
to read, the caller reads it and passes on the result. Deliveries that this process knows of are
read when they are due. Every ``RESCAN_INTERVAL`` all rests and due times are read again, to find
deliveries that another process left behind, or whose notification was lost.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from hooktide.domain.model import SECOND, Micros
from hooktide.engine.scheduling.due_times import DueTimes
from hooktide.engine.scheduling.known_rests import KnownRests

RESCAN_INTERVAL: Micros = 5 * SECOND
CLAIM_ENDPOINTS = 50
CLAIM_DELIVERIES = 400
"""Maximum endpoints and deliveries of one claim."""
MIN_CLAIM = 4
"""Minimum deliveries to claim per endpoint, however many endpoints there are."""


class Now(msgspec.Struct, frozen=True, gc=False):
    """One reading of the clocks, in microseconds.

    ``monotonic`` measures spans: pauses, pacing and intervals. Due times and rests are instants by
    ``clock``, which may be set; leases end by ``lease``, which never leaps (decision 0010).
    """

    monotonic: Micros
    clock: Micros
    lease: Micros


@dataclass(frozen=True, slots=True)
class ReadRests:
    """Read which of these endpoints rest; None: of all endpoints."""

    endpoint_ids: frozenset[int] | None


@dataclass(frozen=True, slots=True)
class ReadDueTimes:
    """Read when each endpoint's first delivery is due."""


@dataclass(frozen=True, slots=True)
class ClaimDue:
    """Claim what is due for these endpoints, at most ``each`` deliveries per endpoint."""

    endpoint_ids: list[int]
    each: int


Query: TypeAlias = ReadRests | ReadDueTimes | ClaimDue


class Polling:
    """Decides what to read from the store.

    ``known_rests`` is kept up to date by the caller; ``max_claim`` is the most to claim for one
    endpoint. ``wanted`` is set when the methods should be called earlier than ``wait`` said.
    """

    def __init__(self, known_rests: KnownRests, max_claim: int) -> None:
        self._known_rests = known_rests
        self._max_claim = max_claim
        self._due_times = DueTimes()
        self._query_now: list[int] = []
        self._resent: set[int] = set()
        self._stale_rests: set[int] = set()
        self._all_rests_stale = True
        self._rescan_at: Micros | None = None
        self._rescanning = False
        self.rests_known = False
        self.wanted = False

    def due(self, due_times: Mapping[int, Micros]) -> None:
        """Note that endpoints have deliveries in the store that are due at these instants."""
        if self._due_times.update(due_times):
            self.wanted = True

    def ask_now(self, endpoint_id: int) -> None:
        """Note that an endpoint may have something due already."""
        self._query_now.append(endpoint_id)
        self.wanted = True

    def resent(self, endpoint_id: int) -> None:
        """Note that a delivery was resent by hand: it is claimed although its endpoint rests."""
        self._resent.add(endpoint_id)
        self.ask_now(endpoint_id)

    def rest_changed(self, endpoint_id: int) -> None:
        """Note that an endpoint's rest was set or lifted; 0: of any endpoint."""
        if endpoint_id:
            self._stale_rests.add(endpoint_id)
        else:
            self._all_rests_stale, self.rests_known = True, False
        self.wanted = True

    def next_rests(self, now: Now) -> ReadRests | None:
        """Return which rests to read before anything is claimed, or ``None`` if all are known.

        All of them are read first; changes made meanwhile are read after that.
        """
        self.wanted = False
        if not self._rescanning and (self._rescan_at is None or now.monotonic >= self._rescan_at):
            self._rescanning = self._all_rests_stale = True
        if self._all_rests_stale:
            self._all_rests_stale = False
            self._known_rests.reading_begins()
            return ReadRests(None)
        if self._stale_rests:
            stale, self._stale_rests = frozenset(self._stale_rests), set()
            self._known_rests.reading_begins()
            return ReadRests(stale)
        return None

    def next_due(self, now: Now, room_for: Callable[[int], int]) -> Query | None:
        """Return what else to read, or ``None`` until ``wait`` is over.

        ``room_for`` returns how many deliveries to claim for an endpoint that does not rest, at
        most. Resting endpoints are read when the rest ends, and when something was resent by hand.
        """
        self.wanted = False
        if self._rescanning:
            return ReadDueTimes()
        return self._claim(now.clock, room_for)

    def _claim(self, now: Micros, room_for: Callable[[int], int]) -> ClaimDue | None:
        """Claim for those endpoints that have as much room; the others are next."""
        self._due_times.update(dict.fromkeys(self._query_now, now))
        self._query_now.clear()
        found: dict[int, list[int]] = {}
        count = 0
        while count < CLAIM_ENDPOINTS and (due := self._due_times.pop(now)) is not None:
            asked = due in self._resent
            self._resent.discard(due)
            rests = self._known_rests.until(due)
            if room := (self._max_claim if asked else 0) if rests else room_for(due):
                found.setdefault(room, []).append(due)
                count += 1
        if not found:
            return None
        room, endpoint_ids = found.popitem()
        for others in found.values():
            self._query_now += others
        each = max(MIN_CLAIM, CLAIM_DELIVERIES // len(endpoint_ids))
        return ClaimDue(endpoint_ids, min(each, room))

    def due_times_read(self, due_times: Mapping[int, Micros], now: Now) -> None:
        """Take the result of ``ReadDueTimes``.

        If a resting endpoint has something due, it is a delivery that ignores rests.
        """
        resting = self._known_rests.endpoints
        self._resent.update(
            id_ for id_ in resting if due_times.get(id_, now.clock + 1) <= now.clock
        )
        self.due(due_times)
        self._rescanning = False
        self._rescan_at = now.monotonic + RESCAN_INTERVAL

    def failed(self, query: Query) -> None:
        """Note that something could not be read; it is read again later."""
        self.wanted = True
        match query:
            case ReadRests(None):
                self._all_rests_stale = True
            case ReadRests(endpoint_ids):
                self._stale_rests |= endpoint_ids or set()
            case ClaimDue(endpoint_ids):
                self._resent.update(endpoint_ids)
                self._query_now += endpoint_ids

    def wait(self, now: Now) -> Micros:
        """Return how long to wait before reading, unless a notification arrives first."""
        if self.wanted or self._rescan_at is None:
            return 0
        ends = [
            end for end in (self._due_times.next_at, self._known_rests.next_end) if end is not None
        ]
        waits = [self._rescan_at - now.monotonic, *(end - now.clock for end in ends)]
        return max(0, min(waits))
