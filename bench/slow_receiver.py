"""A receiver as customers have them, slow or worse, that counts what is in flight to it.

A process of its own, ``python -m bench.slow_receiver``. For each request it writes a line: when its
first byte came (Unix seconds), the webhook-id, and how many requests were then in flight, this one
included: on its path, and in all.
"""

import argparse
import asyncio
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, cast

import uvloop

from bench.processes import Child
from bench.receiver import await_port, free_ports

ANSWERING, QUICK, SILENT, DRIPPING = "answering", "quick", "silent", "dripping"
"""What it does: answers after 10 to 200 ms; after 10; never; never to the end, a byte at a time."""

QUICKEST, SLOWEST = 0.01, 0.2
DRIP_INTERVAL = 0.5
SEED = 20261121
ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"
DRIPPED = b"HTTP/1.1 200 OK\r\nx-drip: " + b"." * 4096
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
WEBHOOK_ID = re.compile(rb"webhook-id: *(\S+)", re.IGNORECASE)


class House:
    """What all connections share: how they behave, what is in flight, where it is written."""

    def __init__(self, behaviour: str, receipts: TextIO) -> None:
        self.behaviour = behaviour
        self.chance = random.Random(SEED)
        self._receipts = receipts
        self._in_flight: Counter[bytes] = Counter()

    def begin(self, path: bytes, at: float, webhook_id: bytes) -> None:
        """Count a request, and write its line."""
        self._in_flight[path] += 1
        counts = f"{self._in_flight[path]} {self._in_flight.total()}"
        self._receipts.write(f"{at:.6f} {webhook_id.decode()} {counts}\n")

    def end(self, path: bytes) -> None:
        """Count it no more: it is answered, or its connection is gone."""
        self._in_flight[path] -= 1


class Connection(asyncio.Protocol):
    """One connection: one request at a time, as this sender does it."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._buffer = b""
        self._began_at = 0.0
        self._path = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if not self._buffer:
            self._began_at = time.time()
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        if end and not self._path:
            self._begin(head)
        length = LENGTH.search(head)
        if end and len(body) == (int(length[1]) if length else 0):
            self._complete()

    def connection_lost(self, error: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._end()

    def _begin(self, head: bytes) -> None:
        self._path = head.split(b" ", 2)[1]
        found = WEBHOOK_ID.search(head)
        self._house.begin(self._path, self._began_at, found[1] if found else b"-")

    def _complete(self) -> None:
        match self._house.behaviour:
            case "answering":
                self._answer_in(self._house.chance.uniform(QUICKEST, SLOWEST))
            case "quick":
                self._answer_in(QUICKEST)
            case "dripping":
                self._drip(0)

    def _answer_in(self, seconds: float) -> None:
        self._timer = self._loop.call_later(seconds, self._answer)

    def _answer(self) -> None:
        self._end()
        self._transport.write(ANSWER)

    def _drip(self, place: int) -> None:
        self._transport.write(DRIPPED[place : place + 1])
        self._timer = self._loop.call_later(DRIP_INTERVAL, self._drip, place + 1)

    def _end(self) -> None:
        if self._path:
            self._house.end(self._path)
        self._path, self._buffer = b"", b""


async def serve(ports: list[int], behaviour: str, receipts: Path) -> None:
    """Listen until the process is ended."""
    loop = asyncio.get_running_loop()
    with receipts.open("w", buffering=1) as out:
        house = House(behaviour, out)
        for port in ports:
            await loop.create_server(lambda: Connection(house), "127.0.0.1", port, backlog=1024)
        await loop.create_future()


@dataclass(frozen=True, slots=True)
class Receipt:
    """A request's first byte (Unix seconds), and what was then in flight: on its path, in all."""

    at: float
    event_id: str
    on_path: int
    in_all: int


@dataclass(frozen=True, slots=True)
class Slow:
    """A running slow receiver."""

    ports: list[int]
    file: Path

    def receipts(self) -> list[Receipt]:
        """Return what has come in until now."""
        rows = (line.split() for line in self.file.read_text().rpartition("\n")[0].splitlines())
        return [Receipt(float(at), webhook_id, int(n), int(m)) for at, webhook_id, n, m in rows]


@contextmanager
def slow_receiver(folder: Path, name: str, behaviour: str, count: int) -> Iterator[Slow]:
    """Start one with some ports, and end it."""
    ports = free_ports(count)
    file = folder / f"{name}.receipts"
    command: list[str | Path] = [sys.executable, "-m", "bench.slow_receiver"]
    command += ["--behaviour", behaviour, "--receipts", file, "--ports", *map(str, ports)]
    with Child(command, folder / f"{name}.log") as child:
        await_port(child, ports[-1])
        yield Slow(ports, file)


def main() -> None:
    """Be such a receiver."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ports", type=int, nargs="+", required=True)
    parser.add_argument("--behaviour", choices=(ANSWERING, QUICK, SILENT, DRIPPING), required=True)
    parser.add_argument("--receipts", type=Path, required=True)
    asked = parser.parse_args()
    uvloop.run(serve(asked.ports, asked.behaviour, asked.receipts))


if __name__ == "__main__":
    main()
