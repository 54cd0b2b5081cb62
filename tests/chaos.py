"""A proxy in front of PostgreSQL that cuts or stalls connections where a test says.

It parses the protocol. A rule is applied to each message from a client and the statement that it
belongs to, so a connection can be cut between any two messages, or between a commit and its
response.
"""

import asyncio
import enum
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias
from urllib.parse import urlsplit, urlunsplit

SSL_REQUEST, GSS_REQUEST = 80877103, 80877104
"""Requests in place of a protocol's version; the proxy answers them itself: it has neither."""
ANSWERED = frozenset("QS")
"""Kinds of messages that the server answers with a ReadyForQuery."""
GOODBYE = "X"
"""Says no more than the end of the connection does: it is not counted."""


class Message(NamedTuple):
    """A message from a client to the server.

    ``kind`` is the protocol's letter (``Q`` a whole query, ``P`` parse, ``B`` bind, ``E`` execute,
    ``S`` sync …; empty: the first of a connection), ``sql`` the statement that it belongs to.
    ``number`` counts from 0 over all connections since the proxy was started, or since ``count``.
    ``runs`` means that the statement has run when this message is answered, and is committed if it
    is its own transaction.
    """

    number: int
    kind: str
    sql: str
    runs: bool

    @property
    def answered(self) -> bool:
        """Return whether the server responds to this message."""
        return self.kind in ANSWERED


class Where(enum.Enum):
    """The point at which a connection is cut."""

    BEFORE = "the message does not reach the server"
    AFTER = "the message reaches the server, and at once nothing is there to answer"
    UNANSWERED = "the server does what it is told, but nobody hears the answer"


Rule: TypeAlias = Callable[[Message], bool]


@dataclass(eq=False)
class Cut:
    """A planned cut, at the first message that matches ``rule``. ``made`` resolves to it."""

    rule: Rule
    where: Where
    made: asyncio.Future[Message] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def fits(self, message: Message) -> bool:
        """Return whether to cut here. Only a message with a response can be cut from it."""
        return self.rule(message) and (message.answered or self.where is not Where.UNANSWERED)

    async def happened(self, within: float = 30) -> Message:
        """Wait until the connection is cut, and return the message."""
        async with asyncio.timeout(within):
            return await asyncio.shield(self.made)


class Proxy:
    """A proxy between clients and the server at ``target``. ``messages`` are those from clients."""

    def __init__(self, target: str) -> None:
        self._target = urlsplit(target)
        self.port = 0
        self.messages: list[Message] = []
        self._cuts: list[Cut] = []
        self._connections: dict[_Connection, asyncio.Task[None]] = {}
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._deaf: set[_Connection] = set()
        self._guard = socket.socket()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """The database's URL through the proxy."""
        user = f"{self._target.username}@" if self._target.username else ""
        place = self._target._replace(netloc=f"{user}127.0.0.1:{self.port}")
        # A client that tries encryption first would take a cut for a refusal, and retry without it.
        return urlunsplit(place._replace(query="sslmode=disable"))

    async def start(self) -> None:
        """Bind a port, and accept connections."""
        # A bound socket that never listens: the port stays ours while connections are refused.
        self._guard.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._guard.bind(("127.0.0.1", 0))
        self.port = int(self._guard.getsockname()[1])
        await self.resume()

    async def close(self) -> None:
        """Close the proxy and every connection."""
        await self.refuse()
        self._guard.close()

    async def refuse(self) -> None:
        """Cut every connection, and refuse new ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        await self.cut_all()

    def black_hole(self) -> None:
        """Accept connections, but forward nothing in either direction."""
        self._flowing.clear()

    def lead_to(self, target: str) -> None:
        """Route new connections to the server at this URL."""
        self._target = urlsplit(target)

    def deafen(self) -> None:
        """Forward everything except notifications to the clients that are connected now."""
        self._deaf = set(self._connections)

    def is_deaf(self, connection: "_Connection") -> bool:
        """Return whether notifications to this client are dropped."""
        return connection in self._deaf

    def count_of(self, rule: Rule) -> int:
        """Return how many messages so far match ``rule``."""
        return sum(map(rule, self.messages))

    async def resume(self) -> None:
        """Accept connections and forward again, beginning with what was held back."""
        self._flowing.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._accepted, "127.0.0.1", self.port)

    async def cut_all(self) -> None:
        """Cut every connection now."""
        tasks = list(self._connections.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def cut(self, rule: Rule, where: Where = Where.BEFORE) -> Cut:
        """Cut the connection of the next message that matches ``rule``."""
        cut = Cut(rule, where)
        self._cuts.append(cut)
        return cut

    def spare(self, cut: Cut) -> bool:
        """Cancel this cut, and return whether it was still pending."""
        if cut not in self._cuts:
            return False
        self._cuts.remove(cut)
        return True

    def count(self) -> None:
        """Restart the message numbers at 0."""
        self.messages.clear()

    @property
    def connections(self) -> int:
        """The number of open connections."""
        return len(self._connections)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(self, reader, writer)
        host, port = str(self._target.hostname), self._target.port or 5432
        task = asyncio.create_task(connection.serve(host, port))
        self._connections[connection] = task
        task.add_done_callback(lambda _: self._ended(connection, writer))

    def _ended(self, connection: "_Connection", client: asyncio.StreamWriter) -> None:
        del self._connections[connection]
        # The client sees a broken connection.
        client.transport.abort()

    async def flowing(self) -> None:
        """Wait until the proxy forwards again."""
        await self._flowing.wait()

    def saw(self, kind: str, sql: str, runs: bool) -> tuple[Message, Cut | None]:
        """Record a message. Return it, and the cut that it triggers."""
        message = Message(len(self.messages), kind, sql, runs)
        self.messages.append(message)
        cut = next((cut for cut in self._cuts if cut.fits(message)), None)
        if cut is not None:
            self._cuts.remove(cut)
        return message, cut


@asynccontextmanager
async def proxied(target: str) -> AsyncIterator[Proxy]:
    """Run a proxy in front of the database at a URL."""
    proxy = Proxy(target)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.close()


class _Connection:
    """One client, and its connection to the server."""

    def __init__(
        self, proxy: Proxy, reader: asyncio.StreamReader, client: asyncio.StreamWriter
    ) -> None:
        self._proxy = proxy
        self._reader = reader
        self._client = client
        self._statements = _Statements()
        self._awaited = 1  # the start-up message gets a response too
        self._unanswered: tuple[Message, Cut] | None = None

    async def serve(self, host: str, port: int) -> None:
        """Forward messages in both directions until a side closes or a rule cuts the connection."""
        await self._proxy.flowing()
        reader, server = await asyncio.open_connection(host, port)
        ways = [
            asyncio.create_task(self._to_server(server)),
            asyncio.create_task(self._to_client(reader)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            try:
                made = await asyncio.gather(*ways, return_exceptions=True)
            finally:
                server.close()  # it still reads everything that it was sent
            for one in made:
                if isinstance(one, tuple):
                    message, cut = one
                    cut.made.set_result(message)

    async def _to_server(self, server: asyncio.StreamWriter) -> tuple[Message, Cut] | None:
        started = False
        while frame := await _read(self._reader, with_kind=started):
            await self._proxy.flowing()
            if not started and _asks_for_encryption(frame):
                self._client.write(b"N")
                continue
            kind = frame[:1].decode("latin-1") if started else ""
            if kind == GOODBYE:
                return None
            started = True
            message, cut = self._proxy.saw(kind, *self._statements.read(kind, frame[5:]))
            if cut is not None and cut.where is Where.BEFORE:
                return message, cut
            self._awaited += message.answered
            if cut is not None and cut.where is Where.UNANSWERED:
                self._unanswered = message, cut
            server.write(frame)
            await server.drain()
            if cut is not None and cut.where is Where.AFTER:
                return message, cut
        return None

    async def _to_client(self, server: asyncio.StreamReader) -> tuple[Message, Cut] | None:
        while frame := await _read(server, with_kind=True):
            await self._proxy.flowing()
            ready = frame[:1] == b"Z"
            last = self._unanswered is not None and self._awaited == 1
            self._awaited -= ready
            if frame[:1] == b"A" and self._proxy.is_deaf(self):
                continue
            if not last:
                self._client.write(frame)
                await self._client.drain()
            elif ready:
                return self._unanswered
        return None


class _Statements:
    """Tracks which statement a client's messages belong to."""

    def __init__(self) -> None:
        self._prepared: dict[bytes, str] = {}
        self._current = ""
        self._executed = False

    def read(self, kind: str, body: bytes) -> tuple[str, bool]:
        """Return the statement that a message belongs to, and whether the message runs it."""
        match kind:
            case "Q":
                self._current = body[:-1].decode()
            case "P":
                name, sql, _ = body.split(b"\0", 2)
                self._current = self._prepared[name] = sql.decode()
            case "B":
                _, name, _ = body.split(b"\0", 2)
                self._current = self._prepared.get(name, "")
            case "D" if body[:1] == b"S":
                self._current = self._prepared.get(body[1:-1], "")
            case "E":
                self._executed = True
        runs = kind == "Q" or (kind == "S" and self._executed)
        if kind == "S":
            self._executed = False
        return self._current if kind else "", runs


async def _read(reader: asyncio.StreamReader, *, with_kind: bool) -> bytes:
    """Read a whole message. An empty result means that the connection has ended."""
    try:
        head = await reader.readexactly(4 + with_kind)
        (length,) = struct.unpack_from("!I", head, with_kind)
        return head + await reader.readexactly(length - 4)
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


def _asks_for_encryption(frame: bytes) -> bool:
    """Return whether this is an encryption request, which comes before the first message."""
    return struct.unpack_from("!I", frame, 4)[0] in (SSL_REQUEST, GSS_REQUEST)
