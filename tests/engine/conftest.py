"""A running engine on an empty store."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from enginekit import Clock, Engine, Receivers
from storekit import NOON, Given, Place

from hooktide.domain.address import UrlPolicy
from hooktide.engine.deliver import Deliverer
from hooktide.engine.destinations import Destination, Destinations
from hooktide.engine.worker import Limits, Worker
from hooktide.store.base import Done
from hooktide.store.directory import Directory
from hooktide.store.sqlite import open_sqlite
from hooktide.vault import Vault


@pytest.fixture
def limits() -> Limits:
    return Limits()


@pytest.fixture
async def engine(tmp_path: Path, limits: Limits) -> AsyncIterator[Engine]:
    store = open_sqlite(str(tmp_path / "test.db"), Vault(b"k" * 32), NOON)
    receivers, clock = Receivers(), Clock()
    dones: list[Done] = []
    directory = Directory(store)
    destinations = Destinations(directory, UrlPolicy())

    def told(done: Done, _: Destination) -> None:
        dones.append(done)

    deliverer = Deliverer(
        store=store,
        sender=receivers,
        destinations=destinations,
        clock=clock,
        rand=lambda: 0.5,
        told=told,
        wall=clock,
    )
    worker = Worker(store, deliverer, clock, limits)
    given = Given(Place(str(tmp_path / "test.db")), store=store)
    store.listen(worker)
    for remembers in (directory, destinations, worker):
        store.watch(remembers.changed)
    await given.begin()
    worker.start()
    yield Engine(given, receivers, clock, worker, dones)
    receivers.hold.set()
    await worker.stop(5)
    await store.close()
