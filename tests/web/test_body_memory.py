"""The shared memory budget of request bodies: a failing request does not leak its reservation."""

import asyncio

import pytest
from starlette.types import Message

from hooktide.domain.errors import UnavailableError
from hooktide.web.http import body_memory
from hooktide.web.http.body_memory import CHUNK, MAX_BODY, BodyMemory, CountedBody


class Caller:
    """A client that sends a body in pieces when it is allowed to."""

    def __init__(self, memory: BodyMemory, declared: int | None = None) -> None:
        self.pieces: asyncio.Queue[Message | Exception] = asyncio.Queue()
        self.body = CountedBody(memory, self._receive, declared)

    async def _receive(self) -> Message:
        piece = await self.pieces.get()
        if isinstance(piece, Exception):
            raise piece
        return piece

    def send(self, size: int, *, more: bool = False) -> None:
        message = {"type": "http.request", "body": b"x" * size, "more_body": more}
        self.pieces.put_nowait(message)

    async def read(self) -> None:
        """Read the whole body as a request does, and release its memory in any case."""
        try:
            while (await self.body()).get("more_body"):
                pass
        finally:
            self.body.release()


@pytest.fixture
def memory() -> BodyMemory:
    return BodyMemory(MAX_BODY + 5 * CHUNK)  # 4 chunks for large bodies


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize("trouble", ["cancelled", "raises", "disconnects"])
@pytest.mark.parametrize("place", [0, 1, 2])
async def test_a_request_that_ends_while_others_wait_for_room_gives_its_own_back(
    memory: BodyMemory, trouble: str, place: int
) -> None:
    holds = Caller(memory)
    holding = asyncio.create_task(holds.read())
    holds.send(4 * CHUNK, more=True)
    await settled()
    callers = [Caller(memory) for _ in range(3)]
    reading = [asyncio.create_task(caller.read()) for caller in callers]
    for number, caller in enumerate(callers):
        if number != place or trouble == "cancelled":
            caller.send(CHUNK)
    await settled()
    if trouble == "cancelled":
        reading[place].cancel()
    else:
        error = OSError("reset")
        gone: Message = {"type": "http.disconnect"}
        callers[place].pieces.put_nowait(error if trouble == "raises" else gone)
    holds.send(1)
    async with asyncio.timeout(30):
        await asyncio.gather(holding, *reading, return_exceptions=True)
    ended = [task.exception() for task in reading if not task.cancelled()]
    assert [error for error in ended if error is not None and trouble != "raises"] == []
    assert (memory.held, memory._small, memory._large) == (0, [], [])
    again = Caller(memory)
    again.send(MAX_BODY)
    await again.read()
    assert memory.held == 0


async def test_a_request_that_waited_too_long_leaves_its_place_to_the_next(
    memory: BodyMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body_memory, "ROOM_TIMEOUT", 0.0)
    holds, late, following = Caller(memory), Caller(memory), Caller(memory)
    holding = asyncio.create_task(holds.read())
    holds.send(4 * CHUNK, more=True)
    await settled()
    with pytest.raises(UnavailableError, match="request bodies"):
        await late.read()
    monkeypatch.setattr(body_memory, "ROOM_TIMEOUT", 30.0)
    waiting = asyncio.create_task(following.read())
    following.send(1)
    await settled()
    assert not waiting.done()
    holds.send(1)
    await asyncio.gather(holding, waiting)
    assert (memory.held, memory._going_on, memory._small, memory._large) == (
        0,
        None,
        [],
        [],
    )


async def test_one_goes_on_without_room_and_the_next_after_it(memory: BodyMemory) -> None:
    """Otherwise all requests could wait for each other."""
    holds, first, following = Caller(memory), Caller(memory), Caller(memory)
    holding = asyncio.create_task(holds.read())
    holds.send(3 * CHUNK, more=True)  # no memory is left for the bytes to come
    await settled()
    goes_on, waits = (asyncio.create_task(each.read()) for each in (first, following))
    await settled()
    following.send(1)
    await settled()
    assert not waits.done()
    first.send(1)
    await settled()
    assert (goes_on.done(), waits.done(), holding.done()) == (True, True, False)
    holds.send(1)
    await holding
    assert memory.held == 0


async def test_a_small_request_waits_for_no_large_one_that_waits(memory: BodyMemory) -> None:
    whole, going_on, large, small = (Caller(memory, size) for size in (None, None, None, 1))
    whole.send(4 * CHUNK)
    await whole.body()
    going_on.send(memory.limit - 3 * CHUNK, more=True)
    await going_on.body()
    reading = [asyncio.create_task(caller.read()) for caller in (large, small)]
    await settled()
    large.send(1)
    small.send(1)
    await settled()
    assert [task.done() for task in reading] == [False, False]
    whole.body.release()
    await settled()
    assert [task.done() for task in reading] == [False, True]
    going_on.body.release()
    await asyncio.gather(*reading)
    assert memory.held == 0


@pytest.mark.parametrize("declared", [1, None])
async def test_many_that_are_released_at_once_wake_no_more_than_there_is_room_for(
    memory: BodyMemory, declared: int | None
) -> None:
    """A request that is woken owns its memory before it runs, and releases it if cancelled."""
    holding = [Caller(memory, 1) for _ in range(memory.limit // CHUNK)]
    for caller in holding:
        caller.send(CHUNK)
        await caller.body()
    assert memory.held == memory.limit
    callers = [Caller(memory, declared) for _ in range(5 * len(holding))]
    reading = [asyncio.create_task(caller.read()) for caller in callers]
    await settled()
    for caller in holding:
        caller.body.release()
    room = memory.limit if declared == 1 else memory.large_limit
    assert memory.held <= room + 2 * CHUNK
    reading[1].cancel()
    for caller in callers:
        caller.send(CHUNK)
    await asyncio.gather(*reading, return_exceptions=True)
    assert [task.cancelled() for task in reading].count(True) == 1
    assert (memory.held, memory._going_on, memory._small, memory._large) == (0, None, [], [])


async def test_the_one_that_may_go_on_without_room_is_the_oldest_large_or_small(
    memory: BodyMemory,
) -> None:
    going_on, large, small = (Caller(memory, size) for size in (None, None, 1))
    going_on.send(memory.limit + CHUNK, more=True)
    await going_on.body()
    going_on.send(1, more=True)
    await going_on.body()
    reading = [asyncio.create_task(caller.read()) for caller in (large, small)]
    await settled()
    large.send(1)
    small.send(1)
    memory.leave(going_on.body)
    await settled()
    assert reading[0].done()
    going_on.body.release()
    await asyncio.gather(*reading)
    assert memory.held == 0
