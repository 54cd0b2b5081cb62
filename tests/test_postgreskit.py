"""The PostgreSQL clusters of the tests survive crashes, and never outlive the test process."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import pytest
from pgbouncer import bouncer, program
from postgreskit import Cluster, Shared, as_owner, cluster, database, of_wheel, temporary_folder

KEEP = "CREATE TABLE kept AS SELECT 7 AS n"

RUNS_A_CLUSTER = """
import sys, signal
from pathlib import Path
from postgreskit import cluster
with cluster() as running:
    print(running.port, running.folder, flush=True)
    signal.pause()
"""


async def answer(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval("SELECT 7"))
    finally:
        await connection.close()


async def kept(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval("SELECT n FROM kept"))
    finally:
        await connection.close()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT, signal.SIGKILL])
async def test_a_cluster_keeps_what_was_committed_however_it_ends(how: signal.Signals) -> None:
    with cluster() as running:
        connection = await asyncpg.connect(running.url())
        await connection.execute(KEEP)
        running.restart(how)
        assert await kept(running.url()) == 7
        connection.terminate()


async def test_each_database_begins_empty_and_up_to_date() -> None:
    for _ in range(2):
        async with database() as url:
            connection = await asyncpg.connect(url)
            assert await connection.fetchval("SELECT count(*) FROM hooktide.events") == 0
            await connection.execute(KEEP)  # fails if the table exists
            connection.terminate()


async def test_a_database_is_dropped_although_someone_is_in_it() -> None:
    async with database() as url:
        connection = await asyncpg.connect(url)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await connection.execute("SELECT 1")
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(url)


async def test_a_shared_server_that_died_is_replaced_for_the_next_test() -> None:
    if not program():
        pytest.skip("PgBouncer is not installed")
    clusters = Shared(cluster)
    poolers = Shared(lambda: bouncer(clusters()))
    first = poolers()
    first.end()
    second = poolers()
    assert second is not first
    assert await answer(second.url("postgres")) == 7
    clusters().stop(signal.SIGKILL)
    third = poolers()
    assert third is not second
    assert await answer(third.url("postgres")) == 7
    assert poolers() is third


def test_a_cluster_ends_with_a_killed_process_and_its_folder_is_removed_later() -> None:
    here = str(Path(__file__).parent)
    with subprocess.Popen(
        [sys.executable, "-c", RUNS_A_CLUSTER],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": here, "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"},
    ) as process:
        assert process.stdout is not None
        port, folder = process.stdout.readline().split()
        running = Cluster(Path(folder))
        running.port = int(port)
        assert running.answers()
        process.kill()
    deadline = time.monotonic() + 30
    while running.answers() or Path(folder).exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
        with temporary_folder():
            """Making one removes what was left behind."""


@pytest.mark.parametrize("number", [0, -1])
def test_the_wheels_programs_run(number: int) -> None:
    folder = of_wheel()[number]
    said = subprocess.run(
        as_owner(str(folder / "postgres"), "--version"), capture_output=True, text=True, check=True
    )
    assert said.stdout.startswith("postgres (PostgreSQL) 1")
