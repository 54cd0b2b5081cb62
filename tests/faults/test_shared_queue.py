"""Four workers share a queue: all make attempts at the same time, and no attempt is made twice."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from accounting import Ledger
from loadkit import audited
from postgreskit import database
from serverkit import Server, event, receiving, serving, set_up, until_none_is

WORKERS = 4
SLOTS_PER_ENDPOINT = 10
PATHS = ("/a", "/b", "/c", "/d", "/e")
DELIVERIES = 10_000
"""Enough for four workers to hold 500 of each endpoint, which is as many as one holds."""
CONCURRENCY = 500


async def publish(api: Server, account: str, ledger: Ledger, count: int) -> None:
    """Publish events, many in one request."""
    for first in range(0, count, CONCURRENCY):
        numbers = range(first, min(first + CONCURRENCY, count))
        made = await api.api.post("/v1/events", [event(account, {"n": n}) for n in numbers])
        for number, item in zip(numbers, made["results"], strict=True):
            ledger.acked[item["id"]] = b'{"n":%d}' % number


@asynccontextmanager
async def workers(tmp_path: Path, url: str) -> AsyncIterator[list[Server]]:
    """Run all workers."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                serving(
                    tmp_path,
                    *("--role", "worker", "--slots-per-endpoint", str(SLOTS_PER_ENDPOINT)),
                    database=url,
                    name=f"worker{number}",
                )
            )
            for number in range(WORKERS)
        ]


async def until_all_slots_are_in_use(ledger: Ledger) -> None:
    """Wait until each worker has as many attempts in flight as it may have."""
    async with asyncio.timeout(120):
        while len(ledger.waiting) < WORKERS * len(PATHS) * SLOTS_PER_ENDPOINT:
            await asyncio.sleep(0.05)


async def until_arrived(ledger: Ledger, count: int) -> None:
    async with asyncio.timeout(120):
        while len(ledger.answered_ok) < count:
            await asyncio.sleep(0.05)


async def test_four_workers_make_attempts_at_the_same_time_and_none_twice(
    tmp_path: Path,
) -> None:
    ledger = Ledger(hanging=set(PATHS))
    async with (
        database() as url,
        receiving(ledger) as receiver,
        serving(tmp_path, "--role", "api", database=url, name="api") as api,
    ):
        account, secrets = await set_up(api.api, receiver, PATHS)
        async with workers(tmp_path, url) as all_workers:
            await publish(api, account, ledger, DELIVERIES // len(PATHS))
            await until_all_slots_are_in_use(ledger)
            ledger.let_go()
            await until_arrived(ledger, DELIVERIES)
            await until_none_is(api.api, "pending")
            for worker in all_workers:
                await worker.stop()
            made = [worker.said("attempt") for worker in all_workers]
        await audited(url)
    ledger.check(secrets)
    sent = Counter((line["delivery"], line["attempt"]) for lines in made for line in lines)
    assert len(sent) == sent.total() == len(ledger.arrived) == DELIVERIES
    shares = [len(lines) / DELIVERIES for lines in made]
    assert min(shares) * DELIVERIES >= len(PATHS) * SLOTS_PER_ENDPOINT, shares
    print(f"\nshares of {DELIVERIES} attempts: {shares}, 0 made twice")
