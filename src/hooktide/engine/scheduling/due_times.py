"""When endpoints have deliveries due that wait in the store, as far as this process knows."""

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
        """When ``pop`` returns something next; None: never. It may be early."""
        return self._heap[0][0] if self._heap else None

    def add(self, endpoint_id: int, due_at: Micros) -> bool:
        """Note that an endpoint has something due; return whether nothing is due earlier."""
        known = self._earliest.get(endpoint_id)
        if known is not None and known <= due_at:
            return False
        self._earliest[endpoint_id] = due_at
        heapq.heappush(self._heap, (due_at, endpoint_id))
        return self._heap[0][1] == endpoint_id

    def pop(self, now: Micros) -> int | None:
        """Forget the endpoint that has been due for longest, and return it; None: none is due."""
        while self._heap and self._heap[0][0] <= now:
            due_at, endpoint_id = heapq.heappop(self._heap)
            if self._earliest.get(endpoint_id) == due_at:
                del self._earliest[endpoint_id]
                return endpoint_id
        return None

    def update(self, due: Mapping[int, Micros]) -> bool:
        """Note several; return whether one of them is the earliest of all."""
        return any([self.add(endpoint_id, due_at) for endpoint_id, due_at in due.items()])
