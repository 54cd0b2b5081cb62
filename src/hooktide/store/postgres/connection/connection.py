"""Connections to PostgreSQL: statements with named values, a small pool, deadlines.

Nothing here depends on a session, so a pooler in transaction mode may be in between: settings are
made within each transaction, and what needs a session (LISTEN, migrations) has its own connection.
"""

import asyncio
import contextlib
import functools
import os
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import asyncpg

from hooktide.domain.errors import ConfigError, InvalidError, UnavailableError
from hooktide.runtime.background import start, start_in
from hooktide.store.writing.batch import Effects

Values: TypeAlias = Mapping[str, Any]
AsyncpgConnection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
_Made: TypeAlias = "AsyncpgConnection | Exception"

CONNECT_TIMEOUT = 1.5
HEAD_START = 0.3
"""Seconds that a host is given before the next one is tried at the same time."""
CLOSE_TIMEOUT = 2.0

_PLANS = {"enable_seqscan": "off", "jit": "off", "plan_cache_mode": "force_generic_plan"}
"""A plan made while the queue was empty must not scan all of it once it is full."""

_IDLE = {"idle_in_transaction_session_timeout": "10000"}
"""A process that is suspended in a transaction, or whose machine is gone, must lose its locks."""
SERVING = {
    **_PLANS,
    **_IDLE,
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "60000",
}
"""What a server asks for. A machine that is gone is noticed within a minute, not in hours: until
then its connections are among those that PostgreSQL takes at most."""
LISTENING = SERVING | {
    "tcp_keepalives_idle": "3",
    "tcp_keepalives_interval": "1",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "6000",
    "synchronous_commit": "local",
}
"""What a process's one session asks for, which says that it is there: gone is gone after six
seconds, from the first notification that is not received on. It writes nothing that may not be
lost, so it waits for no standby."""

_NAME = re.compile(r"(?<!:):(\w+)")


class Database:
    """A small pool of connections, opened on demand."""

    def __init__(self, url: str, *, pooled: bool, connections: int) -> None:
        self._url = url
        self.pooled = pooled
        self.begin = "BEGIN"
        if pooled:
            settings = (_PLANS | _IDLE).items()
            self.begin += "".join(f"; SET LOCAL {name} = {value}" for name, value in settings)
        self._room = asyncio.Semaphore(connections)
        self._idle: list[AsyncpgConnection] = []
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = False

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator["PgConnection"]:
        """Lend a connection, outside a transaction; a connection with an error is not reused.

        :raises UnavailableError: the database did not answer, or refused.
        """
        async with self._room:
            connection = await self._take()
            try:
                yield PgConnection(connection)
            except BaseException as error:
                trouble = translated(error)
                if _is_sound(trouble) and not connection.is_in_transaction():
                    self._put_back(connection)
                elif isinstance(error, asyncio.CancelledError):
                    self._abandon(connection)
                else:
                    connection.terminate()
                if trouble is error:
                    raise
                raise trouble from error
            self._put_back(connection)

    def _put_back(self, connection: AsyncpgConnection) -> None:
        if connection.is_closed() or self._closed:
            connection.terminate()
        else:
            self._idle.append(connection)

    def _abandon(self, connection: AsyncpgConnection) -> None:
        """Close a connection whose statement was cancelled, and cancel the statement on the server.

        Otherwise the server would notice only once it has got the lock that the statement waits
        for, and until then each such statement would occupy a connection.
        """
        start_in(self._ending, end(connection), "end a connection")

    async def _take(self) -> AsyncpgConnection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        return await connect(self._url, pooled=self.pooled, settings=SERVING)

    async def close(self) -> None:
        """Close every connection; lent ones are closed when they are returned."""
        self._closed = True
        while self._idle:
            self._idle.pop().terminate()
        await asyncio.gather(*self._ending)


async def end(connection: AsyncpgConnection) -> None:
    """Close a connection, and first cancel the statement that it runs, for two seconds at most.

    A cancel request has its own socket, which the server closes. PgBouncer 1.18
    crashes when the client closes it first.
    """
    with contextlib.suppress(Exception):
        await connection.close(timeout=CLOSE_TIMEOUT)


class PgConnection:
    """A connection that runs statements with named values.

    ``effects``: what to announce once its transaction has committed.
    """

    def __init__(self, connection: AsyncpgConnection) -> None:
        self._connection = connection
        self.effects = Effects()

    async def rows(self, sql: str, values: Values | None = None) -> list[Any]:
        """Return all rows; columns are accessed by position, as in a tuple."""
        text, names = compiled(sql)
        found: list[Any] = await self._connection.fetch(
            text, *[(values or {})[name] for name in names]
        )
        return found

    async def row(self, sql: str, values: Values | None = None) -> Any:
        """Return the first row, or None."""
        found = await self.rows(sql, values)
        return found[0] if found else None

    async def value(self, sql: str, values: Values | None = None) -> Any:
        """Return the first column of the first row, or None."""
        found = await self.row(sql, values)
        return None if found is None else found[0]

    async def run(self, sql: str, values: Values | None = None) -> int:
        """Run a statement; return how many rows it wrote."""
        text, names = compiled(sql)
        done = await self._connection.execute(text, *[(values or {})[name] for name in names])
        return int(done.rpartition(" ")[2])

    async def many(self, sql: str, items: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Run a statement for many rows: its values ``:1``, ``:2``… are their columns."""
        return await self.columns(sql, *columns_of(items, len(items[0])))

    async def columns(self, sql: str, *columns: Sequence[Any]) -> list[Any]:
        """Run a statement whose values ``:1``, ``:2``… are columns of rows."""
        text, _ = compiled(sql)
        found: list[Any] = await self._connection.fetch(text, *columns)
        return found

    async def roll_back(self) -> None:
        """Roll back the transaction, if there is one."""
        if not self._connection.is_closed():
            await self._connection.execute("ROLLBACK")

    async def script(self, sql: str) -> None:
        """Run several statements at once, without values."""
        await self._connection.execute(sql)


@contextlib.asynccontextmanager
async def transaction(db: Database) -> AsyncIterator[PgConnection]:
    """Lend a connection within a transaction, which commits at the end.

    An exception rolls it back.
    """
    async with db.connection() as conn:
        await conn.script(db.begin)
        try:
            yield conn
        except Exception as error:
            if _is_sound(translated(error)):
                await conn.roll_back()
            raise
        await conn.script("COMMIT")


@contextlib.asynccontextmanager
async def single(db: Database) -> AsyncIterator[PgConnection]:
    """Lend a connection for one statement, which is its own transaction."""
    async with transaction(db) if db.pooled else db.connection() as conn:
        yield conn


@contextlib.asynccontextmanager
async def deadline(seconds: float) -> AsyncIterator[None]:
    """Give up after so many seconds.

    :raises UnavailableError: they are over.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise UnavailableError("the database did not answer in time; try again") from error


def columns_of(items: Sequence[tuple[Any, ...]], width: int) -> list[Sequence[Any]]:
    """Turn rows into columns; no rows are ``width`` empty ones."""
    return list(map(list, zip(*items, strict=True))) if items else [[]] * width


@functools.lru_cache(maxsize=1024)
def compiled(sql: str) -> tuple[str, tuple[str, ...]]:
    """Number a statement's named values, as PostgreSQL takes them; return their order."""
    names: list[str] = []

    def number(found: re.Match[str]) -> str:
        name = found[1]
        if name not in names:
            names.append(name)
        return f"${names.index(name) + 1}"

    return _NAME.sub(number, sql), tuple(names)


async def connect(
    url: str, *, pooled: bool = False, settings: Mapping[str, str] = _PLANS
) -> AsyncpgConnection:
    """Open a connection; ``pooled``: through a pooler that keeps no session, or settings, for us.

    Of several hosts, the first suitable one is used. A machine that is gone may not respond at all,
    so the next host is tried without waiting.

    :raises UnavailableError: no host answers, or the server takes no more connections.
    :raises ConfigError: the URL, the user or the database is wrong.
    """
    left, trying = hosts_of(url), set["asyncio.Task[_Made]"]()
    failures: list[Exception] = []
    try:
        while True:
            if left:
                asked = {} if pooled else settings
                trying.add(start(_connect(left.pop(0), pooled, asked), "connect to PostgreSQL"))
            head_start = HEAD_START if left else None
            done, trying = await asyncio.wait(
                trying, timeout=head_start, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                made = task.result()
                if not isinstance(made, Exception):
                    trying |= done - {task}  # another may have connected in the same turn
                    return made
                failures.append(made)
            if not (left or trying):
                raise _joined(failures)
    finally:
        for task in trying:
            task.add_done_callback(_let_go)
            task.cancel()


def hosts_of(url: str) -> list[str]:
    """Return a URL for each of the hosts that a URL names."""
    parts = urlsplit(url)
    user, at, hosts = parts.netloc.rpartition("@")
    if "," not in hosts:
        return [url]
    return [urlunsplit(parts._replace(netloc=user + at + host)) for host in hosts.split(",")]


def _let_go(task: "asyncio.Task[_Made]") -> None:
    if not task.cancelled() and not isinstance(made := task.result(), Exception):
        made.terminate()


def _joined(failures: Sequence[Exception]) -> Exception:
    """Return one error for all hosts: an unavailable one may be the right one."""
    away = [each for each in failures if isinstance(each, UnavailableError)]
    if not away:
        return failures[-1]
    reasons = [
        each.reason if isinstance(each, UnavailableError) else str(each) for each in failures
    ]
    return UnavailableError(
        away[-1].detail, retry_after=away[-1].retry_after, reason="; ".join(reasons)
    )


def _place_of(url: str) -> str:
    """Return the host and port that a URL names, as they may be shown."""
    parts = urlsplit(url)
    hosts = parts.netloc.rpartition("@")[2] or dict(parse_qsl(parts.query)).get("host")
    return hosts or "the local socket"


async def _connect(url: str, pooled: bool, settings: Mapping[str, str]) -> "_Made":
    """Open a connection to one host; an error is returned, for another host may do."""
    try:
        return await asyncpg.connect(
            url,
            timeout=CONNECT_TIMEOUT,
            statement_cache_size=0 if pooled else 256,
            server_settings={"application_name": "hooktide", **settings},
        )
    except Exception as error:  # noqa: BLE001 - raised to the caller, if no host will do
        trouble = translated(error)
        if isinstance(trouble, UnavailableError):
            trouble.reason = f"cannot connect to PostgreSQL at {_place_of(url)}: {trouble.reason}"
        return trouble if isinstance(trouble, Exception) else error


_WRONG = (
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.exceptions.ClientConfigurationError,
)
_AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.PostgresSystemError,  # its disk, for instance: not the client's fault
    asyncpg.StatementCompletionUnknownError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # no host is a primary now, or one has just closed the connection
    OSError,
    TimeoutError,
)
COLLISION = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)


def _is_sound(trouble: BaseException) -> bool:
    """Whether a connection that had this error can be reused.

    A connection that the server is about to close accepts no statements, but still looks open.
    """
    return isinstance(trouble, Exception) and not isinstance(trouble, UnavailableError)


def translated(error: BaseException) -> BaseException:
    """Translate a database error; anything else, including a collision, is returned unchanged."""
    if isinstance(error, _WRONG):
        return ConfigError(f"PostgreSQL refused: {error}", key="database")
    if isinstance(error, asyncpg.CharacterNotInRepertoireError):
        return InvalidError("invalid_text", "text cannot hold the character U+0000")
    if isinstance(error, asyncpg.DiskFullError):
        return UnavailableError("the database's disk is full: free some space", retry_after=10)
    if isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError):
        return error  # a value that cannot be sent: the connection is fine
    if isinstance(error, _AWAY):
        reason = _cause(error)
        return UnavailableError(
            "the database did not answer; try again", retry_after=2, reason=reason
        )
    return error


def _cause(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {CONNECT_TIMEOUT:g} s"
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__
