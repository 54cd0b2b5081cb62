"""Applications' databases."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from postgreskit import database


@pytest.fixture(params=["sqlite", "postgres"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """Say where an application's database is: a file's path, or a URL.

    ``hooktide``: a PostgreSQL that is Hooktide's as well.
    """
    if request.param == "sqlite":
        yield str(tmp_path / "app.db")
        return
    async with database(migrated=request.param == "hooktide") as found:
        yield found
