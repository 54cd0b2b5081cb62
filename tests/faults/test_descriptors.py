"""A server without free file descriptors fails no delivery, and recovers automatically."""

import asyncio
import resource
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
from accounting import Ledger
from serverkit import Server, event, receiving, request, serving, set_up, until_none_is

EVENTS = 40
Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def open_descriptors(server: Server) -> int:
    return max(int(path.name) for path in Path(f"/proc/{server.pid}/fd").iterdir()) + 1


async def kept(reader: asyncio.StreamReader) -> bytes:
    """Read one response from a persistent connection."""
    head = await reader.readuntil(b"\r\n\r\n")
    [size] = [line for line in head.lower().splitlines() if line.startswith(b"content-length")]
    return head + await reader.readexactly(int(size.split(b":")[1]))


async def ask(streams: Streams, path: str) -> bytes:
    streams[1].write(request("GET", path).replace(b"connection: close\r\n", b""))
    async with asyncio.timeout(60):
        return await kept(streams[0])


async def publish(
    streams: Streams,
    events: list[dict[str, Any]],
    ledger: Ledger,
) -> None:
    """Publish a batch over a connection that is open already."""
    body = msgspec.json.encode(events)
    streams[1].write(request("POST", "/v1/events", body).replace(b"connection: close\r\n", b""))
    async with asyncio.timeout(60):
        answer = await kept(streams[0])
    results = msgspec.json.decode(answer.partition(b"\r\n\r\n")[2])["results"]
    for item, result in zip(events, results, strict=True):
        ledger.acked[result["id"]] = msgspec.json.encode(item["payload"])


async def until_local_errors(streams: Streams) -> None:
    async with asyncio.timeout(60):
        while b'hooktide_attempt_errors_total{error="local_error"}' not in await ask(
            streams, "/metrics"
        ):
            await asyncio.sleep(0.05)


async def test_without_file_descriptors_no_attempt_fails_and_all_recovers(tmp_path: Path) -> None:
    ledger = Ledger()
    options = ("--slots-per-endpoint", "30", "--no-log-attempts")
    async with receiving(ledger) as receiver, serving(tmp_path, *options) as server:
        account, secrets = await set_up(server.api, receiver, ("/ok",))
        await server.api.get("/v1/deliveries")
        caller = await asyncio.open_connection("127.0.0.1", server.port)
        await ask(caller, "/health/ready")
        server.limit(resource.RLIMIT_NOFILE, open_descriptors(server) + 1)
        crowd = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(20)]
        batch = [event(account, {"n": n}) for n in range(EVENTS)]
        await publish(caller, batch, ledger)
        await until_local_errors(caller)
        assert b" 503 " not in await ask(caller, "/health/ready")
        server.limit(resource.RLIMIT_NOFILE, None)
        for _, writer in crowd:
            writer.close()
        await until_none_is(server.api, "pending", within=120)
        made = (await server.api.get("/v1/deliveries?limit=100"))["items"]
        assert [(item["state"], item["attempts"]) for item in made] == [("delivered", 1)] * EVENTS
        assert [
            item["consecutive_failures"]
            for item in (await server.api.get("/v1/endpoints"))["items"]
        ] == [0]
        another = await asyncio.open_connection("127.0.0.1", server.port)
        await publish(another, batch, ledger)
        await until_none_is(server.api, "pending")
        for _, writer in (caller, another):
            writer.close()
    ledger.check(secrets)
