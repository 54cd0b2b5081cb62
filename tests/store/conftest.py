"""A store with a project, an account and an endpoint in it: in SQLite, and in PostgreSQL."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from postgreskit import database
from storekit import Given, Place


@pytest.fixture(params=["sqlite", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    """Name the database; a module for one of them overrides this."""
    return str(request.param)


@pytest.fixture
async def place(kind: str, tmp_path: Path) -> AsyncIterator[Place]:
    if kind == "sqlite":
        yield Place(str(tmp_path / "test.db"))
    else:
        async with database() as url:
            yield Place(url)


@pytest.fixture
async def given(place: Place) -> AsyncIterator[Given]:
    given = Given(place)
    await given.open()
    await given.begin()
    yield given
    await given.close()
