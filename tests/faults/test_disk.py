"""With a full disk, events are refused with 503, and the server recovers once there is space.

The disk is a small file system if the test may mount one. Otherwise, and in a separate test, a
limit on the size of files simulates it.
"""

import asyncio
import base64
import resource
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE

import diskkit
import msgspec
import pytest
from accounting import Ledger
from serverkit import (
    READY_TIMEOUT,
    Server,
    event,
    raw,
    receiving,
    request,
    run,
    serving,
    set_up,
    until_none_is,
)

TEXT = "x" * 20_000


@dataclass
class Disk:
    """The database's disk, and a way to fill it."""

    folder: Path
    small: bool

    def fill(self, server: Server) -> None:
        if not self.small:
            largest = max(path.stat().st_size for path in self.folder.iterdir())
            server.limit(resource.RLIMIT_FSIZE, largest + 100_000)
            return
        diskkit.fill(self.folder, 100_000)

    def free(self, server: Server) -> None:
        server.limit(resource.RLIMIT_FSIZE, None)
        diskkit.free(self.folder)


@pytest.fixture(params=["a small disk", "a limit"])
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    small = request.param == "a small disk" and diskkit.mounted(folder)
    yield Disk(folder, small)
    if small:
        diskkit.unmount(folder)


async def publish(server: Server, account: str, number: int) -> tuple[int, bytes]:
    """Publish an event, and return the response."""
    body = event(account, {"n": number, "text": TEXT}, idempotency_key=f"n{number}")
    answer = await raw(server.port, request("POST", "/v1/events", msgspec.json.encode(body)))
    head, _, content = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), content


async def test_on_a_full_disk_nothing_is_accepted_that_is_not_kept(
    tmp_path: Path, disk: Disk
) -> None:
    ledger = Ledger()
    async with receiving(ledger) as receiver, serving(tmp_path, folder=disk.folder) as server:
        account, secrets = await set_up(server.api, receiver, ("/ok",))
        disk.fill(server)
        accepted, refused = 0, None
        while refused is None:
            status, content = await publish(server, account, accepted)
            if status == 202:
                keep(ledger, content, accepted)
                accepted += 1
            else:
                refused = msgspec.json.decode(content)
            assert accepted < 100
        assert (refused["type"], refused["status"]) == ("/problems/unavailable", 503)
        assert ("the disk is full" in refused["detail"]) is disk.small
        for _ in range(3):
            assert (await publish(server, account, accepted))[0] == 503
        not_ready = await raw(server.port, request("GET", "/health/ready"))
        assert not_ready.startswith(b"HTTP/1.1 503")
        assert (b"the disk is full" in not_ready) is disk.small
        assert len((await server.api.get("/v1/events?limit=100"))["items"]) == accepted
        disk.free(server)
        assert (await raw(server.port, request("GET", "/health/ready"))).startswith(b"HTTP/1.1 200")
        for number in range(accepted + 5):
            status, content = await publish(server, account, number)
            assert status == 202
            keep(ledger, content, number)
        assert len(ledger.acked) == accepted + 5
        await until_none_is(server.api, "pending")
        await server.stop()
        await server.start()
        assert len((await server.api.get("/v1/deliveries?state=delivered&limit=100"))["items"]) == (
            accepted + 5
        )
    ledger.check(secrets)
    assert ledger.duplicates == 0


def keep(ledger: Ledger, content: bytes, number: int) -> None:
    payload = msgspec.json.encode({"n": number, "text": TEXT})
    ledger.acked[msgspec.json.decode(content)["id"]] = payload


async def test_a_full_disk_does_not_stop_the_writer_while_it_empties_its_log(
    tmp_path: Path,
) -> None:
    """The write-ahead log is long and is to be copied into the database, which cannot grow."""
    ledger = Ledger()
    async with receiving(ledger) as receiver, serving(tmp_path) as server:
        account, _ = await set_up(server.api, receiver, ("/ok",))
        batch = [event(account, {"text": "x" * 100_000}) for _ in range(60)]
        await server.api.post("/v1/events", batch)
        server.limit(resource.RLIMIT_FSIZE, 20_000_000)
        body = request("POST", "/v1/events", msgspec.json.encode(batch[:20]))
        accepted = 0
        async with asyncio.timeout(60):
            while (await publish(server, account, accepted))[0] == 202:
                await raw(server.port, body)
                accepted += 1
        server.limit(resource.RLIMIT_FSIZE, None)
        for number in range(accepted + 30):
            assert (await publish(server, account, number))[0] == 202
        await until_none_is(server.api, "pending")


async def test_a_first_start_without_room_leaves_nothing_in_the_way_of_the_next(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-m", "hooktide", "serve", "--listen", "127.0.0.1:0"]
    command += ["--database", str(tmp_path / "hooktide.db")]
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", 'ulimit -f 0; exec "$@"', "sh", *command, stderr=PIPE
    )
    _, told = await process.communicate()
    assert process.returncode == 2
    assert told.startswith(b"hooktide: key_file: cannot use")
    async with serving(tmp_path) as server:
        assert (await server.api.get("/v1/projects"))["items"] == []


async def test_a_start_on_a_full_disk_says_so_and_goes_on_once_there_is_room(
    tmp_path: Path, disk: Disk
) -> None:
    (disk.folder / "hooktide.db.key").write_bytes(base64.b64encode(b"k" * 32))
    log = tmp_path / "server.log"
    server = Server(disk.folder, log)
    if disk.small:
        diskkit.fill(disk.folder)
    else:  # less than the schema takes, and more than is logged meanwhile
        server.under = ("sh", "-c", 'ulimit -S -f 60; exec "$@"', "sh")
    server.process = await run(disk.folder, server.port, (), log, under=server.under)
    try:
        ready = await until_said(server, b"HTTP/1.1 503")
        assert (b"the disk is full: free some space" in ready) is disk.small
        assert b"hooktide.db" in ready
        live = await raw(server.port, request("GET", "/health/live"))
        assert live.startswith(b"HTTP/1.1 200")
        refused = await raw(server.port, request("POST", "/v1/events", b"{}"))
        assert refused.startswith(b"HTTP/1.1 503")
        assert b"\r\nretry-after: " in refused
        disk.free(server)
        await until_said(server, b"HTTP/1.1 200")
        assert (await server.api.get("/v1/projects"))["items"] == []
        await server.stop()
    finally:
        await server.kill()
    assert "Traceback" not in log.read_text()


async def until_said(server: Server, status: bytes) -> bytes:
    """Wait until readiness begins with this status, and return its response."""
    async with asyncio.timeout(READY_TIMEOUT):
        while True:
            assert server.process is not None
            assert server.process.returncode is None, server.log.read_text()[-2000:]
            try:
                said = await raw(server.port, request("GET", "/health/ready"))
            except ConnectionError:
                said = b""
            if said.startswith(status):
                return said
            await asyncio.sleep(0.05)
