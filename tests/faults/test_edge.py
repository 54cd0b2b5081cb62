"""The server's edge: slow, huge, ambiguous and malformed requests get a clean answer."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio
from serverkit import KEY, Server, raw, request, serving

HEAD = b"host: 127.0.0.1\r\nauthorization: Bearer " + KEY.encode() + b"\r\n"
JSON = HEAD + b"content-type: application/json\r\n"
CLOSE = b"connection: close\r\n"


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    async with serving(tmp_path_factory.mktemp("edge")) as running:
        yield running


def statuses(answers: bytes) -> list[int]:
    """The statuses of all answers on a connection."""
    return [int(part[:3]) for part in answers.split(b"HTTP/1.1 ")[1:]]


def problem(answer: bytes) -> str:
    """The code of the problem that an answer is."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head.lower(), answer
    told = msgspec.json.decode(body)
    assert str(told["status"]).encode() == head.split()[1]
    return str(told["type"]).removeprefix("/problems/")


async def lives(server: Server) -> None:
    assert statuses(await raw(server.port, request("GET", "/health/live"))) == [200]


async def drip(server: Server, begin: bytes, rest: bytes) -> bytes:
    """Send the rest one byte a second until the server has had enough; return what it says."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(begin)
    answer = asyncio.create_task(reader.read(-1))
    try:
        for byte in rest:
            done, _ = await asyncio.wait({answer}, timeout=1)
            if done:
                return answer.result()
            writer.write(bytes([byte]))
    finally:
        answer.cancel()
        writer.close()
    raise AssertionError("the server is still waiting")


async def test_a_request_that_drips_in_is_ended_within_ten_seconds(server: Server) -> None:
    event = b"POST /v1/events HTTP/1.1\r\n" + JSON
    account = b"POST /v1/accounts HTTP/1.1\r\n" + JSON + b"content-length: 100\r\n\r\n"
    first = request("GET", "/health/live").replace(CLOSE, b"")
    begun = (
        (event + b"content-length: 100\r\n\r\n", b"x" * 12),
        (event + b"transfer-encoding: chunked\r\n\r\nff\r\n", b"x" * 12),
        (account + b"{", b" " * 12),
        (b"GET /health/live HTTP/1.1\r\nx: ", b"x" * 12),
        (first + b"GET /", b"x" * 12),
        (account.replace(KEY.encode(), b"nobody"), b" " * 12),
        (first, b"\n" * 12),
        (b"", b"\n" * 12),
    )
    answers = await asyncio.gather(*(drip(server, begin, rest) for begin, rest in begun))
    assert [statuses(answer) for answer in answers] == [
        [408],
        [408],
        [408],
        [408],
        [200, 408],
        [401],
        [200],
        [],
    ]
    assert [problem(answer) for answer in answers[:4]] == ["request_timeout"] * 4
    await lives(server)


@pytest.mark.parametrize("pieces", [1, 40])
async def test_a_head_of_100_kilobytes_is_refused(server: Server, pieces: int) -> None:
    big = b"GET /health/live HTTP/1.1\r\n" + HEAD + b"x: " + b"x" * 100_000 + b"\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    size = len(big) // pieces + 1
    for start in range(0, len(big), size):
        writer.write(big[start : start + size])
        await asyncio.sleep(0)
    answer = await reader.read(-1)
    writer.close()
    assert statuses(answer) == [431]
    assert problem(answer) == "head_too_large"
    await lives(server)


async def test_a_head_of_50_kilobytes_is_read(server: Server) -> None:
    head = b"GET /health/live HTTP/1.1\r\n" + HEAD + CLOSE + b"x: " + b"x" * 50_000 + b"\r\n\r\n"
    assert statuses(await raw(server.port, head)) == [200]


@pytest.mark.parametrize(
    "data",
    [
        b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
        b"content-length: 5\r\ncontent-length: 6\r\n\r\nxxxxxx",
        b"content-length: -1\r\n\r\n",
        b"content-length: 1_0\r\n\r\n",
        b"transfer-encoding: gzip, identity\r\n\r\n",
        b"transfer-encoding: chunked\r\n\r\nnothing\r\n",
        b"content-length : 2\r\n\r\n{}",
        b"x: a\x00b\r\n\r\n",
        b"x y: z\r\n\r\n",
    ],
)
@pytest.mark.parametrize("path", [b"/v1/events", b"/v1/accounts", b"/health/live"])
async def test_a_request_that_two_parsers_could_read_differently_is_refused(
    server: Server, path: bytes, data: bytes
) -> None:
    answer = await raw(server.port, b"POST " + path + b" HTTP/1.1\r\n" + JSON + data)
    [status] = statuses(answer)
    assert status in {400, 405}
    assert problem(answer) in {"bad_request", "method_not_allowed"}


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\x16\x03\x01\x02\x00\x01",
        b"GET",
        b"GET /health/live HTTP/9.9",
        b"GET /health/live\x00 HTTP/1.1",
        b"GET /\xff HTTP/1.1",
        b"PRI * HTTP/2.0",
        b"CONNECT example.com:443 HTTP/1.1",
        b"GET http:// HTTP/1.1",
        b"GET http://[::1 HTTP/1.1",
        b"BREW /health/live HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"TRACE /health/live HTTP/1.1",
        b"GET //health/live HTTP/1.1",
        b"GET /health/../health/live HTTP/1.1",
        b"GET /health/%00live HTTP/1.1",
        b"GET /v1/accounts/%ff HTTP/1.1",
        b"GET /v1/accounts/..%2f..%2fetc HTTP/1.1",
        b"GET /v1/accounts?\xc3\x28 HTTP/1.1",
    ],
)
async def test_a_strange_request_line_gets_a_clean_no(server: Server, line: bytes) -> None:
    answer = await raw(server.port, line + b"\r\n" + HEAD + CLOSE + b"\r\n")
    [status] = statuses(answer)
    assert 400 <= status < 500
    problem(answer)
    await lives(server)


@pytest.mark.parametrize(
    "line",
    [
        b"GET http://127.0.0.1/health/live HTTP/1.1",
        b"GET http://elsewhere.example:99/health/live?x=1 HTTP/1.1",
        b"GET /health/live HTTP/1.0",
    ],
)
async def test_absolute_form_and_http_1_0_are_understood(server: Server, line: bytes) -> None:
    answer = await raw(server.port, line + b"\r\n" + HEAD + CLOSE + b"\r\n")
    assert answer.endswith(b'{"status":"ok"}')


async def test_pipelined_requests_are_answered_in_their_order(server: Server) -> None:
    live = request("GET", "/health/live").replace(CLOSE, b"")
    wrong = request("POST", "/v1/events", b"[]").replace(CLOSE, b"")
    nowhere = request("GET", "/nowhere").replace(CLOSE, b"")
    last = request("GET", "/health/ready")
    answers = await raw(server.port, (live + wrong + nowhere) * 20 + last)
    assert statuses(answers) == [200, 422, 404] * 20 + [200]


async def test_garbage_after_a_request_does_not_spoil_its_answer(server: Server) -> None:
    first = request("GET", "/v1/accounts").replace(CLOSE, b"")
    answers = statuses(await raw(server.port, first + b"\x00\x01 no request\r\n\r\n"))
    assert answers == [200]
    await lives(server)


async def test_a_caller_that_goes_away_within_its_event_publishes_nothing(server: Server) -> None:
    body = b'{"account":"nobody","type":"thing.happened","payload":{}}'
    whole = request("POST", "/v1/events", body + b" ")
    refused = await server.metric("hooktide_events_refused_total")
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(whole[:-1])
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    await lives(server)
    assert await server.metric("hooktide_events_refused_total") == refused


async def test_three_hundred_silent_connections_keep_nobody_out(server: Server) -> None:
    silent = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(300)]
    await lives(server)
    for _, writer in silent:
        writer.close()
