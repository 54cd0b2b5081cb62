"""The log's daily partitions in PostgreSQL during a long read, such as a dump or an audit."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from storekit import KEY, NOON, Given

from hooktide.domain.delivery.verdict import Delivered
from hooktide.domain.model import DAY
from hooktide.runtime.vault import Vault
from hooktide.store.base import Accepted
from hooktide.store.postgres import open_postgres

LATER = NOON + 40 * DAY


@pytest.fixture
def kind() -> str:
    return "postgres"


@asynccontextmanager
async def dumping(url: str) -> AsyncIterator[None]:
    """Hold the locks that a dump holds."""
    connection = await asyncpg.connect(url)
    async with connection.transaction():
        await connection.execute(
            "LOCK TABLE hooktide.events, hooktide.ended, hooktide.attempts IN ACCESS SHARE MODE"
        )
        yield
    await connection.close()


async def days(url: str) -> list[str]:
    """Return the existing partitions of events, except the default one."""
    connection = await asyncpg.connect(url)
    sql = "SELECT tablename FROM pg_tables WHERE tablename ~ '^events_[0-9]+$' ORDER BY 1"
    found = [name for (name,) in await connection.fetch(sql)]
    await connection.close()
    return found


async def keep(given: Given) -> None:
    """Run maintenance: create the next days, and drop those past retention."""
    await given.store.prepare_log(LATER)
    await given.store.drop_old(LATER, 100)


async def test_days_are_made_and_dropped_once_a_dump_is_over_and_nothing_waits_for_it(
    given: Given,
) -> None:
    await given.publish()
    for claim in await given.claim():
        await given.record(claim, Delivered())
    before = await days(given.place.url)
    async with dumping(given.place.url):
        keeping = asyncio.create_task(keep(given))
        while not keeping.done():
            assert await given.publish(now=LATER)
            await asyncio.sleep(0.01)
        assert await given.publish(now=LATER)
        await keeping
        assert await days(given.place.url) == before
    await keep(given)
    after = await days(given.place.url)
    assert after[-1] > before[-1]
    assert not set(before) & set(after)


async def test_a_store_opens_while_a_dump_is_in_the_way_of_its_next_days(given: Given) -> None:
    async with dumping(given.place.url):
        second = await open_postgres(given.place.url, Vault(KEY), LATER)
        [added] = await second.add_events([given.event()], LATER)
        await second.close()
    assert isinstance(added, Accepted)
