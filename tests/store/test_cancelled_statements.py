"""A statement whose caller gave up is cancelled in the server, and the request completes.

PgBouncer 1.18 crashes if the client closes the socket of a cancel request first.
"""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from postgreskit import database

from hooktide.store.postgres.connection.connection import Database
from hooktide.store.postgres.connection.dedicated import dedicated

CANCEL_REQUEST, SSL_REQUEST = 80877102, 80877103
"""PostgreSQL's documentation, "Message Formats"."""
LONG = "SELECT pg_sleep(60)"


class Relay:
    """A relay in front of a server that delays cancel requests until a test releases them."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.asked = asyncio.Event()
        self.let_through = asyncio.Event()
        self.closed_early: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.readexactly(8)
        if struct.unpack("!ii", first)[1] == SSL_REQUEST:
            writer.write(b"N")
            first = await reader.readexactly(8)
        if struct.unpack("!ii", first)[1] == CANCEL_REQUEST:
            first += await reader.readexactly(8)
            self.asked.set()
            await self.let_through.wait()
            try:
                self.closed_early.set_result(await asyncio.wait_for(reader.read(1), 0.2) == b"")
            except TimeoutError:
                self.closed_early.set_result(False)
        ahead, behind = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            behind.write(first)
            await asyncio.gather(_pump(reader, behind), _pump(ahead, writer))
        finally:
            behind.close()
            writer.close()


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await source.read(65536):
            target.write(data)
    target.close()


@contextlib.asynccontextmanager
async def relayed() -> AsyncIterator[tuple[Relay, str, str]]:
    """Yield a relay, a database's URL through it, and the URL without it."""
    async with database() as url:
        relay = Relay(urlsplit(url).port or 0)
        server = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            yield relay, f"postgresql://hooktide@127.0.0.1:{port}{urlsplit(url).path}", url


async def running(url: str) -> int:
    """Return how many of the long statements are running in a database."""
    connection = await asyncpg.connect(url)
    found: int = await connection.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE query = $1 AND state = 'active' "
        "AND datname = current_database()",
        LONG,
    )
    await connection.close()
    return found


async def until_run(url: str, wanted: int) -> None:
    async with asyncio.timeout(30):
        while await running(url) != wanted:
            await asyncio.sleep(0.01)


async def cancel_and_close_pool(url: str, started: Callable[[], Awaitable[None]]) -> Any:
    db = Database(url, pooled=False, connections=1)

    async def ask() -> None:
        async with db.connection() as link:
            await link.rows(LONG)

    asking = asyncio.ensure_future(ask())
    await started()
    asking.cancel()
    await asyncio.wait([asking])
    return db.close


async def cancel_alone(url: str, started: Callable[[], Awaitable[None]]) -> Any:
    async def ask() -> None:
        async with dedicated(url) as connection:
            await connection.fetch(LONG)

    asking = asyncio.ensure_future(ask())
    await started()
    asking.cancel()

    async def ended() -> None:
        await asyncio.wait([asking])

    return ended


@pytest.mark.parametrize("cancel", [cancel_and_close_pool, cancel_alone])
async def test_a_request_to_cancel_is_left_to_the_server_to_close(cancel: Any) -> None:
    async with relayed() as (relay, url, direct):
        end = await cancel(url, lambda: until_run(direct, 1))
        await asyncio.wait_for(relay.asked.wait(), 30)
        ending = asyncio.ensure_future(end())
        await asyncio.sleep(0)
        relay.let_through.set()
        await ending
        assert not await relay.closed_early
        await until_run(direct, 0)
