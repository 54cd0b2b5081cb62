"""How a relay handles a server's responses, over a real socket."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import pytest
from wire import Behaviour, Peer, receiving

from hooktide.cli.commands.outbox import over_http, relay_transport
from hooktide.client.server import Server
from hooktide.domain.errors import UnavailableError
from hooktide.outbox.relay import Answer


def http(status: int, body: object) -> bytes:
    text = msgspec.json.encode(body)
    return b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (status, len(text), text)


def problem(status: int) -> object:
    return {"type": "/problems/no", "title": "No", "status": status, "detail": "not this"}


async def relayed(bodies: Sequence[bytes], behave: Behaviour) -> Sequence[Answer]:
    async with receiving(behave) as receiver:
        transport = relay_transport(Server(f"http://127.0.0.1:{receiver.port}", "key"))
        try:
            return await over_http(transport)(bodies)
        finally:
            await transport.close()


def events(request: bytes) -> list[int]:
    return msgspec.json.decode(request.partition(b"\r\n\r\n")[2], type=list[int])


def answering_each(
    answer: Callable[[list[int]], bytes], asked: list[list[int]]
) -> Callable[[Peer], Awaitable[None]]:
    async def behave(peer: Peer) -> None:
        while True:
            try:
                asked.append(events(await peer.request()))
            except asyncio.IncompleteReadError:
                return
            await peer.send(answer(asked[-1]))

    return behave


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_another_number_of_results_than_events_is_tried_again_later(count: int) -> None:
    answer = http(200, {"results": [{"status": 202, "id": "evt_1"}] * count})
    with pytest.raises(UnavailableError, match=f"2 events was answered with {count} results"):
        await relayed([b"1", b"2"], answering_each(lambda _: answer, []))


async def test_one_event_that_a_request_is_refused_for_is_found_by_halving() -> None:
    bad, asked = 77, list[list[int]]()

    def answer(events: list[int]) -> bytes:
        if bad in events:
            return http(413, problem(413))
        return http(200, {"results": [{"status": 202, "id": "evt_1"}] * len(events)})

    answers = await relayed(
        [b"%d" % number for number in range(200)], answering_each(answer, asked)
    )
    assert [number for number, told in enumerate(answers) if told is not None] == [bad]
    assert "not this" in str(answers[bad])
    assert len(asked) <= 17
    taken = [number for part in asked if bad not in part for number in part]
    assert taken == [number for number in range(200) if number != bad]  # each once, in order


async def test_what_cannot_be_taken_now_is_not_halved() -> None:
    asked = list[list[int]]()
    with pytest.raises(UnavailableError, match="not this"):
        await relayed([b"1", b"2"], answering_each(lambda _: http(503, problem(503)), asked))
    assert set(map(tuple, asked)) == {(1, 2)}
