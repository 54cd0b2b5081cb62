"""An outbox in an application's PostgreSQL database.

The rows are read in a transaction that holds a lock during the request to Hooktide, so that only
one relay is active; it locks nothing that the application needs. It needs no session state, so a
pooler may be in between.
"""

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeAlias

import asyncpg

from hooktide.domain.errors import ConfigError, UnavailableError
from hooktide.outbox.reading import ALL_COLUMNS, SHOWN, check_name, columns, read_refused, read_rows
from hooktide.outbox.relay import Refused, Taken, no_outbox

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

CONNECT_TIMEOUT = 10.0
STATEMENT_TIMEOUT = 30.0
_LET_GO = "SET LOCAL idle_in_transaction_session_timeout = '90s'"
"""A relay that hangs, or whose machine is gone, gives way to another."""
LOCK = 0x686F6F6B
"""The first half of the lock's key; the second is the table's own number."""
_MY_TURN = "SELECT pg_try_advisory_xact_lock($1, $2::text::regclass::oid::bigint::bit(32)::int)"


class PostgresOutbox:
    """The outbox (see ``relay.Outbox``) in the database at ``url``."""

    def __init__(self, url: str, table: str) -> None:
        self._url = url
        self._table = check_name(table)
        self._connection: Connection | None = None
        self._columns = ""

    @contextlib.asynccontextmanager
    async def take(self, most: int, most_bytes: int) -> AsyncIterator[Taken]:
        """Lend the first rows."""
        async with self._connected() as connection, connection.transaction():
            await connection.execute(_LET_GO)
            taken = Taken(read_rows(await self._first(connection, most, most_bytes), most_bytes))
            yield taken
            await self._settle(connection, taken)

    async def _first(self, connection: Connection, most: int, most_bytes: int) -> list[Any]:
        if not await connection.fetchval(_MY_TURN, LOCK, self._table):
            return []
        if self._columns != ALL_COLUMNS:  # they may have been added since
            sql = f"SELECT * FROM {self._table} LIMIT 0"  # noqa: S608 - a checked name
            looked = await connection.prepare(sql)
            self._columns = columns(each.name for each in looked.get_attributes())
        found: list[Any] = await connection.fetch(
            f"WITH first AS (SELECT {self._columns}, octet_length(payload::text) AS size"  # noqa: S608 - a checked name
            f" FROM {self._table} WHERE refused = '' ORDER BY id LIMIT $1)"
            ", sized AS (SELECT *, sum(size) OVER (ORDER BY id) - size AS before FROM first)"
            f" SELECT {self._columns} FROM sized"
            " WHERE before = 0 OR before + size <= $2 ORDER BY id",
            most,
            most_bytes,
        )
        return found

    async def _settle(self, connection: Connection, taken: Taken) -> None:
        if taken.accepted:
            sql = f"DELETE FROM {self._table} WHERE id = ANY($1::bigint[])"  # noqa: S608 - a checked name
            await connection.execute(sql, taken.accepted)
        if taken.refused:
            sql = f"UPDATE {self._table} SET refused = $2 WHERE id = $1"  # noqa: S608 - a checked name
            await connection.executemany(sql, list(taken.refused.items()))

    async def waiting(self) -> int:
        """Count the rows that wait."""
        async with self._connected() as connection:
            sql = f"SELECT count(*) FROM {self._table} WHERE refused = ''"  # noqa: S608 - a checked name
            return int(await connection.fetchval(sql))

    async def refused(self) -> Sequence[Refused]:
        """Return the rows that were set aside."""
        sql = f"SELECT {SHOWN} FROM {self._table} WHERE refused <> '' ORDER BY id"  # noqa: S608 - a checked name
        async with self._connected() as connection:
            return [read_refused(row) for row in await connection.fetch(sql)]

    async def retry(self, ids: Sequence[int] | None = None) -> int:
        """Retry refused rows."""
        return await self._change_refused(f"UPDATE {self._table} SET refused = ''", ids)  # noqa: S608 - a checked name

    async def discard(self, ids: Sequence[int] | None = None) -> int:
        """Delete refused rows."""
        return await self._change_refused(f"DELETE FROM {self._table}", ids)  # noqa: S608 - a checked name

    async def _change_refused(self, statement: str, ids: Sequence[int] | None) -> int:
        sql = f"{statement} WHERE refused <> '' AND ($1::bigint[] IS NULL OR id = ANY($1))"
        async with self._connected() as connection:
            return int((await connection.execute(sql, ids)).rpartition(" ")[2])

    async def close(self) -> None:
        """Close the database."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[Connection]:
        """Lend the connection, reconnecting if it broke.

        :raises UnavailableError: the database is away.
        :raises ConfigError: the URL or the user is wrong, or the table does not exist.
        """
        try:
            if self._connection is None or self._connection.is_closed():
                self._connection = await _connect(self._url)
            yield self._connection
        except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError) as error:
            raise no_outbox(self._table) from error
        except _WRONG as error:
            raise ConfigError(f"PostgreSQL refused: {error}", key="--from") from error
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            if self._connection is not None:
                self._connection.terminate()
            raise UnavailableError(f"the outbox's database: {error}") from error


_WRONG = (
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.exceptions.ClientConfigurationError,
)


async def _connect(url: str) -> Connection:
    return await asyncpg.connect(
        url,
        timeout=CONNECT_TIMEOUT,
        command_timeout=STATEMENT_TIMEOUT,
        statement_cache_size=0,
        server_settings={"application_name": "hooktide relay"},
    )
