"""Moves the write-ahead log into the database on its own thread, so that no commit waits for it.

A separate connection copies the bulk (a passive checkpoint blocks nothing). The writer copies the
little that was written meanwhile, between two commits: only a completely copied log restarts from
its beginning instead of growing forever.
"""

import logging
import threading
import time

import apsw

from hooktide.runtime.background import start_vital_thread
from hooktide.store.sqlite.connection.connection import BUSY_TIMEOUT_MS, end_if_sync_failed

log = logging.getLogger("hooktide.store")

WAL_BYTES = 4 * 1024 * 1024
OUTPACED_WAL_BYTES = 4 * WAL_BYTES
"""If the log grows beyond this while it is copied, commits wait for the copy."""
LONG_WAL_BYTES = 64 * 1024 * 1024
"""A log that has grown to this is truncated once it is empty."""
MAX_WAL_BYTES = 1024 * 1024 * 1024
CUT_OFF_INTERVAL = 1.0
WARNING_INTERVAL = 60.0
LITTLE_PAGES = 100
MAX_ROUNDS = 4


class Checkpointer:
    """Watches the log's size after each commit (on the writer's thread) and empties it."""

    def __init__(self, path: str, writer_db: apsw.Connection) -> None:
        self._writer_db = writer_db
        self._db = apsw.Connection(path)
        self._db.set_busy_timeout(1000)
        self._db.pragma("schema_version")  # before it has read, it copies nothing of the log
        self._wanted = threading.Event()
        self._ended = threading.Event()
        self._copying = False
        self._closing = False
        self._pages = 0
        self._held = False
        self._long = False
        self._cut_off_at = 0.0
        self._warn_at = 0.0
        self._writer_db.set_wal_hook(self._grown)
        self._thread = start_vital_thread(self._run, "hooktide-checkpoint")

    def _grown(self, _db: apsw.Connection, _name: str, pages: int) -> int:
        if pages < self._pages:
            self._held = False  # it has restarted from its beginning
        self._pages = pages
        self._long = self._long or self.wal_bytes >= LONG_WAL_BYTES
        return apsw.SQLITE_OK

    @property
    def wal_bytes(self) -> int:
        """How long the log was at the last commit; 0 once all of it is in the database."""
        return self._pages * 4096

    @property
    def held_bytes(self) -> int:
        """The length of a log that cannot be emptied, usually because of a reader; 0 if it can."""
        return self.wal_bytes if self._held else 0

    def after_commit(self) -> None:
        """Start a copy when the log is long; finish it once the thread has done most of it."""
        try:
            if self._copying:
                if self.wal_bytes >= OUTPACED_WAL_BYTES and not self._held:
                    self._ended.wait()
                if self._ended.is_set():
                    self._copying = False
                    self._finish()
            elif self.wal_bytes >= WAL_BYTES:
                self._copying = True
                self._ended.clear()
                self._wanted.set()
            if self._long and self.wal_bytes < WAL_BYTES and time.monotonic() >= self._cut_off_at:
                self._cut_off()
        except apsw.BusyError:
            pass  # another program is copying it
        except apsw.Error as error:
            end_if_sync_failed(error)
            self._held = True  # a full disk: the log keeps what the database cannot take yet
            log.error("the write-ahead log could not be copied: %s", error)  # noqa: TRY400

    def _finish(self) -> None:
        pages, copied = self._writer_db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        self._held = copied < pages
        if self._held:
            self._warn_if_long()
        else:
            self._pages = 0

    def _cut_off(self) -> None:
        """Truncate a long log, or try later if a reader prevents it."""
        self._cut_off_at = time.monotonic() + CUT_OFF_INTERVAL
        self._writer_db.set_busy_timeout(0)
        try:
            self._writer_db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except apsw.BusyError:
            return
        finally:
            self._writer_db.set_busy_timeout(BUSY_TIMEOUT_MS)
        self._pages = 0
        self._long = False

    def _warn_if_long(self) -> None:
        if self.wal_bytes >= LONG_WAL_BYTES and time.monotonic() >= self._warn_at:
            self._warn_at = time.monotonic() + WARNING_INTERVAL
            log.warning(
                "the write-ahead log has %d MB: a program that reads the database keeps it from "
                "being emptied",
                self.wal_bytes >> 20,
            )

    def close(self) -> None:
        """End the thread."""
        self._closing = True
        self._wanted.set()
        self._thread.join()
        self._db.close()

    def _run(self) -> None:
        while not self._closing:
            self._wanted.wait()
            self._wanted.clear()
            if not self._closing:
                self._copy_most()
            self._ended.set()

    def _copy_most(self) -> None:
        """Copy until little is left, which the writer copies between two commits.

        Each round has less to copy. Continuing until nothing is left would keep the disk busy with
        syncs that delay the commits.
        """
        try:
            for _ in range(MAX_ROUNDS):
                _, copied = self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                left = self._pages - copied  # what SQLite reports is the log as the round began
                if left <= LITTLE_PAGES or self.wal_bytes >= OUTPACED_WAL_BYTES:
                    return
        except apsw.Error as error:
            end_if_sync_failed(error)
