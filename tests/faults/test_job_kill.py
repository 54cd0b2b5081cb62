"""A server is killed while a job sends everything again: each event once, whenever that was."""

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
    """Say where a database is."""
    if request.param == "sqlite":
        yield str(tmp_path / "hooktide.db")
        return
    async with database() as url:
        yield url


async def delivered(api: Api, count: int) -> list[str]:
    """Publish events, and return them once each was delivered."""
    account = (await api.get("/v1/accounts"))["items"][0]["reference"]
    told = await api.post("/v1/events", [event(account) for _ in range(count)])
    async with asyncio.timeout(DONE_TIMEOUT):
        while await _first(api, "state=pending"):
            await asyncio.sleep(0.05)
    return [result["id"] for result in told["results"]]


async def _first(api: Api, query: str) -> Any:
    return (await api.get(f"/v1/deliveries?{query}&limit=1"))["items"]


async def sent_again(api: Api) -> list[str]:
    """Return the event of each delivery that was sent again, in order."""
    found: list[str] = []
    cursor = ""
    while True:
        page: Any = await api.get(f"/v1/deliveries?limit=100{cursor}")
        found += [item["event"] for item in page["items"] if item["origin"] == "resend"]
        if page["next_cursor"] is None:
            return sorted(found)
        cursor = f"&cursor={page['next_cursor']}"


async def test_a_server_killed_during_a_job_sends_each_event_again_once(
    where: str, tmp_path: Path
) -> None:
    chance = random.Random(7)
    async with receiving(Ledger()) as port, serving(tmp_path, database=where) as server:
        await set_up(server.api, port, ["/well"])
        events = await delivered(server.api, EVENTS)
        wanted = {"act": "resend", "filter": {"state": "delivered"}}
        job = (await server.api.post("/v1/delivery-jobs", wanted))["job"]
        assert job["count"] == {"deliveries": EVENTS, "at_least": False}
        for _ in range(KILLS):
            await asyncio.sleep(chance.uniform(0.1, 0.8))
            await server.kill()
            await server.start()
        async with asyncio.timeout(DONE_TIMEOUT):
            while job["state"] in ("collecting", "running"):
                await asyncio.sleep(0.1)
                job = await server.api.get(f"/v1/delivery-jobs/{job['id']}")
        assert (job["state"], job["found"], job["done"]) == ("done", EVENTS, EVENTS)
        assert await sent_again(server.api) == sorted(events)
        lines = (await server.api.get("/v1/audit-log?limit=100"))["items"]
        assert [each["action"] for each in lines if "deliver" in each["action"]] == [
            "delivery_job.start"
        ]
