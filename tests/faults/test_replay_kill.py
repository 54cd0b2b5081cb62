"""A server is killed at any point of a replay: each event is sent again exactly once."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from accounting import Ledger
from apikit import Api
from postgreskit import database
from serverkit import event, receiving, serving, set_up

EVENTS = 1000
KILLS = 3
DONE_TIMEOUT = 120.0


@pytest.fixture(params=["sqlite", "postgres"])
async def where(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """Return a database's URL or path."""
    if request.param == "sqlite":
        yield str(tmp_path / "hooktide.db")
        return
    async with database() as url:
        yield url


async def miss(api: Api, account: str, path: str) -> list[str]:
    """Publish events while the endpoint is disabled, and return their ids."""
    await api.post(f"{path}/disable", None)
    told = await api.post("/v1/events", [event(account) for _ in range(EVENTS)])
    await api.post(f"{path}/enable", None)
    return [result["id"] for result in told["results"]]


async def made_by_replay(api: Api, path: str) -> list[str]:
    """Return the event of each delivery, in order."""
    found: list[str] = []
    cursor = ""
    while True:
        page: Any = await api.get(f"{path}/deliveries?limit=100{cursor}")
        found += [item["event"] for item in page["items"]]
        if page["next_cursor"] is None:
            return sorted(found)
        cursor = f"&cursor={page['next_cursor']}"


async def test_a_server_killed_while_it_replays_sends_each_event_again_once(
    where: str, tmp_path: Path
) -> None:
    chance = random.Random(7)
    async with receiving(Ledger()) as port, serving(tmp_path, database=where) as server:
        account, _ = await set_up(server.api, port, ["/well"])
        [endpoint] = (await server.api.get("/v1/endpoints"))["items"]
        path = f"/v1/endpoints/{endpoint['id']}"
        events = await miss(server.api, account, path)
        wanted = {"what": "missed", "since": endpoint["created_at"]}
        replay = (await server.api.post(f"{path}/replays", wanted))["replay"]
        for _ in range(KILLS):
            await asyncio.sleep(chance.uniform(0.1, 0.8))
            await server.kill()
            await server.start()
        async with asyncio.timeout(DONE_TIMEOUT):
            while replay["state"] == "running":
                await asyncio.sleep(0.1)
                replay = await server.api.get(f"/v1/replays/{replay['id']}")
        assert (replay["state"], replay["made"]) == ("done", EVENTS)
        assert await made_by_replay(server.api, path) == sorted(events)
