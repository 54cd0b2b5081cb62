"""Periodic tasks: held deliveries sent, stale ones discarded, old ones dropped, and so on."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from hooktide.domain.errors import UnavailableError
from hooktide.domain.model import Micros
from hooktide.engine.periodic.retention import Retention
from hooktide.runtime.background import cancel, keep
from hooktide.store.contract import Store

log = logging.getLogger("hooktide.engine")

BATCH = 500
REPLAYED = 200
"""How many deliveries a replay makes at once, and how many may be due before it makes more: a new
event never waits behind more than two times as many."""
BETWEEN_BATCHES = 0.02


@dataclass(frozen=True, slots=True)
class PeriodicTask:
    """Something to do every so many seconds; ``run`` returns how much it did.

    One that did a whole batch runs again at once, as there is more to do.
    """

    name: str
    every: float
    run: Callable[[], Awaitable[int]]


class Maintenance:
    """Runs periodic tasks until stopped; one that fails is logged, and runs again in its turn."""

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
    return [
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
        PeriodicTask("drop what is past retention", 60.0, lambda: retention.drop_old(BATCH)),
    ]


async def _erase(store: Store, clock: Callable[[], Micros]) -> int:
    """Erase a piece of each account; as long as there is more, ask to be called again at once."""
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
