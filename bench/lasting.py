"""What only time and backlogs show: whether it slows down, and whether the dead slow the others."""

import subprocess
from collections.abc import Iterator

from bench.closed_loop import wrk
from bench.postgres import binaries
from bench.processes import BenchError
from bench.receiver import free_ports
from bench.report import Figure, Report
from bench.stage import ACCOUNTS, Plan, Stage, stage

STEADY, BACKLOG = "steady", "backlog"
STEADY_SECONDS = 600.0
PENDING = 1_000_000
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
        rates = list(_rates(one, seconds, plan.rate))
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
        alone = list(_rates(one, plan.seconds, plan.rate))
        _pile_up(one)
        beside = list(_rates(one, plan.seconds, plan.rate))
    without, with_it = sum(alone) / len(alone), sum(beside) / len(beside)
    yield Figure(phase=BACKLOG, name="delivered, without", value=without, unit="/s")
    yield Figure(phase=BACKLOG, name=f"beside {PENDING:,} pending", value=with_it, unit="/s")
    ratio = with_it / without
    yield Figure(phase=BACKLOG, name="with / without", value=ratio, unit="times", at_least=0.8)


def _pile_up(one: Stage) -> None:
    (closed,) = free_ports(1)
    account = one.server.add_account(ACCOUNTS, closed)
    one.server.publish(account)
    sql = _MULTIPLY.format(account=int(account.removeprefix("acc_"), 16), count=PENDING)
    command = [str(binaries() / "psql"), one.server.database_url, "-qc", sql]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"could not pile up: {done.stderr[-300:]}")


def _rates(one: Stage, seconds: float, rate: float) -> Iterator[float]:
    """Load it, and give what was received in each second."""
    port, connections = one.server.port, one.connections
    with wrk(one.requests, port=port, seconds=seconds, connections=connections, rate=rate) as load:
        yield from one.watched(load, seconds)
