"""Keeps the search index of payloads up to date, and asks the database nothing while no project
has one."""

from collections.abc import Callable

from hooktide.domain.model import Micros, Scope
from hooktide.engine.periodic.maintenance import BATCH
from hooktide.store.contract import Store


class Indexing:
    """The periodic task that indexes new events, and older ones where that was asked for."""

    def __init__(self, store: Store, clock: Callable[[], Micros]) -> None:
        self._store = store
        self._clock = clock
        self._has_indexes: bool | None = None
        self._changes = 0
        store.watch(self._changed)

    def _changed(self, kind: str, _: int) -> None:
        if kind in ("project", "everything"):
            self._changes += 1
            self._has_indexes = None

    async def run(self) -> int:
        """Index the next events of each project; return a full batch while there is more."""
        if self._has_indexes is None:
            changes = self._changes
            found = bool(await self._store.search_indexes(Scope()))
            if changes == self._changes:  # else it may be otherwise by now
                self._has_indexes = found
        if self._has_indexes is False:
            return 0
        return BATCH if await self._store.run_indexing(self._clock()) else 0
