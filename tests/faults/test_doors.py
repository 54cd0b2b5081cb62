"""A server that stops closes no connection in its client's face."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from accounting import Ledger
from postgreskit import database
from serverkit import READY_TIMEOUT, Server, event, receiving, request, serving, set_up

LIVE = request("GET", "/health/live").replace(b"connection: close\r\n", b"")
READY = request("GET", "/health/ready").replace(b"connection: close\r\n", b"")


class Connection:
    """A connection that is kept open as long as the server allows."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def answer(self) -> tuple[int, bool]:
        """Read one response: its status, and whether the connection stays open."""
        async with asyncio.timeout(READY_TIMEOUT):
            head = await self.reader.readuntil(b"\r\n\r\n")
            fields = dict(line.split(b": ", 1) for line in head.lower().splitlines()[1:-1])
            await self.reader.readexactly(int(fields[b"content-length"]))
        return int(head.split()[1]), fields.get(b"connection") != b"close"

    async def ask(self, data: bytes) -> tuple[int, bool]:
        self.writer.write(data)
        return await self.answer()

    async def ended(self) -> bytes:
        """Return the remaining bytes until the server closes. A reset is an error."""
        async with asyncio.timeout(READY_TIMEOUT):
            return await self.reader.read(-1)


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()


async def begin_to_stop(server: Server, ledger: Ledger, receiver: int) -> None:
    """Stop a server with an attempt in flight that does not end."""
    account, _ = await set_up(server.api, receiver, ("/hang",))
    await server.api.post("/v1/events", event(account))
    async with asyncio.timeout(READY_TIMEOUT):
        while not ledger.arrived:
            await asyncio.sleep(0.01)
    server.terminate()
    await until_said(server, "stopping: finishing what is out")


async def until_said(server: Server, event: str, within: float = READY_TIMEOUT) -> None:
    async with asyncio.timeout(within):
        while not server.said(event):
            await asyncio.sleep(0.01)


async def test_each_answer_of_a_stopping_server_is_its_connections_last_and_says_so(
    tmp_path: Path,
) -> None:
    ledger = Ledger(hanging={"/hang"})
    async with receiving(ledger) as receiver, serving(tmp_path) as server:
        async with connected(server.port) as kept, connected(server.port) as unused:
            assert await kept.ask(LIVE) == (200, True)
            await begin_to_stop(server, ledger, receiver)
            assert await kept.ask(READY) == (503, False)
            assert await unused.ask(READY) == (503, False)
            assert await kept.ended() == await unused.ended() == b""
        async with connected(server.port) as new:
            assert await new.ask(LIVE) == (200, False)
            assert await new.ended() == b""


async def test_requests_that_came_together_are_all_answered_by_a_stopping_server(
    tmp_path: Path,
) -> None:
    ledger = Ledger(hanging={"/hang"})
    async with receiving(ledger) as receiver, serving(tmp_path) as server:
        await begin_to_stop(server, ledger, receiver)
        async with connected(server.port) as many:
            many.writer.write(LIVE + READY + LIVE)
            answers = [await many.answer() for _ in range(3)]
            assert answers == [(200, True), (503, True), (200, False)]
            assert await many.ended() == b""


async def test_a_silent_connection_is_closed_and_not_reset(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, connected(server.port) as kept:
        assert await kept.ask(LIVE) == (200, True)
        server.terminate()
        assert await kept.ended() == b""
        assert await server.ended(READY_TIMEOUT) == 0


async def test_a_process_that_is_replaced_says_nothing_of_that_to_a_load_balancer(
    tmp_path: Path,
) -> None:
    async with (
        database() as url,
        serving(tmp_path, "--processes", "2", database=url) as server,
        AsyncExitStack() as stack,
    ):
        server.signal(signal.SIGHUP)
        kept: list[Connection] = []
        while not server.said("stopping: finishing what is out"):
            while len(kept) < 12:
                kept.append(await stack.enter_async_context(connected(server.port)))
            answers = await asyncio.gather(*(one.ask(LIVE) for one in kept))
            kept = [one for one, (_, stays) in zip(kept, answers, strict=True) if stays]
        for one in kept:
            with suppress(asyncio.IncompleteReadError):  # closed: it was silent for too long
                assert (await one.ask(READY))[0] == 200
            await asyncio.sleep(0.03)  # the end of a process has several steps
        await until_said(server, "rolling restart: done")


async def test_a_request_that_is_half_here_is_answered_before_its_process_is_replaced(
    tmp_path: Path,
) -> None:
    async with (
        database() as url,
        serving(tmp_path, "--processes", "2", database=url) as server,
    ):
        server.signal(signal.SIGHUP)
        while not server.said("stopping: finishing what is out"):
            await ask_in_halves(server)
        await until_said(server, "rolling restart: done")


async def ask_in_halves(server: Server) -> None:
    """Send requests in two halves on a few connections, with a process replacement between them."""
    body = b'{"account":"nobody","type":"thing.happened","payload":{}}'
    whole = request("POST", "/v1/events", body)
    async with AsyncExitStack() as stack:
        halves = [await stack.enter_async_context(connected(server.port)) for _ in range(4)]
        for half in halves:
            half.writer.write(whole[:-10])
            await half.writer.drain()
        with suppress(TimeoutError):  # what comes in may not take longer than ten seconds
            await until_said(server, "stopping: finishing what is out", within=3)
        for half in halves:
            assert await half.ask(whole[-10:]) == (202, False)
