"""Confirm the clock in a database file, also while its server runs."""

import apsw

from hooktide.domain.audit_log import Action
from hooktide.domain.errors import ConfigError
from hooktide.domain.model import Micros
from hooktide.store.journal.audit_log import record_command
from hooktide.store.sqlite.connection.dialect import statements
from hooktide.store.sqlite.connection.transactions import SqliteStatements, finish
from hooktide.store.sqlite.maintenance.read_only import open_beside_server


def accept_clock_in_sqlite(path: str, now: Micros, action: Action) -> None:
    """Accept ``now`` as correct: retention uses the clock again within a minute.

    ``action`` is recorded in the audit log.

    :raises ConfigError: the database does not exist, or has another schema version.
    """
    db = open_beside_server(path)
    try:
        sql = statements()
        db.execute("BEGIN IMMEDIATE")
        db.execute(sql["accept_clock"], {"now": now})
        finish(record_command(SqliteStatements(db, sql), action, now))
        db.execute("COMMIT")
    except apsw.Error as error:
        raise ConfigError(f"cannot write to {path}: {error}", key="database") from error
    finally:
        db.close()
