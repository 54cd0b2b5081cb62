"""Runs the checks of ``hooktide audit`` on a PostgreSQL database, also while servers run."""

from collections.abc import AsyncIterator
from typing import Any

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
from hooktide.store.postgres.connection.connection import PgConnection
from hooktide.store.postgres.connection.dialect import statements, to_postgres
from hooktide.store.postgres.maintenance.reading import reading
from hooktide.store.rows import read_project_json
from hooktide.store.sql.queries import load_queries

# A snapshot does not protect against retention dropping tables, so they are locked before it is
# taken.
BEGIN = to_postgres("""
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
LOCK TABLE {schema}events, {schema}ended, {schema}attempts IN ACCESS SHARE MODE
""")


async def audit_postgres(url: str, now: Micros | None = None) -> AsyncIterator[Finding]:
    """Yield the finding of each check in a database, in order. ``now`` defaults to the database's
    clock.

    :raises ConfigError: the database is not ours, or is on another schema.
    :raises UnavailableError: it did not answer.
    """
    checks = load_queries(__package__, "invariants.sql", to_postgres)
    clock = statements()["clock"]
    async with reading(url) as conn:
        for check in CHECKS:
            yield await _run(conn, check, checks, now or await conn.value(clock))


async def _run(
    conn: PgConnection, check: Check, statements: dict[str, str], now: Micros
) -> Finding:
    sql = statements[check.name]
    await conn.script(BEGIN)
    projects = [_facts(row) for row in await conn.rows(statements["project_facts"])]
    values = parameters(projects, await conn.value(statements["clock_facts"]), now)
    counts = await conn.row(counting(sql), values)
    named = await conn.rows(naming(sql), values) if counts[1] else []
    await conn.script("ROLLBACK")
    return finding(check, counts, named)


def _facts(row: Any) -> ProjectFacts:
    id_, config, changed_at = row
    return id_, read_project_json(config), changed_at
