"""When deliveries waiting in the store are due, by endpoint, as far as this process knows."""

import heapq
from collections.abc import Mapping

from hooktide.domain.model import Micros


class DueTimes:
    """Keeps the earliest due time of each endpoint, by endpoint id."""

    def __init__(self) -> None:
        self._earliest: dict[int, Micros] = {}
        self._heap: list[tuple[Micros, int]] = []

    @property
    def next_at(self) -> Micros | None:
        """When ``pop`` will return something next, or None. It may be too early."""
        return self._heap[0][0] if self._heap else None

    def add(self, endpoint_id: int, due_at: Micros) -> bool:
        """Note when an endpoint has something due; return whether it is the earliest."""
        known = self._earliest.get(endpoint_id)
        if known is not None and known <= due_at:
            return False
        self._earliest[endpoint_id] = due_at
        heapq.heappush(self._heap, (due_at, endpoint_id))
        return self._heap[0][1] == endpoint_id

    def pop(self, now: Micros) -> int | None:
        """Remove and return the endpoint that has been due for longest, or ``None``."""
        while self._heap and self._heap[0][0] <= now:
            due_at, endpoint_id = heapq.heappop(self._heap)
            if self._earliest.get(endpoint_id) == due_at:
                del self._earliest[endpoint_id]
                return endpoint_id
        return None

    def update(self, due: Mapping[int, Micros]) -> bool:
        """Note several due times; return whether one of them is now the earliest of all."""
        # A list, not a generator: ``any`` would stop at the first.
        return any([self.add(endpoint_id, due_at) for endpoint_id, due_at in due.items()])
