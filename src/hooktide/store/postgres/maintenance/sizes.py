"""What is kept of each project, counted on a dedicated connection."""

from collections.abc import Sequence

from hooktide.store.base import ProjectSize
from hooktide.store.maintenance.sizes import Counting, read_sizes
from hooktide.store.postgres.connection.dialect import statements
from hooktide.store.postgres.maintenance.reading import reading


class Sizes:
    """The store's method for sizes."""

    _sizes: Counting

    async def sizes(self) -> Sequence[ProjectSize]:
        return await self._sizes.result()


async def sizes_in_postgres(url: str) -> list[ProjectSize]:
    """Count what is kept in a database; servers may use it meanwhile.

    :raises ConfigError: it is not ours, or is on another schema.
    :raises UnavailableError: it did not answer.
    """
    async with reading(url) as conn:
        return read_sizes(await conn.rows(statements()["sizes"]))
