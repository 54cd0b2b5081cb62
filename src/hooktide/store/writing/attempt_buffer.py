"""Attempts to be recorded, collected for a moment: no request waits for a record."""

import asyncio
from collections.abc import Callable, Sequence

from hooktide.store.base import AttemptRecord
from hooktide.store.writing.batch import RECORD_BATCH_SIZE, RECORD_DELAY, once_each


class AttemptBuffer:
    """Collects attempts until some are old enough, or many; then they are ripe.

    ``on_ripe`` is called whenever some may be taken.
    """

    def __init__(self, on_ripe: Callable[[], None]) -> None:
        self._on_ripe = on_ripe
        self._loop = asyncio.get_running_loop()
        self._records: list[AttemptRecord] = []
        self._timer: asyncio.TimerHandle | None = None
        self.ripe = False

    def __bool__(self) -> bool:
        return bool(self._records)

    def add(self, record: AttemptRecord) -> None:
        """Add an attempt, to be recorded within moments."""
        self._records.append(record)
        if len(self._records) >= RECORD_BATCH_SIZE:
            self.ripen()
        elif self._timer is None and not self.ripe:
            self._timer = self._loop.call_later(RECORD_DELAY, self.ripen)

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
