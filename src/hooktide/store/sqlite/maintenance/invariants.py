"""Runs the checks of ``hooktide audit`` on a SQLite database, also while its server runs."""

from collections.abc import Iterator

import apsw

from hooktide.domain.model import Micros
from hooktide.store.maintenance.invariants import (
    CHECKS,
    Check,
    Finding,
    ProjectFacts,
    counting,
    finding,
    naming,
    parameters,
)
from hooktide.store.rows import read_project_json
from hooktide.store.sql.queries import load_queries
from hooktide.store.sqlite.maintenance.read_only import check_schema, read_only


def audit_sqlite(path: str, now: Micros) -> Iterator[Finding]:
    """Yield the finding of each check in the database file at ``path``, in order.

    :raises ConfigError: the file is not a database, or has another schema version.
    """
    statements = load_queries(__package__, "invariants.sql")
    with read_only(path) as db:
        check_schema(db)
        for check in CHECKS:
            yield run_check(db, check, statements, now)


def run_check(
    db: apsw.Connection, check: Check, statements: dict[str, str], now: Micros
) -> Finding:
    """Return the finding of one check."""
    sql = statements[check.name]
    db.execute("BEGIN")
    try:
        [[set_back_from]] = db.execute(statements["clock_facts"])
        values = parameters(_projects(db, statements["project_facts"]), set_back_from, now)
        [counts] = db.execute(counting(sql), values)
        named = list(db.execute(naming(sql), values)) if counts[1] else []
    finally:
        db.execute("ROLLBACK")
    return finding(check, counts, named)


def _projects(db: apsw.Connection, sql: str) -> Iterator[ProjectFacts]:
    for id_, config, changed_at in db.execute(sql):
        yield id_, read_project_json(config), changed_at
