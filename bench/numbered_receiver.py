"""A receiver that notes when each numbered event came in, and how often.

A process of its own, ``python -m bench.numbered_receiver``. It answers 200 at once and looks for
the number (``bench.generator``) anywhere in a request's body, so it serves any server's webhooks.
``GET /counts`` says how much has come in. When it ends it writes a line for each webhook: when its
last byte was read (Unix seconds), the number, and the path, by which it tells endpoints apart.
"""

import argparse
import asyncio
import signal
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, cast

import httptools
import msgspec
import uvloop

from bench.generator import DIGITS, MARK
from bench.processes import Child, Usage
from bench.receiver import await_port

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
CLOSING = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_MARK = MARK.encode()


class Arrival(NamedTuple):
    """One webhook that came in."""

    at: float
    number: int
    path: str


class Counts(msgspec.Struct, frozen=True):
    """How many webhooks came in; each event at each path once; and those without a number."""

    received: int
    distinct: int
    unknown: int


class Arrivals:
    """All that came in."""

    def __init__(self) -> None:
        self._all: list[tuple[float, bytes, bytes]] = []
        self._distinct: set[tuple[bytes, bytes]] = set()
        self._unknown = 0

    def note(self, at: float, path: bytes, body: bytes) -> None:
        """Note a webhook."""
        start = body.find(_MARK) + len(_MARK)
        number = body[start : start + DIGITS]
        if start < len(_MARK) or not number.isdigit():
            self._unknown += 1
            return
        self._all.append((at, number, path))
        self._distinct.add((number, path))

    def counts(self) -> Counts:
        """Count them."""
        return Counts(len(self._all), len(self._distinct), self._unknown)

    def write(self, file: Path) -> None:
        """Write a line for each."""
        with file.open("wb") as out:
            for at, number, path in self._all:
                out.write(b"%.6f %b %b\n" % (at, number, path))


class _Connection(asyncio.Protocol):
    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._parser = httptools.HttpRequestParser(self)
        self._path, self._body = b"", b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def on_url(self, url: bytes) -> None:
        self._path += url

    def on_body(self, body: bytes) -> None:
        self._body = self._body + body if self._body else body

    def on_message_complete(self) -> None:
        path, body = self._path, self._body
        self._path = self._body = b""
        if path == b"/counts" and self._parser.get_method() == b"GET":
            counted = msgspec.json.encode(self._arrivals.counts())
            self._transport.write(
                b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(counted), counted)
            )
            return
        self._arrivals.note(time.time(), path, body)
        if self._parser.should_keep_alive():
            self._transport.write(ANSWER)
        else:
            self._transport.write(CLOSING)
            self._transport.close()


@dataclass(frozen=True, slots=True)
class NumberedReceiver:
    """A running receiver."""

    child: Child
    port: int
    _file: Path

    def counts(self) -> Counts:
        """Ask it what has come in."""
        self.child.check()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/counts", timeout=30) as answer:
            return msgspec.json.decode(answer.read(), type=Counts)

    def usage(self) -> Usage:
        """Return what it has used."""
        return self.child.usage()

    def arrivals(self) -> list[Arrival]:
        """End it, and return all that came in, in order."""
        self.child.stop()
        rows = (line.split() for line in self._file.read_text().splitlines())
        return [Arrival(float(at), int(number), path) for at, number, path in rows]


@contextmanager
def numbered_receiver(folder: Path, port: int) -> Iterator[NumberedReceiver]:
    """Start one on a port of 127.0.0.1, and end it."""
    file = folder / "arrivals"
    command: list[str | Path] = [sys.executable, "-m", "bench.numbered_receiver"]
    command += ["--port", str(port), "--output", file]
    with Child(command, folder / "numbered-receiver.log") as child:
        await_port(child, port)
        yield NumberedReceiver(child, port, file)


async def _serve(port: int, file: Path) -> None:
    arrivals, ended = Arrivals(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    server = await loop.create_server(lambda: _Connection(arrivals), "127.0.0.1", port)
    await ended.wait()
    server.close()
    arrivals.write(file)


def main() -> None:
    """Run it until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--output", type=Path, required=True)
    asked = parser.parse_args()
    uvloop.run(_serve(asked.port, asked.output))


if __name__ == "__main__":
    main()
