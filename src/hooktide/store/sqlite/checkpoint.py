"""Moves the write-ahead log into the database beside the writer, so that no commit waits for it.

A connection of its own copies the bulk (a passive checkpoint disturbs nobody). The little that was
written meanwhile the writer copies itself, between two commits: only a log that is copied to its
end starts again from its beginning instead of growing for ever.
"""

import logging
import threading
from contextlib import suppress

import apsw

log = logging.getLogger("hooktide.store")

WAL_BYTES = 4 * 1024 * 1024
LITTLE_PAGES = 100
MOST_ROUNDS = 4


class Checkpointer:
    """Watches the log's size after each commit (on the writer's thread) and empties it."""

    def __init__(self, path: str, writer_db: apsw.Connection) -> None:
        self._writer_db = writer_db
        self._db = apsw.Connection(path)
        self._db.set_busy_timeout(1000)
        self._wanted = threading.Event()
        self._almost = threading.Event()
        self._closing = False
        self._pages = 0
        self._writer_db.set_wal_hook(self._grown)
        self._thread = threading.Thread(target=self._run, name="hooktide-checkpoint", daemon=True)
        self._thread.start()

    def _grown(self, _db: apsw.Connection, _name: str, pages: int) -> int:
        self._pages = pages
        return apsw.SQLITE_OK

    def after_commit(self) -> None:
        """Start a checkpoint when the log is long; finish one that could not be."""
        if self._almost.is_set():
            self._almost.clear()
            self._finish()
        elif self._pages * 4096 >= WAL_BYTES and not self._wanted.is_set():
            self._wanted.set()

    def _finish(self) -> None:
        try:
            self._writer_db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.Error as error:  # a full disk: the log keeps what the database cannot take yet
            log.error("the write-ahead log could not be copied: %s", error)  # noqa: TRY400
        else:
            self._pages = 0

    def close(self) -> None:
        """End the thread."""
        self._closing = True
        self._wanted.set()
        self._thread.join()
        self._db.close()

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            if self._closing:
                return
            if self._leaves_some():
                self._almost.set()
            self._wanted.clear()

    def _leaves_some(self) -> bool:
        """Copy until little is left, and say if something is.

        What is written meanwhile is less each round. To go on until nothing is left would keep the
        disk busy with syncs that the commits then wait for.
        """
        with suppress(apsw.Error):
            for _ in range(MOST_ROUNDS):
                _, copied = self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                left = self._pages - copied  # what SQLite reports is the log as the round began
                if left <= LITTLE_PAGES:
                    return left > 0
        return True
