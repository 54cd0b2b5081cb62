"""Databases of applications that have an outbox."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from postgreskit import database


@pytest.fixture(params=["sqlite", "postgres"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """Return an application's database: a file's path, or a URL.

    ``hooktide`` is a PostgreSQL database that Hooktide uses too.
    """
    if request.param == "sqlite":
        yield str(tmp_path / "app.db")
        return
    async with database(migrated=request.param == "hooktide") as found:
        yield found
