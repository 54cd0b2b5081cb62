"""Commands that read a database while its server runs, on SQLite and PostgreSQL."""

from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import asyncpg
import pytest
from livedkit import live
from ports import free_port
from postgreskit import database
from releases import Release
from serverkit import KEY, event, serving, set_up
from storekit import Place

from hooktide.store.maintenance.invariants import CHECKS, NOT_CHECKED

HOOKTIDE = Release()


@pytest.fixture(params=["sqlite", "postgres"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    if request.param == "sqlite":
        yield Place(str(tmp_path / "hooktide.db"))
    else:
        async with database() as url:
            yield Place(url)


@pytest.fixture
async def lived(place: Place) -> Place:
    store = await place.open()
    await live(store)
    await store.close()
    return place


async def change(place: Place, sql: str) -> None:
    if place.is_file:
        apsw.Connection(place.url).execute(sql)
    else:
        connection = await asyncpg.connect(place.url)
        await connection.execute(f"SET search_path = hooktide; {sql}")
        await connection.close()


async def test_an_audit_says_a_line_for_each_invariant_and_ends_well(lived: Place) -> None:
    done, told = await HOOKTIDE.run("audit", "--database", lived.url)
    assert done == 0, told
    lines = told.splitlines()
    assert [line[:2].strip() for line in lines] == [
        str(number) for number, *_ in [(c.invariant,) for c in CHECKS] + list(NOT_CHECKED)
    ]
    assert all(line.endswith("  ok") for line in lines[: len(CHECKS)])


async def test_an_audit_that_looked_at_nothing_does_not_say_that_all_is_well(place: Place) -> None:
    store = await place.open()
    await store.close()
    done, told = await HOOKTIDE.run("audit", "--database", place.url)
    assert done == 0, told
    assert all("  not checked: " in line for line in told.splitlines()[: len(CHECKS)])


async def test_an_audit_names_what_is_broken_and_ends_with_1(lived: Place) -> None:
    await change(lived, "UPDATE endpoints SET failing = 0 WHERE url LIKE '%flaky%'")
    done, told = await HOOKTIDE.run("audit", "--database", lived.url)
    assert done == 1
    [line] = [line for line in told.splitlines() if "BROKEN" in line]
    assert line.startswith(" 5  ")
    assert "  1 BROKEN: ep_" in line
    assert told.endswith("1 of these is broken\n")


@pytest.mark.parametrize("command", ["audit", "storage-usage"])
async def test_a_missing_database_is_reported(command: str, tmp_path: Path) -> None:
    for nowhere in (str(tmp_path / "none.db"), "postgresql://nobody@127.0.0.1:9/none"):
        done, told = await HOOKTIDE.run(command, "--database", nowhere)
        assert done == 2
        assert told.startswith("hooktide: ")
        assert told.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


async def test_storage_usage_is_the_same_from_the_server_and_from_the_database(
    place: Place, tmp_path: Path
) -> None:
    async with serving(tmp_path, database="" if place.is_file else place.url) as server:
        account, _ = await set_up(server.api, free_port(), ("/refused",))
        await server.api.post("/v1/events", [event(account, "x" * 200_000), event(account)])
        at_server = ("--server", f"http://127.0.0.1:{server.port}", "--key", KEY)
        asked = await HOOKTIDE.run("storage-usage", *at_server)
        looked = await HOOKTIDE.run("storage-usage", "--database", place.url)
    assert asked[0] == looked[0] == 0
    assert asked[1].splitlines()[0] == looked[1].splitlines()[0]
    [row] = asked[1].splitlines()[1:]
    assert row.split()[:3] == ["accounting", "2", "2"]
    assert row.split()[4] == "0.2"
    assert row.split()[:3] == looked[1].splitlines()[1].split()[:3]


async def test_sizes_of_a_server_need_the_operators_key() -> None:
    done, told = await HOOKTIDE.run("storage-usage", "--server", "http://127.0.0.1:9")
    assert (done, told) == (
        2,
        "hooktide: key: give the operator key: --key, or HOOKTIDE_OPERATOR_KEY\n",
    )
