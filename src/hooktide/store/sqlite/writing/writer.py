"""One thread, one connection, one transaction at a time: all writes go through here.

What arrives while a commit runs is the next batch; there is no timer, so a single event is written
immediately. A batch holds accepted events, attempts to record and single calls; the first two are
written with a statement for many rows, the calls one after the other, each in a savepoint.
"""

import asyncio
import logging
import queue
from collections.abc import Callable, Sequence
from typing import TypeVar

import apsw

from hooktide.domain.errors import HooktideError, UnavailableError, WriteFaultError
from hooktide.domain.model import Micros
from hooktide.runtime.background import start_vital_thread
from hooktide.store.base import AttemptRecord, Changed, Listener
from hooktide.store.sqlite.connection.connection import end_if_sync_failed, translate
from hooktide.store.sqlite.writing.batch import Batch, Call
from hooktide.store.sqlite.writing.batch_writer import SqliteBatchWriter
from hooktide.store.writing.attempt_buffer import AttemptBuffer
from hooktide.store.writing.batch import (
    RECORD_RETRY_DELAY,
    RECORD_RETRY_TIMEOUT,
    Effects,
    Publish,
    Refused,
    refuse,
)

log = logging.getLogger("hooktide.store")
T = TypeVar("T")


class Writer:
    """Collects on the event loop, commits on its own thread."""

    def __init__(
        self,
        db: apsw.Connection,
        batch_writer: SqliteBatchWriter,
        refused: Refused,
        after_commit: Callable[[], None],
        record_delay: float,
    ) -> None:
        self._db = db
        self._batch_writer = batch_writer
        self._refused = refused
        self._after_commit = after_commit
        self._loop = asyncio.get_running_loop()
        self._inbox: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._next = Batch()
        self._attempts = AttemptBuffer(self._schedule, record_delay)
        self._busy = False
        self._scheduled = False
        self._failing_since: float | None = None
        self._idle: list[asyncio.Future[None]] = []
        self._listener: Listener | None = None
        self._watchers: list[Changed] = []
        self._remembers = True
        self._start()

    def _start(self) -> None:
        self._thread = start_vital_thread(self._run, "hooktide-writer")

    def listen(self, listener: Listener) -> None:
        """Hand deliveries over to ``listener``."""
        self._listener = listener

    def watch(self, changed: Changed) -> None:
        """Call ``changed`` with what every commit changed."""
        self._watchers.append(changed)

    def publish(self, publish: Publish) -> None:
        """Write events with the next batch; they are answered after its commit."""
        self._next.publishes.append(publish)
        self._schedule()

    def record(self, record: AttemptRecord) -> None:
        """Write an attempt with one of the next batches, within a moment."""
        self._attempts.add(record)

    def unrecorded_rests(self) -> dict[int, Micros]:
        """Return the ends of the rests that attempts not committed yet asked for."""
        return self._attempts.rests()

    async def call(self, run: Callable[[Effects], T]) -> T:
        """Run a single write with the next batch; return what it returns, after the commit."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._next.calls.append(Call(run, future))
        self._schedule()
        return await future

    async def quiet(self) -> None:
        """Return when everything submitted so far is committed."""
        while self._busy or self._next or self._attempts:
            future: asyncio.Future[None] = self._loop.create_future()
            self._idle.append(future)
            self._attempts.ripen()
            await future

    async def close(self) -> None:
        """Commit what was submitted, then end the thread."""
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
        if self._attempts.ripe:
            self._next.records = self._attempts.take()
        if not self._next:
            return
        batch, self._next = self._next, Batch()
        if self._listener is not None and batch.publishes:
            batch.capacity = self._listener.capacity()
        self._busy = True
        self._hand_in(batch)

    def _hand_in(self, batch: Batch) -> None:
        """Have a batch committed; ``_finished`` is called with the result."""
        self._inbox.put(batch)

    def _finished(self, batches: Sequence[Batch]) -> None:
        self._busy = False
        for batch in batches:
            if batch.error is not None:
                self._failed(batch, batch.error)
            else:
                self._committed(batch)
        if self._next or self._attempts.ripe:
            self._flush()
        idle, self._idle = self._idle, []
        for future in idle:
            if not future.done():
                future.set_result(None)

    def _committed(self, batch: Batch) -> None:
        self._failing_since = None
        self._attempts.settled(batch.records)
        for publish in batch.publishes:
            publish.answer()
        for call in batch.calls:
            _resolve(call)
        batch.effects.tell(self._listener, self._watchers)

    def _failed(self, batch: Batch, error: UnavailableError) -> None:
        self._refused.refuse(batch.publishes, error)
        refuse([call.future for call in batch.calls], error)
        if (
            batch.waited
        ):  # writes that arrived meanwhile have waited, too, and would wait as long again
            waiting, self._next = self._next, Batch()
            self._refused.refuse(waiting.publishes, error)
            refuse([call.future for call in waiting.calls], error)
        if batch.at_fault:
            self._attempts.settled(batch.records)
            for record in batch.records:
                log.error(
                    "could not record an attempt of delivery %016x; it will be made again",
                    record.claim.delivery_id,
                )
            return
        now = self._loop.time()
        self._failing_since = self._failing_since or now
        if now - self._failing_since > RECORD_RETRY_TIMEOUT:
            self._attempts.settled(batch.records)
            log.error("dropped %d attempts the database did not take", len(batch.records))
        elif batch.records:
            self._loop.call_later(RECORD_RETRY_DELAY, self._attempts.put_back, batch.records)

    def _run(self) -> None:
        while (batch := self._inbox.get()) is not None:
            batches = self._commit_apart(batch)
            if self._loop.is_closed():
                return
            self._loop.call_soon_threadsafe(self._finished, batches)
            self._after_commit()

    def _commit_apart(self, batch: Batch) -> list[Batch]:
        """Commit a batch; if one part cannot be written, commit the others, which belong to
        different clients.

        After the rollback the parts are written one by one.
        """
        self._commit(batch)
        parts = batch.split() if batch.at_fault else []
        if len(parts) <= 1:
            return [batch]
        for part in parts:
            self._commit(part)
        return parts

    def _commit(self, batch: Batch) -> None:
        try:
            self._begin()
            if batch.publishes or batch.records:
                self._batch_writer.write(batch)
            for call in batch.calls:
                self._run_call(call, batch.effects)
            self._db.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - the thread must survive, and says so
            batch.at_fault = not isinstance(error, apsw.Error) or isinstance(error, _AT_FAULT)
            batch.error = self._undo(batch, error)

    def _begin(self) -> None:
        self._roll_back()  # a transaction that could not be rolled back when it failed
        self._db.execute("BEGIN IMMEDIATE")
        if not self._remembers:
            self._batch_writer.forget()
            self._remembers = True

    def _roll_back(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def _run_call(self, call: Call, effects: Effects) -> None:
        try:
            call.error = None
            with self._db:
                call.result = call.run(effects)
        except HooktideError as error:
            call.error = error

    def _undo(self, batch: Batch, error: Exception) -> UnavailableError:
        """Roll back a failed transaction, and return the error for its waiters.

        The cache may contain its changes, so it is reloaded when the next transaction begins: now a
        read may fail, which must not end the thread.
        """
        end_if_sync_failed(error)
        self._remembers = False
        try:
            self._roll_back()
        except apsw.Error as again:
            log.warning("could not roll a transaction back: %s", again)
        batch.waited = isinstance(error, apsw.BusyError)
        if isinstance(error, apsw.Error):
            trouble = translate(error)
            log.error("the database refused a transaction: %s", trouble.reason)
            if batch.at_fault:
                return WriteFaultError(trouble.detail, reason=trouble.reason)
            return trouble
        log.error("a transaction failed", exc_info=error)
        return WriteFaultError("the transaction failed; the server's log says why")


_AT_FAULT = (
    apsw.BindingsError,
    apsw.ConstraintError,
    apsw.MismatchError,
    apsw.RangeError,
    apsw.SQLError,
    apsw.TooBigError,
)
"""Errors caused by a statement and its values, not by the database."""


def _resolve(call: Call) -> None:
    if call.future.done():
        return
    if call.error is not None:
        call.future.set_exception(call.error)
    else:
        call.future.set_result(call.result)
