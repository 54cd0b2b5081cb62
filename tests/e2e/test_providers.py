"""Each provider end to end: a consumer that is written from its guide accepts the requests."""

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from hooktide.cli.demo.consumers import GUIDES, Consumer
from hooktide.cli.demo.server import DemoServer
from hooktide.cli.demo.story import TWISTS, Story
from hooktide.dialects import load
from hooktide.domain.delivery.compose import compile_dialect
from hooktide.domain.dialect.signing import new_secret, whsec
from hooktide.domain.model import Event, Micros, Secret

RIGHT, WRONG = new_secret(bytes(range(32))), new_secret(bytes(range(1, 33)))


async def test_every_event_of_every_provider_arrives_and_is_verified(server: DemoServer) -> None:
    async with AsyncExitStack() as stack:
        for name in GUIDES:
            told = await Story(server.client, stack, name).run()
            types = {kind.name for kind in load(name).event_types}
            assert {line.event for line in told.lines} == types
            assert len(told.lines) == 2 * len(types)
            assert [line for line in told.lines if not line.kept] == []
            assert [promise for promise in told.promises if not promise.kept] == []


def test_the_demo_tells_of_every_guide() -> None:
    assert list(TWISTS) == list(GUIDES)


@pytest.mark.parametrize("name", GUIDES)
async def test_a_forged_delivery_is_refused_by_the_consumer(name: str) -> None:
    async with Consumer(GUIDES[name]) as consumer:
        await _accepts_only_what_is_signed(consumer, name)


@pytest.mark.parametrize("name", ["invoice-ahoy", "offerte-adviseur"])
async def test_python_verifies_where_the_language_of_the_guide_is_missing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert GUIDES[name].language == "python"
    async with Consumer(GUIDES[name]) as consumer:
        await _accepts_only_what_is_signed(consumer, name)


async def _accepts_only_what_is_signed(consumer: Consumer, name: str) -> None:
    project = load(name)
    kind = project.event_types[0]
    event = Event(
        id=1 << 40,
        account_id=1,
        type=kind.name,
        payload=kind.example.encode(),
        occurred_at=_now(),
        transition=kind.transition,
    )
    composer = compile_dialect(project.dialect)
    body = composer.body(event)
    await consumer.use({"text": RIGHT.text, "whsec": whsec(RIGHT)})

    async def deliver(secret: Secret, sent: bytes) -> int:
        head = composer.compose(event, _prefix(consumer), (secret,), body, _now())
        return await _status(consumer, head + sent)

    assert await deliver(RIGHT, body) == 200
    assert await deliver(WRONG, body) == 401
    assert await deliver(RIGHT, body.replace(b'"', b"'", 1)) == 401
    lines = [await consumer.next_line() for _ in range(3)]
    assert [line["verified"] for line in lines] == [True, False, False]
    assert lines[0]["type"] == kind.name


@pytest.mark.parametrize("name", GUIDES)
async def test_a_delivery_without_a_signature_is_refused_by_the_consumer(name: str) -> None:
    async with Consumer(GUIDES[name]) as consumer:
        await consumer.use({"text": RIGHT.text, "whsec": whsec(RIGHT)})
        head = _prefix(consumer) + b"content-length: 2\r\n\r\n"
        assert await _status(consumer, head + b"{}") == 401


async def test_a_consumer_ends_with_whoever_started_it() -> None:
    async with Consumer(GUIDES["invoice-maker"]) as consumer:
        process: Any = consumer._process
        process.stdin.close()
        async with asyncio.timeout(60):
            assert await process.wait() == 0


def _now() -> Micros:
    return time.time_ns() // 1000


def _prefix(consumer: Consumer) -> bytes:
    host = consumer.url.split("/")[2].encode()
    return b"POST /webhooks HTTP/1.1\r\nhost: %b\r\nconnection: close\r\n" % host


async def _status(consumer: Consumer, request: bytes) -> int:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", int(consumer.url.split("/")[2].rpartition(":")[2])
    )
    try:
        writer.write(request)
        return int((await reader.readline()).split()[1])
    finally:
        writer.close()
