"""One thread, one connection, one transaction at a time: everything that writes goes through here.

Whatever arrives while a commit runs is the next batch; no timer, so a lone event waits for
nothing. A batch holds accepted events, attempts to record and single calls; the first two are
written with a statement for many rows, the calls one after the other, each in a savepoint.
"""

import asyncio
import logging
import os
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, Protocol, TypeVar

import apsw

from hooktide.domain.errors import HooktideError, UnavailableError
from hooktide.domain.model import Micros
from hooktide.store.base import AddResult, Changed, Done, Listener, NewEvent, Room
from hooktide.store.batch import (
    RECORD_WITHIN,
    RECORDS_AT_ONCE,
    RECORDS_KEPT,
    RETRY_RECORDS_AFTER,
    Effects,
    Publish,
    once_each,
)
from hooktide.store.sqlite.connection import translate

log = logging.getLogger("hooktide.store")
T = TypeVar("T")


class Call:
    """A single write, run inside the batch's transaction, and who waits for it."""

    __slots__ = ("error", "future", "result", "run")

    def __init__(self, run: Callable[[Effects], Any], future: "asyncio.Future[Any]") -> None:
        self.run = run
        self.future = future
        self.result: Any = None
        self.error: HooktideError | None = None


class Batch:
    """What one transaction writes, and what came of it."""

    __slots__ = ("calls", "dones", "effects", "error", "publishes", "room")

    def __init__(self) -> None:
        self.publishes: list[Publish] = []
        self.dones: list[Done] = []
        self.calls: list[Call] = []
        self.room = Room(0, 0)
        self.effects = Effects()
        self.error: UnavailableError | None = None

    def __bool__(self) -> bool:
        return bool(self.publishes or self.dones or self.calls)


class HotPath(Protocol):
    """What the writer needs to know about events and attempts (``hot.HotPath``)."""

    def write(self, batch: Batch) -> None:
        """Write a batch's events and attempts inside the open transaction."""

    def forget(self) -> None:
        """Drop what was remembered of the database: a transaction was rolled back."""


class Writer:
    """Collects on the event loop, commits on its own thread."""

    def __init__(self, db: apsw.Connection, hot: HotPath, after_commit: Callable[[], None]) -> None:
        self._db = db
        self._hot = hot
        self._after_commit = after_commit
        self._loop = asyncio.get_running_loop()
        self._inbox: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._next = Batch()
        self._dones: list[Done] = []
        self._dones_timer: asyncio.TimerHandle | None = None
        self._dones_ripe = False
        self._busy = False
        self._scheduled = False
        self._failing_since: float | None = None
        self._idle: list[asyncio.Future[None]] = []
        self._listener: Listener | None = None
        self._watchers: list[Changed] = []
        self._thread = threading.Thread(target=self._run, name="hooktide-writer", daemon=True)
        self._thread.start()

    # -- on the event loop ---------------------------------------------------------------------

    def listen(self, listener: Listener) -> None:
        """Hand deliveries over to ``listener``."""
        self._listener = listener

    def watch(self, changed: Changed) -> None:
        """Tell ``changed`` of what every commit changed."""
        self._watchers.append(changed)

    async def publish(self, events: Sequence[NewEvent], now: Micros) -> list[AddResult]:
        """Write events with the next batch; return after its commit."""
        future: asyncio.Future[list[AddResult]] = self._loop.create_future()
        self._next.publishes.append(Publish(events, now, future))
        self._schedule()
        return await future

    def record(self, done: Done) -> None:
        """Write an attempt with one of the next batches, within a moment."""
        self._dones.append(done)
        if self._dones_timer is None and not self._dones_ripe:
            self._dones_timer = self._loop.call_later(RECORD_WITHIN, self._ripen)
        elif len(self._dones) == RECORDS_AT_ONCE:
            self._ripen()

    def _ripen(self) -> None:
        """Let the records that wait go with the next batch."""
        if self._dones_timer is not None:
            self._dones_timer.cancel()
            self._dones_timer = None
        self._dones_ripe = True
        self._schedule()

    async def call(self, run: Callable[[Effects], T]) -> T:
        """Run a single write with the next batch; return what it returns, after the commit."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._next.calls.append(Call(run, future))
        self._schedule()
        return await future

    async def quiet(self) -> None:
        """Return when everything handed in so far is committed."""
        while self._busy or self._next or self._dones:
            future: asyncio.Future[None] = self._loop.create_future()
            self._idle.append(future)
            self._ripen()
            await future

    async def close(self) -> None:
        """Commit what was handed in, then end the thread."""
        await self.quiet()
        self._inbox.put(None)
        await asyncio.to_thread(self._thread.join)

    def _schedule(self) -> None:
        if not self._busy and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        if self._busy:
            return
        if self._dones_ripe:
            self._next.dones, self._dones = once_each(self._dones)
            self._dones_ripe = bool(self._dones)
        if not self._next:
            return
        batch, self._next = self._next, Batch()
        if self._listener is not None and batch.publishes:
            batch.room = self._listener.room()
        self._busy = True
        self._inbox.put(batch)

    def _finished(self, batch: Batch) -> None:
        self._busy = False
        if batch.error is not None:
            self._failed(batch, batch.error)
        else:
            self._committed(batch)
        if self._next or self._dones_ripe:
            self._flush()
        idle, self._idle = self._idle, []
        for future in idle:
            future.set_result(None)

    def _committed(self, batch: Batch) -> None:
        self._failing_since = None
        for publish in batch.publishes:
            publish.answer()
        for call in batch.calls:
            _resolve(call)
        batch.effects.tell(self._listener, self._watchers)

    def _failed(self, batch: Batch, error: UnavailableError) -> None:
        futures: list[asyncio.Future[Any]] = [publish.future for publish in batch.publishes]
        futures += [call.future for call in batch.calls]
        for future in futures:
            if not future.done():
                future.set_exception(error)
        now = self._loop.time()
        self._failing_since = self._failing_since or now
        if now - self._failing_since > RECORDS_KEPT:
            log.error("dropped %d attempts the database did not take", len(batch.dones))
        elif batch.dones:
            self._loop.call_later(RETRY_RECORDS_AFTER, self._again, batch.dones)

    def _again(self, dones: list[Done]) -> None:
        self._dones[:0] = dones
        self._ripen()

    # -- on the writer's thread ----------------------------------------------------------------

    def _run(self) -> None:
        while (batch := self._inbox.get()) is not None:
            self._commit(batch)
            self._loop.call_soon_threadsafe(self._finished, batch)
            self._after_commit()

    def _commit(self, batch: Batch) -> None:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            if batch.publishes or batch.dones:
                self._hot.write(batch)
            for call in batch.calls:
                self._run_call(call, batch.effects)
            self._db.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - the thread must survive, and says so
            batch.error = self._undo(error)

    def _run_call(self, call: Call, effects: Effects) -> None:
        try:
            with self._db:
                call.result = call.run(effects)
        except HooktideError as error:
            call.error = error

    def _undo(self, error: Exception) -> UnavailableError:
        self._hot.forget()
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
        if getattr(error, "extendedresult", 0) in _SYNC_FAILED:
            _give_up(error)
        if isinstance(error, apsw.Error):
            log.error("the database refused a transaction: %s", error)
            return translate(error)
        log.exception("a transaction failed")
        return UnavailableError("the transaction failed; the server's log says why")


_SYNC_FAILED = (apsw.SQLITE_IOERR_FSYNC, apsw.SQLITE_IOERR_DIR_FSYNC)


def _give_up(error: Exception) -> NoReturn:
    """End the process: a sync failed, and what the disk holds is no longer what we wrote.

    The kernel drops pages it could not write and then reports success, so nothing after this could
    be believed. The next start reads what is really there; nobody was answered 202 for the rest.
    """
    log.critical("the disk failed to sync (%s); ending, so that a restart reads it anew", error)
    logging.shutdown()
    os._exit(EXIT_SYNC_FAILED)


EXIT_SYNC_FAILED = 74


def _resolve(call: Call) -> None:
    if call.future.done():
        return
    if call.error is not None:
        call.future.set_exception(call.error)
    else:
        call.future.set_result(call.result)
