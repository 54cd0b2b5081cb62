"""The sealed rows of a PostgreSQL database, also while servers use it."""

from collections.abc import Mapping, Sequence

from hooktide.domain.audit_log import Action
from hooktide.domain.model import Micros
from hooktide.runtime.vault import Vault
from hooktide.store.journal.audit_log import record_command
from hooktide.store.maintenance.sealed import (
    LIVE_TIMEOUT,
    PREFIXES,
    KeyReport,
    read_key_report,
    reseal,
)
from hooktide.store.postgres.connection.dialect import statements
from hooktide.store.postgres.connection.transactions import PostgresStatements
from hooktide.store.postgres.maintenance.reading import reading, writing


class PostgresSealedRows:
    """``SealedRows`` of a PostgreSQL database.

    :raises ConfigError: it is not ours, or is on another schema.
    :raises UnavailableError: it did not answer.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._sql = statements()

    async def live(self) -> Sequence[KeyReport]:
        async with reading(self._url) as conn:
            now: Micros = await conn.value(self._sql["clock"])
            found = await conn.rows(self._sql["key_reports"], {"since": now - LIVE_TIMEOUT})
        return list(map(read_key_report, found))

    async def prefixes(self) -> Mapping[bytes, int]:
        async with reading(self._url) as conn:
            found = await conn.rows(self._sql["sealed_prefixes"], PREFIXES)
        return {bytes(prefix): count for prefix, count in found}

    async def reseal(self, vault: Vault, action: Action | None = None) -> int:
        async with writing(self._url) as conn:
            rows = PostgresStatements(conn, self._sql)
            sealed = await reseal(rows, vault)
            if sealed and action is not None:
                await record_command(rows, action, await conn.value(self._sql["clock"]))
        return sealed

    async def note(self, action: Action) -> None:
        async with writing(self._url) as conn:
            now: Micros = await conn.value(self._sql["clock"])
            await record_command(PostgresStatements(conn, self._sql), action, now)

    async def close(self) -> None:
        """Do nothing: each call had its own connection."""
