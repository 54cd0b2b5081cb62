"""Concurrent callers share one count, which continues if one of them stops waiting."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from hooktide.actions.deliveries.queue_counts import QueueCounts
from hooktide.domain.model import Scope
from hooktide.domain.stats import Backlog, Oldest
from hooktide.store.base import ProjectUsage
from hooktide.store.maintenance.storage_usage import Counting

SIZES: Sequence[ProjectUsage] = ()
BACKLOG = Backlog(waiting=3, retries=0, held=0, endpoints=1, in_flight=0)


class Slow:
    """A store whose count waits for a test. ``counted`` is the number of calls."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.counted = 0

    async def storage_usage(self) -> Sequence[ProjectUsage]:
        await self._count()
        return SIZES

    async def backlog(self, *_: Any, **__: Any) -> Backlog:
        return BACKLOG

    async def oldest_waiting(self, _: Scope) -> Oldest:
        await self._count()
        return Oldest(17, 18)

    async def _count(self) -> None:
        self.counted += 1
        await self.go.wait()


def storage_usage(slow: Slow) -> Callable[[], Coroutine[Any, Any, Any]]:
    return Counting(slow.storage_usage).result


def queue(slow: Slow) -> Callable[[], Coroutine[Any, Any, Any]]:
    found = QueueCounts(slow)  # type: ignore[arg-type]  # what it asks of a store
    return lambda: found.waiting(Scope())


@pytest.mark.parametrize("made", [storage_usage, queue])
async def test_a_caller_that_stops_waiting_does_not_cancel_the_count(
    made: Callable[[Slow], Callable[[], Coroutine[Any, Any, Any]]],
) -> None:
    slow = Slow()
    ask = made(slow)
    asking = [asyncio.create_task(ask()) for _ in range(3)]
    while not slow.counted:
        await asyncio.sleep(0)
    asking[0].cancel()
    await asyncio.sleep(0)
    slow.go.set()
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert found[1] == found[2] == await made_of(made)
    assert slow.counted == 1


async def made_of(made: Callable[[Slow], Callable[[], Coroutine[Any, Any, Any]]]) -> object:
    slow = Slow()
    slow.go.set()
    return await made(slow)()
