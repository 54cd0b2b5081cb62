"""Accounts for every event: what was published, what was accepted, and what arrived.

A producer publishes events with idempotency keys and retries what got no response, as a careful
application would. A receiver records each request. At the end ``check`` compares the two.
"""

import asyncio
import hashlib
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import httptools
import msgspec
from standardwebhooks import Webhook

PROJECT = """
name = "accounting"
title = "Accounting"

[dialect]
standard_headers = true
envelope = "payload"

[retry]
delays = ["1s"]

[plans.all]
retries = 20

[event_types."thing.happened"]
description = "Something happened."
"""


@dataclass
class Arrived:
    """A request that reached the receiver. ``at`` is on the event loop's clock."""

    endpoint: str
    event_id: str
    digest: bytes
    headers: dict[str, str]
    body: bytes
    at: float


@dataclass(frozen=True)
class Answer:
    """A response. ``asked_at`` is on the event loop's clock. Status 0 means that there was none."""

    path: str
    asked_at: float
    seconds: float
    status: int
    retry_after: str


@dataclass
class Ledger:
    """The record of one run's events.

    Requests to ``hanging`` paths get no response until ``let_go``.
    """

    acked: dict[str, bytes] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    unknown: int = 0
    refused: int = 0
    arrived: list[Arrived] = field(default_factory=list)
    answered_ok: set[tuple[str, str]] = field(default_factory=set)
    answers_ok: int = 0
    open: set[asyncio.BaseTransport] = field(default_factory=set)
    hanging: set[str] = field(default_factory=set)
    waiting: list[Callable[[], None]] = field(default_factory=list)

    def let_go(self) -> None:
        """Respond to the hanging requests with 200, and let no more hang."""
        self.hanging.clear()
        while self.waiting:
            self.waiting.pop()()

    def check(self, endpoints: dict[str, str], failing: Sequence[str] = ()) -> None:
        """Assert that no event was lost, changed, forged or invented.

        ``endpoints`` maps the endpoints' paths to their ``whsec_`` secrets. ``failing`` are those
        that never return 2xx, where it is enough that everything arrived.
        """
        bodies = {event_id: hashlib.sha256(body).digest() for event_id, body in self.acked.items()}
        got: dict[str, set[str]] = defaultdict(set)
        for item in self.arrived:
            assert item.event_id in bodies, f"{item.event_id} was never accepted"
            assert item.digest == bodies[item.event_id], f"{item.event_id} arrived changed"
            got[item.endpoint].add(item.event_id)
        for path in endpoints:
            well = {e for p, e in self.answered_ok if p == path}
            missing = bodies.keys() - (got[path] if path in failing else well)
            assert not missing, f"{len(missing)} of {len(bodies)} events were lost on {path}"
        for item in random.Random(1).sample(self.arrived, min(500, len(self.arrived))):
            Webhook(endpoints[item.endpoint]).verify(item.body, item.headers)

    def arrived_at(self, path: str) -> list[str]:
        """Return the ids of the events that arrived at a path, in order."""
        return [item.event_id for item in self.arrived if item.endpoint == path]

    @property
    def duplicates(self) -> int:
        """Return how many requests were repeated after the endpoint had returned 2xx."""
        return self.answers_ok - len(self.answered_ok)


class Receiver(asyncio.Protocol):
    """Behaves as the path says: `ok`, `fail` (500), `flaky` (30 % 500), `slow`."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._chance = random.Random(7)
        self._parser = httptools.HttpRequestParser(self)
        self._headers: dict[str, str] = {}
        self._body = b""
        self._url = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._ledger.open.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._ledger.open.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._url = url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        path, _, _ = self._url.decode().partition("?")
        headers, body = self._headers, self._body
        self._headers, self._body = {}, b""
        event_id = headers["webhook-id"]
        digest = hashlib.sha256(body).digest()
        at = asyncio.get_running_loop().time()
        self._ledger.arrived.append(Arrived(path, event_id, digest, headers, body, at))
        if path in self._ledger.hanging:
            self._ledger.waiting.append(lambda: self._answer_well(path, event_id))
            return
        if path == "/fail" or (path == "/flaky" and self._chance.random() < 0.3):
            self._answer(b"500 Oops")
            return
        self._answer_well(path, event_id)

    def _answer_well(self, path: str, event_id: str) -> None:
        self._ledger.answered_ok.add((path, event_id))
        self._ledger.answers_ok += 1
        if path == "/slow":
            asyncio.get_running_loop().call_later(0.05, self._answer, b"200 OK")
        else:
            self._answer(b"200 OK")

    def _answer(self, status: bytes) -> None:
        self._transport.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\n\r\n")  # type: ignore[attr-defined]


Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def _close(streams: Streams | None) -> None:
    if streams is not None:
        streams[1].close()


class Producer:
    """Publishes events over a few connections until stopped, and retries what got no response.

    ``pause`` is the number of seconds between a response and the connection's next event. Without
    it, producers and servers use all the CPU time there is.
    """

    def __init__(
        self,
        port: int,
        key: str,
        account: str,
        ledger: Ledger,
        *,
        host: str = "127.0.0.1",
        pause: float = 0.02,
    ) -> None:
        self._host = host
        self._pause = pause
        self._port = port
        self._key = key
        self._account = account
        self._ledger = ledger
        self._number = 0
        self.stop = asyncio.Event()

    async def run(self, connections: int) -> None:
        """Publish until ``stop`` is set and every request was answered."""
        await asyncio.gather(*(self._publish_all() for _ in range(connections)))

    async def _publish_all(self) -> None:
        streams: Streams | None = None
        while not self.stop.is_set():
            self._number += 1
            body = b'{"n":%d,"text":"%s"}' % (self._number, b"x" * (self._number % 700))
            key = f"{self._account}-{self._number}"
            while True:
                try:
                    streams = streams or await asyncio.open_connection(self._host, self._port)
                    status, answer, more = await self._post(*streams, body, key)
                except (OSError, asyncio.IncompleteReadError, TimeoutError):
                    self._ledger.unknown += 1
                    _close(streams)
                    streams = None
                    await asyncio.sleep(0.02)
                    continue
                if not more:
                    _close(streams)
                    streams = None
                if status == 202:
                    self._ledger.acked[msgspec.json.decode(answer)["id"]] = body
                    break
                assert status == 503, answer
                self._ledger.refused += 1
                await asyncio.sleep(0.02)
            if self._pause:
                await asyncio.sleep(self._pause)
        _close(streams)

    async def _post(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        payload: bytes,
        key: str,
    ) -> tuple[int, bytes, bool]:
        """Return the status, the body, and whether the connection may be used again."""
        body = b'{"account":"%s","type":"thing.happened","payload":%s}' % (
            self._account.encode(),
            payload,
        )
        head = (
            f"POST /v1/events HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {self._key}\r\n"
            f"idempotency-key: {key}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        writer.write(head.encode() + body)
        async with asyncio.timeout(60):
            head_bytes = await reader.readuntil(b"\r\n\r\n")
            fields = dict(line.split(b": ", 1) for line in head_bytes.lower().splitlines()[1:-1])
            answer = await reader.readexactly(int(fields[b"content-length"]))
        status, after = (
            int(head_bytes.split(maxsplit=2)[1]),
            fields.get(b"retry-after", b"").decode(),
        )
        self._ledger.answers.append(
            Answer("/v1/events", asked_at, loop.time() - asked_at, status, after)
        )
        return status, answer, fields.get(b"connection") != b"close"
