"""An empty store, with a project, an account and an endpoint in it."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from storekit import NOON, Given, Hand

from hooktide.store.sqlite import SqliteStore, open_sqlite
from hooktide.vault import Vault

KEY = b"k" * 32


@pytest.fixture
def open_store(tmp_path: Path) -> Callable[[], SqliteStore]:
    return lambda: open_sqlite(str(tmp_path / "test.db"), Vault(KEY), NOON)


@pytest.fixture
async def given(open_store: Callable[[], SqliteStore]) -> AsyncIterator[Given]:
    store = open_store()
    hand = Hand()
    store.listen(hand)
    store.watch(hand.changed)
    given = Given(store, hand)
    await given.begin()
    yield given
    await store.close()
