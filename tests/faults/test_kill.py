"""``kill -9`` under load loses nothing that was answered 202, on either database.

``HOOKTIDE_KILLS`` is how often a server is killed: 2 by default, 20 in ``make faults``. The claims
of a killed process are released by its successors.
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from loadkit import OPTIONS, Load, audited, loading
from postgreskit import database
from serverkit import Server, serving

KILLS = int(os.environ.get("HOOKTIDE_KILLS", "2"))
SETTLED_TIMEOUT = 150.0
UNRECORDED = 1250
"""A server that dies takes with it what it has not recorded: as many requests may be out for one
account, and as many answers may be in a commit."""


@pytest.fixture(params=["sqlite", "postgres"])
async def where(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """Return a database's URL or path."""
    if request.param == "sqlite":
        yield str(tmp_path / "hooktide.db")
        return
    async with database() as url:
        yield url


async def kill_often(server: Server, load: Load, chance: random.Random) -> None:
    """Kill the server at random moments and restart it, except the last time."""
    for number in range(1, KILLS + 1):
        await asyncio.sleep(chance.uniform(0.0, 1.5))
        if number == KILLS:
            await load.accepted(KILLS * 20)
        await server.kill()
        if number < KILLS:
            await server.start()


async def account_for(load: Load, where: str) -> None:
    """Assert that nothing was lost, and print a summary."""
    await load.settled(SETTLED_TIMEOUT)
    await load.check()
    assert load.well.ledger.duplicates <= KILLS * UNRECORDED
    print(f"\n{KILLS} kills: {load.told}", await audited(where), sep="\n")


async def test_a_server_killed_under_load_loses_nothing_it_accepted(
    tmp_path: Path, where: str
) -> None:
    async with (
        serving(tmp_path, *OPTIONS, database=where) as server,
        loading(server) as load,
    ):
        async with load.publishing(server):
            await kill_often(server, load, random.Random(11))
            await server.start()
            await load.accepted(1)
        await account_for(load, where)


async def test_a_worker_killed_under_load_costs_the_api_no_request_and_loses_nothing(
    tmp_path: Path,
) -> None:
    async with (
        database() as url,
        serving(tmp_path, "--role", "api", *OPTIONS, database=url, name="api") as api,
        serving(tmp_path, "--role", "worker", *OPTIONS, database=url, name="worker") as worker,
        loading(api) as load,
    ):
        async with load.publishing(api):
            await kill_often(worker, load, random.Random(12))
            await worker.start()
            await load.accepted(1)
        for ledger in (load.well.ledger, load.ill.ledger):
            assert (ledger.unknown, ledger.refused) == (0, 0)
        await account_for(load, url)
