"""``python -m bench.compare --target FILE``: the same load for any webhook server that runs.

Events go to the server (``bench.target`` says how a file describes it) from one generator, in a
closed loop or at a rate, and its webhooks to one receiver, which knows each of them by its number.
What is counted: each accepted event at each endpoint, once, again, or never; how long accepting
took, and how long until the webhook was there; and the CPU and memory of all processes that the
file names. Generator and receiver share the machine and are not counted.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.generator import Sent, generator, read_sent
from bench.machine import machine, pin, work_folder
from bench.numbered_receiver import Arrival, NumberedReceiver, numbered_receiver
from bench.processes import BenchError, Usage, usage_of
from bench.report import Figure, Report, table
from bench.requests import write_framed
from bench.target import Target, read_target

SETTLE = 1.0
"""Seconds in which nothing more may come in before the queue counts as empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How events are sent: ``rate`` requests a second, or 0 for a closed loop.

    ``drain``: seconds after the last request until what has not come in is missing.
    """

    connections: int = 64
    rate: float = 0.0
    seconds: float = 20.0
    warm_up: float = 3.0
    drain: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a load showed. Times in milliseconds, CPU in microseconds, memory in bytes.

    ``accept`` and ``received`` are sorted: how long until the answer, and from the answer until the
    webhook was there; below zero where it was faster.
    """

    accepted: int
    refused: int
    distinct: int
    again: int
    missing: int
    seconds: float
    in_time: int
    cpu: float
    part_cpu: float
    memory: int
    accept: Sequence[float]
    received: Sequence[float]

    @property
    def delivered(self) -> float:
        """Webhooks that came in for each second of load."""
        return self.in_time / self.seconds


def measure(
    target: Target, load: Load, folder: Path, *, requests: Sequence[bytes] = (), part: int = 0
) -> Outcome:
    """Send a load, wait for what it causes, and count.

    ``requests`` instead of the target's own one, each numbered; ``part``: one of its processes,
    whose CPU is also told apart.

    :raises BenchError: it does not accept, or what it accepts does not arrive.
    """
    file = folder / "requests"
    write_framed(file, requests or [target.request()])
    with numbered_receiver(folder, target.receiver_port) as receiver:
        warm = _send(target, file, load, load.warm_up, 0)
        if not any(map(_accepted, warm)):
            raise BenchError(f"{target.name} accepted nothing; it answered {_statuses(warm)}")
        expected = target.fan_out * _events(target, warm)
        if not _drained(receiver, expected, load.drain):
            raise BenchError(
                f"{target.name}: {receiver.counts()} came in of {expected}; do its endpoints "
                f"point to http://127.0.0.1:{target.receiver_port}/?"
            )
        before = _used(target, part)
        first = len(warm) * target.events
        sent = _send(target, file, load, load.seconds, first)
        _drained(receiver, expected + target.fan_out * _events(target, sent), load.drain)
        after = _used(target, part)
        arrivals = receiver.arrivals()
    return outcome(target, sent, first, arrivals, before, after)


def _send(target: Target, file: Path, load: Load, seconds: float, first: int) -> list[Sent]:
    with generator(
        file,
        port=target.port,
        rate=load.rate,
        seconds=seconds,
        connections=load.connections,
        first=first,
        events=target.events,
    ) as child:
        child.wait(seconds + 2 * load.drain)
    return read_sent(file)


def _accepted(sent: Sent) -> bool:
    return 200 <= sent.status < 300


def _events(target: Target, sent: Sequence[Sent]) -> int:
    return target.events * sum(map(_accepted, sent))


def _statuses(sent: Sequence[Sent]) -> Mapping[int, int]:
    return dict(Counter(each.status for each in sent))


def _drained(receiver: NumberedReceiver, expected: int, within: float) -> bool:
    """Wait until all has come in and nothing more does; tell whether all has."""
    deadline = time.monotonic() + within
    received, since = -1, time.monotonic()
    while time.monotonic() < deadline:
        counts = receiver.counts()
        if counts.received != received:
            received, since = counts.received, time.monotonic()
        elif counts.distinct >= expected and time.monotonic() - since > SETTLE:
            return True
        time.sleep(SETTLE / 5)
    return False


def _used(target: Target, part: int) -> tuple[Usage, float]:
    return usage_of(target.pids), usage_of([part]).cpu if part else 0.0


def outcome(
    target: Target,
    sent: Sequence[Sent],
    first: int,
    arrivals: Sequence[Arrival],
    before: tuple[Usage, float],
    after: tuple[Usage, float],
) -> Outcome:
    """Count. A number that came in belongs to this load if it is not the warm-up's."""
    answered = {
        first + place * target.events + event: each.answered_at
        for place, each in enumerate(sent)
        if _accepted(each)
        for event in range(target.events)
    }
    ours = [arrival for arrival in arrivals if arrival.number in answered]
    firsts: dict[tuple[int, str], float] = {}
    for arrival in ours:
        firsts.setdefault((arrival.number, arrival.path), arrival.at)
    if not firsts:
        raise BenchError(f"{target.name}: none of {len(answered)} accepted events came in")
    begun, ended = sent[0].due_at, max(each.answered_at for each in sent)
    return Outcome(
        accepted=len(answered),
        refused=sum(not _accepted(each) for each in sent),
        distinct=len(firsts),
        again=len(ours) - len(firsts),
        missing=target.fan_out * len(answered) - len(firsts),
        seconds=ended - begun,
        in_time=sum(at <= ended for at in firsts.values()),
        cpu=(after[0].cpu - before[0].cpu) / len(firsts) * 1e6,
        part_cpu=(after[1] - before[1]) / len(firsts) * 1e6,
        memory=after[0].rss,
        accept=sorted((each.answered_at - each.due_at) * 1e3 for each in sent if _accepted(each)),
        received=sorted((at - answered[number]) * 1e3 for (number, _), at in firsts.items()),
    )


def quantile(values: Sequence[float], share: float) -> float:
    """Return a quantile of sorted values; ``share`` from 0 to 1."""
    return values[min(len(values) - 1, int(len(values) * share))]


def figures(phase: str, found: Outcome) -> Iterator[Figure]:
    """Show an outcome."""
    yield Figure(phase=phase, name="delivered", value=found.delivered, unit="/s")
    yield Figure(phase=phase, name="CPU per delivery", value=found.cpu, unit="us")
    for name, values in (("accept", found.accept), ("202 to received", found.received)):
        for label, share in (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)):
            value = quantile(values, share)
            yield Figure(phase=phase, name=f"{name} {label}", value=value, unit="ms")
    yield Figure(phase=phase, name="memory", value=found.memory / 1e6, unit="MB")
    yield Figure(phase=phase, name="accepted", value=found.accepted, unit="events")
    yield Figure(phase=phase, name="refused", value=found.refused, unit="requests")
    yield Figure(phase=phase, name="distinct", value=found.distinct, unit="webhooks")
    yield Figure(phase=phase, name="received again", value=found.again, unit="webhooks")
    yield Figure(phase=phase, name="missing", value=found.missing, unit="webhooks", at_most=0)


def main() -> int:
    """Measure each target in turn, print, and return 1 if one could not be measured."""
    parser = argparse.ArgumentParser(prog="bench.compare", description=__doc__)
    parser.add_argument("--target", type=Path, action="append", required=True, help="a JSON file")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rate", type=float, default=0.0, help="requests a second; 0: closed loop")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--warm-up", type=float, default=3.0)
    parser.add_argument("--drain", type=float, default=60.0, help="seconds to wait for the last")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    asked = parser.parse_args()
    load = Load(
        connections=asked.connections,
        rate=asked.rate,
        seconds=asked.seconds,
        warm_up=asked.warm_up,
        drain=asked.drain,
    )
    cores = pin()
    settings = {"connections": str(load.connections), "seconds": f"{load.seconds:g}"}
    settings |= {"rate": f"{load.rate:g}/s" if load.rate else "closed loop"}
    try:
        targets = [read_target(file) for file in asked.target]
        with work_folder(keep=False) as folder:
            report = Report(machine=machine(cores, folder), settings=settings)
            for target in targets:
                about = " ".join(filter(None, (target.version, target.settings)))
                report.settings[target.name] = about or "version not given"
                found = list(figures(target.name, measure(target, load, folder)))
                report.figures += found
                print("\n".join(table(found)), flush=True)
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"\n{report.text()}")
    if asked.json:
        report.write(asked.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
