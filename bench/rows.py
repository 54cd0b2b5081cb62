"""The rows of the table of targets: each a population, a load, and what a delivery costs then.

All are measured as ``bench.compare`` measures any server, so they can be set beside others'. With
``--against PROGRAM`` each row runs on another installation too, in turn, and the ratio is printed.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from bench.compare import Load, Outcome, figures, measure, quantile
from bench.generator import PLACE, generator
from bench.processes import BenchError, Child
from bench.receiver import free_ports
from bench.report import Figure, Report
from bench.requests import payload, publish_request, write_framed
from bench.server import EVENT_TYPES, Server, reference, server
from bench.slow_receiver import SILENT, slow_receiver
from bench.stage import Plan
from bench.target import Target

SENDER, ALONE = "sender", "sender alone, CPU per POST"
HANGING_RATE = 500.0
HEALTHY_RATE = 100.0
HANGING_RUNS = 5
MORE_TYPES = 195
ACCOUNTS, QUICK_ACCOUNTS = 10_000, 500
QUICK_MOST = 10.0
"""Seconds of a phase up to which a run is a short one."""
PUBLISHED_TO, QUICK_PUBLISHED_TO = 1000, 20
"""Of the accounts, so many get events: what is sent to seldom costs more, and is not meant. A short
run sends to fewer, as it would otherwise measure the first delivery to each of their endpoints."""
ONBOARDING_INTERVAL = 1.0
BESIDE = "beside-hanging"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What a row is about: who is there, and how they publish.

    ``most_times``: the target for the CPU of a delivery, as a multiple of the sender's alone.
    ``most_late``: that for the p99 from the 202 to the receiver, in milliseconds. ``most_base``:
    that for the CPU as a multiple of the row ``base``.
    """

    about: str
    connections: int = 64
    rate: float = 0.0
    events: int = 1
    endpoints: int = 1
    more_types: int = 0
    many_accounts: bool = False
    onboarding: bool = False
    options: Sequence[str] = ()
    most_times: float | None = None
    most_late: float | None = None
    base: str = ""
    most_base: float | None = None


ONE = "closed-64"
ROWS = {
    ONE: Row(about="a closed loop of 64 to one endpoint", most_times=4, most_late=250),
    "closed-256": Row(about="a closed loop of 256", connections=256, most_late=250),
    "ten-slots": Row(
        about="the same as closed-64 with ten slots", options=("--slots-per-endpoint", "10")
    ),
    "batches-100": Row(about="a hundred events a request", events=100, connections=8, most_times=3),
    "fan-out-10": Row(about="ten endpoints for each event", endpoints=10, most_times=2),
    "fan-out-100": Row(about="a hundred endpoints for each event", endpoints=100, most_times=2),
    "calm-300": Row(about="300 events a second", rate=300),
    "calm-2000": Row(about="2,000 events a second", rate=2000),
    "types-200": Row(
        about="closed-64 with 200 event types", more_types=MORE_TYPES, base=ONE, most_base=1.15
    ),
    "accounts": Row(
        about="closed-64 to many accounts with five endpoints each",
        many_accounts=True,
        base=ONE,
        most_base=1.15,
    ),
    "onboarding": Row(
        about="closed-64 with one new account a second", onboarding=True, base=ONE, most_base=1.15
    ),
}
CPU = "CPU per delivery"


def phase_of(name: str) -> Callable[[Plan, Report], Iterator[Figure]]:
    """Return a row as a phase of the benchmark."""
    row = ROWS[name]

    def phase(plan: Plan, report: Report) -> Iterator[Figure]:
        found = _run(plan, row, name)
        yield from _targets(name, row, figures(name, found))
        yield from _ratios(name, row, found, report)
        if plan.database == "postgres":
            yield Figure(phase=name, name="of that, PostgreSQL", value=found.part_cpu, unit="us")
        if plan.against:
            other = _run(replace(plan, program=[str(plan.against)]), row, f"{name}-against")
            yield Figure(phase=name, name="against: CPU per delivery", value=other.cpu, unit="us")
            yield _times(name, "CPU / against", found.cpu / other.cpu)
            yield _times(name, "delivered / against", found.delivered / other.delivered)

    phase.__doc__ = f"Publish: {row.about}."
    return phase


def _targets(name: str, row: Row, found: Iterator[Figure]) -> Iterator[Figure]:
    for figure in found:
        late = row.most_late if figure.name == "202 to received p99" else figure.at_most
        yield Figure(
            phase=name, name=figure.name, value=figure.value, unit=figure.unit, at_most=late
        )


def _ratios(name: str, row: Row, found: Outcome, report: Report) -> Iterator[Figure]:
    alone = report.value(SENDER, ALONE)
    if alone is not None:
        yield _times(name, "CPU / sender alone", found.cpu / alone, row.most_times)
    base = report.value(row.base, CPU)
    if base is not None:
        yield _times(name, f"CPU / {row.base}", found.cpu / base, row.most_base)


def _times(phase: str, name: str, value: float, at_most: float | None = None) -> Figure:
    return Figure(phase=phase, name=name, value=value, unit="times", at_most=at_most)


def _run(plan: Plan, row: Row, name: str) -> Outcome:
    with _populated(plan, row, name) as (running, requests, port, folder):
        load = Load(
            connections=row.connections,
            rate=row.rate,
            seconds=plan.seconds,
            warm_up=plan.warm_up,
            drain=120.0,
        )
        target = _target(running, port, row)
        database = running.pids[1] if plan.database == "postgres" else 0
        with _onboarding(running, row):
            return measure(target, load, folder, requests=requests, part=database)


def _target(running: Server, port: int, row: Row) -> Target:
    return Target(
        name="hooktide",
        url=f"http://127.0.0.1:{running.port}/v1/events",
        body="",  # the requests are prepared
        receiver_port=port,
        pids=running.pids,
        fan_out=row.endpoints,
        events=row.events,
    )


@contextmanager
def _populated(
    plan: Plan, row: Row, name: str
) -> Iterator[tuple[Server, Sequence[bytes], int, Path]]:
    folder = plan.folder / name
    folder.mkdir()
    folder.chmod(0o755)
    (port,) = free_ports(1)
    options = [*plan.options, *row.options]
    with server(folder, plan.program, options, plan.database) as running:
        key = running.create_project(row.more_types)
        if row.many_accounts:
            quick = plan.seconds <= QUICK_MOST
            accounts = QUICK_ACCOUNTS if quick else ACCOUNTS
            published_to = QUICK_PUBLISHED_TO if quick else PUBLISHED_TO
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda number: running.create_account(number, port), range(accounts)))
            events = [
                _event(number % published_to, EVENT_TYPES[number // published_to], number)
                for number in range(len(EVENT_TYPES) * published_to)
            ]
        else:
            account = running.create_bare_account(0)
            for path in range(row.endpoints):
                running.create_endpoint(account, f"http://127.0.0.1:{port}/e{path}", EVENT_TYPES)
            events = [_event(0, EVENT_TYPES[number % 5], number) for number in range(100)]
        if row.events > 1:
            events = [b"[%b]" % b",".join(events[:1] * row.events)]
        yield running, [publish_request(each, running.port, key) for each in events], port, folder


def _event(account: int, event_type: str, number: int) -> bytes:
    text = payload(number).replace(b"Betaling binnen dertig", PLACE, 1)
    if PLACE not in text:
        raise BenchError("the payload has no place for a number")
    return b'{"account":"%b","type":"%b","payload":%b}' % (
        reference(account).encode(),
        event_type.encode(),
        text,
    )


@contextmanager
def _onboarding(running: Server, row: Row) -> Iterator[None]:
    """Make a new account every second, where the row asks for it."""
    if not row.onboarding:
        yield
        return
    ended = False

    def make() -> None:
        number = 1_000_000
        while not ended:
            running.create_bare_account(number)
            number += 1
            time.sleep(ONBOARDING_INTERVAL)

    with ThreadPoolExecutor(1) as pool:
        making = pool.submit(make)
        try:
            yield
        finally:
            ended = True
        making.result()


def beside(plan: Plan, _report: Report) -> Iterator[Figure]:
    """Publish 100 events a second beside 500 to an endpoint that hangs; five runs."""
    found = [_beside(plan, number) for number in range(HANGING_RUNS)]
    late = [quantile(each.received, 0.999) for each in found]
    yield Figure(
        phase=BESIDE,
        name="202 to received p99.9, median",
        value=median(late),
        unit="ms",
        at_most=25,
    )
    yield Figure(phase=BESIDE, name="202 to received p99.9, worst", value=max(late), unit="ms")
    missing = sum(each.missing for each in found)
    yield Figure(phase=BESIDE, name="missing", value=missing, unit="webhooks", at_most=0)


def _beside(plan: Plan, number: int) -> Outcome:
    row = Row(about="")
    with (
        _populated(plan, row, f"beside-{number}") as (running, requests, port, folder),
        slow_receiver(folder, "hanging", SILENT, 1) as hanging,
    ):
        account = running.create_bare_account(1)
        running.create_endpoint(account, f"http://127.0.0.1:{hanging.ports[0]}/", EVENT_TYPES)
        load = Load(connections=16, rate=HEALTHY_RATE, seconds=plan.neighbour_seconds)
        with _hang(running, folder, requests, load):
            return measure(_target(running, port, row), load, folder, requests=requests)


def _hang(running: Server, folder: Path, requests: Sequence[bytes], load: Load) -> Child:
    """Publish for the account whose endpoint hangs, for as long as the other one is measured."""
    file = folder / "hanging.requests"
    old, new = reference(0).encode(), reference(1).encode()
    write_framed(
        file, [each.replace(old, new).replace(PLACE, b"-" * len(PLACE)) for each in requests]
    )
    seconds = load.warm_up + load.seconds + 5
    return generator(file, port=running.port, rate=HANGING_RATE, seconds=seconds, connections=16)
