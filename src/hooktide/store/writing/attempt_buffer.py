"""Attempts to be recorded, collected for a moment: no request waits for a record."""

import asyncio
from collections.abc import Callable, Sequence

from hooktide.domain.delivery.rest import shortest_end
from hooktide.domain.model import Micros
from hooktide.store.base import AttemptRecord
from hooktide.store.writing.batch import RECORD_BATCH_SIZE, once_each


class AttemptBuffer:
    """Collects attempts until the oldest has waited for ``delay`` seconds, or many have; then they
    are ripe.

    ``on_ripe`` is called whenever some may be taken.
    """

    def __init__(self, on_ripe: Callable[[], None], delay: float) -> None:
        self._on_ripe = on_ripe
        self._delay = delay
        self._loop = asyncio.get_running_loop()
        self._records: list[AttemptRecord] = []
        self._asking_for_rest: list[AttemptRecord] = []
        self._timer: asyncio.TimerHandle | None = None
        self.ripe = False

    def __bool__(self) -> bool:
        return bool(self._records)

    def add(self, record: AttemptRecord) -> None:
        """Add an attempt, to be recorded within moments."""
        self._records.append(record)
        if record.rest is not None:
            self._asking_for_rest.append(record)
        if len(self._records) >= RECORD_BATCH_SIZE:
            self.ripen()
        elif self._timer is None and not self.ripe:
            self._timer = self._loop.call_later(self._delay, self.ripen)

    def ripen(self) -> None:
        """Mark everything buffered as ripe."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.ripe = bool(self._records)
        self._on_ripe()

    def take(self, most: int | None = None) -> list[AttemptRecord]:
        """Take a batch that has no delivery twice; the rest stays ripe."""
        batch, again = once_each(self._records[:most])
        self._records = again + (self._records[most:] if most is not None else [])
        self.ripe = bool(self._records)
        return batch

    def put_back(self, records: Sequence[AttemptRecord]) -> None:
        """Put attempts back, ahead of all others."""
        self._records[:0] = records
        self.ripen()

    def settled(self, records: Sequence[AttemptRecord]) -> None:
        """Note that attempts were recorded, or dropped."""
        if self._asking_for_rest:
            over = set(map(id, records))
            self._asking_for_rest = [each for each in self._asking_for_rest if id(each) not in over]

    def rests(self) -> dict[int, Micros]:
        """Return the ends of the rests that attempts not settled yet asked for, by endpoint id."""
        ends: dict[int, Micros] = {}
        for record in self._asking_for_rest:
            if record.rest is not None:
                until = shortest_end(record.rest, record.attempt.ended_at)
                endpoint_id = record.claim.endpoint_id
                ends[endpoint_id] = max(until, ends.get(endpoint_id, 0))
        return ends
