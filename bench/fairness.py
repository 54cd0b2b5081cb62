"""What a bad neighbour costs the others: twenty ordinary accounts, then a twenty-first, X.

``python -m bench.fairness`` runs this phase alone, with the options of ``bench.throughput``. The
ordinary accounts publish the same events at the same distances in each part, so that each part can
be compared with the first, where there is no X.
"""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.generator import Sent, generator, read_sent
from bench.processes import BenchError, Child
from bench.report import Figure
from bench.requests import write_requests
from bench.server import EVENT_TYPES, Server, server
from bench.slow_receiver import (
    ANSWERING,
    DRIPPING,
    QUICK,
    SILENT,
    Receipt,
    Slow,
    slow_receiver,
)
from bench.stage import ACCOUNTS, BATCH, Plan

FAIRNESS = "fairness"
PER_ENDPOINT, PER_ACCOUNT = 10, 25
OPTIONS = [
    *("--slots", "100"),
    *("--slots-per-endpoint", str(PER_ENDPOINT)),
    *("--slots-per-account", str(PER_ACCOUNT)),
]
RATE = 2.0 * ACCOUNTS
CONNECTIONS = 16
LAST_MAY_TAKE = 2.0
"""Seconds after a part's end in which an event may still come in and not be missed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """An X: how its receiver behaves, and how its events are published."""

    name: str
    behaviour: str
    types: Sequence[str] = EVENT_TYPES
    batch: int = 1
    rate: float = 20.0
    seconds: float | None = None


NEIGHBOURS = (
    # All to one endpoint, which may take ten slots; the drip's events go to five.
    Neighbour(name="black hole", behaviour=SILENT, types=EVENT_TYPES[:1]),
    Neighbour(name="drip", behaviour=DRIPPING),
    # About 500 batches, all due within a tenth of a second: as fast as they are answered.
    Neighbour(name="burst", behaviour=QUICK, batch=BATCH, rate=5000.0, seconds=0.1),
)


@dataclass(frozen=True, slots=True)
class Part:
    """What the ordinary accounts saw in one part.

    Milliseconds to the first byte at the receiver: from the moment to publish, and from the 202,
    which a webhook may overtake.
    """

    p50: float
    p99: float
    answered_p99: float
    per_second: float
    missing: int


@dataclass(frozen=True, slots=True)
class Street:
    """Where all of them live."""

    plan: Plan
    folder: Path
    server: Server
    others: Slow
    key: str

    def part(self, number: int = 0, neighbour: Neighbour | None = None) -> Part:
        """Publish for the ordinary accounts, and for a neighbour once they have warmed up."""
        requests = self._requests(range(ACCOUNTS), f"others-{number}")
        seconds = self.plan.warm_up + self.plan.neighbour_seconds
        with self._publish(requests, RATE, seconds) as load:
            time.sleep(self.plan.warm_up)
            if neighbour is not None:
                self._annoy(ACCOUNTS + number, neighbour)
            load.wait(seconds + 60)
        time.sleep(LAST_MAY_TAKE)
        return _part(self.plan, read_sent(requests), self.others.receipts())

    def _annoy(self, account: int, neighbour: Neighbour) -> None:
        seconds = self.plan.neighbour_seconds
        requests = self._requests([account], neighbour.name, neighbour.batch, neighbour.types)
        with self._publish(requests, neighbour.rate, neighbour.seconds or seconds) as load:
            load.wait(seconds + 60)

    def _requests(
        self,
        accounts: Sequence[int],
        name: str,
        batch: int = 1,
        types: Sequence[str] = EVENT_TYPES,
    ) -> Path:
        file = self.folder / f"{name}.requests"
        port, key = self.server.port, self.key
        write_requests(file, accounts=accounts, batch=batch, port=port, key=key, types=types)
        return file

    def _publish(self, requests: Path, rate: float, seconds: float) -> Child:
        return generator(
            requests, port=self.server.port, rate=rate, seconds=seconds, connections=CONNECTIONS
        )


def fairness(plan: Plan, _: object) -> Iterator[Figure]:
    """Publish 2 events a second for each account, then beside a neighbour that is trouble."""
    with _street(plan) as street:
        base = street.part()
        yield _figure("base: publish to first byte, p50", base.p50, "ms")
        yield _figure("base: publish to first byte, p99", base.p99, "ms")
        yield _figure("base: 202 to first byte, p99", base.answered_p99, "ms")
        yield _figure("base: received", base.per_second, "/s")
        yield _figure("base: never received", base.missing, at_most=0)
        for number, neighbour in enumerate(NEIGHBOURS):
            yield from _beside(street, base, number, neighbour)


def _beside(street: Street, base: Part, number: int, neighbour: Neighbour) -> Iterator[Figure]:
    with slow_receiver(street.folder, neighbour.name, neighbour.behaviour, 1) as receiver:
        account = street.server.create_account(ACCOUNTS + number, receiver.ports[0])
        part = street.part(number, neighbour)
        receipts = receiver.receipts()
        street.server.delete_account(account)
    yield from _others(neighbour.name, base, part)
    yield from _neighbour(neighbour.name, receipts, street.plan.neighbour_seconds)


def _others(name: str, base: Part, part: Part) -> Iterator[Figure]:
    bound = max(1.5 * base.p99, base.p99 + 100)
    yield _figure(f"{name}: others' p99", part.p99, "ms", at_most=round(bound, 1))
    yield _figure(f"{name}: others' p99 / base", part.p99 / base.p99, "times")
    yield _figure(f"{name}: others' p99 from the 202", part.answered_p99, "ms")
    throughput = part.per_second / base.per_second * 100
    yield _figure(f"{name}: others' throughput / base", throughput, "%", at_least=95)
    yield _figure(f"{name}: others' never received", part.missing, at_most=0)


def _neighbour(name: str, receipts: list[Receipt], seconds: float) -> Iterator[Figure]:
    on_path = max((each.on_path for each in receipts), default=0)
    in_all = max((each.in_all for each in receipts), default=0)
    yield _figure(f"{name}: X at once, one endpoint", on_path, at_most=PER_ENDPOINT)
    yield _figure(f"{name}: X at once, in all", in_all, at_most=PER_ACCOUNT)
    yield _figure(f"{name}: X attempts", len(receipts) / (seconds + LAST_MAY_TAKE), "/s")


def _figure(
    name: str,
    value: float,
    unit: str = "",
    at_most: float | None = None,
    at_least: float | None = None,
) -> Figure:
    return Figure(
        phase=FAIRNESS, name=name, value=value, unit=unit, at_most=at_most, at_least=at_least
    )


def _part(plan: Plan, sent: list[Sent], receipts: list[Receipt]) -> Part:
    first: dict[str, float] = {}
    for each in receipts:
        first.setdefault(each.event_id, each.at)
    start = sent[0].due_at + plan.warm_up
    counted = [each for each in sent if each.due_at >= start]
    came = [(each, first[each.event_id]) for each in counted if each.event_id in first]
    if not came:
        raise BenchError("no event id of an answer is a webhook-id that the receiver was sent")
    answered = sorted(at - each.answered_at for each, at in came)
    published = sorted(at - each.due_at for each, at in came)
    end = start + plan.neighbour_seconds
    return Part(
        p50=_percentile(published, 50),
        p99=_percentile(published, 99),
        answered_p99=_percentile(answered, 99),
        per_second=sum(start <= at < end for _, at in came) / plan.neighbour_seconds,
        missing=len(counted) - len(came),
    )


def _percentile(seconds: list[float], percent: int) -> float:
    return seconds[len(seconds) * percent // 100] * 1000


@contextmanager
def _street(plan: Plan) -> Iterator[Street]:
    folder = plan.folder / FAIRNESS
    folder.mkdir()
    with (
        slow_receiver(folder, "others", ANSWERING, ACCOUNTS) as others,
        server(folder, plan.program, OPTIONS) as running,
    ):
        yield Street(plan, folder, running, others, running.fill(others.ports))


if __name__ == "__main__":
    run = [sys.executable, "-m", "bench.throughput", "--phases", FAIRNESS, *sys.argv[1:]]
    os.execv(sys.executable, run)
