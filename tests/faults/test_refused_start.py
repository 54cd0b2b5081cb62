"""A server that must not start says why in one line, and changes nothing."""

import asyncio
import base64
from pathlib import Path

import pytest
from accounting import Ledger
from ports import free_port
from serverkit import event, receiving, run, serving, set_up, until_none_is


async def refused(folder: Path, log: Path, *options: str, port: int | None = None) -> str:
    """Start a server that fails to start, and return its output."""
    process = await run(folder, free_port() if port is None else port, options, log)
    async with asyncio.timeout(60):
        assert await process.wait() == 2
    told = log.read_text()
    assert told.startswith("hooktide: ")
    assert told.count("\n") == 1
    return told


async def test_a_second_server_on_the_same_database_is_refused(tmp_path: Path) -> None:
    ledger = Ledger()
    async with receiving(ledger) as receiver, serving(tmp_path) as server:
        account, _ = await set_up(server.api, receiver, ("/ok",))
        told = await refused(tmp_path, tmp_path / "second.log")
        assert "another hooktide server is using" in told
        assert "stop it first" in told
        await server.api.post("/v1/events", event(account))
        await until_none_is(server.api, "pending")
    assert len(ledger.answered_ok) == 1


async def test_a_second_server_on_the_same_port_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        told = await refused(tmp_path, tmp_path / "second.log", port=server.port)
        assert f"cannot listen on 127.0.0.1:{server.port}" in told


@pytest.mark.parametrize("change", ["another", "none", "no key"])
async def test_a_key_that_does_not_open_the_database_is_refused(
    tmp_path: Path, change: str
) -> None:
    ledger = Ledger()
    key_file = tmp_path / "hooktide.db.key"
    async with receiving(ledger) as receiver, serving(tmp_path) as server:
        account, secrets = await set_up(server.api, receiver, ("/ok",))
        await server.stop()
        right = key_file.read_bytes()
        if change == "none":
            key_file.unlink()
        else:
            key_file.write_bytes(base64.b64encode(b"x" * 32) if change == "another" else b"\xff")
        told = await refused(tmp_path, tmp_path / "second.log")
        assert "key_file" in told
        key_file.write_bytes(right)
        await server.start()
        made = await server.api.post("/v1/events", event(account))
        ledger.acked[made["id"]] = b"{}"
        await until_none_is(server.api, "pending")
    ledger.check(secrets)


@pytest.mark.parametrize(
    "content", [b"not a database at all" * 500, b"SQLite format 3\x00" + b"\xff" * 8192]
)
async def test_a_file_that_is_no_database_is_refused_and_left_alone(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "hooktide.db").write_bytes(content)
    assert "hooktide.db" in await refused(tmp_path, tmp_path / "first.log")
    assert (tmp_path / "hooktide.db").read_bytes() == content
