"""Confirm the clock of a PostgreSQL database, also while servers use it."""

from collections.abc import Callable

from hooktide.domain.audit_log import Action
from hooktide.domain.model import Micros
from hooktide.store.journal.audit_log import record_command
from hooktide.store.postgres.connection.dialect import statements
from hooktide.store.postgres.connection.transactions import PostgresStatements
from hooktide.store.postgres.maintenance.reading import writing


async def accept_clock_in_postgres(url: str, action: Callable[[Micros], Action]) -> Micros:
    """Accept the database's clock for retention again, and return its time.

    ``action`` returns the action for the audit log.

    :raises ConfigError: the database is not ours, or is on another schema.
    :raises UnavailableError: it did not answer.
    """
    sql = statements()
    async with writing(url) as conn:
        now: Micros = await conn.value(sql["clock"])
        await conn.run(sql["accept_clock"], {"now": now})
        await record_command(PostgresStatements(conn, sql), action(now), now)
    return now
