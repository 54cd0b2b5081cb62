"""A server whose database is unavailable at the start reports that, and begins once it is back."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest
from accounting import Ledger
from ports import free_port
from postgreskit import cluster, database
from serverkit import Server, event, raw, receiving, request, run, set_up, until_none_is

TIMEOUT = 60
KINDS = {"one process": (), "several": ("--processes", "2"), "worker": ("--role", "worker")}


async def answer(server: Server, path: str, method: str = "GET") -> tuple[int, str, Any]:
    """Return a response's status, head and body. The status is 0 if nothing listens."""
    try:
        got = await raw(server.port, request(method, path), within=30)
    except ConnectionRefusedError:
        return 0, "", None
    head, _, body = got.partition(b"\r\n\r\n")
    if not head:
        return 0, "", None
    return int(head.split()[1]), head.decode().lower(), msgspec.json.decode(body)


@asynccontextmanager
async def starting(tmp_path: Path, database: str, *options: str) -> AsyncIterator[Server]:
    """Start a server that is not ready yet, and yield it once it responds."""
    server = Server(tmp_path, tmp_path / "server.log", options=options, database=database)
    server.process = await run(tmp_path, server.port, options, server.log, database)
    try:
        await until(server, "/health/live", lambda status, _: status == 200)
        yield server
    finally:
        await server.kill()
    assert "Traceback" not in server.log.read_text(), server.log.read_text()[:3000]


async def until(server: Server, path: str, true: Callable[[int, Any], bool]) -> Any:
    async with asyncio.timeout(TIMEOUT):
        while True:
            assert server.process is not None
            assert server.process.returncode is None, server.log.read_text()[-2000:]
            status, _, body = await answer(server, path)
            if true(status, body):
                return body
            await asyncio.sleep(0.05)


async def until_listening(server: Server) -> None:
    """Wait until all processes have found their database."""
    async with asyncio.timeout(TIMEOUT):
        while not server.said("listening"):
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS.keys())
async def test_a_server_waits_for_its_database_and_says_so(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    ledger = Ledger()
    with cluster() as postgres:
        async with database(postgres) as url, receiving(ledger) as receiver:
            await asyncio.to_thread(postgres.stop)
            async with starting(tmp_path, url, *options) as server:
                status, _, body = await answer(server, "/health/ready")
                assert status == 503
                [reason] = body["reasons"]
                assert f"cannot connect to PostgreSQL at 127.0.0.1:{postgres.port}" in reason
                assert "Connection refused" in reason
                for path in ("/v1/events", "/v1/accounts", "/dashboard", "/metrics"):
                    status, head, body = await answer(server, path)
                    assert (status, body["type"]) == (503, "/problems/unavailable")
                    assert "retry-after: 2" in head
                await asyncio.to_thread(postgres.start)
                await until(server, "/health/ready", lambda status, _: status == 200)
                if "--role" not in options:
                    await until_listening(server)  # one of several processes may still be waiting
                    account, secrets = await set_up(server.api, receiver, ("/ok",))
                    made = await server.api.post("/v1/events", event(account))
                    ledger.acked[made["id"]] = b"{}"
                    await until_none_is(server.api, "pending")
                    ledger.check(secrets)
                await server.stop()


@pytest.mark.parametrize("options", [(), ("--processes", "2")], ids=["one", "several"])
async def test_a_server_that_waits_can_be_stopped(tmp_path: Path, options: tuple[str, ...]) -> None:
    url = f"postgresql://hooktide:very-secret@127.0.0.1:{free_port()}/nothing"
    async with starting(tmp_path, url, *options) as server:
        await server.stop()
        assert "very-secret" not in server.log.read_text()


@pytest.mark.parametrize("options", [(), ("--processes", "2")], ids=["one", "several"])
async def test_a_database_that_turns_out_to_be_missing_ends_the_server(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    with cluster() as postgres:
        await asyncio.to_thread(postgres.stop)
        async with starting(tmp_path, postgres.url("nowhere"), *options) as server:
            await asyncio.to_thread(postgres.start)
            assert await server.ended(TIMEOUT) == 2
            last = server.log.read_text().splitlines()
            told = [line for line in last if line.startswith("hooktide: ")]
            assert len(told) >= 1
            assert 'database "nowhere" does not exist' in told[0]


async def test_a_new_process_takes_no_requests_before_its_database_is_there(
    tmp_path: Path,
) -> None:
    """A rolling restart while the database is away waits; the processes that run stay."""
    with cluster() as postgres:
        async with (
            database(postgres) as url,
            starting(tmp_path, url, "--processes", "2") as server,
        ):
            await until_listening(server)
            before = set(server.children)
            await asyncio.to_thread(postgres.stop)
            server.signal(signal.SIGHUP)
            async with asyncio.timeout(TIMEOUT):
                while len(server.children) < 3:
                    await asyncio.sleep(0.02)
            await asyncio.sleep(2)
            assert before <= set(server.children)
            await asyncio.to_thread(postgres.start)
            async with asyncio.timeout(TIMEOUT):
                while not server.said("rolling restart: done"):
                    await asyncio.sleep(0.05)
            assert before.isdisjoint(server.children)
            await server.stop()


async def test_a_sqlite_file_that_another_program_has_locked_is_waited_for(tmp_path: Path) -> None:
    human = apsw.Connection(str(tmp_path / "hooktide.db"))
    human.execute("CREATE TABLE t (x); BEGIN EXCLUSIVE")
    async with starting(tmp_path, "") as server:
        _, _, body = await answer(server, "/health/ready")
        assert "another program has locked the database" in body["reasons"][0]
        human.execute("ROLLBACK; DROP TABLE t")
        human.close()
        await until(server, "/health/ready", lambda status, _: status == 200)
        await server.stop()


async def test_an_address_that_is_free_a_moment_later_is_taken(tmp_path: Path) -> None:
    held = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = held.sockets[0].getsockname()[1]
    process = await run(tmp_path, port, (), tmp_path / "server.log")
    await asyncio.sleep(1.5)
    held.close()
    await held.wait_closed()
    server = Server(tmp_path, tmp_path / "server.log", port=port, process=process)
    try:
        await until(server, "/health/ready", lambda status, _: status == 200)
        await server.stop()
    finally:
        await server.kill()
