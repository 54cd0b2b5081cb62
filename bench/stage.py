"""The stage of one phase: a fresh server on an empty database, a receiver, prepared requests."""

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.closed_loop import Wrk, wrk
from bench.processes import BenchError, machine_cpu
from bench.receiver import Receiver, receiver
from bench.requests import write_requests
from bench.server import Counts, Server, server

ACCOUNTS = 20
BATCH = 100
CONNECTIONS_PER_BATCH_CONNECTION = 8
DRAIN_TIMEOUT = 180.0
STEADY = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What was asked for. Rates are events a second; 0 means no cap.

    ``against``: another installation's program, which each row of ``bench.rows`` is compared with.
    """

    folder: Path
    program: Sequence[str]
    seconds: float
    neighbour_seconds: float
    warm_up: float
    connections: int
    rate: float
    batch_rate: float
    latency_rate: float
    keep: bool
    database: str = "sqlite"
    options: Sequence[str] = ()
    against: Path | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment of a phase: all that has been counted and used until then."""

    at: float
    received: int
    counts: Counts
    server_cpu: float
    database_cpu: float
    receiver_cpu: float
    machine_cpu: float
    server_peak: int
    disk: int


@dataclass(frozen=True, slots=True)
class Stage:
    """What a phase works with."""

    plan: Plan
    folder: Path
    server: Server
    receiver: Receiver
    requests: Path
    batch: int

    def mark(self) -> Mark:
        """Note this moment."""
        used = self.server.usage()
        return Mark(
            at=time.monotonic(),
            received=self.receiver.received(),
            counts=self.server.counts(),
            server_cpu=used.cpu,
            database_cpu=self.server.database_cpu(),
            receiver_cpu=self.receiver.usage().cpu,
            machine_cpu=machine_cpu(),
            server_peak=used.peak,
            disk=self.server.disk(),
        )

    def watched(self, load: Wrk, seconds: float) -> Iterator[float]:
        """Give what was received in each second until the load ended."""
        at, count, turns = time.monotonic(), self.receiver.received(), 0
        while not load.child.ended(within=1.0):
            now, counted = time.monotonic(), self.receiver.received()
            yield (counted - count) / (now - at)
            at, count, turns = now, counted, turns + 1
            if turns > seconds + 30:
                raise BenchError("wrk did not end in time")
        load.finish(within=1.0)

    def drained(self) -> Mark:
        """Wait until the queue is empty and stays so, and note that moment.

        Empty once is not enough: a generator that ends leaves a request on each connection, and
        those may still be on their way through the commit.
        """
        before, counts = None, self.server.drained(DRAIN_TIMEOUT)
        while counts != before:
            time.sleep(STEADY)
            before, counts = counts, self.server.drained(DRAIN_TIMEOUT)
        return self.mark()

    @property
    def connections(self) -> int:
        """How many connections publish: fewer when each request is a batch."""
        wanted = self.plan.connections
        return wanted if self.batch == 1 else max(1, wanted // CONNECTIONS_PER_BATCH_CONNECTION)

    def warm_up(self, rate: float) -> Mark:
        """Load it for a moment that is not counted: connections open, caches fill."""
        port, connections = self.server.port, self.connections
        seconds = self.plan.warm_up
        with wrk(
            self.requests, port=port, seconds=seconds, connections=connections, rate=rate
        ) as load:
            load.finish(seconds + 30)
        return self.drained()


@contextmanager
def stage(plan: Plan, name: str, *, batch: int = 1, keep_receipts: bool = False) -> Iterator[Stage]:
    """Build the stage in a folder of its own, and take all of it away at the end."""
    folder = plan.folder / name
    folder.mkdir()
    folder.chmod(0o755)
    requests = folder / "requests"
    try:
        with (
            receiver(folder, ACCOUNTS, keep_receipts=keep_receipts) as receiving,
            server(folder, plan.program, plan.options, plan.database) as running,
        ):
            key = running.fill(receiving.ports)
            write_requests(
                requests, accounts=range(ACCOUNTS), batch=batch, port=running.port, key=key
            )
            yield Stage(plan, folder, running, receiving, requests, batch)
    finally:
        if not plan.keep:
            shutil.rmtree(folder)
