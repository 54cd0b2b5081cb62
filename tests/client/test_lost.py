"""Lost responses: whatever fails between a request and its response, no event is duplicated."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from clientkit import Place, furnish
from serverkit import KEY, Server, serving
from wire import answering, receiving

from hooktide import AsyncClient, Client
from hooktide.client import NewEvent, NotFoundError, RetryPolicy, UnreachableError

LONG = RetryPolicy(retries=200, first=0.05, longest=0.5)
SHORT = RetryPolicy(retries=2, first=0.0)


@dataclass
class Way:
    """A transport that loses the responses of the first requests after they were processed."""

    port: int = 0
    losing: int = 0
    lost: int = 0


@asynccontextmanager
async def way_to(
    server: Server, *, losing: int, then: Callable[[], Awaitable[None]] | None = None
) -> AsyncIterator[Way]:
    """``then`` is called when the last response was lost."""
    way = Way(losing=losing)
    passing: set[asyncio.Task[None]] = set()

    async def lose() -> bool:
        if not way.losing:
            return False
        way.losing -= 1
        way.lost += 1
        if then and not way.losing:
            await then()
        return True

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", server.port)
            writers.append(up_writer)
            sending = asyncio.create_task(_copy(reader, up_writer))
            passing.add(sending)
            while (data := await up_reader.read(65536)) and not await lose():
                writer.write(data)
        except OSError:
            pass
        finally:
            for each in writers:
                each.transport.abort()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passing.add(asyncio.create_task(pass_on(reader, writer)))

    listening = await asyncio.start_server(accept, "127.0.0.1", 0)
    way.port = listening.sockets[0].getsockname()[1]
    try:
        yield way
    finally:
        listening.close()
        for task in passing:
            task.cancel()
        await asyncio.gather(*passing, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
    except OSError:
        pass


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with serving(tmp_path) as server:
        yield server


async def events_of(place: Place) -> list[str]:
    async with AsyncClient(place.url, place.key) as client:
        return [each.id async for each in client.events.list(account="acme")]


def publish_blocking(url: str) -> str:
    with Client(url, KEY, retry_policy=LONG) as client:
        return client.publish("acme", "invoice.paid", {"id": 1}).id


async def test_a_server_killed_between_the_event_and_its_answer_makes_it_once(
    server: Server,
) -> None:
    place = await furnish(server)

    async def kill() -> None:
        await server.kill()
        starting.append(asyncio.create_task(server.start()))

    starting: list[asyncio.Task[None]] = []
    async with way_to(server, losing=1, then=kill) as way:
        url = f"http://127.0.0.1:{way.port}"
        ids = [await asyncio.to_thread(publish_blocking, url)]
        await starting.pop()
        way.losing = 1
        events = [NewEvent(account="acme", type="invoice.paid", payload={"n": n}) for n in range(9)]
        async with AsyncClient(url, KEY, retry_policy=LONG) as client:
            ids += [each.id async for each in client.events.publish_many(events)]
        await starting.pop()
    assert way.lost == 2
    assert await events_of(place) == ids[::-1]


async def test_what_makes_something_new_is_asked_once_and_said_to_be_unknown(
    server: Server,
) -> None:
    place = await furnish(server)
    async with way_to(server, losing=1) as way:
        url = f"http://127.0.0.1:{way.port}"
        async with AsyncClient(url, KEY, retry_policy=SHORT) as client:
            with pytest.raises(UnreachableError, match="may have been carried out") as lost:
                await client.accounts.create("new", project="invoice-maker")
            assert lost.value.sent
            added = [each.reference async for each in client.accounts.list()]
            assert added.count("new") == 1
            way.losing = 1
            await client.accounts.delete("new")  # the first DELETE's response was lost
            with pytest.raises(NotFoundError):
                await client.accounts.delete("new")
            way.losing = 3
            with pytest.raises(UnreachableError) as gone:
                await client.publish("acme", "invoice.paid", {}, idempotency_key="k")
            assert gone.value.idempotency_key == "k"
            again = await client.publish("acme", "invoice.paid", {}, idempotency_key="k")
    assert await events_of(place) == [again.id]


def answered(status: int, *results: dict[str, Any]) -> bytes:
    body = msgspec.json.encode({"results": list(results)})
    head = f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


BUSY = {"type": "/problems/unavailable", "title": "T", "status": 503, "detail": "busy"}


async def test_of_many_events_only_those_that_were_unavailable_are_sent_again() -> None:
    events = [NewEvent(account="acme", type="a.b", payload=n) for n in range(3)]
    good = [{"status": 202, "id": f"evt_{n}", "deliveries": 1} for n in range(3)]
    busy = {"status": 503, "problem": BUSY}
    answers = (answered(207, good[0], busy, good[2]), answered(207, busy), answered(202, good[1]))
    async with receiving(answering(*answers)) as receiver:
        url = f"http://127.0.0.1:{receiver.port}"
        async with AsyncClient(url, KEY, retry_policy=SHORT) as client:
            told = [each async for each in client.events.publish_many(events)]
    assert [each.id for each in told] == ["evt_0", "evt_1", "evt_2"]
    sent = [json.loads(request.partition(b"\r\n\r\n")[2]) for request in receiver.requests]
    assert [[event["payload"] for event in batch] for batch in sent] == [[0, 1, 2], [1], [1]]
    assert len({batch[-1]["idempotency_key"] for batch in sent[1:]}) == 1


async def test_events_that_stay_unavailable_are_reported() -> None:
    busy = answered(207, {"status": 503, "problem": BUSY})
    async with receiving(answering(busy, busy, busy)) as receiver:
        url = f"http://127.0.0.1:{receiver.port}"
        async with AsyncClient(url, KEY, retry_policy=SHORT) as client:
            event = NewEvent(account="acme", type="a.b", payload={})
            [told] = [each async for each in client.events.publish_many([event])]
    assert not told.accepted
    assert told.problem is not None
    assert told.problem.detail == "busy"
    assert len(receiver.requests) == 3
