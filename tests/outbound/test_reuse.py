"""When idle connections are reused, and when not."""

import asyncio
import socket

import pytest
from wire import LOOPBACK, NO_CONTENT, Behaviour, Peer, answering, keeping, post, receiving

from hooktide.outbound import Resolver, Sender

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"


async def test_requests_one_after_the_other_share_a_connection(sender: Sender) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    async with receiving(answering(OK, NO_CONTENT, chunked, OK)) as receiver:
        outcomes = [await post(sender, receiver) for _ in range(4)]
        assert [outcome.body for outcome in outcomes] == [b"ok", b"", b"ok", b"ok"]
        assert receiver.connections == 1


async def test_requests_at_once_have_a_connection_each_and_keep_them(sender: Sender) -> None:
    async with receiving(keeping(OK)) as receiver:
        for _ in range(3):
            await asyncio.gather(*(post(sender, receiver) for _ in range(5)))
        assert receiver.connections == 5


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 204 No\r\nConnection: close\r\n\r\n", id="says close"),
        pytest.param(NO_CONTENT + POISON, id="a second answer"),
        pytest.param(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", id="read with leniency"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + b"a" * 99_999, id="a long body"
        ),
    ],
)
async def test_a_connection_that_is_not_clean_is_not_reused(sender: Sender, answer: bytes) -> None:
    async with receiving(keeping(answer)) as receiver:
        first = await post(sender, receiver)
        second = await post(sender, receiver)
        assert first.status == second.status
        assert b"poison" not in second.body
        assert receiver.connections == 2


@pytest.mark.parametrize("pause", [0.0, 0.02])
async def test_an_answer_that_nobody_asked_for_is_never_given_to_anyone(
    sender: Sender, pause: float
) -> None:
    poisoned = asyncio.Event()

    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await asyncio.sleep(pause)
        await peer.send(POISON)
        poisoned.set()
        await peer.hang()

    async with receiving(behave) as receiver:
        for number in range(1, 6):
            assert (await post(sender, receiver)).body == b"ok"
            await poisoned.wait()
            poisoned.clear()
            assert receiver.connections == number


async def test_an_answer_that_lies_unread_in_the_kernel_is_never_given_to_anyone(
    sender: Sender,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        first = asyncio.create_task(post(sender, server.getsockname()[1]))
        connection = await asyncio.to_thread(accept_and_answer, server)
        assert (await first).body == b"ok"
        # No await from here to the next request: the loop has no chance to read this.
        connection.sendall(POISON)
        second = asyncio.create_task(post(sender, server.getsockname()[1]))
        other = await asyncio.to_thread(accept_and_answer, server)
        assert (await second).body == b"ok"
        connection.close()
        other.close()


def accept_and_answer(server: socket.socket) -> socket.socket:
    server.settimeout(30)
    connection, _ = server.accept()
    while not connection.recv(65536).endswith(b"{}"):
        pass
    connection.sendall(OK)
    return connection


async def close_on_second(peer: Peer) -> None:
    await peer.request()
    await peer.send(OK)
    if peer.number == 1:
        await peer.request()
        return
    await peer.hang()


async def test_a_kept_connection_closed_without_a_byte_is_replaced_once(sender: Sender) -> None:
    async with receiving(close_on_second) as receiver:
        await post(sender, receiver)
        again = await post(sender, receiver, body=b'"again"')
        assert (again.status, again.body) == (200, b"ok")
        assert receiver.connections == 2
        assert [request[-7:] for request in receiver.requests[1:]] == [b'"again"', b'"again"']


async def test_a_kept_connection_lost_within_the_answer_is_not_replaced(sender: Sender) -> None:
    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await peer.request()
        await peer.send(b"HTTP/1.1 2")

    async with receiving(behave) as receiver:
        await post(sender, receiver)
        assert (await post(sender, receiver)).error == "connection_lost"
        assert receiver.connections == 1


async def test_a_connection_the_receiver_has_closed_is_not_tried(sender: Sender) -> None:
    async with receiving(answering(OK)) as receiver:
        for number in range(1, 4):
            assert (await post(sender, receiver)).status == 200
            await receiver.gone.wait()
            receiver.gone.clear()
            assert len(receiver.requests) == receiver.connections == number


async def test_idle_connections_are_closed_after_their_time() -> None:
    sender = Sender(LOOPBACK, resolver=Resolver(), idle_seconds=0.05)
    async with receiving(keeping(OK)) as receiver:
        await post(sender, receiver)
        await asyncio.wait_for(receiver.gone.wait(), 30)
    await sender.close()


@pytest.mark.parametrize("limit", [{"max_idle": 1}, {"max_idle_per_key": 1}])
async def test_no_more_idle_connections_are_kept_than_allowed(limit: dict[str, int]) -> None:
    sender = Sender(
        LOOPBACK,
        resolver=Resolver(),
        max_idle=limit.get("max_idle", 9),
        max_idle_per_key=limit.get("max_idle_per_key", 9),
    )
    async with receiving(keeping(OK)) as receiver:
        await asyncio.gather(*(post(sender, receiver) for _ in range(4)))
        async with asyncio.timeout(30):
            while receiver.ended < 3:
                receiver.gone.clear()
                await receiver.gone.wait()
        assert (await post(sender, receiver)).status == 200
        assert receiver.connections == 4
    await sender.close()


async def slow(peer: Peer) -> None:
    await peer.request()
    await peer.hang()


async def test_cancelling_an_attempt_closes_its_connection(sender: Sender) -> None:
    async with receiving(slow) as receiver:
        attempt = asyncio.create_task(post(sender, receiver))
        while not receiver.requests:
            await asyncio.sleep(0)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        await asyncio.wait_for(receiver.gone.wait(), 30)


async def test_closing_the_sender_ends_requests_in_flight_as_local_errors(sender: Sender) -> None:
    async with receiving(slow) as receiver:
        attempt = asyncio.create_task(post(sender, receiver))
        while not receiver.requests:
            await asyncio.sleep(0)
        await sender.close()
        outcome = await attempt
        assert (outcome.error, outcome.local) == ("local_error", True)


async def test_a_timeout_of_one_attempt_leaves_the_others_alone(sender: Sender) -> None:
    timed_out = asyncio.Event()

    async def behave(peer: Peer) -> None:
        request = await peer.request()
        if b"/slow" in request:
            await peer.hang()
        if b"/held" in request:
            await timed_out.wait()
        await peer.send(OK)

    async with receiving(behave) as receiver:
        hanging = asyncio.create_task(post(sender, receiver, path="/slow"))
        held = [asyncio.create_task(post(sender, receiver, path="/held")) for _ in range(10)]
        others = await asyncio.gather(*(post(sender, receiver) for _ in range(10)))
        assert {other.status for other in others} == {200}
        assert not hanging.done()
        assert (await post(sender, receiver, path="/slow", timeout=0.3)).error == "timeout"
        timed_out.set()
        assert {(await other).status for other in held} == {200}
        assert not hanging.done()
        hanging.cancel()


def late_ok(seconds: float) -> Behaviour:
    async def behave(peer: Peer) -> None:
        await peer.request()
        await asyncio.sleep(seconds)
        await peer.send(OK)
        await peer.hang()

    return behave


async def test_a_response_after_the_deadline_is_discarded(sender: Sender) -> None:
    async with receiving(late_ok(0.3)) as receiver:
        assert (await post(sender, receiver, timeout=0.1)).error == "timeout"
        assert (await post(sender, receiver, timeout=0.1)).error == "timeout"
        assert receiver.connections == 2
