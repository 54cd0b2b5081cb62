"""The fault-injection proxy cuts connections where it is told to, and nowhere else."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from chaos import Message, Proxy, Where, proxied
from postgreskit import database

TROUBLE = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
INSERT = "INSERT INTO kept VALUES ($1)"


@pytest.fixture
async def place() -> AsyncIterator[str]:
    async with database() as url:
        connection = await asyncpg.connect(url)
        await connection.execute("CREATE TABLE kept (n integer)")
        await connection.close()
        yield url


@pytest.fixture
async def proxy(place: str) -> AsyncIterator[Proxy]:
    async with proxied(place) as proxy:
        yield proxy


async def kept(place: str) -> list[int]:
    """Return what is stored, bypassing the proxy, once no other session is active."""
    connection = await asyncpg.connect(place)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE kept IN ACCESS EXCLUSIVE MODE")
            return [row[0] for row in await connection.fetch("SELECT n FROM kept ORDER BY n")]
    finally:
        await connection.close()


async def put_two(url: str) -> None:
    """Run a transaction of two statements."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("BEGIN")
        await connection.fetch(INSERT, 1)
        await connection.fetch(INSERT, 2)
        await connection.execute("COMMIT")
    finally:
        connection.terminate()


async def put_one(url: str) -> None:
    """Run a single statement outside of a transaction."""
    connection = await asyncpg.connect(url)
    try:
        await connection.fetch(INSERT, 3)
    finally:
        connection.terminate()


def commits(message: Message) -> bool:
    return message.runs and message.sql == "COMMIT"


def inserts(message: Message) -> bool:
    return message.runs and message.sql == INSERT


async def test_messages_are_counted_and_known_by_their_statements(place: str, proxy: Proxy) -> None:
    await put_two(proxy.url)
    assert [message.number for message in proxy.messages] == list(range(len(proxy.messages)))
    ran = [message.sql for message in proxy.messages if message.runs]
    assert ran == ["BEGIN", INSERT, INSERT, "COMMIT"]
    proxy.count()
    assert not proxy.messages
    assert await kept(place) == [1, 2]


async def test_what_is_cut_before_any_of_its_messages_has_not_happened(
    place: str, proxy: Proxy
) -> None:
    await put_two(proxy.url)
    ends_at = next(message.number for message in proxy.messages if commits(message))
    for number in range(ends_at + 1):
        proxy.count()
        cut = proxy.cut(lambda message, number=number: message.number == number)  # type: ignore[misc]  # bound now
        with pytest.raises(TROUBLE):
            await put_two(proxy.url)
        assert (await cut.happened()).number == number
    assert await kept(place) == [1, 2]


@pytest.mark.parametrize("where", [Where.AFTER, Where.UNANSWERED])
async def test_a_commit_whose_answer_is_lost_has_happened(
    place: str, proxy: Proxy, where: Where
) -> None:
    cut = proxy.cut(commits, where)
    with pytest.raises(TROUBLE):
        await put_two(proxy.url)
    assert commits(await cut.happened())
    assert await kept(place) == [1, 2]


async def test_a_statement_that_is_its_own_transaction_is_cut_from_its_answer(
    place: str, proxy: Proxy
) -> None:
    cut = proxy.cut(inserts, Where.UNANSWERED)
    with pytest.raises(TROUBLE):
        await put_one(proxy.url)
    assert inserts(await cut.happened())
    assert await kept(place) == [3]


async def test_a_cut_is_made_once_and_of_one_connection(place: str, proxy: Proxy) -> None:
    other = await asyncpg.connect(proxy.url)
    proxy.cut(inserts)
    with pytest.raises(TROUBLE):
        await put_one(proxy.url)
    await put_one(proxy.url)
    assert await other.fetchval("SELECT count(*) FROM kept") == 1
    await other.close()


async def test_a_black_hole_answers_nothing_and_passes_on_what_it_held_back(
    place: str, proxy: Proxy
) -> None:
    connection = await asyncpg.connect(proxy.url)
    proxy.black_hole()
    asked = asyncio.create_task(connection.fetchval("SELECT 7"))
    came = asyncio.create_task(asyncpg.connect(proxy.url))
    late, _ = await asyncio.wait([asked, came], timeout=0.2)
    assert not late
    await proxy.resume()
    async with asyncio.timeout(30):
        assert await asked == 7
        await (await came).close()
    await connection.close()


async def test_refusing_cuts_every_connection_and_resuming_accepts_them_again(
    place: str, proxy: Proxy
) -> None:
    connection = await asyncpg.connect(proxy.url)
    await proxy.refuse()
    assert proxy.connections == 0
    with pytest.raises(TROUBLE):
        await connection.execute("SELECT 1")
    with pytest.raises(ConnectionRefusedError):
        await asyncpg.connect(proxy.url)
    await proxy.resume()
    await put_one(proxy.url)
    assert await kept(place) == [3]


async def test_a_black_hole_can_be_closed() -> None:
    async with database() as url, proxied(url) as proxy:
        proxy.black_hole()
        came = asyncio.create_task(asyncpg.connect(proxy.url))
        while not proxy.connections:
            await asyncio.sleep(0)
    with pytest.raises(TROUBLE):
        await came


async def test_long_messages_pass_whole(place: str, proxy: Proxy) -> None:
    connection = await asyncpg.connect(proxy.url)
    long = bytes(range(256)) * 20_000
    assert await connection.fetchval("SELECT $1::bytea", long) == long
    await connection.close()
