"""Injects faults: processes die and stall, the database fails, and clocks are set."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import Any

from simulation.chance import Chance
from simulation.ledger import Flight
from simulation.loop import WORLD
from simulation.process import NEVER, Process
from simulation.world import World

from hooktide.domain.model import HOUR, MINUTE, SECOND, Micros

MS: Micros = SECOND // 1000
MAX_STEPS = 400
"""A process dies or stalls before one of its next so many callbacks: at any step of its work."""


class Trouble:
    """Starts and ends the faults of a world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chance = world.chance.of("trouble")
        self._calm = self._chance.one([1.0, 0.2, 0.05])
        self._wild = self._chance.one([0.0, 0.05, 0.2])
        self._numbers = [each.number for each in world.processes]
        world.watch.attempts.on_left = self._near

    def busy(self) -> Iterator[Coroutine[Any, Any, None]]:
        """Yield the sources of faults during the simulation."""
        for number in self._numbers:
            yield self._live_of(number, self._chance.of("process", number))
        yield self._of_database(self._chance.of("database"))
        yield self._of_clock(self._chance.of("clock"))

    async def end(self) -> None:
        """End all faults, and make sure that every process is running."""
        world = self._world
        world.ledger.note("", "ALL IS WELL FROM NOW ON")
        world.network.well_from = world.loop.now
        world.database.trouble.end()
        world.watch.attempts.on_left = lambda _: None
        for process in list(world.processes):
            process.acts_at = NEVER
            process.cut_off_until = process.apart_until = 0
            if not process.ready:  # the process was starting or stopping
                world.crash(process)
        for number in self._numbers:
            if not self._is_there(number):
                await world.start(number)

    # Processes.

    async def _live_of(self, number: int, chance: Chance) -> None:
        """Inject faults into a process over time, and restart it when it has died."""
        world = self._world
        befalls = (
            *[self._dies] * 3,
            *[self._stalls] * 3,
            self._is_deaf,
            *[self._loses_its_session] * 2,
            self._is_cut_off,
            self._is_restarted,
        )
        while True:
            until = world.loop.now + int(self._calm * chance.scale(20 * SECOND, HOUR))
            while world.loop.now < until and self._is_there(number):
                await asyncio.sleep(5)
            found = [each for each in world.processes if each.number == number and each.ready]
            if found:
                await chance.one(befalls)(found[0], chance)
            if not self._is_there(number):
                await asyncio.sleep(chance.scale(100 * MS, 3 * MINUTE) / SECOND)
                await world.start(number)

    def _is_there(self, number: int) -> bool:
        return any(each.number == number for each in self._world.processes)

    def _near(self, flight: Flight) -> None:
        """Occasionally inject a fault while an attempt is in flight or being recorded."""
        claim = flight.claim
        chance = self._chance.of("near", claim.delivery_id, claim.attempt, claim.token)
        if not chance.happens(self._wild):
            return
        match chance.one(["dies", "stalls", "away", "slow", "full", "silent"]):
            case "dies":
                flight.process.at_step(
                    chance.whole(1, 12), partial(self._world.crash, flight.process)
                )
            case "stalls":
                span = chance.scale(SECOND, 3 * MINUTE)
                stall = partial(self._stall, flight.process, span)
                flight.process.at_step(chance.whole(1, 12), stall)
            case kind:
                soon, span = chance.scale(MS // 10, 400 * MS), chance.scale(50 * MS, 20 * SECOND)
                self._world.loop.after(soon, self._ail, kind, span, context=WORLD)

    def _ail(self, kind: str, span: Micros) -> None:
        if kind == "restarted":
            self._world.database.server.restart(span)
            kind = "away"
        self._world.ledger.note("", f"THE DATABASE IS {kind.upper()} for {span / SECOND:.3f} s")
        setattr(self._world.database.trouble, f"{kind}_until", self._world.loop.now + span)

    async def _dies(self, process: Process, chance: Chance) -> None:
        await self._at_step(
            process, chance, partial(self._world.crash, process, chance.happens(0.2))
        )

    async def _stalls(self, process: Process, chance: Chance) -> None:
        span = chance.scale(100 * MS, 4 * MINUTE)
        await self._at_step(process, chance, partial(self._stall, process, span))

    def _stall(self, process: Process, span: Micros) -> None:
        self._world.ledger.note(str(process), f"STALLS for {span / SECOND:.3f} s")
        process.stalled_at = self._world.loop.now
        process.stalled_until = process.woke = self._world.loop.now + span

    async def _at_step(self, process: Process, chance: Chance, act: Callable[[], None]) -> None:
        process.at_step(chance.whole(1, MAX_STEPS), act)
        while process.steps < process.acts_at and not process.dead and process.acts_at != NEVER:
            await asyncio.sleep(1)

    async def _is_deaf(self, process: Process, _: Chance) -> None:
        """Drop notifications on its listening session, which still appears to be open."""
        self._world.ledger.note(str(process), "IS DEAF")
        self._world.database.server.deafen(process)

    async def _loses_its_session(self, process: Process, chance: Chance) -> None:
        """End the session that proves it is alive. The process may learn of it at once, or late.

        It opens a new one soon, or so late that it may have been presumed dead.
        """
        server = self._world.database.server
        span = chance.scale(10 * MS, 40 * SECOND)
        process.apart_until = self._world.loop.now + span
        self._world.ledger.note(str(process), f"LOSES ITS SESSION for {span / SECOND:.3f} s")
        if chance.happens(0.3):
            server.deafen(process)
        for session in server.sessions_of(process):
            server.end(session)

    async def _is_cut_off(self, process: Process, chance: Chance) -> None:
        span = chance.scale(SECOND, 2 * MINUTE)
        self._world.ledger.note(
            str(process), f"IS CUT OFF from receivers for {span / SECOND:.3f} s"
        )
        process.cut_off_until = self._world.loop.now + span

    async def _is_restarted(self, process: Process, chance: Chance) -> None:
        self._world.ledger.note(str(process), "is stopped")
        await asyncio.wait([process.spawn(process.stop())], timeout=120)
        self._world.crash(process)

    # The database and its clock.

    async def _of_database(self, chance: Chance) -> None:
        while True:
            await asyncio.sleep(self._calm * chance.scale(2 * MINUTE, HOUR) / SECOND)
            kind = chance.one(["away", "restarted", "slow", "full", "silent"])
            self._ail(kind, chance.scale(SECOND // 2, 40 * SECOND))

    async def _of_clock(self, chance: Chance) -> None:
        while True:
            await asyncio.sleep(chance.scale(5 * MINUTE, 10 * HOUR) / SECOND)
            span: Micros = chance.scale(SECOND, 3 * HOUR)
            if chance.happens(0.5):
                span = -span
            self._world.ledger.note("", f"THE CLOCK IS SET by {span / SECOND:.3f} s")
            self._world.set_by += span
            self._world.truth.clock_set_at = self._world.loop.now
