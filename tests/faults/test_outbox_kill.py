"""Whichever process is killed, exactly one event is published for each committed change.

Applications, relays and the server are killed between any two steps, and at random moments under
load. ``HOOKTIDE_KILLS`` is the number of kills under load: 2 by default.
"""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest
from accounting import PROJECT
from forkkit import AnyProcess
from outboxkit import Invoice, accepted, engine_on, kept, start, start_relay
from postgreskit import database
from processkit import send
from serverkit import KEY, Server, serving
from sqlalchemy import select
from sqlalchemy.orm import Session

KILLS = int(os.environ.get("HOOKTIDE_KILLS", "2"))
TIMEOUT = 120.0
APPLICATION = ("emitted", "written", "committed")
RELAY = ("taken", "accepted", "settled", "forgotten")


@pytest.fixture(params=["sqlite", "postgres"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """Return an application's database: a path or a URL."""
    if request.param == "sqlite":
        yield str(tmp_path / "app.db")
        return
    async with database(migrated=False) as found:
        yield found


async def ended(process: AnyProcess) -> tuple[int, str]:
    async with asyncio.timeout(TIMEOUT):
        told, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, told.decode()


async def killed(process: AnyProcess) -> None:
    code, told = await ended(process)
    assert code == -signal.SIGKILL, told


async def done(process: AnyProcess) -> None:
    code, told = await ended(process)
    assert code == 0, told


async def create_account(server: Server) -> str:
    await server.api.put_toml("/v1/projects/accounting", PROJECT)
    new = {"project": "accounting", "reference": "acme"}
    return str((await server.api.post("/v1/accounts", new))["id"])


def invoices(url: str) -> list[int]:
    with engine_on(url) as engine, Session(engine) as session:
        return list(session.scalars(select(Invoice.id).order_by(Invoice.id)))


async def test_killed_between_any_two_steps_every_change_has_its_event_once(
    tmp_path: Path, url: str
) -> None:
    async with serving(tmp_path) as server:
        account = await create_account(server)
        for number, step in enumerate(APPLICATION, 1):
            await killed(await start("emitting.py", url, "acme", str(number), str(number), step))
        assert invoices(url) == [3]
        where = f"http://127.0.0.1:{server.port}"
        for number, step in enumerate(RELAY, 4):
            await done(await start("emitting.py", url, "acme", "1", str(number)))
            await killed(await start("relaying.py", url, where, KEY, step))
        await done(await start_relay(url, server, "--once"))
        assert await accepted(server, account) == [3, 1, 2, 4, 5, 6, 7]
    with engine_on(url) as engine:
        assert kept(engine) == []


async def until_taken_over(url: str) -> None:
    """Wait until Hooktide's own outbox is empty, and assert that no row was refused."""
    connection = await asyncpg.connect(url)
    try:
        async with asyncio.timeout(TIMEOUT):
            while await connection.fetchval("SELECT 1 FROM hooktide.emitted WHERE refused = ''"):
                await asyncio.sleep(0.05)
        assert await connection.fetchval("SELECT count(*) FROM hooktide.emitted") == 0
    finally:
        await connection.close()


async def test_killed_where_both_share_a_database_every_change_has_its_event_once_and_in_order(
    tmp_path: Path,
) -> None:
    last = 100 * KILLS
    chance, stop = random.Random(6), asyncio.Event()
    async with (
        database() as url,
        serving(tmp_path, database=url, name="one") as server,
        serving(tmp_path, database=url, name="other") as other,
    ):
        account = await create_account(server)

        def emitting() -> Awaitable[AnyProcess]:
            return start("emitting.py", url, "acme", "1", str(last), direct="accounting")

        killing = asyncio.create_task(kill_at_random(emitting, chance, stop))
        await asyncio.gather(kill_the_server(server, chance), kill_the_server(other, chance))
        async with asyncio.timeout(TIMEOUT):
            while len(invoices(url)) < last:
                await asyncio.sleep(0.2)
        stop.set()
        await killing
        await until_taken_over(url)
        assert await accepted(server, account) == list(range(1, last + 1))


async def kill_at_random(
    begin: Callable[[], Awaitable[AnyProcess]], chance: random.Random, stop: asyncio.Event
) -> None:
    """Start a process and kill it at a random moment, repeatedly. The last one keeps running."""
    for _ in range(KILLS):
        process = await begin()
        await asyncio.sleep(chance.uniform(0.3, 1.5))
        send(process, signal.SIGKILL)
        await ended(process)
    process = await begin()
    await stop.wait()
    send(process, signal.SIGTERM)
    await ended(process)


async def kill_the_server(server: Server, chance: random.Random) -> None:
    for _ in range(KILLS):
        await asyncio.sleep(chance.uniform(0.3, 1.5))
        await server.kill()
        await server.start()


async def test_killed_at_any_moment_under_load_every_change_has_its_event_once_and_in_order(
    tmp_path: Path, url: str
) -> None:
    last = 100 * KILLS
    chance, stop = random.Random(5), asyncio.Event()
    async with serving(tmp_path) as server:
        account = await create_account(server)
        killing = [
            asyncio.create_task(kill_at_random(begin, chance, stop))
            for begin in (
                lambda: start("emitting.py", url, "acme", "1", str(last)),
                lambda: start_relay(url, server),
                lambda: start_relay(url, server),
            )
        ]
        await kill_the_server(server, chance)
        async with asyncio.timeout(TIMEOUT):
            while len(invoices(url)) < last:
                await asyncio.sleep(0.2)
        stop.set()
        await asyncio.gather(*killing)
        await done(await start_relay(url, server, "--once"))
        assert await accepted(server, account) == list(range(1, last + 1))
    with engine_on(url) as engine:
        assert kept(engine) == []
