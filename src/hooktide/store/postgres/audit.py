"""Asks a PostgreSQL database, while servers use it, whether all holds that has to."""

from collections.abc import AsyncIterator
from typing import Any

from hooktide.domain.model import Micros
from hooktide.store.audit import (
    CHECKS,
    Check,
    Finding,
    ProjectFacts,
    counting,
    finding,
    naming,
    parameters,
)
from hooktide.store.postgres.connection import Link
from hooktide.store.postgres.reading import reading
from hooktide.store.queries import load_queries
from hooktide.store.rows import read_project_json

# Retention drops tables, which no snapshot protects from: so they are locked before it is taken.
BEGIN = """
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
LOCK TABLE hooktide.events, hooktide.ended, hooktide.attempts IN ACCESS SHARE MODE
"""


async def audit_postgres(url: str, now: Micros | None = None) -> AsyncIterator[Finding]:
    """Yield what each check finds in a database, in order. ``now`` is by default its own clock's.

    :raises ConfigError: the database is not ours, or is on another schema.
    :raises UnavailableError: it did not answer.
    """
    statements = load_queries(__package__, "audit.sql")
    clock = load_queries(__package__)["clock"]
    async with reading(url) as link:
        for check in CHECKS:
            yield await _run(link, check, statements, now or await link.value(clock))


async def _run(link: Link, check: Check, statements: dict[str, str], now: Micros) -> Finding:
    sql = statements[check.name]
    await link.script(BEGIN)
    projects = [_facts(row) for row in await link.rows(statements["project_facts"])]
    values = parameters(projects, now)
    counts = await link.row(counting(sql), values)
    named = await link.rows(naming(sql), values) if counts[1] else []
    await link.script("ROLLBACK")
    return finding(check, counts, named)


def _facts(row: Any) -> ProjectFacts:
    id_, config, changed_at = row
    return id_, read_project_json(config), changed_at
