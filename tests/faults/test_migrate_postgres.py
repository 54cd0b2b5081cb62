"""Many processes migrate a PostgreSQL database, and some are killed: each migration runs once.

``HOOKTIDE_KILLS`` is the number of kills: 2 by default, 20 in ``make faults``.
"""

import asyncio
import base64
import os
import random
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from forkkit import AnyProcess
from livedkit import live
from postgreskit import cluster, database
from processkit import send
from releases import Release, known, later
from serverkit import serving
from storekit import KEY, Place

KILLS = int(os.environ.get("HOOKTIDE_KILLS", "2"))
CONCURRENCY = 3
STEP = "SELECT pg_sleep(0.2);"
OLD = len(known("postgres"))
NEW = OLD + 2
MISSING = f"schema {OLD}, missing: {OLD + 1} colours, {NEW} shades\n"
ALL = (
    f"schema 0, missing: {', '.join(f'{each.number} {each.name}' for each in known('postgres'))}\n"
)
MIGRATIONS = {
    "colours": f"""
        ALTER TABLE hooktide.accounts ADD COLUMN colour text NOT NULL DEFAULT 'blue'; {STEP}
        UPDATE hooktide.accounts SET colour = 'green' WHERE reference = 'acme'; {STEP}
        CREATE INDEX accounts_by_colour ON hooktide.accounts (colour); {STEP}
    """,
    "shades": f"""
        CREATE TABLE hooktide.shades (account_id bigint PRIMARY KEY, shade text NOT NULL); {STEP}
        INSERT INTO hooktide.shades SELECT id, 'dark ' || colour FROM hooktide.accounts; {STEP}
    """,
}
"""Each statement takes a while, so that there is something to be killed in."""


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """A database of this release with every kind of delivery, no longer in use."""
    async with database() as url:
        store = await Place(url).open()
        await live(store)
        await store.close()
        yield url


async def whole(url: str) -> int:
    """Return a database's schema version. It has all of that schema, and nothing of the next."""
    connection = await asyncpg.connect(url)
    found = "SELECT number FROM hooktide.migrations ORDER BY number"
    numbers = [number for (number,) in await connection.fetch(found)]
    colour = "SELECT 1 FROM information_schema.columns WHERE column_name = 'colour'"
    coloured = bool(await connection.fetch(colour))
    shades = await connection.fetchval("SELECT to_regclass('hooktide.shades')") is not None
    assert numbers == list(range(1, len(numbers) + 1))
    assert (coloured, shades) == (len(numbers) > OLD, len(numbers) == NEW)
    if shades:
        rows = await connection.fetch("SELECT shade FROM hooktide.shades ORDER BY shade")
        assert [shade for (shade,) in rows] == ["dark blue", "dark green"]
    await connection.close()
    return len(numbers)


async def end(process: AnyProcess) -> str:
    """Wait for a process to exit with status 0, and return its output."""
    async with asyncio.timeout(60):
        told, _ = await process.communicate()
    assert process.returncode == 0, told
    return told.decode()


async def test_several_that_start_at_once_migrate_once(url: str, tmp_path: Path) -> None:
    release = later(tmp_path, "postgres", MIGRATIONS)
    started = [await release.start("migrate", "--database", url) for _ in range(CONCURRENCY)]
    said = [await end(process) for process in started]
    assert all(told.endswith(f"schema {NEW}, up to date\n") for told in said)
    assert await whole(url) == NEW
    assert (await release.run("audit", "--database", url))[0] == 0


async def test_those_that_are_killed_leave_it_whole_and_the_others_go_on(
    url: str, tmp_path: Path
) -> None:
    release, chance, reached = later(tmp_path, "postgres", MIGRATIONS), random.Random(5), set()
    for _ in range(KILLS):
        started = [await release.start("migrate", "--database", url) for _ in range(CONCURRENCY)]
        await asyncio.sleep(chance.uniform(0.5, 2.5))
        for process in started:
            send(process, signal.SIGKILL)
        for process in started:
            await process.communicate()
        reached.add(await whole(url))
    told = await end(await release.start("migrate", "--database", url))
    assert told.endswith(f"schema {NEW}, up to date\n")
    assert await whole(url) == NEW
    assert (await release.run("audit", "--database", url))[0] == 0
    print(f"{KILLS * CONCURRENCY} killed, at schema {sorted(reached)}")


async def test_a_database_that_crashes_meanwhile_is_whole_afterwards(tmp_path: Path) -> None:
    release = later(tmp_path, "postgres", MIGRATIONS)
    with cluster() as own:
        async with database(own) as url:
            store = await Place(url).open()
            await live(store)
            await store.close()
            process = await release.start("migrate", "--database", url)
            await until_locked(url)
            own.stop(signal.SIGKILL)
            async with asyncio.timeout(60):
                told, _ = await process.communicate()
            assert process.returncode == 2
            assert told.decode().startswith(f"{MISSING}hooktide: ")
            own.start()
            assert await whole(url) in {OLD, OLD + 1}
            await end(await release.start("migrate", "--database", url))
            assert await whole(url) == NEW


async def until_locked(url: str) -> None:
    """Wait until a migration has begun."""
    connection = await asyncpg.connect(url)
    async with asyncio.timeout(60):
        while not await connection.fetch("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"):
            await asyncio.sleep(0.01)
    await connection.close()


async def test_check_says_what_is_missing_and_changes_nothing(url: str, tmp_path: Path) -> None:
    first, release = Release(), later(tmp_path, "postgres", MIGRATIONS)
    check = ("migrate", "--check", "--database", url)
    assert await first.run(*check) == (0, f"schema {OLD}, up to date\n")
    assert await release.run(*check) == (1, MISSING)
    assert await whole(url) == OLD
    assert (await release.run("migrate", "--database", url))[0] == 0
    assert await release.run(*check) == (0, f"schema {NEW}, up to date\n")


async def test_an_empty_database_misses_everything_and_a_check_makes_nothing() -> None:
    with cluster() as own:
        check = ("migrate", "--check", "--database", own.url())
        assert await Release().run(*check) == (1, ALL)
        assert await Release().run(*check) == (1, ALL)
        assert (await Release().run("migrate", "--database", own.url()))[0] == 0
        assert await Release().run(*check) == (0, f"schema {OLD}, up to date\n")


async def test_a_program_that_is_older_than_the_schema_keeps_its_hands_off(
    url: str, tmp_path: Path
) -> None:
    release = later(tmp_path / "later", "postgres", MIGRATIONS)
    assert (await release.run("migrate", "--database", url))[0] == 0
    serve = ("serve", "--key-file", str(tmp_path / "key"), "--listen", "127.0.0.1:0")
    for command in (("migrate", "--check"), ("migrate",), ("audit",), serve):
        done, told = await Release().run(*command, "--database", url)
        assert done == 2, told
        assert f"the database has schema {NEW}, this Hooktide knows up to {OLD}" in told
    assert await whole(url) == NEW


async def test_servers_that_run_go_on_while_a_later_release_migrates(
    url: str, tmp_path: Path
) -> None:
    (tmp_path / "hooktide.db.key").write_bytes(base64.b64encode(KEY))
    async with serving(tmp_path, database=url) as server:
        release = later(tmp_path / "later", "postgres", MIGRATIONS)
        await end(await release.start("migrate", "--database", url))
        account = {"project": "lived", "reference": "later"}
        assert (await server.api.post("/v1/accounts", account))["plan"] == "small"
