"""The storage usage of each project."""

import asyncio

import pytest
from livedkit import ENDED, live
from storekit import Place

from hooktide.domain.model import DAY, Scope
from hooktide.domain.project.project import Project
from hooktide.store.contract import Store


@pytest.mark.pooled
async def test_sizes_are_what_retention_has_left(place: Place) -> None:
    store = await place.open()
    life = await live(store)
    await store.put_project(Project(name="another", title="Another"), ENDED)
    [another, lived] = await store.storage_usage()
    assert (another.name, another.events, another.oldest_at) == ("another", 0, None)
    assert (another.deliveries, another.attempts, another.payload_bytes) == (0, 0, 0)
    assert (lived.name, lived.project_id) == ("lived", life.project_id)
    assert (lived.events, lived.payload_bytes) == (16, 16 * len(b'{"total":1.10}'))
    assert lived.deliveries > lived.events
    assert lived.attempts > lived.events
    assert lived.oldest_at is not None
    await store.drop_old(ENDED + 31 * DAY, 5)
    [_, less] = await store.storage_usage()
    assert (less.events, less.payload_bytes) == (11, 11 * len(b'{"total":1.10}'))
    assert less.oldest_at is not None
    assert less.oldest_at > lived.oldest_at
    await store.close()


async def test_a_removed_project_is_counted_until_its_log_is_past_retention(place: Place) -> None:
    store = await place.open()
    life = await live(store)
    for account_id in life.accounts.values():
        await store.delete_account(Scope(), account_id, ENDED)
    await store.delete_project(life.project_id, ENDED)
    assert [size.events for size in await store.storage_usage()] == [16]
    await drop_all(store)
    assert list(await store.storage_usage()) == []
    await store.close()


async def drop_all(store: Store) -> None:
    later = ENDED + 31 * DAY
    while await store.release_expired_claims(later, 100) + await store.discard_stale(later, 100):
        pass
    while await store.drop_old(later, 100):
        pass


async def test_who_asks_while_it_is_counted_gets_the_same_answer(place: Place) -> None:
    store = await place.open()
    await live(store)
    [first, second] = await asyncio.gather(store.storage_usage(), store.storage_usage())
    assert first is second
    assert await store.storage_usage() == first
    await store.close()


@pytest.mark.pooled
async def test_a_store_that_is_closed_does_not_wait_for_a_count(place: Place) -> None:
    store = await place.open()
    await live(store)
    counting = asyncio.ensure_future(store.storage_usage())
    await asyncio.sleep(0)
    await store.close()
    await asyncio.wait([counting], timeout=60)
    assert counting.done()
    assert counting.cancelled() or counting.exception() is None
