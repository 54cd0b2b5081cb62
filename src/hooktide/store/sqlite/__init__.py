"""The embedded store: one SQLite file, one process, one writer thread, durable at each commit.

``queries.sql`` holds every statement. ``writer`` commits, ``hot`` is an event's way through the
file, ``queue`` its claims and upkeep; ``registry``, ``endpoints``, ``log``, ``replays``,
``people``, ``numbers``, ``bins`` are the rest.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence

from hooktide.clock import SteadyClock
from hooktide.domain.errors import ConfigError
from hooktide.domain.ids import IdMaker
from hooktide.domain.model import Micros
from hooktide.store.base import (
    LEASE,
    AddResult,
    Changed,
    Done,
    Emitted,
    Listener,
    NewEvent,
    Why,
)
from hooktide.store.queries import load_queries
from hooktide.store.sqlite.bins import Bins
from hooktide.store.sqlite.checkpoint import Checkpointer
from hooktide.store.sqlite.connection import lock, open_writer
from hooktide.store.sqlite.hot import HotPath
from hooktide.store.sqlite.numbers import Numbers
from hooktide.store.sqlite.part import Readers
from hooktide.store.sqlite.people import People
from hooktide.store.sqlite.queue import Queue
from hooktide.store.sqlite.replays import Replays
from hooktide.store.sqlite.sizes import SizeCounter, Sizes
from hooktide.store.sqlite.writer import Writer
from hooktide.vault import Vault

ENDED: Micros = (1 << 63) - 1
"""An instant after every lease's end."""


class SqliteStore(Replays, Numbers, People, Queue, Bins, Sizes):
    """The Store (see ``store.base``) in one SQLite file."""

    def __init__(self, path: str, vault: Vault, now: Micros) -> None:
        self._lock = lock(path)
        self._sql = load_queries(__package__)
        try:
            db = open_writer(path)
            for [sealed] in db.execute(self._sql["any_secret"]):
                vault.open(sealed)  # with another key nothing could be sent: say so now
        except ConfigError:
            os.close(self._lock)
            raise
        [[last]] = list(db.execute(self._sql["last_id"]))
        # No other process has this database, so whatever is claimed was lost with the last one.
        list(db.execute(self._sql["give_back_expired"], {"now": now, "ended": ENDED, "limit": -1}))
        self._vault = vault
        self.clock = SteadyClock()
        self._ids = IdMaker(floor=last)
        self._readers = Readers(path)
        self._sizes = SizeCounter(path)
        self._hot = HotPath(db, self._sql, self._ids, LEASE)
        self._checkpointer = Checkpointer(path, db)
        self._writer = Writer(db, self._hot, self._checkpointer.after_commit)

    def listen(self, listener: Listener) -> None:
        self._writer.listen(listener)

    def watch(self, changed: Changed) -> None:
        self._writer.watch(changed)

    async def close(self) -> None:
        await self._writer.close()
        await self._sizes.close()
        await asyncio.to_thread(self._checkpointer.close)
        self._readers.close()
        self._hot.db.close()
        os.close(self._lock)

    async def check(self) -> None:
        # Writing the version that is there commits a page: a read would not notice a full disk.
        await self._write(lambda db, _: db.pragma("user_version", db.pragma("user_version")))

    async def add_events(self, events: Sequence[NewEvent], now: Micros) -> Sequence[AddResult]:
        return await self._writer.publish(events, now)

    async def emitted(self, limit: int) -> Sequence[Emitted]:
        return ()

    async def accept_emitted(
        self, events: Mapping[int, NewEvent], refused: Mapping[int, str], why: Why
    ) -> Mapping[int, AddResult]:
        return {}

    def record(self, done: Done) -> None:
        self._writer.record(done)

    async def recorded(self) -> None:
        await self._writer.quiet()


def open_sqlite(path: str, vault: Vault, now: Micros) -> SqliteStore:
    """Open (or make) the database file at ``path``; call it on the event loop.

    Whatever a process that died had claimed is due again.

    :raises ConfigError: another server uses the file, or it is no database of ours.
    """
    return SqliteStore(path, vault, now)
