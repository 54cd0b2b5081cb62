"""The embedded store: one SQLite file, one process, one writer thread, durable at each commit.

``writer`` collects writes and commits them on its thread, ``batch_writer`` writes events and
attempts, ``queue`` has the claims and the maintenance that differs from PostgreSQL's,
``transactions`` runs everything that is written once for both databases. ``queries.sql`` and
``own.sql`` hold the statements that are SQLite's own.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence

import apsw

from hooktide.domain.errors import ConfigError, StorageFullError
from hooktide.domain.ids import IdMaker
from hooktide.domain.model import BinRequest, Micros
from hooktide.domain.throttling.timeline import SlotAsk, Slots, Timelines
from hooktide.runtime.clock import StoreClock
from hooktide.runtime.vault import Vault
from hooktide.store.base import (
    LEASE,
    RECORD_DELAY,
    AddResult,
    AttemptRecord,
    Changed,
    Listener,
    NewEvent,
    Waiter,
)
from hooktide.store.contract import Store
from hooktide.store.maintenance.sealed import check_key
from hooktide.store.sqlite.connection.checkpoint import MAX_WAL_BYTES, Checkpointer
from hooktide.store.sqlite.connection.connection import cannot_open, lock, open_writer
from hooktide.store.sqlite.connection.dialect import statements
from hooktide.store.sqlite.maintenance.storage_usage import StorageUsageCounter, StorageUsageReader
from hooktide.store.sqlite.writing.batch_writer import SqliteBatchWriter
from hooktide.store.sqlite.writing.queue import Queue
from hooktide.store.sqlite.writing.repository import Readers
from hooktide.store.sqlite.writing.writer import Writer
from hooktide.store.writing.batch import Publish, Refused

ENDED: Micros = (1 << 63) - 1
"""An instant after every lease's end."""


class SqliteStore(Queue, StorageUsageReader, Store):
    """The Store (see ``store.base``) in one SQLite file."""

    def __init__(
        self,
        path: str,
        vault: Vault,
        now: Micros,
        max_wal_bytes: int = MAX_WAL_BYTES,
        record_delay: float = RECORD_DELAY,
    ) -> None:
        self._lock = lock(path)
        self._sql = statements()
        try:
            db, last = self._open(path, vault, now)
        except BaseException:
            os.close(self._lock)
            raise
        self._vault = vault
        self._refused = Refused()
        self.clock = StoreClock()
        self._ids = IdMaker(floor=last)
        self._readers = Readers(path)
        self._storage_usage = StorageUsageCounter(path)
        self._batch_writer = SqliteBatchWriter(db, self._sql, self._ids)
        self._checkpointer = Checkpointer(path, db)
        self._timelines = Timelines()
        self._max_wal_bytes = max_wal_bytes
        self._writer = Writer(
            db, self._batch_writer, self._refused, self._checkpointer.after_commit, record_delay
        )

    def _open(self, path: str, vault: Vault, now: Micros) -> tuple[apsw.Connection, int]:
        """Open the connection that writes; return it, and the last id that was made."""
        db = open_writer(path)
        try:
            for endpoint_id, *secret in db.execute(self._sql["any_secret"]):
                check_key(endpoint_id, secret, vault)
            [[last]] = list(db.execute(self._sql["last_id"]))
            # No other process has this database: any claims are left over from the last one.
            values = {"now": now, "ended": ENDED, "limit": -1}
            released = list(db.execute(self._sql["release_expired_claims"], values))
            self._released_claims = len(released)
        except apsw.Error as error:
            db.close()
            raise cannot_open(path, error) from error
        except ConfigError:
            db.close()
            raise
        return db, last

    def listen(self, listener: Listener) -> None:
        self._writer.listen(listener)

    def watch(self, changed: Changed) -> None:
        self._writer.watch(changed)

    async def close(self) -> None:
        await self._writer.close()
        await self._storage_usage.close()
        await asyncio.to_thread(self._checkpointer.close)
        self._readers.close()
        self._batch_writer.db.close()
        os.close(self._lock)

    @property
    def wal_bytes(self) -> int:
        """How much of the write-ahead log is not in the database yet."""
        return self._checkpointer.wal_bytes

    @property
    def released_claims(self) -> int:
        """How many claims the previous process had left."""
        return self._released_claims

    def _check_wal(self) -> None:
        """Refuse events while the log cannot be emptied: its disk needs space to recover.

        :raises StorageFullError: a reader holds the log, which has grown to its limit.
        """
        held = self._checkpointer.held_bytes
        if held >= self._max_wal_bytes:
            raise StorageFullError(
                "the database's log has grown to its limit; nothing more is accepted until it is "
                "emptied",
                retry_after=5,
                reason=f"the write-ahead log has {held >> 20} MB: end the program that reads the "
                "database for long (lsof shows it)",
            )

    async def check(self) -> None:
        # Writing the version that is there commits a page: a read would not notice a full disk.
        # A commit also has a long log copied, so that it is emptied without an event.
        await self._write(lambda db, _: db.pragma("user_version", db.pragma("user_version")))
        self._check_wal()
        if size := self._refused.bytes:  # a full disk has room for a little
            await self._write(lambda db, _: list(db.execute(self._sql["try_writing"])))
            await self._write(
                lambda db, _: list(db.execute(self._sql["try_writing_bytes"], {"bytes": size}))
            )
            await self._write(lambda db, _: list(db.execute(self._sql["tried_writing"])))
            self._refused.written(size)

    def submit_events(
        self, events: Sequence[NewEvent], now: Micros, waiter: Waiter[list[AddResult]]
    ) -> None:
        self._check_wal()
        self._writer.publish(Publish(events, now, LEASE + self.lease_shift(), waiter))

    async def add_bin_request(self, request: BinRequest, keep: int, keep_bytes: int) -> BinRequest:
        self._check_wal()
        return await super().add_bin_request(request, keep, keep_bytes)

    async def reserve_slots(self, asks: Sequence[SlotAsk], now: Micros) -> Sequence[Slots]:
        return self._timelines.reserve(asks, 0, now)

    async def drop_idle_timelines(self, before: Micros) -> int:
        return self._timelines.forget(before)

    def record(self, record: AttemptRecord) -> None:
        self._writer.record(record)

    def unrecorded_rests(self) -> Mapping[int, Micros]:
        return self._writer.unrecorded_rests()

    async def recorded(self) -> None:
        await self._writer.quiet()


def open_sqlite(
    path: str,
    vault: Vault,
    now: Micros,
    max_wal_bytes: int = MAX_WAL_BYTES,
    record_delay: float = RECORD_DELAY,
) -> SqliteStore:
    """Open or create the database file at ``path``; call it on the event loop.

    New events are refused while the write-ahead log has ``max_wal_bytes`` or more. Attempts are
    collected for ``record_delay`` seconds. The claims of a process that died are due again.

    :raises ConfigError: another server uses the file, or it is not a Hooktide database.
    :raises UnavailableError: it cannot be opened now, as on a full disk.
    """
    return SqliteStore(path, vault, now, max_wal_bytes, record_delay)
