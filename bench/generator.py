"""The generator that notes each request: open loop at a rate, or closed loop without one.

A process of its own, ``python -m bench.generator``. Open: requests leave when their moment has
come, whatever was answered; the moments are a Poisson process at a constant rate with a fixed seed.
One request at a time on each connection; when none is free a request waits, and its wait counts,
because all spans begin at its moment. Closed: each connection sends again when it is answered.
Plain sockets and epoll, because the event loops' timers are only good to a millisecond.

A request that has the text ``PLACE`` is numbered: each one that leaves has its own number there,
and a batch a number for each of its events.
"""

import argparse
import gc
import random
import re
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.processes import BenchError, Child
from bench.requests import read_requests

GIVE_UP_AFTER = 30.0
SEED = 20261121
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
CHUNKED = re.compile(rb"transfer-encoding: *chunked", re.IGNORECASE)
MARK = "bench-"
DIGITS = 16
PLACE = (MARK + "0" * DIGITS).encode()
"""What a number is written over; a number begins with ``MARK`` and has as many digits."""
EVENT_ID = re.compile(rb'"id": ?"(evt_[0-9a-z]+)"')


@dataclass(slots=True)
class Sent:
    """One request: its moment, when it left, when its answer was there (Unix seconds)."""

    due_at: float
    sent_at: float = 0.0
    answered_at: float = 0.0
    status: int = 0
    event_id: str = "-"


class Line:
    """One connection and the request that is out on it."""

    __slots__ = ("buffer", "out", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.out: Sent | None = None

    def send(self, sent: Sent, request: bytes) -> None:
        """Let a request out."""
        self.out = sent
        sent.sent_at = time.time()
        self.socket.sendall(request)

    def read(self) -> bool:
        """Take what came in; tell whether the answer is complete."""
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionResetError
        self.buffer += data
        head, end, body = self.buffer.partition(b"\r\n\r\n")
        if CHUNKED.search(head):
            return body.endswith(b"0\r\n\r\n")
        length = LENGTH.search(head)
        return bool(end) and len(body) >= (int(length[1]) if length else 0)

    def answer(self) -> None:
        """Note the answer, and be free."""
        if self.out is not None:
            found = EVENT_ID.search(self.buffer)
            self.out.answered_at = time.time()
            self.out.status = int(self.buffer[9:12])
            self.out.event_id = found[1].decode() if found else "-"
        self.out, self.buffer = None, b""


class Generator:
    """Keeps the moments, the free connections and the requests that wait for one."""

    def __init__(
        self,
        port: int,
        requests: list[bytes],
        connections: int,
        first: int = 0,
        events: int = 1,
    ) -> None:
        self._port = port
        self._requests = [request.split(PLACE) for request in requests]
        self._first = first
        self._events = events
        self._epoll = select.epoll()
        self._lines: dict[int, Line] = {}
        self._free: deque[Line] = deque()
        self._waiting: deque[Sent] = deque()
        self.sent: list[Sent] = []
        for _ in range(connections):
            self._open()

    def run(self, rate: float, seconds: float) -> None:
        """Send for so long, then wait for the last answers."""
        moments = poisson(time.time() + 0.1, rate, seconds)
        due = next(moments)
        give_up_at = due + seconds + GIVE_UP_AFTER
        while due or self._waiting or len(self._free) < len(self._lines):
            now = time.time()
            if now > give_up_at:
                raise BenchError(
                    f"answers are missing {GIVE_UP_AFTER:.0f} s after the last request"
                )
            while due and due <= now:
                self._waiting.append(Sent(due))
                due = next(moments, 0.0)
            self._let_out()
            self._take_in(max(0.0, due - time.time()) if due else 1.0)

    def run_closed(self, seconds: float) -> None:
        """Send on each connection as soon as it is free, for so long; wait for the last answers."""
        until = time.time() + seconds
        while True:
            now = time.time()
            if now < until:
                self._waiting.extend(Sent(now) for _ in range(len(self._free)))
                self._let_out()
            elif len(self._free) == len(self._lines):
                return
            elif now > until + GIVE_UP_AFTER:
                raise BenchError(f"answers are missing after {GIVE_UP_AFTER:.0f} s")
            self._take_in(1.0)

    def _let_out(self) -> None:
        while self._waiting and self._free:
            sent = self._waiting.popleft()
            number = len(self.sent)
            self._free.popleft().send(sent, self.request(number))
            self.sent.append(sent)

    def request(self, turn: int) -> bytes:
        """Return the request of a turn, numbered."""
        parts = self._requests[turn % len(self._requests)]
        if len(parts) == 1:
            return parts[0]
        number = self._first + turn * self._events
        if self._events == 1:
            return mark(number).join(parts)
        marks = [mark(number + place) for place in range(self._events)]
        return b"".join(each for pair in zip(parts, [*marks, b""], strict=True) for each in pair)

    def _take_in(self, within: float) -> None:
        # select waits in microseconds, epoll in whole milliseconds: one waits for the other.
        select.select([self._epoll], [], [], within)
        for number, _ in self._epoll.poll(0):
            line = self._lines[number]
            try:
                if line.read():
                    line.answer()
                    self._free.append(line)
            except ConnectionError:
                self._replace(line)

    def _open(self) -> None:
        line = Line(self._port)
        self._lines[line.socket.fileno()] = line
        self._free.append(line)
        self._epoll.register(line.socket, select.EPOLLIN)

    def _replace(self, line: Line) -> None:
        """Open another connection for one the server closed; what was out stays unanswered."""
        if line.out is None:
            self._free.remove(line)
        del self._lines[line.socket.fileno()]
        line.socket.close()
        self._open()


def mark(number: int) -> bytes:
    """Return a number as it stands in a request."""
    return b"%b%0*d" % (MARK.encode(), DIGITS, number)


def poisson(start: float, rate: float, seconds: float) -> Iterator[float]:
    """Yield moments at random, ``rate`` a second, for so many seconds; the same ones each time."""
    chance = random.Random(SEED)
    at = start
    while at < start + seconds:
        yield at
        at += chance.expovariate(rate)


def generator(
    requests: Path,
    *,
    port: int,
    rate: float,
    seconds: float,
    connections: int,
    first: int = 0,
    events: int = 1,
) -> Child:
    """Start it as a process of its own; ``read_sent`` has what it did once it has ended.

    ``rate`` 0: closed loop. ``first``: the first number; each request has ``events`` of them.
    """
    command: list[str | Path] = [sys.executable, "-m", "bench.generator", "--requests", requests]
    command += ["--port", str(port), "--rate", str(rate), "--seconds", str(seconds)]
    command += ["--connections", str(connections), "--first", str(first)]
    command += ["--events", str(events)]
    command += ["--output", _sent_file(requests)]
    return Child(command, requests.with_name(f"{requests.name}.log"))


def read_sent(requests: Path) -> list[Sent]:
    """Read what a run with these requests wrote."""
    rows = (line.split() for line in _sent_file(requests).read_text().splitlines())
    return [
        Sent(float(due), float(sent), float(answered), int(status), event_id)
        for due, sent, answered, status, event_id in rows
    ]


def _sent_file(requests: Path) -> Path:
    return requests.with_name(f"{requests.name}.sent")


def main() -> None:
    """Run it, and write one line for each request."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True, help="a second; 0: closed loop")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--first", type=int, default=0, help="the first event's number")
    parser.add_argument("--events", type=int, default=1, help="in each request, each numbered")
    parser.add_argument("--output", type=Path, required=True)
    asked = parser.parse_args()
    requests = read_requests(asked.requests)
    running = Generator(asked.port, requests, asked.connections, asked.first, asked.events)
    gc.disable()
    if asked.rate:
        running.run(asked.rate, asked.seconds)
    else:
        running.run_closed(asked.seconds)
    with asked.output.open("w") as out:
        for one in running.sent:
            times = f"{one.due_at:.6f} {one.sent_at:.6f} {one.answered_at:.6f}"
            out.write(f"{times} {one.status} {one.event_id}\n")


if __name__ == "__main__":
    main()
