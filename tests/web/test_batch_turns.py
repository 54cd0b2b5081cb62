"""A limited number of batches is processed concurrently, in order, for connected clients only."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message
from webkit import Client, Site

from hooktide.actions.publishing.publish import Checked, Publisher
from hooktide.domain.model import Scope
from hooktide.web.http.batch_turns import MAX_CONCURRENT, BatchTurns
from hooktide.wire.events import EventIn


class Caller:
    """A client whose request has been read. ``leave`` is called when it disconnects."""

    def __init__(self) -> None:
        self._gone = asyncio.Event()
        self.leave = self._gone.set

    async def receive(self) -> Message:
        await self._gone.wait()
        return {"type": "http.disconnect"}


async def held(turns: BatchTurns, stack: AsyncExitStack, count: int) -> None:
    for _ in range(count):
        await stack.enter_async_context(turns.taken(Caller().receive))


async def waiting(turns: BatchTurns, caller: Caller, done: list[Caller]) -> None:
    async with turns.taken(caller.receive):
        done.append(caller)


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_those_that_wait_go_on_in_the_order_they_came() -> None:
    turns, done = BatchTurns(), list[Caller]()
    callers = [Caller() for _ in range(3)]
    async with AsyncExitStack() as stack:
        await held(turns, stack, MAX_CONCURRENT)
        tasks = [asyncio.create_task(waiting(turns, each, done)) for each in callers]
        await settled()
        assert done == []
    await asyncio.gather(*tasks)
    assert done == callers


async def test_a_client_that_goes_away_while_it_waits_takes_no_turn() -> None:
    turns, done = BatchTurns(), list[Caller]()
    gone, stays = Caller(), Caller()
    async with AsyncExitStack() as stack:
        await held(turns, stack, MAX_CONCURRENT)
        leaving = asyncio.create_task(waiting(turns, gone, done))
        staying = asyncio.create_task(waiting(turns, stays, done))
        await settled()
        gone.leave()
        with pytest.raises(ClientDisconnect):
            await leaving
    await staying
    assert done == [stays]
    async with AsyncExitStack() as stack:  # every slot was released exactly once
        await held(turns, stack, MAX_CONCURRENT)
        late = asyncio.create_task(waiting(turns, Caller(), done))
        await settled()
        assert not late.done()
    await late


async def test_a_middleware_that_repeats_the_body_blocks_no_other_request() -> None:
    turns = BatchTurns()

    async def receive() -> Message:
        return {"type": "http.request", "body": b"[]", "more_body": False}

    async def take_a_turn() -> None:
        async with turns.taken(receive):
            pass

    async with AsyncExitStack() as stack, asyncio.timeout(30):
        await held(turns, stack, MAX_CONCURRENT)
        waits = asyncio.create_task(take_a_turn())
        await settled()
        assert not waits.done()
        await stack.aclose()
        await waits


async def test_a_client_that_disconnects_as_it_gets_a_slot_releases_it() -> None:
    turns, done = BatchTurns(), list[Caller]()
    gone = Caller()
    stack = AsyncExitStack()
    await held(turns, stack, MAX_CONCURRENT)
    leaving = asyncio.create_task(waiting(turns, gone, done))
    await settled()
    gone.leave()
    await stack.aclose()
    await asyncio.gather(leaving, return_exceptions=True)
    async with AsyncExitStack() as again, asyncio.timeout(30):
        await held(turns, again, MAX_CONCURRENT)


@pytest.mark.both_databases
async def test_many_batches_at_once_are_all_answered_and_few_are_worked_on(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.account()
    now, most = 0, 0
    check = Publisher.check_batch

    async def counted(self: Publisher, scope: Scope, events: list[EventIn]) -> list[Checked]:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        try:
            return await check(self, scope, events)
        finally:
            now -= 1

    monkeypatch.setattr(Publisher, "check_batch", counted)
    batch = [{"account": "acme", "type": "invoice.paid", "payload": {"id": n}} for n in range(20)]
    client = Client(site.app, stays=True)
    answers = await asyncio.gather(*[client.post("/v1/events", batch) for _ in range(12)])
    assert [each.status for each in answers] == [202] * 12
    assert all(len(each.json["results"]) == 20 for each in answers)
    assert most == MAX_CONCURRENT
