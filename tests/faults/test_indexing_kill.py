"""A server is killed while it indexes older events: it goes on, and finds each of them once."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from postgreskit import database
from serverkit import KEY, Server, serving
from watchkit import audited

from hooktide import AsyncClient
from hooktide.wire.projects import SearchIndex

EVENTS = 3_000
BATCH = 500
DONE_TIMEOUT = 120.0
PROJECT = 'name = "invoices"\n[event_types."invoice.paid"]\n'


@pytest.fixture(params=["sqlite", "postgres"])
async def where(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """Say where a database is."""
    if request.param == "sqlite":
        folder = tmp_path / "data"
        folder.mkdir()
        yield str(folder / "hooktide.db")
        return
    async with database() as url:
        yield url


def asking(server: Server) -> AsyncClient:
    return AsyncClient(f"http://127.0.0.1:{server.port}", KEY)


async def publish(server: Server, count: int) -> None:
    for start in range(0, count, BATCH):
        events = [
            {
                "account": "acme",
                "type": "invoice.paid",
                "payload": {"number": f"INV-{n}", "of": "x"},
            }
            for n in range(start, start + BATCH)
        ]
        await server.api.post("/v1/events", events)


async def until(client: AsyncClient, enough: int) -> SearchIndex:
    async with asyncio.timeout(DONE_TIMEOUT):
        while (found := await client.projects.index("invoices")).state == "filling":
            if found.events >= enough:
                break
            await asyncio.sleep(0.01)
    return found


async def until_found(client: AsyncClient) -> list[str]:
    """Return what is found once it is as much as there is: what is new is indexed in seconds."""
    async with asyncio.timeout(DONE_TIMEOUT):
        while True:
            found = [event.id async for event in client.events.list(search="x")]
            if len(found) >= EVENTS:
                return found
            await asyncio.sleep(0.1)


async def test_a_server_killed_while_it_indexes_goes_on_until_every_event_is_found_once(
    where: str, tmp_path: Path
) -> None:
    async with serving(tmp_path, database=where) as server:
        await server.api.put_toml("/v1/projects/invoices", PROJECT)
        await server.api.post("/v1/accounts", {"project": "invoices", "reference": "acme"})
        await publish(server, EVENTS)
        await server.api.put_toml("/v1/projects/invoices", 'index = ["of"]\n' + PROJECT)
        async with asking(server) as client:
            await client.projects.reindex("invoices")
            seen = (await until(client, 1)).events
        await server.kill()
        await server.start()
        async with asking(server) as client:
            assert seen <= (await client.projects.index("invoices")).events
            done = await until(client, EVENTS + 1)
            assert (done.state, done.complete_since) == ("complete", None)
            found = await until_found(client)
        assert len(set(found)) == EVENTS
        code, told = await audited(where)
        assert code == 0, told
