"""The sealed rows of a database file, also while its server runs."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import apsw

from hooktide.domain.audit_log import Action
from hooktide.domain.errors import ConfigError
from hooktide.runtime.clock import wall_clock
from hooktide.runtime.vault import Vault
from hooktide.store.journal.audit_log import record_command
from hooktide.store.maintenance.sealed import PREFIXES, KeyReport, read_key_report, reseal
from hooktide.store.sqlite.connection.connection import lock, translate
from hooktide.store.sqlite.connection.dialect import statements
from hooktide.store.sqlite.connection.transactions import SqliteStatements
from hooktide.store.sqlite.maintenance.read_only import open_beside_server


class SqliteSealedRows:
    """``SealedRows`` of a SQLite file.

    :raises ConfigError: the database does not exist, or has another schema version.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._sql = statements()
        self._db = open_beside_server(path)

    async def live(self) -> Sequence[KeyReport]:
        try:
            os.close(lock(self._path))
        except ConfigError:  # a server has it, and it is the one that reported last
            with _translated():
                found = list(self._db.execute(self._sql["key_reports"], {"since": 0}))[:1]
            return list(map(read_key_report, found))
        return []

    async def prefixes(self) -> Mapping[bytes, int]:
        with _translated():
            return dict(self._db.execute(self._sql["sealed_prefixes"], PREFIXES))

    async def reseal(self, vault: Vault, action: Action | None = None) -> int:
        with _translated():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                rows = SqliteStatements(self._db, self._sql)
                sealed = await reseal(rows, vault)
                if sealed and action is not None:
                    await record_command(rows, action, wall_clock())
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        return sealed

    async def note(self, action: Action) -> None:
        with _translated():
            await record_command(SqliteStatements(self._db, self._sql), action, wall_clock())

    async def close(self) -> None:
        self._db.close()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except apsw.Error as error:
        raise translate(error) from error
