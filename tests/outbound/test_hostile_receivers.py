"""Broken, slow and hostile receivers on real sockets: attempts end in time, with bounded memory.

Their responses are covered by ``test_response_reader``, which needs no socket.
"""

import asyncio
import resource
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from wire import NO_CONTENT, Behaviour, Peer, answering, keeping, post, receiving

from hooktide.domain.model import SECOND
from hooktide.outbound import Sender

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", id="ssh"),
        pytest.param(CHUNKED + b"zz\r\nno chunk\r\n", id="badchunk"),
        pytest.param(
            b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nraw", id="s101"
        ),
    ],
)
async def test_what_is_not_http_is_an_invalid_response(
    sender: Sender, caplog: pytest.LogCaptureFixture, answer: bytes
) -> None:
    async with receiving(answering(answer)) as receiver:
        outcome = await post(sender, receiver)
        assert (outcome.status, outcome.error) == (None, "invalid_response")
        assert outcome.detail
        assert receiver.connections == 1
        assert caplog.records == []


@pytest.mark.parametrize(
    ("answer", "body", "truncated"),
    [
        pytest.param(OK + b"\r\nuntil the end", b"until the end", False, id="until close"),
        pytest.param(OK + b"X A: b\r\n\r\nmalformed", b"malformed", False, id="malformed head"),
        pytest.param(OK + b"Content-Length: 9\r\n\r\nshort", b"short", True, id="shortbody"),
    ],
)
async def test_an_answer_that_ends_with_its_connection_is_believed(
    sender: Sender, answer: bytes, body: bytes, truncated: bool
) -> None:
    async with receiving(answering(answer)) as receiver:
        outcome = await post(sender, receiver)
        assert (outcome.status, outcome.error) == (200, "")
        assert (outcome.body, outcome.body_truncated) == (body, truncated)


async def drip_head(peer: Peer) -> None:
    await peer.request()
    await drip(peer, OK + b"X-Slow: ")


async def drip_body(peer: Peer) -> None:
    await peer.request()
    await peer.send(OK + b"Content-Length: 100000\r\n\r\n")
    await drip(peer, b"")


async def drip(peer: Peer, start: bytes) -> None:
    await peer.send(start)
    while not peer.writer.is_closing():
        await peer.send(b"a")
        await asyncio.sleep(0.02)


async def slow_interims(peer: Peer) -> None:
    await peer.request()
    while not peer.writer.is_closing():
        await peer.send(b"HTTP/1.1 102 Processing\r\n\r\n")
        await asyncio.sleep(0.1)


async def never_read(peer: Peer) -> None:
    peer.stop_reading()
    await asyncio.sleep(2)


async def hang(peer: Peer) -> None:
    await peer.hang()


@pytest.mark.parametrize("behave", [hang, drip_head, slow_interims])
async def test_one_deadline_covers_the_whole_attempt(sender: Sender, behave: Behaviour) -> None:
    async with receiving(behave) as receiver:
        outcome = await post(sender, receiver, timeout=0.3)
        assert (outcome.status, outcome.error) == (None, "timeout")
        assert 290_000 <= outcome.duration < 60_000_000
        await asyncio.wait_for(receiver.gone.wait(), 30)


async def test_a_body_that_drips_is_cut_at_the_deadline_and_its_status_stands(
    sender: Sender,
) -> None:
    async with receiving(drip_body) as receiver:
        timeout = 0.3
        outcome = await post(sender, receiver, timeout=timeout)
        while outcome.status is None and timeout < 60:  # late, on a busy machine
            timeout *= 10
            outcome = await post(sender, receiver, timeout=timeout)
        assert (outcome.status, outcome.body_truncated) == (200, True)
        assert timeout <= outcome.duration / SECOND + 0.01 < timeout + 60


async def test_a_receiver_that_does_not_read_ends_at_the_deadline(sender: Sender) -> None:
    async with receiving(never_read) as receiver:
        outcome = await post(sender, receiver, body=b"x" * 16_000_000, timeout=0.3)
        assert (outcome.error, outcome.status) == ("timeout", None)


async def test_an_answer_before_the_body_is_read_is_honoured_and_its_connection_closed(
    sender: Sender,
) -> None:
    async def refuse(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        peer.stop_reading()
        await peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await asyncio.sleep(30)

    async with receiving(refuse) as receiver:
        outcome = await post(sender, receiver, body=b"x" * 16_000_000)
        assert outcome.status == 413
        again = await post(sender, receiver, body=b"x" * 16_000_000)
        assert receiver.connections == 2
        assert again.duration < 60_000_000


async def close_at_once(peer: Peer) -> None:
    return


async def reset_after_request(peer: Peer) -> None:
    await peer.request()
    peer.reset()


async def reset_in_head(peer: Peer) -> None:
    await peer.request()
    await peer.send(OK + b"Content-Le")


@pytest.mark.parametrize("behave", [close_at_once, reset_after_request, reset_in_head])
async def test_a_connection_that_ends_before_the_head_is_lost_and_not_tried_again(
    sender: Sender, behave: Behaviour
) -> None:
    async with receiving(behave) as receiver:
        outcome = await post(sender, receiver)
        assert (outcome.status, outcome.error) == (None, "connection_lost")
        assert receiver.connections == 1


async def test_a_reset_within_the_body_leaves_the_status(sender: Sender) -> None:
    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK + b"Content-Length: 100\r\n\r\nstart")
        await asyncio.sleep(0.05)
        peer.reset()

    async with receiving(behave) as receiver:
        outcome = await post(sender, receiver)
        assert (outcome.status, outcome.body, outcome.body_truncated) == (200, b"start", True)


def endless(start: bytes, piece: bytes) -> Behaviour:
    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send(start)
        while True:
            await peer.send(piece)

    return behave


@pytest.mark.parametrize(
    "behave",
    [
        pytest.param(endless(OK + b"\r\n", b"a" * 65536), id="endlessbody"),
        pytest.param(endless(CHUNKED, b"1\r\na\r\n" * 10_000), id="tinychunks"),
    ],
)
async def test_a_flood_is_cut_soon_and_costs_little(sender: Sender, behave: Behaviour) -> None:
    async with receiving(behave) as receiver, responsive():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        outcome = await post(sender, receiver, timeout=60)
        assert (outcome.status, outcome.error) == (200, "")
        assert outcome.body_truncated
        assert outcome.duration < 60_000_000
        # The receiver, in this process too, has buffers of its own.
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 * 1024


async def test_an_endless_head_is_cut_soon_and_costs_little(sender: Sender) -> None:
    behave = endless(OK, b"X-A: b\r\n" * 1000)
    async with receiving(behave) as receiver, responsive():
        outcome = await post(sender, receiver, timeout=60)
        assert (outcome.status, outcome.error) == (200, "")
        assert outcome.duration < 60_000_000


@asynccontextmanager
async def responsive() -> AsyncIterator[None]:
    """Fail if a callback blocked the loop for long, in CPU time because the machine may be busy."""
    worst = 0.0

    async def tick() -> None:
        nonlocal worst
        while True:
            before = time.thread_time()
            await asyncio.sleep(0.005)
            worst = max(worst, time.thread_time() - before)

    ticking = asyncio.create_task(tick())
    yield
    ticking.cancel()
    assert worst < 0.3


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_answer_and_goes_nowhere(sender: Sender, status: int) -> None:
    async with receiving(keeping(NO_CONTENT)) as trap:
        location = b"Location: http://127.0.0.1:%d/" % trap.port
        answer = b"HTTP/1.1 %d Moved\r\n%b\r\nContent-Length: 0\r\n\r\n" % (status, location)
        async with receiving(keeping(answer)) as receiver:
            assert (await post(sender, receiver)).status == status
            assert (receiver.connections, trap.connections) == (1, 0)


@pytest.mark.parametrize("name", [b'Alt-Svc: h2=":%d"', b"Refresh: 0; url=http://127.0.0.1:%d/"])
async def test_no_header_of_an_answer_leads_elsewhere(sender: Sender, name: bytes) -> None:
    async with receiving(keeping(NO_CONTENT)) as trap:
        answer = OK + name % trap.port + b"\r\nContent-Length: 0\r\n\r\n"
        async with receiving(keeping(answer)) as receiver:
            assert (await post(sender, receiver)).status == 200
            assert (await post(sender, receiver)).status == 200
            assert trap.connections == 0


async def test_cookies_are_never_sent_back(sender: Sender) -> None:
    cookie = OK + b"Set-Cookie: session=1; Path=/\r\nContent-Length: 0\r\n\r\n"
    async with receiving(keeping(cookie)) as receiver:
        await post(sender, receiver)
        await post(sender, receiver)
        first, second = receiver.requests
        assert first == second
        assert b"ookie" not in second


async def test_the_request_is_what_was_given_and_nothing_more(sender: Sender) -> None:
    async with receiving(keeping(NO_CONTENT)) as receiver:
        await post(sender, receiver, body=b'{"a":1.10}')
        assert receiver.requests[0].endswith(b'content-length: 10\r\n\r\n{"a":1.10}')
        assert receiver.requests[0].startswith(b"POST /hook HTTP/1.1\r\nhost: 127.0.0.1:")
        assert receiver.requests[0].count(b"\r\n") == 7


@pytest.mark.parametrize("name", ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"])
async def test_proxies_of_the_environment_are_not_used(
    sender: Sender, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    async with receiving(hang) as trap, receiving(keeping(NO_CONTENT)) as receiver:
        monkeypatch.setenv(name, f"http://127.0.0.1:{trap.port}")
        assert (await post(sender, receiver)).status == 204
        assert trap.connections == 0


async def test_a_receiver_that_speaks_first_is_not_http(sender: Sender) -> None:
    async def greet(peer: Peer) -> None:
        await peer.send(b"220 mail.example.com ESMTP\r\n")
        await peer.hang()

    async with receiving(greet) as receiver:
        assert (await post(sender, receiver)).error == "invalid_response"
