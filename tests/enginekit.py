"""The engine on a real store, with a manual clock and scripted receivers."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from storekit import NOON, Given, Place

from hooktide.domain.delivery.verdict import Outcome
from hooktide.domain.http.address import Target, UrlPolicy
from hooktide.domain.model import Micros, Scope
from hooktide.engine.deliver import Deliverer
from hooktide.engine.destinations import Destination, Destinations
from hooktide.engine.scheduling.scheduler import Limits
from hooktide.engine.worker import Worker
from hooktide.store.base import AttemptRecord
from hooktide.store.directory import Directory

OK = Outcome(status=200, duration=5000)


@dataclass
class Receivers:
    """Records requests and responds from a script. The last response repeats.

    While ``hold`` is not set, requests to the URLs in ``hanging`` get no response. Unless
    connections are ``kept``, each request needs a new one.
    """

    script: list[Outcome] = field(default_factory=lambda: [OK])
    sent: list[tuple[str, bytes, bytes]] = field(default_factory=list)
    accounts: list[int] = field(default_factory=list)
    hanging: set[str] = field(default_factory=set)
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    kept: bool = True
    most_out: dict[str, int] = field(default_factory=dict)
    now_out: dict[str, int] = field(default_factory=dict)
    posts: set[asyncio.Task[Outcome]] = field(default_factory=set)
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def post(
        self, target: Target, head: bytes, body: bytes, timeout: float, account: int = 0
    ) -> Outcome:
        self.sent.append((target.url, head, body))
        self.accounts.append(account)
        self.now_out[target.url] = self.now_out.get(target.url, 0) + 1
        self.most_out[target.url] = max(self.most_out.get(target.url, 0), self.now_out[target.url])
        async with self.arrived:
            self.arrived.notify_all()
        try:
            if target.url in self.hanging:
                await self.hold.wait()
            return self.script.pop(0) if len(self.script) > 1 else self.script[0]
        finally:
            self.now_out[target.url] -= 1

    def post_now(
        self,
        target: Target,
        head: bytes,
        body: bytes,
        timeout: float,
        answered: Callable[[Outcome], None],
    ) -> Callable[[], None] | None:
        if not self.kept:
            return None

        def ended(post: asyncio.Task[Outcome]) -> None:
            self.posts.discard(post)
            if not post.cancelled():
                answered(post.result())

        post = asyncio.create_task(self.post(target, head, body, timeout))
        self.posts.add(post)
        post.add_done_callback(ended)
        return lambda: _cancel(post)

    async def until(self, count: int, url: str = "") -> None:
        """Return when this many requests have arrived (at ``url``)."""
        async with asyncio.timeout(60), self.arrived:
            await self.arrived.wait_for(lambda: self.count(url) >= count)

    def count(self, url: str = "") -> int:
        return sum(url in sent for sent, _, _ in self.sent)


def _cancel(post: asyncio.Task[Outcome]) -> None:
    post.cancel()


@dataclass
class Clock:
    """A clock that stands still until it is moved."""

    now: Micros = NOON

    def __call__(self) -> Micros:
        return self.now


@dataclass
class Engine:
    """A worker and everything it depends on."""

    given: Given
    receivers: Receivers
    clock: Clock
    worker: Worker
    records: list[AttemptRecord]

    async def settled(self) -> None:
        """Wait until no attempt is in flight or queued in memory, and all are recorded."""
        async with asyncio.timeout(60):
            while self.worker.in_flight or self.worker.waiting:
                await asyncio.sleep(0.001)
            await self.given.store.recorded()

    async def later(self, span: Micros, *endpoint_ids: int) -> None:
        """Move the clock, and tell the worker that these endpoints may have something due."""
        self.clock.now += span
        self.worker.due(dict.fromkeys(endpoint_ids or (self.given.endpoint.id,), 0))

    async def states(self) -> list[str]:
        """Return the states of all deliveries, oldest first."""
        page = await self.given.store.list_deliveries(Scope(), None, 100)
        return [delivery.state.value for delivery in reversed(page.items)]


async def opened(place: Place, like: Given | None = None) -> Given:
    """Open an empty store. With ``like``, open the same database as another process would."""
    given = Given(place) if like is None else like.another()
    given.store = await place.open()
    if like is None:
        await given.begin()
    return given


@asynccontextmanager
async def running(
    given: Given,
    limits: Limits,
    receivers: Receivers | None = None,
    clock: Clock | None = None,
    told: Callable[[AttemptRecord], None] | None = None,
) -> AsyncIterator[Engine]:
    """Run an engine on an open store, and close the store afterwards.

    ``told`` is called with each attempt, after it was added to ``Engine.records``.
    """
    store = given.store
    receivers, clock = receivers or Receivers(), clock or Clock()
    records: list[AttemptRecord] = []
    directory = Directory(store)
    destinations = Destinations(directory, UrlPolicy())

    def hear(record: AttemptRecord, _: Destination) -> None:
        records.append(record)
        if told is not None:
            told(record)

    deliverer = Deliverer(
        store=store,
        sender=receivers,
        destinations=destinations,
        clock=clock,
        rand=lambda: 0.5,
        on_attempt=hear,
        wall=clock,
    )
    worker = Worker(store, deliverer, clock, limits)
    store.listen(worker)
    for remembers in (directory, destinations, worker):
        store.watch(remembers.changed)
    await worker.start()
    yield Engine(given, receivers, clock, worker, records)
    receivers.hold.set()
    await worker.stop(5)
    await store.close()
