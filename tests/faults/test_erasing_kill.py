"""Servers are killed while they erase accounts: erasure continues, and nothing is counted twice."""

import asyncio
import os
import signal
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from accounting import Ledger
from postgreskit import database
from serverkit import KEY, Server, event, receiving, serving, set_up, until_none_is
from storekit import Place
from watchkit import audited

from hooktide import AsyncClient
from hooktide.wire.accounts import Erasure

CANARY = "canary4711"
EVENTS = 800
BATCH = 100
DONE_TIMEOUT = 120.0


@pytest.fixture(params=["sqlite", "postgres"])
async def where(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """Return a database's URL or path."""
    if request.param == "sqlite":
        folder = tmp_path / "data"
        folder.mkdir()
        yield str(folder / "hooktide.db")
        return
    async with database() as url:
        yield url


def asking(server: Server) -> AsyncClient:
    return AsyncClient(f"http://127.0.0.1:{server.port}", KEY)


async def filled(server: Server, receiver: int, reference: str, events: int = EVENTS) -> str:
    """Create an account with delivered events that contain its reference. Return its id."""
    account, _ = await set_up(server.api, receiver, [f"/{reference}"], reference=reference)
    for _ in range(events // BATCH):
        await server.api.post("/v1/events", [event(account, {"of": reference})] * BATCH)
    await until_none_is(server.api, "pending", within=DONE_TIMEOUT)
    return account


async def execute(where: str, sql: str) -> None:
    """Change the database behind the server's back; ``sql`` writes no schema."""
    if "://" in where:
        connection = await asyncpg.connect(where)
        await connection.execute(f"SET search_path = hooktide; {sql}")
        await connection.close()
    else:
        with sqlite3.connect(where) as database:
            database.execute(sql)
        database.close()


async def erased_events(where: str) -> int:
    """Return how many events the erasure has erased, without a server."""
    if "://" in where:
        connection = await asyncpg.connect(where)
        found = await connection.fetchval("SELECT events FROM hooktide.erasures")
        await connection.close()
    else:
        with sqlite3.connect(where) as database:
            [found] = database.execute("SELECT events FROM erasures").fetchone()
        database.close()
    return int(found)


async def until_erased(client: AsyncClient, account: str, events: int = EVENTS) -> Erasure:
    async with asyncio.timeout(DONE_TIMEOUT):
        while (found := await client.accounts.erasure(account)).events < events:
            await asyncio.sleep(0.01)
    return found


async def until_ended(client: AsyncClient, account: str) -> Erasure:
    async with asyncio.timeout(DONE_TIMEOUT):
        while (found := await client.accounts.erasure(account)).state == "running":
            await asyncio.sleep(0.05)
    return found


async def test_a_server_killed_while_it_erases_goes_on_after_its_start_until_all_is_erased(
    where: str, tmp_path: Path
) -> None:
    async with receiving(Ledger()) as port, serving(tmp_path, database=where) as server:
        neighbour = await filled(server, port, "neighbour", BATCH)
        account = await filled(server, port, CANARY)
        async with asking(server) as client:
            assert (await client.accounts.erase(CANARY)).account == account
            seen = (await until_erased(client, account, 1)).events
        await server.kill()
        assert seen <= await erased_events(where) < EVENTS
        await server.start()
        async with asking(server) as client:
            await until_erased(client, account)
            await server.kill()
            await execute(where, "UPDATE erasures SET started_at = started_at - 3600000000")
            await server.start()  # an hour later, earlier attempts can no longer be recorded
            found = await until_ended(client, account)
            assert (found.events, found.attempts) == (EVENTS, EVENTS)
            assert (await client.accounts.get(neighbour)).reference == "neighbour"
        await server.stop()
        code, printed = await audited(where)
        assert code == 0, printed
    if "://" not in where:
        await execute(where, "VACUUM")
    raw = await Place(where).raw()
    assert CANARY.encode() not in raw
    assert raw.count(b"neighbour") > BATCH


@pytest.mark.parametrize("where", ["postgres"], indirect=True)
async def test_of_two_processes_one_erases_what_the_other_does_not_hold_and_nothing_twice(
    where: str, tmp_path: Path
) -> None:
    async with (
        receiving(Ledger()) as port,
        serving(tmp_path, "--processes", "2", database=where) as server,
    ):
        held = await filled(server, port, "held")
        free = await filled(server, port, "free")
        holder = await asyncpg.connect(where)
        async with asking(server) as client:
            await client.accounts.erase("held")
            holding = holder.transaction()
            await holding.start()
            before: int = await holder.fetchval("SELECT events FROM hooktide.erasures FOR UPDATE")
            await client.accounts.erase("free")
            await until_erased(client, free)
            assert (await client.accounts.erasure(held)).events == before < EVENTS
            await holding.rollback()
            await holder.close()
            os.kill(server.children[0], signal.SIGKILL)
            await until_erased(client, held)
            await execute(where, "UPDATE erasures SET started_at = started_at - 3600000000")
            for account in (held, free):
                found = await until_ended(client, account)
                assert (found.events, found.attempts) == (EVENTS, EVENTS)
        await server.stop()
        assert (await audited(where))[0] == 0
