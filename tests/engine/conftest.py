"""A running engine on an empty store."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from enginekit import Engine, running
from storekit import Given, Place

from hooktide.engine.scheduling.scheduler import Limits


@pytest.fixture
def limits() -> Limits:
    return Limits()


@pytest.fixture
async def given(tmp_path: Path) -> Given:
    given = Given(Place(str(tmp_path / "test.db")))
    given.store = await given.place.open()
    await given.begin()
    return given


@pytest.fixture
async def engine(given: Given, limits: Limits) -> AsyncIterator[Engine]:
    async with running(given, limits) as engine:
        yield engine
