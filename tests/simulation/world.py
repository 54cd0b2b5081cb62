"""A simulated world, generated from a seed: a database, processes, receivers and clocks."""

import asyncio
import dataclasses
from collections.abc import Sequence

from simulation.chance import Chance
from simulation.database import Database
from simulation.invariants import Watch
from simulation.ledger import Ledger
from simulation.links import HOST_GONE
from simulation.loop import VirtualLoop
from simulation.moves import note_moves
from simulation.network import Network
from simulation.process import Process
from simulation.truth import SLOWEST, Truth

from hooktide.dialects import load
from hooktide.domain.delivery.backoff import Retry
from hooktide.domain.messages.message import Wording
from hooktide.domain.model import HOUR, MINUTE, SECOND, Micros
from hooktide.domain.project.project import EventType, Plan, Project
from hooktide.runtime.vault import Vault
from hooktide.store.postgres.processes.dead_processes import GRACE_PERIOD, LOOK_INTERVAL

NOON: Micros = 1_767_268_800 * SECOND
KEY = b"k" * 32
MESSAGE = Wording(text="Number {payload.n}.")
TYPES = ("invoice.paid", "invoice.sent", "contact.created")


class World:
    """All parts of the world, as generated from its seed."""

    def __init__(self, seed: int) -> None:
        self.chance = Chance(seed)
        self.loop = VirtualLoop()
        self.ledger = Ledger(lambda: self.loop.now)
        self.loop.check = self.ledger.check
        self.set_by: Micros = 0
        self.span = self.chance.of("span").scale(10 * MINUTE, 4 * HOUR)
        vault = Vault(KEY)
        self.database = Database(self.loop, self.chance.of("database"), self.wall, vault)
        note_moves(self.database.db)
        self.project = _project(self.chance.of("project"))
        self.truth = Truth(
            ledger=self.ledger,
            db=self.database.db,
            vault=vault,
            now=lambda: self.loop.now,
            wall=self.wall,
            plans={plan.name: plan for plan in self.project.plans},
            disable_after=self.project.disable_after,
        )
        self.truth.presumed_dead = self._presumed_dead
        self.truth.calm_since = self._calm_since
        self.truth.judged_since = self._judged_since
        self.watch = Watch(self.truth)
        self.database.observer = self.watch
        self.network = Network(self.loop, self.chance.of("network"), self.watch, self.span)
        self.processes: list[Process] = []
        self._lives = 0
        self._tasks_every = self.chance.of("chores").one([10, 30, 60])
        self._slots = self.chance.of("slots").one([1, 5, 5, 10])

    def _presumed_dead(self, process: Process) -> bool:
        server = self.database.server
        absent_for = server.absent_for(process.store.node.number)
        return absent_for >= LOOK_INTERVAL and self.loop.now >= server.restarted_at + GRACE_PERIOD

    def _calm_since(self) -> Micros:
        return self._looks_since(self.processes)

    def _judged_since(self) -> Micros:
        """A process that has lost its session lock declares no other dead (decision 35)."""
        server = self.database.server
        return self._looks_since(
            [
                each
                for each in self.processes
                if server.held_at_least_since(each.store.node.number, each.store.node.held_since)
            ]
        )

    def _looks_since(self, processes: Sequence[Process]) -> Micros:
        looks = (
            max(each.woke, each.store.node.held_since + GRACE_PERIOD)
            for each in processes
            if each.ready
        )
        on_its_way = self.database.trouble.until + 2 * SLOWEST
        return max(on_its_way, min(looks, default=self.loop.now))

    def wall(self) -> Micros:
        """Return the time of the database's clock."""
        return NOON + self.loop.now + self.set_by

    async def start(self, number: int) -> Process:
        """Start a process, and wait until it accepts requests."""
        self._lives += 1
        process = Process(
            number,
            self._lives,
            database=self.database,
            network=self.network,
            watch=self.watch,
            chance=self.chance.of("process", self._lives),
            tasks_every=self._tasks_every,
            slots=self._slots,
        )
        self.processes.append(process)
        self.ledger.note(str(process), "starts")
        await _in_world(process.spawn(process.boot()))
        return process

    def crash(self, process: Process, with_host: bool = False) -> None:
        """Kill a process now, with everything in its memory."""
        if not process.dead:
            process.dead = True
            process.died_at = self.loop.now + (HOST_GONE if with_host else 0)
            process.is_judged = self.database.server.is_held(process.store.node.number)
            self.processes.remove(process)
            self.watch.forget_unrecorded(process)
            self.database.server.died(process, with_host)
            self.ledger.note(str(process), "DIES WITH ITS HOST" if with_host else "DIES")


async def _in_world(task: "asyncio.Task[None]") -> None:
    """Wait for a process's task, or until the time limit if it never ends."""
    await asyncio.wait([task], timeout=60)


def _project(chance: Chance) -> Project:
    shipped = load("standard-webhooks")
    return dataclasses.replace(
        shipped,
        event_types=tuple(EventType(name=name, message=MESSAGE) for name in TYPES),
        plans=(
            Plan(name="small", endpoints=3, deliveries_per_hour=chance.whole(20, 60), retries=2),
            Plan(name="large", retries=chance.whole(3, 5)),
        ),
        default_plan="large",
        retry=chance.one(
            [
                Retry(),
                Retry(first=5 * SECOND, factor=3, max=10 * MINUTE),
                Retry(delays=(SECOND, 30 * SECOND, 5 * MINUTE)),
            ]
        ),
        disable_after=chance.one([0, 3, 8]),
        rotation_overlap=chance.one([0, 20 * MINUTE]),
    )
