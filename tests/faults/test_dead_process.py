"""A killed process's claims are released within seconds. A running process keeps its claims.

``HOOKTIDE_WAITING`` is the number of pending deliveries: 400 by default, 5,000 in ``make faults``.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
from accounting import Ledger
from pgbouncer import program, shared_bouncer
from postgreskit import database
from serverkit import Server, event, receiving, serving, set_up

WAITING = int(os.environ.get("HOOKTIDE_WAITING", "400"))
PATHS = tuple(f"/hang{number}" for number in range(10))
"""Each takes a tenth of them: no more than a process keeps in memory for one endpoint."""
OUT = 100
"""How many are out at once: ten to each endpoint."""
TWO_LOOKS = 5.0
TERMINATE_FIRST = """SELECT count(pg_terminate_backend(pid)) FROM pg_locks
WHERE locktype = 'advisory' AND objsubid = 2 AND objid = 0
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
"""Ends the session of the process that started first."""


@dataclass
class Two:
    """Two servers. The first has claimed all pending deliveries."""

    first: Server
    second: Server
    url: str
    ledger: Ledger
    secrets: dict[str, str]

    async def until_arrived(self) -> float:
        """Wait until everything was answered, and return how many seconds that took."""
        since = time.monotonic()
        async with asyncio.timeout(120):
            while len(self.ledger.answered_ok) < WAITING:
                await asyncio.sleep(0.05)
        return time.monotonic() - since

    async def released(self) -> list[float]:
        return [await each.metric("hooktide_released_claims_total") for each in self.servers]

    @property
    def servers(self) -> Sequence[Server]:
        return [self.first, self.second]


@pytest.fixture(params=["direct", "pgbouncer"])
async def two(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Two]:
    ledger = Ledger(hanging=set(PATHS))
    async with AsyncExitStack() as stack:
        url = direct = await stack.enter_async_context(database())
        options: Sequence[str] = ("--no-log-attempts",)
        if request.param == "pgbouncer":
            if not program():
                pytest.skip("PgBouncer is not installed")
            url = shared_bouncer().url(url.rpartition("/")[2])
            options = (*options, "--database-direct", direct)
        port = await stack.enter_async_context(receiving(ledger))
        first, second = [
            await stack.enter_async_context(
                serving(tmp_path, *options, "--role", role, database=url, name=name)
            )
            for name, role in (("first", "all"), ("second", "worker"))
        ]
        account, secrets = await set_up(first.api, port, PATHS)
        made = await first.api.post("/v1/events", [event(account)] * (WAITING // 10))
        ledger.acked |= {item["id"]: b"{}" for item in made["results"]}
        async with asyncio.timeout(60):
            while len(ledger.arrived) < OUT:
                await asyncio.sleep(0.01)
        yield Two(first, second, direct, ledger, secrets)


async def test_claims_of_a_killed_process_are_sent_by_another_within_seconds(two: Two) -> None:
    assert await two.second.metric("hooktide_waiting_in_memory") == 0
    await two.first.kill()
    two.ledger.hanging.clear()
    seconds = await two.until_arrived()
    assert await two.second.metric("hooktide_released_claims_total") == WAITING
    assert two.second.said(f"process 0 is dead; released its {WAITING} claims")
    two.ledger.check(two.secrets)
    assert two.ledger.duplicates <= OUT
    print(f"\n{WAITING} waiting deliveries of a killed process arrived after {seconds:.1f} s")


@pytest.mark.parametrize("two", ["direct"], indirect=True)
async def test_a_process_that_only_lost_its_session_keeps_all_and_attempts_nothing_twice(
    two: Two,
) -> None:
    operator = await asyncpg.connect(two.url)
    assert await operator.fetchval(TERMINATE_FIRST) == 1
    await operator.close()
    await asyncio.sleep(TWO_LOOKS)
    assert len(two.ledger.arrived) == OUT
    two.ledger.let_go()
    await two.until_arrived()
    assert await two.released() == [0, 0]
    two.ledger.check(two.secrets)
    assert two.ledger.duplicates == 0
