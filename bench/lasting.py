"""What only time and backlogs show: whether it slows down, and whether the dead slow the others."""

import subprocess
from collections.abc import Iterator

from bench.closed_loop import Wrk, wrk
from bench.old_log import OldLog
from bench.postgres import binaries
from bench.processes import BenchError
from bench.receiver import free_ports
from bench.report import Figure, Report
from bench.stage import ACCOUNTS, Plan, Stage, stage

STEADY, BACKLOG, RETENTION = "steady", "backlog", "retention"
STEADY_SECONDS = 600.0
PENDING = 1_000_000
OLD_ATTEMPTS = 10_000_000
RETENTION_RATE = 2_000.0
RETENTION_INTERVAL = 60.0
"""Seconds after which the server looks for what is past retention."""
_MULTIPLY = """
INSERT INTO hooktide.queue
SELECT q.id + (n << 11), q.event_id, q.endpoint_id, q.account_id, q.project_id, 'event', 'pending',
    0, q.due_at + n, 0, ''
FROM (SELECT * FROM hooktide.queue WHERE account_id = {account} LIMIT 1) AS q,
    generate_series(1, {count}::bigint) AS n
"""


def steady(plan: Plan, _report: Report) -> Iterator[Figure]:
    """Publish for ten minutes, and compare the last minute with the first."""
    seconds = STEADY_SECONDS if plan.seconds >= 60 else 10 * plan.seconds
    with stage(plan, STEADY) as one:
        one.warm_up(plan.rate)
        rates, _ = _rates(one, seconds, plan.rate)
    part = max(1, len(rates) // 10)
    first, last = sum(rates[:part]) / part, sum(rates[-part:]) / part
    yield Figure(phase=STEADY, name="delivered, first tenth", value=first, unit="/s")
    yield Figure(phase=STEADY, name="delivered, last tenth", value=last, unit="/s")
    yield Figure(phase=STEADY, name="last / first", value=last / first, unit="times", at_least=0.9)


def backlog(plan: Plan, _report: Report) -> Iterator[Figure]:
    """Publish beside a million deliveries that are due to an endpoint which refuses them all."""
    if plan.database != "postgres":
        return
    with stage(plan, BACKLOG) as one:
        one.warm_up(plan.rate)
        alone, _ = _rates(one, plan.seconds, plan.rate)
        _pile_up(one)
        beside, _ = _rates(one, plan.seconds, plan.rate)
    without, with_it = sum(alone) / len(alone), sum(beside) / len(beside)
    yield Figure(phase=BACKLOG, name="delivered, without", value=without, unit="/s")
    yield Figure(phase=BACKLOG, name=f"beside {PENDING:,} pending", value=with_it, unit="/s")
    ratio = with_it / without
    yield Figure(phase=BACKLOG, name="with / without", value=ratio, unit="times", at_least=0.8)


def retention(plan: Plan, _report: Report) -> Iterator[Figure]:
    """Publish at a steady rate while ten million attempts past retention are dropped."""
    rate = plan.rate or RETENTION_RATE
    attempts = OLD_ATTEMPTS if plan.seconds >= 60 else OLD_ATTEMPTS // 100
    with stage(plan, RETENTION) as one:
        one.warm_up(rate)
        alone, p99_alone = _measured(one, plan.seconds, rate)
        log = OldLog(one.server.database)
        log.fill(attempts)
        beside, p99 = _measured(one, RETENTION_INTERVAL + plan.seconds, rate)
        left = log.left()
    if left == attempts:
        raise BenchError("nothing was dropped meanwhile")
    yield Figure(phase=RETENTION, name="delivered, slowest second, without", value=alone, unit="/s")
    yield Figure(phase=RETENTION, name="the same while dropping", value=beside, unit="/s")
    yield Figure(phase=RETENTION, name="accept p99, without", value=p99_alone, unit="ms")
    yield Figure(phase=RETENTION, name="the same while dropping", value=p99, unit="ms")
    yield Figure(phase=RETENTION, name="attempts dropped", value=attempts - left, unit="rows")


def _measured(one: Stage, seconds: float, rate: float) -> tuple[float, float]:
    """Load it; return what it delivered in the slowest second, and the accept p99 in ms."""
    rates, load = _rates(one, seconds, rate)
    return min(rates[1:]), load.answers.p99 / 1000


def _pile_up(one: Stage) -> None:
    (closed,) = free_ports(1)
    account = one.server.create_account(ACCOUNTS, closed)
    one.server.publish(account)
    sql = _MULTIPLY.format(account=int(account.removeprefix("acc_"), 16), count=PENDING)
    command = [str(binaries() / "psql"), str(one.server.database), "-qc", sql]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"could not pile up: {done.stderr[-300:]}")


def _rates(one: Stage, seconds: float, rate: float) -> tuple[list[float], Wrk]:
    """Load it; return what was received in each second, and the load."""
    port, connections = one.server.port, one.connections
    with wrk(one.requests, port=port, seconds=seconds, connections=connections, rate=rate) as load:
        return list(one.watched(load, seconds)), load
