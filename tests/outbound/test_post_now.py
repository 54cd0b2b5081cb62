"""Requests that are sent immediately over an idle connection, with the outcome in a callback."""

import asyncio
import socket
from collections.abc import Callable

import pytest
from wire import LOOPBACK, NO_CONTENT, Behaviour, Peer, Receiver, keeping, post, receiving

from hooktide.domain.delivery.verdict import Outcome
from hooktide.domain.http.address import check_url
from hooktide.outbound import Resolver, Sender

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"


class Answers:
    """The outcomes that a sender passed to its callback."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.came = asyncio.Event()

    def add(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self.came.set()

    async def one(self) -> Outcome:
        """Return the next outcome."""
        await asyncio.wait_for(self.came.wait(), 30)
        self.came.clear()
        return self.outcomes[-1]


def post_now(
    sender: Sender,
    receiver: Receiver | int,
    answered: Callable[[Outcome], None],
    *,
    body: bytes = b"{}",
    timeout: float = 10.0,
) -> Callable[[], None] | None:
    port = receiver if isinstance(receiver, int) else receiver.port
    target = check_url(f"http://127.0.0.1:{port}/hook", LOOPBACK)
    head = target.prefix + b"content-length: %d\r\n\r\n" % len(body)
    return sender.post_now(target, head, body, timeout, answered)


def first_ok_then(behave: Behaviour) -> Behaviour:
    """Answer the first request, then ``behave`` on its connection; answer all on the others."""

    async def begin(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await (behave if peer.number == 1 else keeping(OK))(peer)

    return begin


async def test_nothing_is_sent_where_no_connection_is_kept(sender: Sender) -> None:
    answers = Answers()
    async with receiving(keeping(OK)) as receiver:
        assert post_now(sender, receiver, answers.add) is None
        assert receiver.connections == 0


async def test_an_answer_finds_its_connection_ready_for_the_next_request(sender: Sender) -> None:
    answers = Answers()
    async with receiving(keeping(OK)) as receiver:
        await post(sender, receiver)

        def again(outcome: Outcome) -> None:
            if len(answers.outcomes) < 4:
                assert post_now(sender, receiver, again) is not None
            answers.add(outcome)

        assert post_now(sender, receiver, again) is not None
        assert answers.outcomes == []
        while len(answers.outcomes) < 5:
            await answers.one()
        assert {outcome.body for outcome in answers.outcomes} == {b"ok"}
        assert (receiver.connections, len(receiver.requests)) == (1, 6)


async def test_a_response_after_the_deadline_is_discarded(sender: Sender) -> None:
    late = asyncio.Event()

    async def behave(peer: Peer) -> None:
        await peer.request()
        await late.wait()
        await peer.send(POISON)
        await peer.hang()

    answers = Answers()
    async with receiving(first_ok_then(behave)) as receiver:
        await post(sender, receiver)
        assert post_now(sender, receiver, answers.add, timeout=0.05) is not None
        assert (await answers.one()).error == "timeout"
        late.set()
        assert post_now(sender, receiver, answers.add) is None
        assert (await post(sender, receiver)).body == b"ok"
        assert len(answers.outcomes) == 1


async def test_a_connection_closed_without_a_byte_is_replaced_once(sender: Sender) -> None:
    async def behave(peer: Peer) -> None:
        await peer.request()

    answers = Answers()
    async with receiving(first_ok_then(behave)) as receiver:
        await post(sender, receiver)
        assert post_now(sender, receiver, answers.add, body=b'"again"') is not None
        assert (await answers.one()).body == b"ok"
        assert receiver.connections == 2
        assert [request[-7:] for request in receiver.requests[1:]] == [b'"again"', b'"again"']
        assert len(answers.outcomes) == 1


async def test_a_connection_lost_within_the_answer_is_not_replaced(sender: Sender) -> None:
    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 2")

    answers = Answers()
    async with receiving(first_ok_then(behave)) as receiver:
        await post(sender, receiver)
        assert post_now(sender, receiver, answers.add) is not None
        assert (await answers.one()).error == "connection_lost"
        assert receiver.connections == 1


@pytest.mark.parametrize("more", [POISON, b"garbage"])
async def test_what_comes_behind_an_answer_is_never_given_to_the_next_request(
    sender: Sender, more: bytes
) -> None:
    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send(NO_CONTENT + more)
        await peer.hang()

    answers = Answers()
    async with receiving(first_ok_then(behave)) as receiver:
        await post(sender, receiver)

        def again(outcome: Outcome) -> None:
            assert post_now(sender, receiver, answers.add) is None
            answers.add(outcome)

        assert post_now(sender, receiver, again) is not None
        assert (await answers.one()).status == 204
        assert (await post(sender, receiver)).body == b"ok"
        assert receiver.connections == 2


async def test_an_answer_that_lies_unread_in_the_kernel_is_never_given_to_anyone(
    sender: Sender,
) -> None:
    answers = Answers()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        port = server.getsockname()[1]
        first = asyncio.create_task(post(sender, port))
        connection, _ = await asyncio.to_thread(server.accept)
        await asyncio.to_thread(answer_next, connection)
        await first

        def poisoned(outcome: Outcome) -> None:
            connection.sendall(POISON)  # the loop has no chance to read this before it writes
            assert post_now(sender, port, answers.add) is not None

        assert post_now(sender, port, poisoned) is not None
        await asyncio.to_thread(answer_next, connection)
        other, _ = await asyncio.to_thread(server.accept)
        await asyncio.to_thread(answer_next, other)
        assert (await answers.one()).body == b"ok"
        connection.close()
        other.close()


def answer_next(connection: socket.socket) -> None:
    connection.settimeout(30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while not connection.recv(65536).endswith(b"{}"):
        pass
    connection.sendall(OK)


async def test_what_comes_before_the_request_is_written_is_no_answer_to_it(sender: Sender) -> None:
    """The connection is replaced, because nothing was sent on it."""
    answers = Answers()
    async with receiving(keeping(OK)) as receiver:
        await post(sender, receiver)
        [connection] = sender._pool._open
        assert post_now(sender, receiver, answers.add) is not None
        connection.data_received(POISON)
        assert (await answers.one()).body == b"ok"
        assert receiver.connections == 2
        assert len(answers.outcomes) == 1


async def test_a_request_that_is_cancelled_is_never_answered(sender: Sender) -> None:
    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.hang()

    answers = Answers()
    async with receiving(first_ok_then(behave)) as receiver:
        await post(sender, receiver)
        cancel = post_now(sender, receiver, answers.add)
        assert cancel is not None
        while len(receiver.requests) < 2:
            await asyncio.sleep(0)
        cancel()
        await asyncio.wait_for(receiver.gone.wait(), 30)
        assert answers.outcomes == []


async def test_a_redial_that_someone_else_cancels_is_answered_as_our_own_failure(
    sender: Sender,
) -> None:
    async def behave(peer: Peer) -> None:
        await peer.request()
        if peer.number == 1:
            await peer.send(OK)
            await peer.request()  # the connection is closed without a response
        else:
            await peer.hang()

    answers = Answers()
    async with receiving(behave) as receiver:
        await post(sender, receiver)
        assert post_now(sender, receiver, answers.add) is not None
        while len(receiver.requests) < 3:
            await asyncio.sleep(0)
        [redial] = [
            task
            for task in asyncio.all_tasks()
            if task.get_name() == "send a request over a new connection"
        ]
        redial.cancel()
        outcome = await answers.one()
        assert (outcome.error, outcome.local) == ("local_error", True)


async def test_a_cancellation_that_is_too_late_leaves_the_next_request_alone(
    sender: Sender,
) -> None:
    answers = Answers()
    async with receiving(keeping(OK)) as receiver:
        await post(sender, receiver)
        cancel = post_now(sender, receiver, answers.add)
        assert cancel is not None
        await answers.one()
        assert post_now(sender, receiver, answers.add) is not None
        cancel()
        assert (await answers.one()).body == b"ok"
        assert receiver.connections == 1


async def test_closing_the_sender_ends_requests_in_flight_as_local_errors(sender: Sender) -> None:
    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.hang()

    answers = Answers()
    async with receiving(first_ok_then(behave)) as receiver:
        await post(sender, receiver)
        assert post_now(sender, receiver, answers.add) is not None
        await sender.close()
        assert [(each.error, each.local) for each in answers.outcomes] == [("local_error", True)]


async def test_a_request_that_begins_as_another_times_out_has_its_own_deadline() -> None:
    """This also holds for a connection whose idle time has just ended."""
    sender = Sender(LOOPBACK, resolver=Resolver(), idle_seconds=0)
    answers = Answers()

    async def behave(peer: Peer) -> None:
        while b"hang" not in await peer.request():
            await peer.send(OK)
        await peer.hang()

    async with receiving(behave) as receiver:
        await asyncio.gather(*(post(sender, receiver) for _ in range(9)))

        def again(outcome: Outcome) -> None:
            assert outcome.error == "timeout"
            if post_now(sender, receiver, answers.add) is None:  # the others were closed before
                answers.add(Outcome(body=b"ok"))

        assert post_now(sender, receiver, again, body=b'"hang"', timeout=0) is not None
        for connection in sender._pool._open:
            connection.deadline = 0
        sender._pool._sweep()
        assert (await answers.one()).body == b"ok"
    await sender.close()


async def test_a_bug_in_what_follows_a_timeout_ends_no_other_timeout() -> None:
    sender = Sender(LOOPBACK, resolver=Resolver())
    answers = Answers()

    async def behave(peer: Peer) -> None:
        while b"hang" not in await peer.request():
            await peer.send(OK)
        await peer.hang()

    def fails(outcome: Outcome) -> None:
        raise ZeroDivisionError(outcome.error)

    async with receiving(behave) as receiver:
        await asyncio.gather(*(post(sender, receiver) for _ in range(2)))
        assert post_now(sender, receiver, fails, body=b'"hang"', timeout=0) is not None
        assert post_now(sender, receiver, answers.add, body=b'"hang"', timeout=0.3) is not None
        assert (await answers.one()).error == "timeout"
    await sender.close()
