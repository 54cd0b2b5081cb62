"""How PostgreSQL is spoken to: statements with named values, a few connections, deadlines.

Nothing here depends on a session, so that a pooler in transaction mode may stand between: settings
are made within each transaction, and what needs a session (LISTEN, migrations) has a connection of
its own.
"""

import asyncio
import contextlib
import functools
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from hooktide.domain.errors import ConfigError, InvalidError, UnavailableError
from hooktide.store.batch import Effects

Values: TypeAlias = Mapping[str, Any]
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

CONNECT_WITHIN = 1.5
HEAD_START = 0.3
"""Seconds that a host is given before the next one is asked beside it."""
WITHIN = 1.8
"""Seconds that whoever asks for something waits for the database at most; then it is away."""
UPKEEP_WITHIN = 60.0
END_WITHIN = 2.0

_PLANS = {"enable_seqscan": "off", "jit": "off", "plan_cache_mode": "force_generic_plan"}
"""A plan made while the queue was empty must not read all of it once it is full."""

_IDLE = {"idle_in_transaction_session_timeout": "10000"}
"""A process that stands still in a transaction, or whose machine is gone, gives up its locks."""
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

_NAME = re.compile(r"(?<!:):(\w+)")


class Database:
    """A few connections, made when they are needed and kept."""

    def __init__(self, url: str, *, pooled: bool, connections: int) -> None:
        self._url = url
        self.pooled = pooled
        self.begin = "BEGIN"
        if pooled:
            settings = (_PLANS | _IDLE).items()
            self.begin += "".join(f"; SET LOCAL {name} = {value}" for name, value in settings)
        self._room = asyncio.Semaphore(connections)
        self._idle: list[Connection] = []
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = False

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator["Link"]:
        """Lend a connection, outside of a transaction; one that met trouble is not used again.

        :raises UnavailableError: the database did not answer, or refused.
        """
        async with self._room:
            connection = await self._take()
            try:
                yield Link(connection)
            except BaseException as error:
                trouble = translated(error)
                if _is_sound(trouble) and not connection.is_in_transaction():
                    self._give_back(connection)
                elif isinstance(error, asyncio.CancelledError):
                    self._abandon(connection)
                else:
                    connection.terminate()
                if trouble is error:
                    raise
                raise trouble from error
            self._give_back(connection)

    def _give_back(self, connection: Connection) -> None:
        if connection.is_closed() or self._closed:
            connection.terminate()
        else:
            self._idle.append(connection)

    def _abandon(self, connection: Connection) -> None:
        """End a connection whose statement nobody waits for any more, and the statement with it.

        Left alone, the server would notice only once it has got the lock that the statement waits
        for; until then each of them is one of its connections.
        """
        task = asyncio.create_task(_end(connection))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _take(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        return await connect(self._url, pooled=self.pooled, settings=SERVING)

    def close(self) -> None:
        """Let go of every connection; those that are lent end when they come back."""
        self._closed = True
        while self._idle:
            self._idle.pop().terminate()
        for task in self._ending:
            task.cancel()


async def _end(connection: Connection) -> None:
    with contextlib.suppress(Exception):
        await connection.close(timeout=END_WITHIN)  # tells the server to stop first


class Link:
    """A connection that runs statements with named values.

    ``effects``: what its transaction means for others, once it has committed.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.effects = Effects()

    async def rows(self, sql: str, values: Values | None = None) -> list[Any]:
        """Return all rows; their columns go by position, like a tuple's."""
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
        """Undo the transaction, where there still is one to undo."""
        if not self._connection.is_closed():
            await self._connection.execute("ROLLBACK")

    async def script(self, sql: str) -> None:
        """Run several statements in one go, without values."""
        await self._connection.execute(sql)


@contextlib.asynccontextmanager
async def transaction(db: Database) -> AsyncIterator[Link]:
    """Lend a connection within a transaction, which commits at the end.

    An exception rolls it back.
    """
    async with db.connection() as link:
        await link.script(db.begin)
        try:
            yield link
        except Exception as error:
            if _is_sound(translated(error)):
                await link.roll_back()
            raise
        await link.script("COMMIT")


@contextlib.asynccontextmanager
async def single(db: Database) -> AsyncIterator[Link]:
    """Lend a connection for one statement, which is its own transaction."""
    async with transaction(db) if db.pooled else db.connection() as link:
        yield link


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
) -> Connection:
    """Open a connection; ``pooled``: through a pooler that keeps no session, or settings, for us.

    Of several hosts it is the first that will do. A machine that is gone may say nothing at all, so
    the next one does not wait for that.

    :raises UnavailableError: nobody answers, or the server takes no more.
    :raises ConfigError: the URL, the user or the database is wrong.
    """
    left, trying = hosts_of(url), set[asyncio.Task[Connection]]()
    try:
        while True:
            if left:
                asked = {} if pooled else settings
                trying.add(asyncio.create_task(_connect(left.pop(0), pooled, asked)))
            head_start = HEAD_START if left else None
            done, _ = await asyncio.wait(
                trying, timeout=head_start, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                trying.remove(task)
                if task.exception() is None or not (left or trying):
                    return task.result()
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


def _let_go(task: "asyncio.Task[Connection]") -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().terminate()


async def _connect(url: str, pooled: bool, settings: Mapping[str, str]) -> Connection:
    try:
        return await asyncpg.connect(
            url,
            timeout=CONNECT_WITHIN,
            statement_cache_size=0 if pooled else 256,
            server_settings={"application_name": "hooktide", **settings},
        )
    except Exception as error:
        raise translated(error) from error


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
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # no host is a primary now; or one has said goodbye just now
    OSError,
    TimeoutError,
)
COLLISION = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)


def _is_sound(trouble: BaseException) -> bool:
    """Whether a connection can still be used that met this trouble.

    One that the server is about to close takes no statement any more, and does not say so yet.
    """
    return isinstance(trouble, Exception) and not isinstance(trouble, UnavailableError)


def translated(error: BaseException) -> BaseException:
    """Turn a database's trouble into ours; anything else, a collision too, stays as it is."""
    if isinstance(error, _WRONG):
        return ConfigError(f"PostgreSQL refused: {error}", key="database")
    if isinstance(error, asyncpg.CharacterNotInRepertoireError):
        return InvalidError("invalid_text", "text cannot hold the character U+0000")
    if isinstance(error, asyncpg.DiskFullError):
        return UnavailableError("the database's disk is full: free some space", retry_after=10)
    if isinstance(error, _AWAY):
        return UnavailableError("the database did not answer; try again", retry_after=2)
    return error
