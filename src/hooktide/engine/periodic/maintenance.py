"""Periodic tasks: sending held deliveries, discarding stale ones, dropping old ones, and so on."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from hooktide.domain.errors import UnavailableError
from hooktide.domain.model import DAY, Micros
from hooktide.engine.periodic.retention import Retention
from hooktide.runtime.background import cancel, keep
from hooktide.store.contract import Store

log = logging.getLogger("hooktide.engine")

BATCH = 500
REPLAYED = 200
"""How many deliveries a replay creates at once, and how many may be due before it creates more: a
new event never waits behind more than twice as many."""
BETWEEN_BATCHES = 0.02


@dataclass(frozen=True, slots=True)
class PeriodicTask:
    """A task to run at an interval in seconds; ``run`` returns how much it did.

    After a full batch it runs again immediately, because there is more to do.
    """

    name: str
    every: float
    run: Callable[[], Awaitable[int]]


class Maintenance:
    """Runs periodic tasks until stopped; a failure is logged, and the task runs again at its next
    turn."""

    def __init__(self, tasks: Sequence[PeriodicTask]) -> None:
        self._periodic = tasks
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin."""
        self._tasks = [keep(partial(_repeat, task), task.name) for task in self._periodic]

    async def stop(self) -> None:
        """Stop between two runs."""
        await cancel(*self._tasks)


def store_tasks(
    store: Store, clock: Callable[[], Micros], retention: Retention
) -> list[PeriodicTask]:
    """Return the periodic tasks that every store needs."""
    tasks = [
        PeriodicTask("discard stale deliveries", 0.5, lambda: store.discard_stale(clock(), BATCH)),
        PeriodicTask(
            "release expired claims", 5.0, lambda: store.release_expired_claims(clock(), BATCH)
        ),
        PeriodicTask(
            "send held deliveries that the plan allows again",
            2.0,
            lambda: store.unhold(clock(), BATCH),
        ),
        PeriodicTask("continue replays", 0.5, lambda: store.run_replays(clock(), REPLAYED)),
        PeriodicTask("erase accounts", 0.5, lambda: _erase(store, clock)),
        PeriodicTask("retire old secrets", 5.0, retention.retire_secrets),
        PeriodicTask("add new deliveries and events to the log", 0.2, lambda: store.log_new(BATCH)),
        PeriodicTask("create the log's next days", 60.0, lambda: store.prepare_log(clock())),
        PeriodicTask(
            "forget idle timelines of rates",
            600.0,
            lambda: store.drop_idle_timelines(clock() - DAY),
        ),
        PeriodicTask("drop what is past retention", 60.0, lambda: retention.drop_old(BATCH)),
    ]
    if not store.one_writer:
        fold = PeriodicTask("fold the counts of what waits", 1.0, store.fold_waiting_counts)
        tasks.append(fold)
    return tasks


async def _erase(store: Store, clock: Callable[[], Micros]) -> int:
    """Erase a part of each account; return a full batch while there is more."""
    return BATCH if await store.run_erasures(clock()) else 0


async def _repeat(task: PeriodicTask) -> None:
    while True:
        try:
            done = await task.run()
        except UnavailableError as error:
            log.warning("could not %s: %s", task.name, error)
            done = 0
        except Exception:
            log.exception("could not %s; trying again in %s s", task.name, task.every)
            done = 0
        await asyncio.sleep(task.every if done < BATCH else BETWEEN_BATCHES)
