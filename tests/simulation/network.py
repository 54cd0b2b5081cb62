"""Receivers and the network. Each receiver has moods that last a while and depend on the seed."""

import asyncio
import contextvars
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

from simulation.chance import Chance
from simulation.invariants import Watch
from simulation.ledger import Flight
from simulation.loop import VirtualLoop

from hooktide.domain.delivery.verdict import Outcome
from hooktide.domain.http.address import Target
from hooktide.domain.model import DAY, HOUR, MINUTE, SECOND, Micros
from hooktide.outbound.answer import retry_after

MS: Micros = SECOND // 1000
FLIGHTS: contextvars.ContextVar[Sequence[Flight]] = contextvars.ContextVar("flights")
"""The attempts of one request: one, or those of the deliveries that a chat is told of at once."""

MOODS = (
    *["well"] * 10,
    *["fails now and then"] * 4,
    *["fails"] * 3,
    *["is busy"] * 3,
    *["is away for a while"] * 2,
    *["is slow"] * 2,
    *["is silent"] * 2,
    *["resets"] * 2,
    "answers too late",
    "is gone",
)


class Network:
    """All receivers, by host name and path. From ``well_from`` on all of them succeed."""

    def __init__(self, loop: VirtualLoop, chance: Chance, watch: Watch, until: Micros) -> None:
        self.loop = loop
        self.watch = watch
        self.well_from: Micros = DAY * 1000
        self._chance = chance
        self._until = until
        self._moods: dict[str, tuple[list[Micros], list[str]]] = {}

    def mood(self, place: str) -> str:
        """Return a receiver's mood now."""
        if self.loop.now >= self.well_from:
            return "well"
        if place not in self._moods:
            self._moods[place] = self._life(self._chance.of("moods", place))
        starts, moods = self._moods[place]
        return moods[bisect_right(starts, self.loop.now) - 1]

    def _life(self, chance: Chance) -> tuple[list[Micros], list[str]]:
        at, starts, moods = 0, [], []
        while at <= self._until:
            starts.append(at)
            moods.append(chance.one(MOODS))
            at += chance.scale(10 * SECOND, 2 * HOUR)
        return starts, moods

    def answer(self, target: Target, flight: Flight) -> tuple[Micros, Outcome]:
        """Return the response, and how long it takes."""
        claim, place = flight.claim, target.host + target.path
        flight.requests += 1
        chance = self._chance.of(
            place, claim.delivery_id, claim.attempt, claim.token, flight.requests
        )
        soon = chance.scale(5 * MS, 300 * MS)
        match self.mood(place):
            case "fails now and then" if chance.happens(0.4):
                return soon, _status(chance.one([400, 400, 500, 502, 301]))
            case "fails":
                return soon, _status(500)
            case "is busy":
                asks = chance.happens(0.5)
                return soon, _status(429, chance.scale(SECOND, 20 * MINUTE) if asks else 0)
            case "is away for a while":
                span = 30 * HOUR if chance.happens(0.02) else chance.scale(SECOND, 2 * HOUR)
                return soon, _status(503, 0 if chance.happens(0.3) else span)
            case "is slow":
                return chance.scale(SECOND, 15 * SECOND), _status(200)
            case "is silent":
                return DAY, Outcome(error="timeout")
            case "answers too late":
                return 10 * SECOND + chance.span(-5 * MS, 5 * MS), _status(200)
            case "resets":
                return soon, Outcome(error="connection_lost")
            case "is gone" if chance.happens(0.1):
                return soon, _status(410)
        return soon, _status(200)


def _status(status: int, rest: Micros = 0) -> Outcome:
    asked = f"retry-after: {rest // SECOND}\r\n" if rest else ""
    head = f"HTTP/1.1 {status} Simulated\r\n{asked}\r\n".encode()
    wants = None if 200 <= status < 300 else retry_after(head, 0)
    return Outcome(status=status, head=head, body=b"simulated", retry_after=wants)


class WayOut:
    """A process's outbound client (``deliver.Sends``).

    ``kept`` decides which connections are reused.
    """

    def __init__(self, network: Network, process: Any, kept: Chance) -> None:
        self._network = network
        self._process = process
        self._kept = kept

    async def post(
        self, target: Target, head: bytes, body: bytes, timeout: float, account: int = 0
    ) -> Outcome:
        loop = self._network.loop
        began = loop.now
        if began < self._process.cut_off_until:
            await asyncio.sleep(0.005)
            return Outcome(error="local_error", local=True, duration=loop.now - began)
        after, outcome = self._leave(target, head, body, timeout)
        answered: asyncio.Future[None] = loop.create_future()
        loop.after(after, _arrive, answered, context=self._process.context)
        await answered
        return _lasting(outcome, loop.now - began)

    def post_now(
        self,
        target: Target,
        head: bytes,
        body: bytes,
        timeout: float,
        answered: Callable[[Outcome], None],
    ) -> Callable[[], None] | None:
        loop = self._network.loop
        began = loop.now
        if began < self._process.cut_off_until or self._kept.happens(0.3):
            return None  # there is no idle connection to reuse
        after, outcome = self._leave(target, head, body, timeout)

        def arrive() -> None:
            answered(_lasting(outcome, loop.now - began))

        return loop.after(after, arrive, context=contextvars.copy_context()).cancel

    def _leave(
        self, target: Target, head: bytes, body: bytes, timeout: float
    ) -> tuple[Micros, Outcome]:
        network, flights = self._network, FLIGHTS.get()
        network.watch.attempts.left(flights, head, body, self._process.wall())
        after, outcome = network.answer(target, flights[0])
        most = int(timeout * SECOND)
        return (after, outcome) if after < most else (most, Outcome(error="timeout"))


def _arrive(answered: "asyncio.Future[None]") -> None:
    if not answered.done():
        answered.set_result(None)


def _lasting(outcome: Outcome, duration: Micros) -> Outcome:
    return Outcome(
        status=outcome.status,
        error=outcome.error,
        head=outcome.head,
        body=outcome.body,
        duration=duration,
        retry_after=outcome.retry_after,
    )
