"""``hooktide audit`` is correct while servers deliver, are killed and restart."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from accounting import Ledger, Producer
from postgreskit import database
from serverkit import KEY, Server, receiving, serving, set_up

from hooktide.runtime.clock import wall_clock
from hooktide.store.maintenance.invariants import CHECKS, Finding
from hooktide.store.postgres.maintenance.invariants import audit_postgres
from hooktide.store.sqlite.maintenance.invariants import audit_sqlite

PROJECT = """
name = "accounting"
title = "Accounting"
default_plan = "small"
disable_after = 5

[dialect]
standard_headers = true
envelope = "payload"

[retry]
delays = ["1s"]

[plans.small]
retries = 2
endpoints = 5

[plans.smallest]
retries = 1
endpoints = 4

[event_types."thing.happened"]
description = "Something happened."
"""


@asynccontextmanager
async def somewhere(kind: str) -> AsyncIterator[str]:
    """Yield a server's database: a PostgreSQL URL, or an empty string for a SQLite file."""
    if kind == "sqlite":
        yield ""
    else:
        async with database() as url:
            yield url


async def audit(server: Server) -> list[Finding]:
    if server.database:
        return [finding async for finding in audit_postgres(server.database)]
    path = str(server.folder / "hooktide.db")
    return await asyncio.to_thread(lambda: list(audit_sqlite(path, wall_clock())))


async def audit_often(server: Server, found: list[Finding]) -> None:
    while True:
        found.extend(await audit(server))
        await asyncio.sleep(0.2)


async def trouble(server: Server, hooks: list[dict[str, Any]], account: str, url: str) -> None:
    """Change endpoints as their owners would, and kill the server once."""
    flaky, _, slow = hooks
    await asyncio.sleep(1)
    await server.api.post(f"/v1/endpoints/{flaky['id']}/disable")
    await server.api.post(f"/v1/endpoints/{slow['id']}/test")
    await server.kill()
    await server.start()
    await server.api.post(f"/v1/endpoints/{flaky['id']}/enable")
    await asyncio.sleep(1)
    await server.api.delete(f"/v1/endpoints/{slow['id']}")
    new = {"account": account, "url": url, "event_types": ["thing.*"]}
    await server.api.post("/v1/endpoints", new)
    await server.api.patch(f"/v1/endpoints/{flaky['id']}", {"event_types": ["thing.happened", "*"]})
    await asyncio.sleep(1)


async def until_disabled(server: Server, hook: dict[str, Any]) -> None:
    """Wait until so many deliveries have failed that the endpoint is disabled."""
    async with asyncio.timeout(120):
        while (await server.api.get(f"/v1/endpoints/{hook['id']}"))["enabled"]:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_on_a_live_database_nothing_is_found_broken_that_is_not(
    tmp_path: Path, kind: str
) -> None:
    ledger, found = Ledger(), list[Finding]()
    options = ("--no-log-attempts", "--slots-per-endpoint", "50")
    async with (
        somewhere(kind) as url,
        receiving(ledger) as receiver,
        serving(tmp_path, *options, database=url) as server,
    ):
        account, _ = await set_up(
            server.api, receiver, ("/flaky", "/fail", "/slow"), project=PROJECT
        )
        hooks = (await server.api.get("/v1/endpoints"))["items"][::-1]
        producer = Producer(server.port, KEY, account, ledger)
        producing = asyncio.create_task(producer.run(2))
        auditing = asyncio.create_task(audit_often(server, found))
        try:
            await trouble(server, hooks, account, f"http://127.0.0.1:{receiver}/ok")
            producer.stop.set()
            await producing
            await until_disabled(server, hooks[1])
            async with asyncio.timeout(120):
                while len(found) <= 3 * len(CHECKS):
                    await asyncio.sleep(0.05)
        finally:
            producing.cancel()
            auditing.cancel()
            await asyncio.gather(producing, auditing, return_exceptions=True)
        found += await audit(server)
    assert [finding for finding in found if finding.broken] == []
