"""Runs one simulated world: some hours of traffic and faults, then until nothing is pending."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from simulation.clients import Clients
from simulation.ledger import BrokenError, Failure, Ledger
from simulation.loop import OWNER, StuckError
from simulation.trouble import Trouble
from simulation.world import World

from hooktide.domain.model import DAY, MINUTE, SECOND, Micros
from hooktide.engine.scheduling import polling
from hooktide.store.maintenance.invariants import CHECKS
from hooktide.store.postgres.connection import notifier
from hooktide.store.sql.queries import load_queries
from hooktide.store.sqlite.maintenance.invariants import run_check

SELDOM = (
    (polling, "RESCAN_INTERVAL", 30 * SECOND),
    (notifier, "ECHO_INTERVAL", 15.0),
)
"""What is done less often than in production: days are long."""
QUIET_TIMEOUT: Micros = 4 * DAY
LATE: Micros = 5 * MINUTE
"""Nothing due waits for longer once all is well: a lease's end, and a look for leftovers."""


@dataclass(frozen=True)
class Report:
    """The result of a seed."""

    seed: int
    deliveries: int
    attempts: int
    span: Micros
    digest: str
    failure: Failure | None
    lines: int


def simulate(seed: int) -> Report:
    """Run the world of a seed from start to end."""
    world = World(seed)
    with _logged(world.ledger), _looking_seldom():
        try:
            world.loop.run(_live(world))
        except BrokenError:
            pass
        except StuckError as error:
            world.ledger.broken(1, str(error))
    ledger = world.ledger
    return Report(
        seed=seed,
        deliveries=len(ledger.deliveries),
        attempts=ledger.attempts,
        span=world.loop.now,
        digest=ledger.digest(),
        failure=ledger.failure,
        lines=len(ledger.lines),
    )


async def _live(world: World) -> None:
    """Run from the first start until nothing is pending."""
    for number in range(1, world.chance.of("processes").whole(1, 3) + 1):
        await world.start(number)
    clients, trouble = Clients(world), Trouble(world)
    await clients.settle_in()
    busy = [world.loop.create_task(each) for each in (*clients.busy(), *trouble.busy())]
    await asyncio.sleep(world.span / SECOND)
    for task in busy:
        task.cancel()
    await asyncio.wait(busy)
    await trouble.end()
    await clients.finish()
    await _until_quiet(world)
    _check_end(world)


async def _until_quiet(world: World) -> None:
    began = world.loop.now
    while _busy(world) and world.loop.now - began < QUIET_TIMEOUT:
        await asyncio.sleep(20)
        if world.loop.now - began > LATE:
            _check_late(world)
    await asyncio.sleep(180)  # the last recorded attempts still have effects


def _busy(world: World) -> bool:
    if any(each.state in {"pending", "held"} for each in world.ledger.deliveries.values()):
        return True
    [[running]] = world.database.db.execute("SELECT count(*) FROM replays WHERE ended_at IS NULL")
    return bool(running)


def _check_late(world: World) -> None:
    now = world.wall()
    for each in world.ledger.deliveries.values():
        if each.state != "pending" or each.due_at is None or each.due_at > now - LATE:
            continue
        receiver = world.ledger.receivers[each.endpoint_id]
        held = each.claim > 0 and world.loop.now - each.claimed < LATE
        late = LATE + _behind_a_rate(world, each.endpoint_id)
        if receiver.on and receiver.rests_until < now - late and not held:
            world.ledger.broken(1, "is due and nobody takes it", each.id)


def _behind_a_rate(world: World, endpoint_id: int) -> Micros:
    """Return how long the last of an endpoint's deliveries may have to wait for its rate.

    The pace is below the rate for a minute after a 429, and each may be retried meanwhile.
    """
    statement = "SELECT rate_limit FROM endpoints WHERE id = ? AND rate_limit IS NOT NULL"
    found = world.database.db.execute(statement, (endpoint_id,)).fetchone()
    if found is None:
        return 0
    [rate] = found
    deliveries = world.ledger.deliveries.values()
    pending = sum(each.state == "pending" for each in deliveries if each.endpoint_id == endpoint_id)
    return 4 * pending * SECOND // int(rate)


def _check_end(world: World) -> None:
    world.watch.check_end()
    statements = load_queries("hooktide.store.sqlite.maintenance", "invariants.sql")
    for check in CHECKS:
        found = run_check(world.database.db, check, statements, world.wall())
        if found.broken:
            examples = ", ".join(found.examples)
            first = next((each for each in found.examples if each.startswith("dlv_")), "")
            delivery_id = int(first[4:], 16) if first else None
            words = f"hooktide audit: not so: {check.words} ({examples})"
            world.ledger.broken(check.invariant, words, delivery_id)
    world.ledger.check()


@contextmanager
def _looking_seldom() -> Iterator[None]:
    with ExitStack() as stack:
        for module, name, interval in SELDOM:
            stack.callback(setattr, module, name, getattr(module, name))
            setattr(module, name, interval)
        yield


@contextmanager
def _logged(ledger: Ledger) -> Iterator[None]:
    """Add log records to the trace. A record that reports a bug is a failure."""
    log = logging.getLogger("hooktide")
    handler = _Lines(ledger)
    before = log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(logging.WARNING)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.level, log.propagate = before


class _Lines(logging.Handler):
    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self._ledger = ledger

    def emit(self, record: logging.LogRecord) -> None:
        owner = OWNER.get()
        self._ledger.note(str(owner or ""), f"logs: {record.getMessage()}")
        if record.exc_info:
            text = logging.Formatter().formatException(record.exc_info)
            self._ledger.broken(0, f"a bug: {record.getMessage()}\n{text}")
