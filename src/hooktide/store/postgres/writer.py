"""Group commit: whatever arrives while a commit runs is the next batch.

Two lanes, each with one transaction at a time: events coming in, and attempts recorded. No timer
for events, so a lone one waits for nothing.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Protocol, TypeAlias, TypeVar

from hooktide.domain.errors import UnavailableError
from hooktide.domain.model import Micros
from hooktide.store.base import AddResult, Done, NewEvent, Room
from hooktide.store.batch import (
    RECORD_WITHIN,
    RECORDS_AT_ONCE,
    RECORDS_KEPT,
    RETRY_RECORDS_AFTER,
    Effects,
    Publish,
    once_each,
)
from hooktide.store.failures import counted
from hooktide.store.postgres.connection import (
    UPKEEP_WITHIN,
    WITHIN,
    Database,
    Link,
    deadline,
    single,
    transaction,
)
from hooktide.store.postgres.hot import HotPath
from hooktide.store.postgres.orphans import Orphans
from hooktide.store.postgres.part import again_after_collisions
from hooktide.store.postgres.signals import Signals

log = logging.getLogger("hooktide.store")

MOST_EVENTS = 2000
"""Events in one transaction; a request's stay together."""
MOST_RECORDS = 1000
AGAIN_AFTER = 0.1


T = TypeVar("T")
Lend: TypeAlias = Callable[[Database], AbstractAsyncContextManager[Link]]


class NotCommittedError(UnavailableError):
    """The database did not answer, and certainly committed nothing."""


class ChangedError(Exception):
    """Something changed since it was read: the transaction has to be begun again."""


class Taking(Protocol):
    """Events that a transaction takes out of the database itself, to add them in their place."""

    @property
    def now(self) -> Micros:
        """When they are accepted, once they were taken."""

    async def events(self, link: Link) -> Sequence[NewEvent]:
        """Take them."""

    async def settle(self, link: Link, results: Sequence[AddResult]) -> None:
        """Write down what became of them."""


class Writer:
    """Collects what is to be written, and writes it."""

    def __init__(self, db: Database, hot: HotPath, signals: Signals, orphans: Orphans) -> None:
        self._db = db
        self._hot = hot
        self._signals = signals
        self._orphans = orphans
        self._loop = asyncio.get_running_loop()
        self._publishes: list[Publish] = []
        self._dones: list[Done] = []
        self._ripe = False
        self._timer: asyncio.TimerHandle | None = None
        self._adding: asyncio.Task[None] | None = None
        self._recording: asyncio.Task[None] | None = None
        self._lane = asyncio.Lock()

    # -- events ----------------------------------------------------------------------------------

    async def publish(self, events: Sequence[NewEvent], now: Micros) -> list[AddResult]:
        """Write events with the next batch; return after its commit.

        :raises UnavailableError: the database did not answer; the events may have been stored.
        """
        future: asyncio.Future[list[AddResult]] = self._loop.create_future()
        self._publishes.append(Publish(events, now, future))
        if self._adding is None:
            self._adding = asyncio.create_task(self._add_all())
        return await future

    async def _add_all(self) -> None:
        while self._publishes:
            batch = self._take_publishes()
            try:
                async with deadline(WITHIN), self._lane:
                    effects = await self._again_while_away(partial(self._add, batch))
            except UnavailableError as error:
                self._refuse(batch, error)
            except Exception as error:
                log.exception("a transaction failed")
                self._refuse(batch, error)
            else:
                for publish in batch:
                    publish.answer()
                self._signals.tell(effects)
        self._adding = None

    async def take(self, taking: Taking) -> None:
        """Write events that are in the database as something else; return after the commit.

        :raises UnavailableError: the database did not answer; all of it or nothing has happened.
        """
        async with deadline(WITHIN), self._lane:
            effects = await self._again_while_away(partial(self._take, taking))
        self._signals.tell(effects)

    async def _take(self, taking: Taking) -> Effects:
        while True:
            try:
                _, effects = await self._once(transaction, partial(self._take_once, taking))
            except ChangedError:
                continue
            return effects

    async def _take_once(self, taking: Taking, link: Link) -> None:
        events = await taking.events(link)
        publish = Publish(events, taking.now, self._loop.create_future())
        if publish.events and not await self._hot.add_carefully(link, [publish], self._room()):
            raise ChangedError
        await taking.settle(link, publish.results)

    def _take_publishes(self) -> list[Publish]:
        size = 0
        for count, publish in enumerate(self._publishes, 1):
            size += len(publish.events)
            if size >= MOST_EVENTS:
                batch, self._publishes = self._publishes[:count], self._publishes[count:]
                return batch
        batch, self._publishes = self._publishes, []
        return batch

    async def _add(self, batch: Sequence[Publish]) -> Effects:
        """Add a batch: at once where that is possible, else in as many steps as it takes."""
        add, lend = self._hot.add, single
        while True:
            work = partial(add, publishes=batch, room=self._room())
            added, effects = await self._once(lend, work)
            if added:
                return effects
            add, lend = self._hot.add_carefully, transaction

    def _room(self) -> Room:
        listener = self._signals.listener
        return Room(0, 0) if listener is None else listener.room()

    def _refuse(self, batch: Sequence[Publish], error: Exception) -> None:
        """Answer a batch, and those that waited behind it for as long: the database is away."""
        waiting, self._publishes = self._publishes, []
        for publish in (*batch, *waiting):
            if not publish.future.done():
                publish.future.set_exception(error)

    # -- attempts --------------------------------------------------------------------------------

    def record(self, done: Done) -> None:
        """Write an attempt with one of the next batches, within a moment."""
        self._dones.append(done)
        if len(self._dones) >= RECORDS_AT_ONCE:
            self._ripen()
        elif self._timer is None and not self._ripe:
            self._timer = self._loop.call_later(RECORD_WITHIN, self._ripen)

    def _ripen(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._ripe = True
        if self._recording is None:
            self._recording = asyncio.create_task(self._record_all())

    async def _record_all(self) -> None:
        while self._dones and self._ripe:
            batch, again = once_each(self._dones[:MOST_RECORDS])
            self._dones = again + self._dones[MOST_RECORDS:]
            self._ripe = bool(self._dones)
            await self._record(batch)
        self._ripe = False
        self._recording = None

    async def _record(self, batch: list[Done]) -> None:
        """Record a batch: again until the database takes it, but not for ever."""
        since = self._loop.time()
        while True:
            try:
                async with deadline(UPKEEP_WITHIN / 10):
                    await self._record_once(batch)
            except UnavailableError as error:
                if self._loop.time() - since > RECORDS_KEPT:
                    log.error("dropped %d attempts the database did not take", len(batch))  # noqa: TRY400 - no bug
                    return
                log.warning("could not record %d attempts: %s", len(batch), error)
                await asyncio.sleep(RETRY_RECORDS_AFTER)
            except Exception:
                log.exception("could not record %d attempts; they will be made again", len(batch))
                return
            else:
                return

    async def _record_once(self, batch: list[Done]) -> None:
        _, failed = counted(batch)
        lend = transaction if failed else single
        lost, effects = await self._once(lend, lambda link: self._hot.record(link, batch))
        self._signals.tell(effects)
        for done in lost:
            await self._once(transaction, partial(self._hot.record_late, done=done))

    async def recorded(self) -> None:
        """Return when everything handed to ``record`` so far is committed."""
        while self._dones or self._recording is not None:
            self._ripen()
            if self._recording is not None:
                await asyncio.wait([self._recording])

    # -- both ------------------------------------------------------------------------------------

    async def _again_while_away(self, run: Callable[[], Awaitable[Effects]]) -> Effects:
        """Run a transaction, and again while it certainly changed nothing: until the deadline."""
        while True:
            try:
                return await run()
            except NotCommittedError:
                await asyncio.sleep(AGAIN_AFTER)

    async def _once(self, lend: Lend, work: Callable[[Link], Awaitable[T]]) -> tuple[T, Effects]:
        return await again_after_collisions(lambda: self._try(lend, work))

    async def _try(self, lend: Lend, work: Callable[[Link], Awaitable[T]]) -> tuple[T, Effects]:
        link = None
        try:
            async with lend(self._db) as link:
                result = await work(link)
                await self._signals.changed(link, link.effects.changed)
        except UnavailableError as error:
            if link is None:
                raise NotCommittedError(error.detail) from error
            self._orphans.take(link.effects.claims)
            raise
        except asyncio.CancelledError:
            if link is not None:
                self._orphans.take(link.effects.claims)
            raise
        return result, link.effects
