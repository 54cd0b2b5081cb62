"""Storage usage of each project, counted on a separate connection and thread."""

import asyncio
import threading
from collections.abc import Callable, Sequence

from hooktide.domain.errors import ConfigError, UnavailableError
from hooktide.store.base import ProjectUsage
from hooktide.store.maintenance.storage_usage import Counting, read_storage_usage
from hooktide.store.sqlite.connection.dialect import statements
from hooktide.store.sqlite.maintenance.read_only import check_schema, read_only


class StorageUsageReader:
    """The store's method for storage usage."""

    _storage_usage: "StorageUsageCounter"

    async def storage_usage(self) -> Sequence[ProjectUsage]:
        return await self._storage_usage.result()


class StorageUsageCounter(Counting):
    """Counts the storage usage in the database file at ``path``."""

    def __init__(self, path: str) -> None:
        super().__init__(self._count_beside)
        self._path = path
        self._closing = threading.Event()

    async def _count_beside(self) -> Sequence[ProjectUsage]:
        try:
            return await asyncio.to_thread(
                storage_usage_in_sqlite, self._path, self._closing.is_set
            )
        except ConfigError as error:
            raise UnavailableError(f"what is kept could not be counted: {error}") from error

    async def close(self) -> None:
        """Cancel the running count, and end its thread."""
        self._closing.set()
        await super().close()


def storage_usage_in_sqlite(
    path: str, stop: Callable[[], bool] = lambda: False
) -> list[ProjectUsage]:
    """Count the storage usage in a database file; its server may run meanwhile.

    :raises ConfigError: the file is not a database, has another schema version, or ``stop``
    returned true.
    """
    with read_only(path, stop) as db:
        check_schema(db)
        return read_storage_usage(db.execute(statements()["storage_usage"]))
