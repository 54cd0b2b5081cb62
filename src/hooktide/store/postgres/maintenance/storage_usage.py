"""Storage usage of each project, counted on a dedicated connection."""

from collections.abc import Sequence

from hooktide.store.base import ProjectUsage
from hooktide.store.maintenance.storage_usage import Counting, read_storage_usage
from hooktide.store.postgres.connection.dialect import statements
from hooktide.store.postgres.maintenance.reading import reading


class StorageUsageReader:
    """The store's method for storage usage."""

    _storage_usage: Counting

    async def storage_usage(self) -> Sequence[ProjectUsage]:
        return await self._storage_usage.result()


async def storage_usage_in_postgres(url: str) -> list[ProjectUsage]:
    """Count the storage usage in a database; servers may use it meanwhile.

    :raises ConfigError: it is not ours, or is on another schema.
    :raises UnavailableError: it did not answer.
    """
    async with reading(url) as conn:
        return read_storage_usage(await conn.rows(statements()["storage_usage"]))
