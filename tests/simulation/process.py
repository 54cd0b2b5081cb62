"""A server process of the simulation: the production engine on a simulated store and network."""

import asyncio
import contextvars
import logging
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from simulation.chance import Chance
from simulation.database import Database, SimulatedStore
from simulation.invariants import Watch
from simulation.ledger import Flight
from simulation.loop import OWNER
from simulation.network import FLIGHTS, Network, WayOut

from hooktide.actions.accounts import Accounts
from hooktide.actions.deliveries.delivery_actions import DeliveryActions
from hooktide.actions.deliveries.replays import Replays
from hooktide.actions.endpoints import Endpoints
from hooktide.actions.publishing.intake import Intake
from hooktide.actions.publishing.publish import Publisher
from hooktide.actions.rate_limits import RateLimits
from hooktide.domain.delivery.verdict import Outcome
from hooktide.domain.errors import UnavailableError
from hooktide.domain.http.address import UrlPolicy
from hooktide.domain.model import SECOND, Claim, Micros
from hooktide.domain.throttling.rate import Rates
from hooktide.engine.deliver import Deliverer, Request
from hooktide.engine.destinations import Destination, Destinations
from hooktide.engine.periodic.maintenance import Maintenance, PeriodicTask, store_tasks
from hooktide.engine.periodic.redating import Redating
from hooktide.engine.periodic.retention import Retention
from hooktide.engine.scheduling.lanes import NotSent, Paced
from hooktide.engine.scheduling.scheduler import Limits
from hooktide.engine.worker import Worker
from hooktide.runtime.clock import StoreClock
from hooktide.store.base import AttemptRecord
from hooktide.store.directory import Directory

NEVER = 1 << 62


class Process:
    """One run of a process. ``skew`` is its own clock's error, ``error`` its database clock's.

    ``tasks_every`` multiplies the interval of periodic tasks.
    ``slots`` is the maximum number of concurrent requests to one endpoint.
    """

    def __init__(
        self,
        number: int,
        life: int,
        *,
        database: Database,
        network: Network,
        watch: Watch,
        chance: Chance,
        tasks_every: float,
        slots: int,
    ) -> None:
        self.number = number
        self.name = f"p{number}.{life}"
        self.dead = False
        self.ready = False
        self.stalled_at: Micros = -NEVER
        self.stalled_until: Micros = 0
        self.woke: Micros = -NEVER
        """When it last woke from a stall."""
        self.apart_until: Micros = 0
        self.died_at: Micros = NEVER
        """When the server could know of it."""
        self.is_judged = False
        """Whether others release its claims now that it is dead; else they wait for their lease."""
        self.cut_off_until: Micros = 0
        self.told_at: dict[tuple[str, int], Micros] = {}
        self.context = contextvars.Context()
        self.context.run(OWNER.set, self)
        self.skew = chance.span(-120 * SECOND, 120 * SECOND)
        self.error = chance.span(-SECOND // 5, SECOND // 5)
        self.acts_at = NEVER
        self.act: Callable[[], None] = lambda: None
        self.steps = 0
        self._database = database
        self._network = network
        self._watch = watch
        self._chance = chance
        self._tasks_every = tasks_every
        self._slots = slots
        clock = StoreClock(lambda: database.wall() + self.error, lambda: database.loop.now)
        self.store = SimulatedStore(database, self, clock)

    def __str__(self) -> str:
        return self.name

    def step(self) -> None:
        self.steps += 1
        if self.steps == self.acts_at:
            self.act()

    def at_step(self, steps: int, act: Callable[[], None]) -> None:
        """Run a fault before a later callback, after this many more."""
        self.acts_at, self.act = self.steps + steps, act

    def wall(self) -> Micros:
        """Return the time of its own clock."""
        return self._database.wall() + self.skew

    def told(self, changed: Sequence[tuple[str, int]]) -> None:
        for what in changed:
            self.told_at[what] = self._database.loop.now

    def spawn(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Run a coroutine in this process."""
        return self._database.loop.create_task(work, context=self.context.copy())

    async def boot(self) -> None:
        """Start what a server process starts (``hooktide.app``), except its HTTP interfaces."""
        loop = self._database.loop
        store, clock = self.store, self.store.clock
        await self._open()
        self.directory = Directory(store)
        policy = UrlPolicy()
        destinations = Destinations(self.directory, policy)
        deliverer = WatchedDeliverer(
            self._watch,
            self,
            store=store,
            sender=WayOut(self._network, self, self._chance.of("kept connections")),
            destinations=destinations,
            clock=clock,
            rand=self._chance.of("jitter").number,
            on_attempt=self._judged,
            wall=self.wall,
        )
        self.worker = Worker(store, deliverer, clock, Limits(slots=40, per_endpoint=self._slots))
        self.accounts = Accounts(store, self.directory, clock)
        self.publisher = Publisher(
            store,
            self.directory,
            self.accounts,
            clock,
            warned=lambda *_: None,
            on_accepted=lambda *_: None,
            unknown=lambda *_: None,
            intake=Intake(limited=False),
        )
        self.replays = Replays(store, clock)
        self.endpoints = Endpoints(
            store=store,
            directory=self.directory,
            accounts=self.accounts,
            url_policy=policy,
            clock=clock,
            try_now=self.worker.try_now,
            limits=RateLimits(self.directory, clock),
        )
        self.delivery_actions = DeliveryActions(store, clock, self.endpoints.enable)
        for remembers in (self.directory, destinations):
            store.watch(remembers.changed)
        store.listen(self.worker)
        store.watch(self.worker.changed)
        store.watch(lambda kind, number: self.told([(kind, number)]))
        await self.worker.start()
        self.maintenance = Maintenance(self._periodic_tasks(store, clock, lambda: loop.now))
        self.maintenance.start()
        self.ready = True

    async def _open(self) -> None:
        """Open the database as soon as it is available."""
        while True:
            try:
                await self.store.start()
            except UnavailableError:
                await asyncio.sleep(1)
            else:
                return

    def _periodic_tasks(
        self, store: SimulatedStore, clock: StoreClock, monotonic: Callable[[], Micros]
    ) -> list[PeriodicTask]:
        retention = Retention(store, clock, monotonic)
        redating = Redating(store, self.directory, clock, monotonic)
        tasks = store_tasks(store, clock, retention)
        tasks.append(PeriodicTask("correct due times too far ahead", 1.0, redating.run))
        every = self._tasks_every
        return [PeriodicTask(each.name, max(every, each.every * every), each.run) for each in tasks]

    def _judged(self, record: AttemptRecord, destination: Destination) -> None:
        for flight in FLIGHTS.get():
            if flight.claim.delivery_id == record.claim.delivery_id:
                self._watch.attempts.judged(flight, record, destination)

    async def stop(self) -> None:
        """Stop gracefully, as a server does."""
        self.ready = False
        try:
            await self.worker.stop(5)
            await self.maintenance.stop()
            await self.worker.stop(0)
            await self.store.close()
        except UnavailableError as error:
            logging.getLogger("hooktide").warning("could not release all: %s", error)


class WatchedDeliverer(Deliverer):
    """The production deliverer, which also tells the network the claim of each attempt."""

    def __init__(self, watch: Watch, process: Process, **parts: Any) -> None:
        super().__init__(**parts)
        self._watch = watch
        self._process = process

    async def attempt(
        self, claim: Claim, rates: Rates | None = None, *, even_disabled: bool = False
    ) -> AttemptRecord | NotSent | Paced:
        with self._watched([claim]):
            return await super().attempt(claim, rates, even_disabled=even_disabled)

    def send_now(
        self, request: Request, answered: Callable[[Outcome], None]
    ) -> Callable[[], None] | None:
        attempts = self._watch.attempts
        flight = attempts.began(self._process, request.claim)
        before = FLIGHTS.set([flight])
        try:
            cancel = super().send_now(request, answered)
        finally:
            FLIGHTS.reset(before)
        if cancel is None:
            attempts.not_sent(flight)
            return None

        def cut_off() -> None:
            cancel()
            attempts.not_sent(flight)

        return cut_off

    async def attempt_batch(
        self,
        claims: Sequence[Claim],
        rates: Rates | None = None,
        *,
        even_disabled: bool = False,
    ) -> list[AttemptRecord] | NotSent | Paced:
        with self._watched(claims) as flights:
            result = await super().attempt_batch(claims, rates, even_disabled=even_disabled)
            self._watch.attempts.check_judged(flights)
            return result

    @contextmanager
    def _watched(self, claims: Sequence[Claim]) -> Iterator[Sequence[Flight]]:
        flights = [self._watch.attempts.began(self._process, claim) for claim in claims]
        FLIGHTS.set(flights)
        try:
            yield flights
        finally:
            for flight in flights:
                self._watch.attempts.not_sent(flight)
