"""A running engine on an empty store."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from enginekit import Engine, opened, running
from postgreskit import database
from storekit import Given, Place

from hooktide.engine.scheduling.scheduler import Limits


@pytest.fixture
def limits() -> Limits:
    return Limits()


@pytest.fixture
async def given(tmp_path: Path) -> Given:
    return await opened(Place(str(tmp_path / "test.db")))


@pytest.fixture
async def engine(given: Given, limits: Limits) -> AsyncIterator[Engine]:
    async with running(given, limits) as engine:
        yield engine


@pytest.fixture(params=["sqlite", "postgres"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    if request.param == "sqlite":
        yield Place(str(tmp_path / "test.db"))
    else:
        async with database() as url:
            yield Place(url)
