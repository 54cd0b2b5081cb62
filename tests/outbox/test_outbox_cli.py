"""``hooktide relay`` and ``hooktide outbox``, against a real server."""

import asyncio
import signal
from pathlib import Path

from accounting import PROJECT
from forkkit import run as hooktide
from outboxkit import accepted, engine_on, kept, start_relay, sync_url
from postgreskit import database
from processkit import send
from serverkit import Server, serving
from sqlalchemy import Engine, insert
from sqlalchemy.orm import Session

from hooktide.sqlalchemy import emit, outbox


async def relay(url: str, server: Server, *options: str) -> tuple[int, str]:
    process = await start_relay(url, server, *options)
    async with asyncio.timeout(60):
        told, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, told.decode()


def emit_two(engine: Engine) -> None:
    with Session(engine) as session:
        emit(session, "thing.happened", {"id": 1}, account="acme")
        emit(session, "thing.forgotten", {"id": 2}, account="acme")
        emit(session, "thing.happened", {"id": 3}, account="acme")
        session.commit()
    with engine.begin() as connection:
        wrong = {"key": "k", "account": "acme", "type": "t", "payload": "{", "occurred_at": ""}
        another = '{"account":"acme","type":"thing.happened","payload":{"id":4}'
        two = {**wrong, "type": "thing.happened", "payload": "{}}," + another}
        connection.execute(insert(outbox), [wrong, two])


async def test_the_relay_moves_what_it_can_and_the_outbox_shows_what_it_could_not(
    tmp_path: Path,
) -> None:
    async with database(migrated=False) as url, serving(tmp_path) as server:
        await server.api.put_toml("/v1/projects/accounting", PROJECT)
        new = {"project": "accounting", "reference": "acme"}
        account = (await server.api.post("/v1/accounts", new))["id"]
        with engine_on(url) as engine:
            emit_two(engine)
            assert await hooktide("outbox", "--from", url) == (0, "5 waiting, 0 refused\n")
            code, told = await relay(sync_url(url), server, "--once")
            assert (code, '"moved": 2' in told, '"refused": 3' in told) == (0, True, True), told
            assert "HTTP Request" not in told
            code, told = await hooktide("outbox", "--from", url)
            assert code == 1
            first, second, third, fourth = told.splitlines()
            assert first == "0 waiting, 3 refused"
            assert "thing.forgotten of acme (" in second
            assert "unknown_event_type" in second
            assert "invalid_json" in third
            assert "invalid_json" in fourth
            assert await accepted(server, account) == [1, 3]
            code, told = await hooktide("outbox", "--from", url, "--retry")
            assert told.splitlines()[:2] == ["3 wait again", "3 waiting, 0 refused"]
            code, told = await relay(url, server, "--once")
            assert '"refused": 3' in told
            first, second, third = [row["id"] for row in kept(engine)]
            code, told = await hooktide("outbox", str(second), "--from", url, "--discard")
            assert (code, told.splitlines()[0]) == (1, "1 discarded")
            code, told = await hooktide("outbox", str(first), "--from", url, "--retry")
            assert told.splitlines()[:2] == ["1 wait again", "1 waiting, 1 refused"]
            for words in (("--discard",), ("--discard", "--all", "7"), ("7",)):
                code, told = await hooktide("outbox", "--from", url, *words)
                assert (code, "hooktide: " in told) == (2, True), told
            for word in ("--discard", "--retry"):
                code, told = await hooktide("outbox", f"{third}", "9999", "--from", url, word)
                assert code == 2
                assert "no refused event has the number 9999; nothing was changed" in told
            assert [row["id"] for row in kept(engine)] == [first, third]
            code, told = await hooktide("outbox", "--from", url, "--discard", "--all")
            assert (code, told) == (0, "1 discarded\n1 waiting, 0 refused\n")
            await server.stop()
            code, told = await relay(url, server, "--once")
            assert code == 2
            assert "is the server running?; waiting rows stay in the outbox" in told
            assert [row["id"] for row in kept(engine)] == [first]


async def test_a_relay_that_is_told_to_stop_stops(tmp_path: Path) -> None:
    url = str(tmp_path / "app.db")
    with engine_on(url):
        async with serving(tmp_path) as server:
            process = await start_relay(url, server)
            async with asyncio.timeout(60):
                while b"moving events" not in process.said:
                    await asyncio.sleep(0.02)
                send(process, signal.SIGTERM)
                assert await process.wait() == 0


async def test_a_relay_with_a_wrong_key_or_no_database_says_so_and_ends(tmp_path: Path) -> None:
    url = str(tmp_path / "app.db")
    async with serving(tmp_path) as server:
        code, told = await relay(url, server)
        assert (code, "does not exist" in told) == (2, True), told
        with engine_on(url):
            for wrong in (("--key", "htk_" + "x" * 43), ("--project", "nothing")):
                code, told = await relay(url, server, *wrong)
                assert (code, "the server does not accept events" in told) == (2, True), told
