"""Receivers for the outbound client's tests: real servers on loopback with one behaviour each."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeAlias, cast

from hooktide.domain.delivery.verdict import Outcome
from hooktide.domain.http.address import UrlPolicy, check_url
from hooktide.outbound import Sender

LOOPBACK = UrlPolicy(allow_http=True, allow_networks=("127.0.0.0/8", "::1/128"))
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"


class Peer:
    """A connection, seen from the receiver. ``number`` counts connections from 1."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, receiver: "Receiver"
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.number = receiver.connections
        self._receiver = receiver

    async def request(self) -> bytes:
        """Read one whole request."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        fields = dict(line.split(b": ", 1) for line in head.lower().splitlines()[1:-1])
        request = head + await self.reader.readexactly(int(fields[b"content-length"]))
        self._receiver.requests.append(request)
        return request

    async def send(self, data: bytes) -> None:
        """Write, and wait if the other side does not read."""
        self.writer.write(data)
        await self.writer.drain()

    async def hang(self) -> None:
        """Do nothing until the other side closes, and drop what it sends."""
        while await self.reader.read(65536):
            pass

    def stop_reading(self) -> None:
        """Stop reading, so that data from the other side is buffered."""
        cast("asyncio.Transport", self.writer.transport).pause_reading()

    def reset(self) -> None:
        """Close with a TCP reset."""
        self.writer.transport.abort()


Behaviour: TypeAlias = Callable[[Peer], Awaitable[None]]


@dataclass
class Receiver:
    """What a receiver got. ``gone`` is set whenever a connection has ended."""

    port: int = 0
    connections: int = 0
    ended: int = 0
    requests: list[bytes] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def receiving(
    behave: Behaviour, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[Receiver]:
    """Run a receiver, and close each connection when its behaviour returns."""
    receiver = Receiver()
    serving: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        receiver.connections += 1
        serving[writer] = asyncio.current_task()
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                await behave(Peer(reader, writer, receiver))
            writer.close()
        except asyncio.CancelledError:
            writer.transport.abort()
        del serving[writer]
        receiver.ended += 1
        receiver.gone.set()

    server = await asyncio.start_server(serve, host, port, ssl=tls, limit=2**20)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        await asyncio.sleep(0)  # let the tasks of connections accepted just now start
        tasks = [task for task in serving.values() if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)


def answering(*answers: bytes) -> Behaviour:
    """Send these responses to the requests of each connection, then close it."""

    async def behave(peer: Peer) -> None:
        for answer in answers:
            await peer.request()
            await peer.send(answer)

    return behave


def keeping(answer: bytes) -> Behaviour:
    """Send this response to every request of a connection."""

    async def behave(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(answer)

    return behave


async def post(
    sender: Sender,
    receiver: Receiver | int,
    *,
    scheme: str = "http",
    host: str = "127.0.0.1",
    path: str = "/hook",
    body: bytes = b"{}",
    timeout: float = 60.0,
    policy: UrlPolicy = LOOPBACK,
) -> Outcome:
    """Post a small body to a receiver."""
    port = receiver if isinstance(receiver, int) else receiver.port
    target = check_url(f"{scheme}://{host}:{port}{path}", policy)
    head = target.prefix + b"content-length: %d\r\n\r\n" % len(body)
    return await sender.post(target, head, body, timeout)
