"""Four workers on one queue: each makes its share of the attempts, and no two make the same."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import asyncpg
from accounting import Ledger
from loadkit import audited
from postgreskit import database
from serverkit import Server, event, receiving, serving, set_up, until_none_is

from hooktide.domain.model import HOUR

WORKERS = 4
PATHS = ("/a", "/b", "/c", "/d", "/e")
DELIVERIES = 10_000
AT_ONCE = 500


async def publish(api: Server, account: str, ledger: Ledger, count: int) -> None:
    """Publish events, many in one request."""
    for first in range(0, count, AT_ONCE):
        numbers = range(first, min(first + AT_ONCE, count))
        made = await api.api.post("/v1/events", [event(account, {"n": n}) for n in numbers])
        for number, item in zip(numbers, made["results"], strict=True):
            ledger.acked[item["id"]] = b'{"n":%d}' % number


async def put_off(url: str) -> None:
    """Let nothing be due before an hour has passed."""
    await run(url, "UPDATE hooktide.queue SET due_at = due_at + $1", HOUR)


async def let_all_be_due(url: str) -> None:
    """Let everything be due now, and tell all workers of it in the same moment."""
    await run(
        url,
        "WITH due AS (UPDATE hooktide.queue SET due_at = due_at - $1 RETURNING endpoint_id) "
        "SELECT pg_notify('hooktide_due', 'test ' || string_agg(DISTINCT endpoint_id::text, ' ')) "
        "FROM due",
        HOUR,
    )


async def run(url: str, sql: str, *values: int) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql, *values)
    finally:
        await connection.close()


@asynccontextmanager
async def workers(tmp_path: Path, url: str) -> AsyncIterator[list[Server]]:
    """Run all workers."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                serving(tmp_path, "--role", "worker", database=url, name=f"worker{number}")
            )
            for number in range(WORKERS)
        ]


async def until_arrived(ledger: Ledger, count: int) -> None:
    async with asyncio.timeout(120):
        while len(ledger.answered_ok) < count:
            await asyncio.sleep(0.05)


async def test_four_workers_share_ten_thousand_deliveries_and_make_no_attempt_twice(
    tmp_path: Path,
) -> None:
    ledger = Ledger()
    async with (
        database() as url,
        receiving(ledger) as receiver,
        serving(tmp_path, "--role", "api", database=url, name="api") as api,
    ):
        account, secrets = await set_up(api.api, receiver, PATHS)
        await publish(api, account, ledger, DELIVERIES // len(PATHS))
        await put_off(url)
        async with workers(tmp_path, url) as all_workers:
            await let_all_be_due(url)
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
    assert min(shares) > 0.1, shares
    print(f"\nshares of {DELIVERIES} attempts: {shares}, 0 made twice")
