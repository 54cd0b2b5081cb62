"""An in-memory connection: feeds bytes to the server's protocol, and records its responses.

``Wire`` replaces the socket. The path selects how the server's application responds. Any other path
echoes the request, so that a difference in parsing shows in the response.
"""

import asyncio
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from starlette.types import Message, Receive, Scope, Send

from hooktide.web.http.protocol import HttpProtocol
from hooktide.web.http.state import State


class Wire(asyncio.Transport):
    """The server's end of a connection. ``written`` is what the client would receive."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.waiting = 0
        self.closed = self.eof = self.reading_paused = False
        self.largest_write = 0

    def connect(self, protocol: HttpProtocol) -> None:
        self.protocol = protocol
        protocol.connection_made(self)

    def receive(self, data: bytes) -> None:
        """Pass data from the client to the server."""
        if not self.closed:
            self.protocol.data_received(data)

    def receive_eof(self) -> None:
        """Tell the server that the client has closed its sending side."""
        if not self.closed and not self.protocol.eof_received():
            self.close()

    def write(self, data: Any) -> None:
        assert not self.eof, "written after its end"
        if not self.closed:
            self.written += data
            self.largest_write = max(self.largest_write, len(data))

    def write_eof(self) -> None:
        self.eof = True

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self._lost)

    def abort(self) -> None:
        self.close()

    def _lost(self) -> None:
        self.protocol.connection_lost(None)

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.reading_paused = True

    def resume_reading(self) -> None:
        self.reading_paused = False

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("192.0.2.1", 1234), "sockname": ("192.0.2.2", 80)}.get(name, default)


@contextmanager
def _stopped_clock() -> Iterator[None]:
    """Stop the event loop's clock, so that no timer fires."""
    loop = asyncio.get_running_loop()
    now = loop.time()
    with patch.object(loop, "time", lambda: now):
        yield


class Server:
    """A server: the state that its connections share."""

    def __init__(self) -> None:
        self.state = State(self._application, {})
        self._released = asyncio.Event()
        self.state.default_headers = [(b"date", b"Sun, 29 Nov 2026 00:00:00 GMT")]

    async def _application(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/late":
            await self._released.wait()
        await SITE.get(scope["path"], _echo)(scope, receive, send)

    def release(self) -> None:
        """Let the handlers that wait at ``/late`` read their requests."""
        self._released.set()

    def connect(self) -> Wire:
        wire = Wire()
        wire.connect(HttpProtocol(None, self.state, {}))
        return wire

    async def settle(self, wires: Sequence[Wire]) -> None:
        """Wait until nothing more happens without new data from the clients."""
        before: object = None
        while before != (now := self._standing(wires)):
            before = now
            for _ in range(5):
                await asyncio.sleep(0)

    def _standing(self, wires: Sequence[Wire]) -> object:
        standing = [(len(each.written), each.closed, each.reading_paused) for each in wires]
        return standing, len(self.state.tasks)

    async def exchange(self, sent: Sequence[Sequence[bytes]]) -> list[str]:
        """Send each sequence of pieces on its own connection. Return the responses.

        A piece is sent after everything before it has been answered as far as possible. The clock
        stands still meanwhile. On a busy machine, a connection could otherwise time out between its
        last response and the check.
        """
        with _stopped_clock():
            return await self._exchange(sent)

    async def _exchange(self, sent: Sequence[Sequence[bytes]]) -> list[str]:
        wires = [self.connect() for _ in sent]
        for pieces in zip(*sent, strict=True):
            for wire, piece in zip(wires, pieces, strict=True):
                wire.receive(piece)
            await self.settle(wires)
        told = [shown(wire) for wire in wires]
        for wire in wires:
            wire.close()
        await self.settle(wires)
        if self.state.tasks:
            told[0] += "[left running]"
        for task in self.state.tasks:
            task.cancel()
        await self.settle(wires)
        assert not self.state.connections
        return told


def shown(wire: Wire) -> str:
    """Return the response without the parts that vary, and the state of the connection."""
    answers = re.sub(rb"urn:uuid:[0-9a-f-]{36}", b"urn:uuid:...", wire.written)
    end = "[closed]" if wire.closed else "[ended]" if wire.eof else "[open]"
    return answers.decode("latin-1").replace("\r\n", "\n") + end


async def _start(send: Send, status: int, *headers: tuple[bytes, bytes]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [*headers]})


async def _body(send: Send, body: bytes, *, more: bool = False) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def _read(receive: Receive) -> tuple[bytes, Message]:
    body, message = b"", await receive()
    while message["type"] == "http.request":
        body += message["body"]
        if not message["more_body"]:
            break
        message = await receive()
    return body, message


async def _echo(scope: Scope, receive: Receive, send: Send) -> None:
    body, last = await _read(receive)
    if last["type"] == "http.disconnect":
        return
    names = ("method", "http_version", "path", "raw_path", "query_string", "headers")
    lines = [f"{name}: {scope[name]!r}" for name in names]
    text = "\n".join([*lines, f"body: {body!r}"]).encode()
    await _start(send, 200, (b"content-length", b"%d" % len(text)))
    await _body(send, text)


async def _early(_scope: Scope, _receive: Receive, send: Send) -> None:
    await _start(send, 401, (b"content-length", b"5"))
    await _body(send, b"early")


async def _stream(_scope: Scope, _receive: Receive, send: Send) -> None:
    await _start(send, 200)
    for part in (b"one", b"", b"two"):
        await _body(send, part, more=True)
    await _body(send, b"")


async def _begun(scope: Scope, receive: Receive, send: Send) -> None:
    await _start(send, 200)
    await _body(send, b"begun", more=True)
    _, last = await _read(receive)
    await _body(send, last["type"].encode())


async def _late(_scope: Scope, receive: Receive, send: Send) -> None:
    body, _ = await _read(receive)
    text = b"%d bytes" % len(body)
    await _start(send, 200, (b"content-length", b"%d" % len(text)))
    await _body(send, text)


async def _endless(_scope: Scope, _receive: Receive, send: Send) -> None:
    await _start(send, 200)
    for _ in range(20):
        await _body(send, b"x" * 65_536, more=True)
    await _body(send, b"")


async def _nothing(_scope: Scope, _receive: Receive, send: Send) -> None:
    await _start(send, 204)
    await _body(send, b"")


async def _unchanged(_scope: Scope, _receive: Receive, send: Send) -> None:
    await _start(send, 304, (b"etag", b'"1"'))
    await _body(send, b"")


async def _last(_scope: Scope, _receive: Receive, send: Send) -> None:
    await _start(send, 200, (b"Connection", b"close"), (b"content-length", b"4"))
    await _body(send, b"last")


async def _raises(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise ValueError("a bug")


async def _breaks_off(_scope: Scope, _receive: Receive, send: Send) -> None:
    await _start(send, 200, (b"content-length", b"4"))
    await _body(send, b"la", more=True)
    raise ValueError("a bug")


async def _short(_scope: Scope, _receive: Receive, send: Send) -> None:
    await _start(send, 200, (b"content-length", b"4"))
    await _body(send, b"la")


async def _long(_scope: Scope, _receive: Receive, send: Send) -> None:
    await _start(send, 200, (b"content-length", b"4"))
    await _body(send, b"long answer")


async def _silent(_scope: Scope, _receive: Receive, _send: Send) -> None:
    return


async def _two_heads(_scope: Scope, _receive: Receive, send: Send) -> None:
    value = b"a\r\nset-cookie: b"
    await _start(send, 200, (b"x", value), (b"content-length", b"0"))
    await _body(send, b"")


async def _two_wait(scope: Scope, receive: Receive, send: Send) -> None:
    async def disconnected() -> None:
        await _waits(scope, receive, send)

    await asyncio.gather(disconnected(), disconnected())


async def _waits(_scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _waits_streaming(scope: Scope, receive: Receive, send: Send) -> None:
    await _start(send, 200)
    await _body(send, b"one", more=True)
    await _waits(scope, receive, send)


SITE = {
    "/early": _early,
    "/stream": _stream,
    "/begun": _begun,
    "/late": _late,
    "/endless": _endless,
    "/204": _nothing,
    "/304": _unchanged,
    "/last": _last,
    "/raises": _raises,
    "/breaks-off": _breaks_off,
    "/short": _short,
    "/long": _long,
    "/silent": _silent,
    "/two-heads": _two_heads,
    "/waits": _waits,
    "/waits-streaming": _waits_streaming,
    "/two-wait": _two_wait,
}
