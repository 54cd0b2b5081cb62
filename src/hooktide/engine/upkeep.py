"""What has to be done now and then: let held deliveries go, discard stale ones, drop old ones."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from hooktide.domain.errors import UnavailableError
from hooktide.domain.model import Micros
from hooktide.store.base import Store

log = logging.getLogger("hooktide.engine")

BATCH = 500
REPLAYED = 200
"""How many deliveries a replay makes at once, and how many may be due before it makes more: a new
event never waits behind more than two times as many."""
BETWEEN_BATCHES = 0.02


@dataclass(frozen=True, slots=True)
class Chore:
    """Something to do every so many seconds; ``run`` returns how much it did.

    A chore that did a whole batch is due again at once: there is more.
    """

    name: str
    every: float
    run: Callable[[], Awaitable[int]]


class Upkeep:
    """Does the chores until it is stopped; one that fails is logged and tried again in its turn."""

    def __init__(self, chores: Sequence[Chore]) -> None:
        self._chores = chores
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin."""
        self._tasks = [asyncio.create_task(_repeat(chore)) for chore in self._chores]

    async def stop(self) -> None:
        """End, between two chores."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def store_chores(store: Store, clock: Callable[[], Micros]) -> list[Chore]:
    """Return the chores that every store needs."""
    return [
        Chore("discard stale deliveries", 0.5, lambda: store.discard_stale(clock(), BATCH)),
        Chore("give back lost claims", 5.0, lambda: store.give_back_expired(clock(), BATCH)),
        Chore("let held deliveries go", 2.0, lambda: store.release_held(clock(), BATCH)),
        Chore("go on with replays", 0.5, lambda: store.run_replays(clock(), REPLAYED)),
        Chore("retire old secrets", 5.0, lambda: store.retire_secrets(clock())),
        Chore("enter what is new in the log", 0.2, lambda: store.log_new(BATCH)),
        Chore("drop what is past retention", 60.0, lambda: store.drop_old(clock(), BATCH)),
    ]


async def _repeat(chore: Chore) -> None:
    while True:
        try:
            done = await chore.run()
        except UnavailableError as error:
            log.warning("could not %s: %s", chore.name, error)
            done = 0
        except Exception:
            log.exception("could not %s; trying again in %s s", chore.name, chore.every)
            done = 0
        await asyncio.sleep(chore.every if done < BATCH else BETWEEN_BATCHES)
