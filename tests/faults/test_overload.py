"""Overload: many large bodies, clients that do not read, and no memory left."""

import asyncio
import contextlib
import functools
import resource
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvloop
from accounting import PROJECT
from ports import free_port
from serverkit import Server, event, raw, request, serving
from starlette.types import Receive, Scope, Send

from hooktide.web.http import protocol, server


def on_uvloop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an in-process server on uvloop, as real servers do."""

    @functools.wraps(test)
    def run(*args: Any, **named: Any) -> None:
        uvloop.run(test(*args, **named))

    return run


MEGABYTE = 1 << 20
LIMIT = 32
ROOM_FOR_WORK = 96
"""Megabytes beyond the limit: copies of the few bodies that are being read, and the store's."""


def statuses(answers: bytes) -> list[int]:
    return [int(part[:3]) for part in answers.split(b"HTTP/1.1 ")[1:]]


def rss(pid: int) -> int:
    """Return a process's resident memory in megabytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() // MEGABYTE


async def begin(server: Server) -> None:
    await server.api.put_toml("/v1/projects/accounting", PROJECT)
    await server.api.post("/v1/accounts", {"project": "accounting", "reference": "acme"})


def batch(size: int, *, chunked: bool = False) -> bytes:
    """Return a batch request of this many bytes, with one event that is refused."""
    one = msgspec.json.encode(event("acme", {"x": "y" * 200_000}))
    refused = msgspec.json.encode(event("acme", {"x": "y" * 300_000}))
    body = b"[" + b",".join([one] * ((size - len(refused)) // len(one)) + [refused]) + b"]"
    asked = request("POST", "/v1/events", body)
    if not chunked:
        return asked
    head = asked[: -len(body)].replace(
        b"content-length: %d" % len(body), b"transfer-encoding: chunked"
    )
    return head + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"


@pytest.mark.parametrize("chunked", [False, True])
async def test_many_large_bodies_at_once_take_no_more_memory_than_is_allowed(
    tmp_path: Path, chunked: bool
) -> None:
    """100 batches of 9.9 MB at once, each with one event that is refused, are a gigabyte."""
    async with serving(tmp_path, "--max-body-memory", str(LIMIT)) as running:
        await begin(running)
        await raw(running.port, batch(9_900_000))
        before, most = rss(running.pid), 0
        data = batch(9_900_000, chunked=chunked)
        asked = [asyncio.create_task(raw(running.port, data, within=120)) for _ in range(100)]
        small: list[bytes] = []
        one = request("POST", "/v1/events", msgspec.json.encode(event("acme")))
        while not all(task.done() for task in asked):
            most = max(most, rss(running.pid))
            small.append(await raw(running.port, one, within=60))
            await asyncio.sleep(0.02)
        answers = [task.result() for task in asked]
        assert {status for answer in answers for status in statuses(answer)} <= {207, 503}
        assert sum(statuses(answer) == [207] for answer in answers) >= 3
        assert all(
            b"retry-after: 5\r\n" in answer for answer in answers if statuses(answer) == [503]
        )
        assert {status for answer in small for status in statuses(answer)} == {202}
        print(f"{before} MB before, {most} MB at most, {len(small)} small ones")
        assert most - before < LIMIT + ROOM_FOR_WORK
        assert await running.metric("hooktide_body_memory_bytes") == 0


async def test_a_server_short_of_memory_says_so_and_calls_no_request_wrong(tmp_path: Path) -> None:
    """The response is 503, which clients retry. With a 400, the event would be lost."""
    async with serving(tmp_path) as running:
        await begin(running)
        data = batch(9_900_000)
        assert statuses(await raw(running.port, data)) == [207]
        size = int(Path(f"/proc/{running.pid}/statm").read_text().split()[0])
        found: set[int] = set()
        for room in (0, 4, 8, 16, 24):
            running.limit(resource.RLIMIT_AS, size * resource.getpagesize() + room * MEGABYTE)
            answers = await asyncio.gather(*(raw(running.port, data, within=60) for _ in range(6)))
            found.update(status for answer in answers for status in statuses(answer))
        running.limit(resource.RLIMIT_AS, None)
        assert found <= {207, 503}
        assert 503 in found
        assert statuses(await raw(running.port, data)) == [207]


PIECE, PIECES = b"x" * 65_536, 160
"""Ten megabytes: more than two sockets' buffers hold."""


async def large(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(PIECES):
        await send({"type": "http.response.body", "body": PIECE, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


@contextlib.asynccontextmanager
async def http_server(monkeypatch: pytest.MonkeyPatch, within: float) -> AsyncIterator[int]:
    """A server with large responses, whose clients have ``within`` seconds to read them."""
    monkeypatch.setattr(protocol, "WRITE_TIMEOUT", within)
    monkeypatch.setattr(server, "SWEEP_INTERVAL", 0.1)
    opened, finish = asyncio.Event(), asyncio.sleep
    running = server.HttpServer(large, opened=opened.set, finish=lambda: finish(0), within=2)
    port = free_port()
    running.config.port = port
    task = asyncio.create_task(running.serve())
    await opened.wait()
    try:
        yield port
    finally:
        running.should_exit = True
        await task


def client(port: int, buffer: int = 4096) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    made.connect(("127.0.0.1", port))
    made.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    return made


@on_uvloop
async def test_a_client_that_does_not_read_its_answer_is_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def until_reset(each: socket.socket) -> bool:
        with each:
            each.settimeout(60)
            while True:  # only a write shows that the other side has gone
                try:
                    each.sendall(b"\r\n")
                except (ConnectionResetError, BrokenPipeError):
                    return True

    async with http_server(monkeypatch, 1) as port:
        clients = [client(port) for _ in range(20)]
        ended = await asyncio.gather(*(asyncio.to_thread(until_reset, each) for each in clients))
        assert ended == [True] * 20


@on_uvloop
async def test_a_client_that_reads_slowly_gets_all_of_its_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """How slowly it may read is in ``web/test_http_protocol.py``, where time is virtual."""

    def read() -> int:
        size = 0
        with client(port, 1 << 17) as reading:
            reading.settimeout(60)
            while not (part := reading.recv(1 << 17)).endswith(b"0\r\n\r\n"):
                assert part
                size += len(part)
                pause.wait(0.002)
            return size + len(part)

    pause = threading.Event()
    async with http_server(monkeypatch, 60) as port:
        assert await asyncio.to_thread(read) > len(PIECE) * PIECES
