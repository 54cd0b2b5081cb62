"""Which endpoints rest, as far as this process knows.

Pure state: instants are arguments, nothing waits here. The store (``stored``) is authoritative; a
rest heard from a receiver counts until the store confirms it.
"""

import heapq
from collections.abc import Mapping

from hooktide.domain.model import Micros


class KnownRests:
    """Keeps the ends of endpoints' rests, by endpoint id."""

    def __init__(self) -> None:
        self._stored: dict[int, Micros] = {}
        self._heard: dict[int, Micros] = {}
        self._heard_since_reading: set[int] = set()
        self._ends: list[tuple[Micros, int]] = []
        self._endpoints: frozenset[int] | None = frozenset()

    def until(self, endpoint_id: int) -> Micros:
        """Return when an endpoint's rest ends; 0 if it does not rest."""
        return max(self._stored.get(endpoint_id, 0), self._heard.get(endpoint_id, 0))

    @property
    def endpoints(self) -> frozenset[int]:
        """Return the resting endpoints; cached, because each publish reads them."""
        if self._endpoints is None:
            self._endpoints = frozenset(self._stored.keys() | self._heard.keys())
        return self._endpoints

    @property
    def next_end(self) -> Micros | None:
        """Return when to call ``ended`` next, or ``None`` if nothing rests."""
        return self._ends[0][0] if self._ends else None

    def reading_begins(self) -> None:
        """Note that the store is being read now: its result will not include later
        notifications."""
        self._heard_since_reading.clear()

    def heard(self, endpoint_id: int, until: Micros) -> None:
        """Note a rest that is not stored yet."""
        self._heard_since_reading.add(endpoint_id)
        if until > self._heard.get(endpoint_id, 0):
            self._heard[endpoint_id] = until
            self._endpoints = None
            heapq.heappush(self._ends, (until, endpoint_id))

    def stored(self, endpoint_id: int, until: Micros) -> None:
        """Note an endpoint's stored rest, replacing what was heard; 0: it does not rest."""
        if endpoint_id not in self._heard_since_reading:
            self._heard.pop(endpoint_id, None)
        self._store(endpoint_id, until)
        self._endpoints = None

    def all_stored(self, ends: Mapping[int, Micros]) -> list[int]:
        """Replace all rests by the stored ones; return the endpoints whose rest has ended."""
        over = [id_ for id_ in self._stored if id_ not in ends and id_ not in self._heard]
        for endpoint_id in set(self._stored) - ends.keys():
            del self._stored[endpoint_id]
        for endpoint_id, until in ends.items():
            self._store(endpoint_id, until)
        self._endpoints = None
        return over

    def _store(self, endpoint_id: int, until: Micros) -> None:
        if not until:
            self._stored.pop(endpoint_id, None)
        elif self._stored.get(endpoint_id) != until:
            self._stored[endpoint_id] = until
            heapq.heappush(self._ends, (until, endpoint_id))

    def ended(self, now: Micros) -> list[int]:
        """Drop rests that are over; return their endpoints."""
        found: list[int] = []
        while self._ends and self._ends[0][0] <= now:
            _, endpoint_id = heapq.heappop(self._ends)
            if 0 < self.until(endpoint_id) <= now:
                self._stored.pop(endpoint_id, None)
                self._heard.pop(endpoint_id, None)
                found.append(endpoint_id)
        if found:
            self._endpoints = None
        return found
