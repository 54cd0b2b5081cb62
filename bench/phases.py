"""The phases of the benchmark, each from an empty database to its figures."""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

import msgspec

from bench.closed_loop import Wrk, wrk
from bench.fairness import FAIRNESS, fairness
from bench.generator import Sent, generator, read_sent
from bench.lasting import BACKLOG, RETENTION, STEADY, backlog, retention, steady
from bench.processes import BenchError, Child
from bench.report import Figure, Report
from bench.rows import ALONE, BESIDE, ROWS, SENDER, beside, phase_of
from bench.server import server
from bench.stage import BATCH, Mark, Plan, Stage, stage

FULL, BATCHES, LATENCY, IDLE = "full", "batches", "latency", "idle"
DELIVERED = "delivered"
SERVER_CPU = "server CPU per delivery"
LATENCY_RATE = 4000.0
"""Half of the full load that has to be reached: the latency phase's rate when it runs alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """What is aimed at with a database. Milliseconds are p99s at half load."""

    delivered: float
    in_batches: float
    cpu: float
    accept: float
    received: float


TARGETS = {
    "sqlite": Targets(delivered=8_000, in_batches=16_000, cpu=125, accept=15, received=25),
    "postgres": Targets(delivered=8_000, in_batches=14_000, cpu=200, accept=20, received=30),
}

SETTLE = 2.0
STARTS = 3
SLOWEST_SPAN = 5
SENDER_KEY = "cpu_us_per_post"
SENDER_TIMEOUT = 300.0


def idle(plan: Plan, _report: Report) -> Iterator[Figure]:
    """Start the server a few times with nothing to do."""
    ready, resident = [], []
    for number in range(STARTS):
        folder = plan.folder / f"idle-{number}"
        folder.mkdir()
        with server(folder, plan.program) as running:
            time.sleep(SETTLE)
            ready.append(running.ready_after)
            resident.append(running.usage().rss)
    yield Figure(phase=IDLE, name="ready after", value=median(ready), unit="s", at_most=1)
    rss = median(resident) / 1e6
    yield Figure(phase=IDLE, name="server RSS", value=rss, unit="MB", at_most=80)


def full(plan: Plan, _report: Report) -> Iterator[Figure]:
    """Publish one event a request, as fast as it is accepted."""
    with stage(plan, FULL) as one:
        aim = TARGETS[plan.database]
        yield from _loaded(one, FULL, plan.rate, delivered=aim.delivered, cpu=aim.cpu)


def batches(plan: Plan, _report: Report) -> Iterator[Figure]:
    """Publish a hundred events a request."""
    with stage(plan, BATCHES, batch=BATCH) as one:
        delivered = TARGETS[plan.database].in_batches
        yield from _loaded(one, BATCHES, plan.batch_rate / BATCH, delivered=delivered, cpu=None)


def latency(plan: Plan, report: Report) -> Iterator[Figure]:
    """Publish at half the full load's rate, at moments that depend on no answer."""
    measured = report.value(FULL, DELIVERED)
    rate = plan.latency_rate or (measured / 2 if measured else LATENCY_RATE)
    with stage(plan, LATENCY, keep_receipts=True) as one:
        before = one.warm_up(rate)
        sent = _publish_in_time(one, rate)
        drained = one.drained()
        receipts = one.receiver.receipts()
    yield Figure(phase=LATENCY, name="published", value=rate, unit="/s")
    yield from _spans(sent, receipts, TARGETS[plan.database])
    cpu = (drained.server_cpu - before.server_cpu) / _deliveries(before, drained)
    yield Figure(phase=LATENCY, name=SERVER_CPU, value=cpu * 1e6, unit="us")
    yield from _kept(LATENCY, before, drained)


def sender(plan: Plan, _report: Report) -> Iterator[Figure]:
    """Let the way out send alone: what a whole delivery costs is said in multiples of that."""
    command = [sys.executable, "-m", "bench.sender_cost", "--json"]
    with Child(command, plan.folder / "sender.log") as child:
        child.wait(SENDER_TIMEOUT)
        found = child.log.read_text().strip().rpartition("\n")[2]
    alone = msgspec.convert(msgspec.json.decode(found)[SENDER_KEY], float)
    yield Figure(phase=SENDER, name=ALONE, value=alone, unit="us")


PHASES = {
    IDLE: idle,
    SENDER: sender,
    FULL: full,
    BATCHES: batches,
    LATENCY: latency,
    FAIRNESS: fairness,
    **{name: phase_of(name) for name in ROWS},
    BESIDE: beside,
    BACKLOG: backlog,
    STEADY: steady,
    RETENTION: retention,
}
DEFAULT = [name for name in PHASES if name not in (STEADY, RETENTION)]
"""The phases that run when none are named: the others take long."""


def _loaded(
    one: Stage, phase: str, rate: float, *, delivered: float, cpu: float | None
) -> Iterator[Figure]:
    before = one.warm_up(rate)
    seconds = one.plan.seconds
    port, connections = one.server.port, one.connections
    with wrk(one.requests, port=port, seconds=seconds, connections=connections, rate=rate) as load:
        rates = list(one.watched(load, seconds))
        end = one.mark()
    drained = one.drained()
    _check_accepted(one, load, before, end)
    yield from _throughput(phase, before, end, rates, delivered)
    yield from _accept(phase, load)
    yield from _costs(phase, load, before, end, drained, cpu)
    peak = drained.server_peak / 1e6
    yield Figure(phase=phase, name="server RSS, peak", value=peak, unit="MB", at_most=150)
    yield from _kept(phase, before, drained)


def _check_accepted(one: Stage, load: Wrk, before: Mark, end: Mark) -> None:
    """Every answer stands for accepted events, or the numbers are about something else."""
    accepted = end.counts.accepted - before.counts.accepted
    answered = load.answers.answers * one.batch
    if accepted < answered:
        raise BenchError(f"{answered} events were answered well, the server counts {accepted}")
    if load.answers.failed:
        raise BenchError(f"{load.answers.failed} requests broke (connect, read, write or timeout)")


def _throughput(
    phase: str, before: Mark, end: Mark, rates: list[float], target: float
) -> Iterator[Figure]:
    span = end.at - before.at
    accepted = (end.counts.accepted - before.counts.accepted) / span
    delivered = (end.received - before.received) / span
    yield Figure(phase=phase, name="accepted", value=accepted, unit="/s")
    yield Figure(phase=phase, name=DELIVERED, value=delivered, unit="/s", at_least=target)
    slowest = min(_means(rates, SLOWEST_SPAN), default=delivered)
    name = f"delivered, slowest {SLOWEST_SPAN} s"
    yield Figure(phase=phase, name=name, value=slowest, unit="/s")
    queued = end.counts.queued
    yield Figure(phase=phase, name="queue at the end", value=queued, unit="deliveries")
    work = queued / delivered
    yield Figure(phase=phase, name="queue at the end, work", value=work, unit="s", at_most=1)


def _means(rates: list[float], span: int) -> list[float]:
    return [sum(rates[at : at + span]) / span for at in range(len(rates) - span + 1)]


def _accept(phase: str, load: Wrk) -> Iterator[Figure]:
    for name, micros in (("accept p50", load.answers.p50), ("accept p99", load.answers.p99)):
        yield Figure(phase=phase, name=name, value=micros / 1000, unit="ms")


def _costs(
    phase: str, load: Wrk, before: Mark, end: Mark, drained: Mark, target: float | None
) -> Iterator[Figure]:
    """CPU until the queue is empty again, over all that was delivered until then."""
    count = _deliveries(before, drained)
    server_cpu = drained.server_cpu - before.server_cpu
    micros = server_cpu / count * 1e6
    yield Figure(phase=phase, name=SERVER_CPU, value=micros, unit="us", at_most=target)
    database_cpu = drained.database_cpu - before.database_cpu
    if database_cpu:
        micros = database_cpu / count * 1e6
        yield Figure(phase=phase, name="of that, PostgreSQL", value=micros, unit="us")
    receiver_cpu = drained.receiver_cpu - before.receiver_cpu
    for name, used in (("server", server_cpu), ("nginx", receiver_cpu), ("generator", load.cpu)):
        cost = used / count * 1e6
        yield Figure(phase=phase, name=f"{name} CPU per 1,000", value=cost, unit="ms")
    busy = (end.server_cpu - before.server_cpu) / (end.at - before.at)
    yield Figure(phase=phase, name="server busy", value=busy, unit="cores")
    ours = end.server_cpu - before.server_cpu + end.receiver_cpu - before.receiver_cpu + load.cpu
    others = max(0.0, end.machine_cpu - before.machine_cpu - ours) / (end.at - before.at)
    yield Figure(phase=phase, name="busy with other things", value=others, unit="cores")


def _deliveries(before: Mark, drained: Mark) -> int:
    count = drained.received - before.received
    if count <= 0:
        raise BenchError("nothing was received")
    return count


def _kept(phase: str, before: Mark, drained: Mark) -> Iterator[Figure]:
    """What is on disk, and whether what was accepted came in, once and no more."""
    count = _deliveries(before, drained)
    disk = (drained.disk - before.disk) / count
    yield Figure(phase=phase, name="database per delivery", value=disk, unit="bytes")
    accepted = drained.counts.accepted - before.counts.accepted
    lost = max(0, accepted - count)
    yield Figure(phase=phase, name="accepted, never received", value=lost, at_most=0)
    yield Figure(phase=phase, name="received again", value=max(0, count - accepted))


def _publish_in_time(one: Stage, rate: float) -> list[Sent]:
    """Run the open-loop generator; return what came after the warm-up."""
    seconds = one.plan.warm_up + one.plan.seconds
    port, connections = one.server.port, one.connections
    with generator(
        one.requests, port=port, rate=rate, seconds=seconds, connections=connections
    ) as child:
        try:
            child.wait(seconds + 60)
        except BenchError:
            one.server.check()
            raise
    sent = read_sent(one.requests)
    counted = [each for each in sent if each.due_at >= sent[0].due_at + one.plan.warm_up]
    bad = sum(each.status != 202 for each in counted)
    if bad:
        raise BenchError(f"{bad} of {len(counted)} requests were not answered with 202")
    return counted


def _spans(sent: list[Sent], receipts: dict[str, float], aim: Targets) -> Iterator[Figure]:
    came = [(each, receipts[each.event_id]) for each in sent if each.event_id in receipts]
    if not came:
        raise BenchError("no event id of an answer is a webhook-id that the receiver was sent")
    spans = {
        "accept": ([each.answered_at - each.due_at for each in sent], (4, aim.accept)),
        "publish to received": ([at - each.due_at for each, at in came], (5, aim.received)),
        "202 to received": ([at - each.answered_at for each, at in came], (None, None)),
        "generator late": ([each.sent_at - each.due_at for each in sent], (None, None)),
    }
    for name, (values, targets) in spans.items():
        values.sort()
        for percent, target in zip((50, 99), targets, strict=True):
            value = values[len(values) * percent // 100] * 1000
            label = f"{name} p{percent}"
            yield Figure(phase=LATENCY, name=label, value=value, unit="ms", at_most=target)
