"""The HTTP server responds cleanly to slow, huge, ambiguous and malformed requests."""

import asyncio
import socket
import struct
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
    """Return the statuses of all responses on a connection."""
    return [int(part[:3]) for part in answers.split(b"HTTP/1.1 ")[1:]]


def problem(answer: bytes) -> str:
    """Return the code of a problem response."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head.lower(), answer
    told = msgspec.json.decode(body)
    assert str(told["status"]).encode() == head.split()[1]
    return str(told["type"]).removeprefix("/problems/")


async def lives(server: Server) -> None:
    assert statuses(await raw(server.port, request("GET", "/health/live"))) == [200]


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


async def test_three_hundred_silent_connections_do_not_block_others(server: Server) -> None:
    silent = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(300)]
    await lives(server)
    for _, writer in silent:
        writer.close()


async def test_a_client_that_resets_its_connection_costs_no_other_an_answer(
    server: Server,
) -> None:
    """Pipelined requests and SO_LINGER 0: answers are written to a connection that was reset."""
    stop = asyncio.Event()

    def reset() -> None:
        linger = struct.pack("ii", 1, 0)
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            client.sendall(b"GET /health/live HTTP/1.1\r\nhost: a\r\n\r\n" * 20)

    async def attack() -> None:
        while not stop.is_set():
            reset()
            await lives(server)  # no faster than it responds: this is not a load test

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        try:
            for _ in range(100):
                writer.write(request("GET", "/health/live").replace(CLOSE, b""))
                async with asyncio.timeout(60):
                    await reader.readuntil(b'{"status":"ok"}')
        finally:
            writer.close()
        return 100

    # opened before: what is under test is not how many connections can wait to be taken
    clients = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(6)]
    for reader, writer in clients:
        writer.write(request("GET", "/health/live").replace(CLOSE, b""))
        await reader.readuntil(b'{"status":"ok"}')
    attacks = [asyncio.create_task(attack()) for _ in range(3)]
    try:
        assert await asyncio.gather(*(ask(*client) for client in clients)) == [100] * 6
    finally:
        stop.set()
        await asyncio.gather(*attacks)
    await lives(server)


@pytest.mark.parametrize(
    ("line", "hosts", "status", "code"),
    [
        (b"HTTP/1.1", b"host: a\r\nHost: b\r\n", 400, "bad_request"),
        (b"HTTP/1.1", b"host: a\r\nhost: a\r\n", 400, "bad_request"),
        (b"HTTP/1.0", b"host: a\r\nhost: a\r\n", 400, "bad_request"),
        (b"HTTP/1.1", b"", 400, "bad_request"),
        (b"HTTP/1.1", b"host: a/b\r\n", 400, "bad_request"),
        (b"HTTP/1.1", b"host: a, b\r\n", 400, "bad_request"),
        (b"HTTP/1.1", b"host: x@y\r\n", 400, "bad_request"),
        (b"HTTP/2.0", b"host: a\r\n", 505, "http_version"),
        (b"HTTP/0.9", b"host: a\r\n", 505, "http_version"),
    ],
)
async def test_a_request_without_one_host_or_of_another_version_is_refused(
    server: Server, line: bytes, hosts: bytes, status: int, code: str
) -> None:
    answer = await raw(server.port, b"GET /health/live " + line + b"\r\n" + hosts + CLOSE + b"\r\n")
    assert statuses(answer) == [status]
    assert problem(answer) == code


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1\r\nhost: hooks.example.com:8443\r\n",
        b"HTTP/1.1\r\nhost: [2001:db8::1]:80\r\n",
        b"HTTP/1.1\r\nhost:\r\n",
        b"HTTP/1.0\r\nhost: a\r\n",
        b"HTTP/1.0\r\n",
    ],
)
async def test_one_host_is_enough_and_http_1_0_needs_none(server: Server, head: bytes) -> None:
    answer = await raw(server.port, b"GET /health/live " + head + CLOSE + b"\r\n")
    assert statuses(answer) == [200]
