"""Concurrent requests for the storage usage share one count."""

import asyncio

from webkit import Site

from hooktide.actions.storage_usage import StorageUsage


async def test_two_pages_that_wait_for_one_count_both_get_it(site: Site) -> None:
    usage = StorageUsage(site.app.store)
    first, second = await asyncio.gather(usage.get(1), usage.get(2))
    assert first is not None
    assert second is not None
    assert first[1] is second[1]
