"""Group commit: what arrives while a commit runs is the next batch.

There are two lanes, each with one transaction at a time: incoming events and recorded attempts.
There is no timer for events, so a single event is written immediately.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

from hooktide.domain.errors import ConfigError, HooktideError, UnavailableError
from hooktide.domain.model import Micros
from hooktide.runtime.background import start
from hooktide.store.base import AddResult, AttemptRecord, Capacity, NewEvent
from hooktide.store.postgres.connection.connection import (
    Database,
    PgConnection,
    deadline,
    single,
    transaction,
)
from hooktide.store.postgres.connection.notifier import Notifier
from hooktide.store.postgres.writing.batch_writer import PostgresBatchWriter, is_plain
from hooktide.store.postgres.writing.repository import (
    Lend,
    NotCommittedError,
    again_after_collisions,
    run_once,
)
from hooktide.store.postgres.writing.uncertain_claims import UncertainClaims
from hooktide.store.sql.repository import MAINTENANCE_TIMEOUT, REQUEST_TIMEOUT
from hooktide.store.writing.attempt_buffer import AttemptBuffer
from hooktide.store.writing.batch import (
    RECORD_RETRY_DELAY,
    RECORD_RETRY_TIMEOUT,
    Effects,
    Publish,
    Refused,
)

log = logging.getLogger("hooktide.store")

MAX_BATCH_EVENTS = 2000
"""Events in one transaction; a request's stay together."""
MAX_BATCH_RECORDS = 1000
RETRY_DELAY = 0.1


T = TypeVar("T")


class ChangedError(Exception):
    """Something changed since it was read: the transaction must be repeated."""


class Taking(Protocol):
    """Rows in the database that a transaction replaces by events."""

    @property
    def now(self) -> Micros:
        """When they are accepted, once they were taken."""

    async def events(self, conn: PgConnection) -> Sequence[NewEvent]:
        """Take them."""

    async def settle(self, conn: PgConnection, results: Sequence[AddResult]) -> None:
        """Record their results."""


class Writer:
    """Collects writes into batches, and writes them."""

    def __init__(
        self,
        db: Database,
        batch_writer: PostgresBatchWriter,
        refused: Refused,
        notifier: Notifier,
        uncertain_claims: UncertainClaims,
        record_delay: float,
    ) -> None:
        self._db = db
        self._batch_writer = batch_writer
        self._refused = refused
        self._notifier = notifier
        self._uncertain_claims = uncertain_claims
        self._loop = asyncio.get_running_loop()
        self._publishes: list[Publish] = []
        self._attempts = AttemptBuffer(self._record_soon, record_delay)
        self._adding: asyncio.Task[None] | None = None
        self._recording: asyncio.Task[None] | None = None
        self._lane = asyncio.Lock()

    def publish(self, publish: Publish) -> None:
        """Write events with the next batch; they are answered after its commit.

        If the database did not answer (``UnavailableError``), they may have been stored.
        """
        self._publishes.append(publish)
        if self._adding is None or self._adding.done():
            self._adding = start(self._add_all(), "write events")

    async def _add_all(self) -> None:
        try:
            while self._publishes:
                await self._add_apart(self._take_publishes())
        finally:
            self._adding = None

    async def _add_apart(self, batch: Sequence[Publish]) -> None:
        """Add a batch and answer it; if one request cannot be written, add the others.

        Any error other than an unavailable database was raised before the commit, so nothing is
        stored twice.
        """
        try:
            async with deadline(REQUEST_TIMEOUT), self._lane:
                effects = await self._again_while_away(partial(self._add, batch))
        except UnavailableError as error:
            waiting, self._publishes = self._publishes, []
            self._refused.refuse([*batch, *waiting], error)
        except Exception as error:
            if len(batch) > 1 and not isinstance(error, ConfigError):
                for publish in batch:
                    await self._add_apart([publish])
                return
            if not isinstance(error, HooktideError):
                log.exception("a transaction failed")
            self._refused.refuse(batch, error)
        else:
            for publish in batch:
                publish.answer()
            self._notifier.tell(effects)

    async def take(self, taking: Taking) -> None:
        """Write events that are in the database as something else; return after the commit.

        :raises UnavailableError: the database did not answer; either everything or nothing was
        done.
        """
        async with deadline(REQUEST_TIMEOUT), self._lane:
            effects = await self._again_while_away(partial(self._take, taking))
        self._notifier.tell(effects)

    async def _take(self, taking: Taking) -> Effects:
        while True:
            try:
                _, effects = await self._once(transaction, partial(self._take_once, taking))
            except ChangedError:
                continue
            return effects

    async def _take_once(self, taking: Taking, conn: PgConnection) -> None:
        events = await taking.events(conn)
        lease = self._batch_writer.lease()
        publish = Publish(events, taking.now, lease, self._loop.create_future())
        if publish.events and not await self._batch_writer.add_carefully(
            conn, [publish], self._capacity()
        ):
            raise ChangedError
        await taking.settle(conn, publish.results)

    def _take_publishes(self) -> list[Publish]:
        size = 0
        for count, publish in enumerate(self._publishes, 1):
            size += len(publish.events)
            if size >= MAX_BATCH_EVENTS:
                batch, self._publishes = self._publishes[:count], self._publishes[count:]
                return batch
        batch, self._publishes = self._publishes, []
        return batch

    async def _add(self, batch: Sequence[Publish]) -> Effects:
        """Add a batch: in one statement if possible, otherwise in several steps."""
        add, lend = self._batch_writer.add, single
        while True:
            work = partial(add, publishes=batch, capacity=self._capacity())
            added, effects = await self._once(lend, work)
            if added:
                return effects
            add, lend = self._batch_writer.add_carefully, transaction

    def _capacity(self) -> Capacity:
        listener = self._notifier.listener
        return Capacity(0, 0) if listener is None else listener.capacity()

    def record(self, record: AttemptRecord) -> None:
        """Write an attempt with one of the next batches, within a moment."""
        self._attempts.add(record)

    def unrecorded_rests(self) -> dict[int, Micros]:
        """Return the ends of the rests that attempts not committed yet asked for."""
        return self._attempts.rests()

    def _record_soon(self) -> None:
        if self._recording is None or self._recording.done():
            self._recording = start(self._record_all(), "record attempts")

    async def _record_all(self) -> None:
        try:
            while self._attempts and self._attempts.ripe:
                await self._record(self._attempts.take(MAX_BATCH_RECORDS))
        finally:
            self._recording = None

    async def _record(self, batch: list[AttemptRecord]) -> None:
        """Record a batch, and retry for a limited time."""
        since = self._loop.time()
        while True:
            try:
                async with deadline(MAINTENANCE_TIMEOUT / 10):
                    await self._record_once(batch)
            except UnavailableError as error:
                if self._loop.time() - since > RECORD_RETRY_TIMEOUT:
                    self._attempts.settled(batch)
                    log.error("dropped %d attempts the database did not take", len(batch))  # noqa: TRY400 - no bug
                    return
                log.warning("could not record %d attempts: %s", len(batch), error)
                await asyncio.sleep(RECORD_RETRY_DELAY)
            except Exception:
                if len(batch) > 1:  # a claim is recorded only once, even if this is repeated
                    for record in batch:
                        await self._record([record])
                else:
                    self._attempts.settled(batch)
                    log.exception(
                        "could not record an attempt of delivery %016x; it will be made again",
                        batch[0].claim.delivery_id,
                    )
                return
            else:
                return

    async def _record_once(self, batch: list[AttemptRecord]) -> None:
        lend = single if is_plain(batch) else transaction
        done, effects = await self._once(lend, lambda conn: self._batch_writer.record(conn, batch))
        self._attempts.settled(batch)
        self._notifier.tell(effects)
        for record in done.lost:
            await self._once(transaction, partial(self._batch_writer.record_late, record=record))
        if done.discarded:
            now = max(record.attempt.ended_at for record in batch)
            count = partial(self._batch_writer.count_discarded, discarded=done.discarded, now=now)
            await self._once(transaction, count)

    async def recorded(self) -> None:
        """Return when everything passed to ``record`` so far is committed."""
        while self._attempts or (self._recording is not None and not self._recording.done()):
            self._attempts.ripen()
            if self._recording is not None:
                await asyncio.wait([self._recording])

    async def _again_while_away(self, run: Callable[[], Awaitable[Effects]]) -> Effects:
        """Run a transaction, and retry until the deadline while it certainly changed nothing."""
        while True:
            try:
                return await run()
            except NotCommittedError:
                await asyncio.sleep(RETRY_DELAY)

    async def _once(
        self, lend: Lend, work: Callable[[PgConnection], Awaitable[T]]
    ) -> tuple[T, Effects]:
        return await again_after_collisions(
            lambda: run_once(lend, self._db, self._notifier, work, self._unconfirmed)
        )

    def _unconfirmed(self, effects: Effects) -> None:
        """Handle the effects of a transaction that may have committed."""
        self._uncertain_claims.take(effects.claims)
        self._notifier.unconfirmed(effects.changed)
