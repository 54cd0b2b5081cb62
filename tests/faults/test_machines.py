"""One of several machines is disconnected under load and comes back: nothing is lost.

``HOOKTIDE_CUT_OFF`` is for how many seconds: 3 by default, and 75 in ``make faults``, which is
longer than a lease and than results are kept.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import machinekit
import pytest
from loadkit import OPTIONS, audited, loading
from machinekit import Lan, Machine
from postgreskit import Cluster, cluster, database
from serverkit import Server, serving

CUT_OFF = float(os.environ.get("HOOKTIDE_CUT_OFF", "3"))
NOTICED_AFTER = 70.0
TIMEOUT = 60.0
SETTLED_TIMEOUT = 150.0


@pytest.fixture
def lan() -> Iterator[Lan]:
    if not machinekit.possible():
        pytest.skip("needs root and network namespaces")
    with machinekit.lan() as made:
        yield made


@asynccontextmanager
async def reachable(postgres: Cluster, lan: Lan) -> AsyncIterator[str]:
    """Make a database accessible to all machines, and yield its URL."""
    with (postgres.data / "pg_hba.conf").open("a") as rules:
        rules.write(f"host all all {lan.network} trust\n")
    async with database(postgres) as url:
        connection = await asyncpg.connect(url)
        await connection.execute("SELECT pg_reload_conf()")
        await connection.close()
        yield url.replace("127.0.0.1", lan.host)


@dataclass
class Place:
    """The settings that all servers share."""

    folder: Path
    lan: Lan
    url: str

    @asynccontextmanager
    async def running(self, machine: Machine, role: str, name: str) -> AsyncIterator[Server]:
        """Run a server on a machine."""
        options = ("--role", role, "--allow-network", self.lan.network, *OPTIONS)
        async with serving(
            self.folder,
            *options,
            database=self.url,
            name=name,
            host=machine.host,
            under=machine.under,
        ) as server:
            yield server


async def connections_from(url: str, machine: Machine) -> int:
    """Return how many connections from a machine the database considers open."""
    connection = await asyncpg.connect(url)
    try:
        found = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE client_addr = $1", machine.host
        )
    finally:
        await connection.close()
    return int(found)


async def works_again(worker: Server) -> None:
    """Wait until the server has made more attempts."""
    made = await worker.metric("hooktide_attempts_total")
    async with asyncio.timeout(TIMEOUT):
        while await worker.metric("hooktide_attempts_total") < made + 50:
            await asyncio.sleep(0.1)


async def test_a_worker_that_is_cut_off_under_load_and_comes_back_loses_nothing(
    tmp_path: Path, lan: Lan
) -> None:
    machines = [lan.add() for _ in range(3)]
    with cluster(listen_addresses="*") as postgres:
        async with reachable(postgres, lan) as url:
            place = Place(tmp_path, lan, url)
            async with (
                place.running(machines[0], "api", "api") as api,
                place.running(machines[1], "worker", "one") as one,
                place.running(machines[2], "worker", "two"),
                loading(api, lan.host) as load,
            ):
                async with load.publishing(api):
                    await load.accepted(100)
                    machines[1].cut_off()
                    await asyncio.sleep(CUT_OFF)
                    await load.accepted(100)
                    if CUT_OFF > NOTICED_AFTER:
                        assert await connections_from(url, machines[1]) == 0
                    machines[1].join()
                    await works_again(one)
                await load.settled(SETTLED_TIMEOUT)
                await load.check()
                for ledger in (load.well.ledger, load.ill.ledger):
                    assert (ledger.unknown, ledger.refused) == (0, 0)
                print(f"\ncut off for {CUT_OFF} s: {load.told}", await audited(url), sep="\n")
