"""A running engine on an empty store."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from enginekit import Engine, running
from storekit import NOON, Given, Place

from hooktide.engine.scheduling.scheduler import Limits
from hooktide.runtime.vault import Vault
from hooktide.store.sqlite import open_sqlite


@pytest.fixture
def limits() -> Limits:
    return Limits()


@pytest.fixture
async def given(tmp_path: Path) -> Given:
    given = Given(Place(str(tmp_path / "test.db")))
    given.store = open_sqlite(given.place.url, Vault(b"k" * 32), NOON)
    await given.begin()
    return given


@pytest.fixture
async def engine(given: Given, limits: Limits) -> AsyncIterator[Engine]:
    async with running(given, limits) as engine:
        yield engine
