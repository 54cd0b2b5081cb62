"""Notifications between the processes on one database, by LISTEN and NOTIFY.

Notifications are sent within the transaction that makes the changes, so a rollback sends none. Due
deliveries are notified after the commit, a few times a second at most, as NOTIFY makes commits wait
for each other.

Notifications may be lost, and a process that receives none would keep using revoked keys and old
URLs. So each process notifies itself every few seconds. While that does not arrive, the process is
deaf: it makes another connection, drops everything it has cached again and again, and reports that
it is not ready. Due deliveries are looked for every few seconds anyway.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from hooktide.domain.errors import HooktideError, UnavailableError
from hooktide.domain.model import SECOND, Micros
from hooktide.runtime.background import cancel, keep, start
from hooktide.runtime.cache import Cache
from hooktide.store.base import Changed, Listener
from hooktide.store.postgres.connection.connection import (
    AsyncpgConnection,
    Database,
    PgConnection,
    deadline,
    translated,
)
from hooktide.store.sql.repository import REQUEST_TIMEOUT
from hooktide.store.writing.batch import Effects, tell

log = logging.getLogger("hooktide.store")

CHANGED = "hooktide_changed"
DUE = "hooktide_due"
MAX_UNCONFIRMED = 10_000
MAX_NAMES = 300
"""Names in one notification: PostgreSQL allows 8,000 bytes."""
BETWEEN_SIGNALS = 0.02
LISTEN_RETRY_DELAY = 1.0
ECHO_INTERVAL = 3.0
"""Seconds between two notifications that a process sends itself, to learn whether they arrive."""
ECHO_TIMEOUT = 2.0
DEAF_TIMEOUT = 4.0
"""Seconds without notifications after which a process says that it is not ready."""
CLOCK_SLACK: Micros = SECOND // 100
"""Only what is due by now is notified, nothing earlier: the process that is notified claims at
once, finds what is due next, and would notify the first one of it, in turn until it is due."""
LONG_AGO: Micros = 0


class Notifier:
    """Notifies the other processes, and receives their notifications. ``me`` is a unique name.

    ``connect`` opens the connection that listens; ``hold`` takes this process's session lock on it.
    """

    def __init__(
        self,
        db: Database,
        notify: str,
        connect: Callable[[], Awaitable[AsyncpgConnection]],
        me: str,
        clock: Callable[[], Micros],
        hold: Callable[[AsyncpgConnection], Awaitable[None]],
    ) -> None:
        self._db = db
        self._notify = notify
        self._connect = connect
        self._me = me
        self._clock = clock
        self._hold = hold
        self._due: set[int] = set()
        self._unconfirmed: Cache[str, bool] = Cache(MAX_UNCONFIRMED)
        self._telling: asyncio.Task[None] | None = None
        self._hearing: asyncio.Task[None] | None = None
        self._connection: AsyncpgConnection | None = None
        self._lost = asyncio.Event()
        self._echoed = asyncio.Event()
        self._deaf_since: float | None = None
        self._deaf_reason = ""
        self.listener: Listener | None = None
        self.watchers: list[Changed] = []

    async def start(self) -> None:
        """Start listening; from then on no change is missed.

        :raises UnavailableError: the database did not answer.
        """
        await self._listen()
        self._hearing = keep(
            self._keep_listening, "listen for changes", retry_delay=LISTEN_RETRY_DELAY
        )

    async def stop(self) -> None:
        """Stop listening and notifying."""
        await cancel(self._hearing, self._telling)
        if self._connection is not None:
            self._connection.terminate()

    @property
    def listens(self) -> bool:
        """Whether this process is notified of changes, as far as it knows."""
        return self._deaf_since is None

    def check(self) -> None:
        """Check that this process is notified of changes.

        :raises UnavailableError: it has not been for more than a few seconds, and why.
        """
        if self._deaf_since is None:
            return
        deaf_for = asyncio.get_running_loop().time() - self._deaf_since
        if deaf_for > DEAF_TIMEOUT:
            raise UnavailableError(
                f"this process has received no change notifications for {deaf_for:.0f} s: "
                f"{self._deaf_reason}"
            )

    async def changed(self, conn: PgConnection, changed: Sequence[tuple[str, int]]) -> None:
        """Notify the others of what this transaction changes, if it commits."""
        for first in range(0, len(changed), MAX_NAMES):
            part = changed[first : first + MAX_NAMES]
            names = " ".join(f"{kind}:{number}" for kind, number in part)
            await conn.rows(self._notify, {"channel": CHANGED, "payload": f"{self._me} {names}"})

    def unconfirmed(self, changed: Iterable[tuple[str, int]]) -> None:
        """Drop what a transaction changed that may have committed, or may commit later.

        This process ignores its own notifications, except for those of these changes.
        """
        for kind, number in changed:
            self._unconfirmed.keep(f"{kind}:{number}", True)
            self.tell_watchers(kind, number)

    def tell(self, effects: Effects) -> None:
        """Notify this process of what a commit did, and the others of what is due."""
        effects.tell(self.listener, self.watchers)
        if effects.due:
            self._tell_others(effects.due, self._clock() + CLOCK_SLACK)

    def _tell_others(self, hints: Mapping[int, Micros], until: Micros) -> None:
        urgent = [endpoint_id for endpoint_id, at in hints.items() if at <= until]
        if urgent:
            self._due.update(urgent)
            if self._telling is None or self._telling.done():
                self._telling = start(self._tell_due(), "notify other processes of what is due")

    async def _tell_due(self) -> None:
        while self._due:
            part = [self._due.pop() for _ in range(min(MAX_NAMES, len(self._due)))]
            payload = " ".join([self._me, *map(str, part)])
            try:
                async with self._db.connection() as conn:
                    await conn.rows(self._notify, {"channel": DUE, "payload": payload})
            except HooktideError as error:
                log.warning("could not notify other processes of what is due: %s", error)
            await asyncio.sleep(BETWEEN_SIGNALS)

    async def _listen(self) -> None:
        connection = await self._connect()
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        try:
            async with deadline(REQUEST_TIMEOUT):
                await connection.add_listener(CHANGED, self._heard)
                await connection.add_listener(DUE, self._heard)
                await self._hold(connection)
        except BaseException as error:
            connection.terminate()
            trouble = translated(error)
            if trouble is error:
                raise
            raise trouble from error
        self._connection, self._lost = connection, lost
        self._deaf_since = None

    async def _keep_listening(self) -> None:
        """Reconnect whenever the listening connection is lost; never returns."""
        while True:
            if self._deaf_since is None:
                self._now_deaf(await self._until_lost())
            # Values read since the last attempt may have changed without a notification.
            self._forget()
            try:
                await self._listen()
            except Exception as error:  # noqa: BLE001 - any error means that this process gets no notifications
                self._deaf_reason = str(error) or type(error).__name__
                log.warning("cannot listen for changes: %s", self._deaf_reason)
                await asyncio.sleep(LISTEN_RETRY_DELAY)
            else:
                self._forget()
                log.info("listening for changes again")

    def _now_deaf(self, reason: str) -> None:
        self._deaf_since = asyncio.get_running_loop().time()
        self._deaf_reason = reason
        log.warning("lost the connection that listens for changes (%s); making another", reason)

    async def _until_lost(self) -> str:
        """Wait until notifications stop arriving, and return why."""
        while True:
            try:
                async with asyncio.timeout(ECHO_INTERVAL):
                    await self._lost.wait()
            except TimeoutError:
                if await self._hears():
                    continue
                if self._connection is not None:
                    self._connection.terminate()
                return "notifications did not arrive"
            return "the server closed it"

    async def _hears(self) -> bool:
        """Notify this process, and return whether the notification arrives.

        It is sent over a different connection: the listening one may be open but lead to a server
        that is no longer the primary.
        """
        self._echoed.clear()
        try:
            async with asyncio.timeout(ECHO_TIMEOUT), self._db.connection() as conn:
                await conn.rows(self._notify, {"channel": CHANGED, "payload": self._me})
        except Exception:  # noqa: BLE001 - no process can change anything now either
            return await self._answers()
        try:
            async with asyncio.timeout(ECHO_TIMEOUT):
                await self._echoed.wait()
        except TimeoutError:
            return False
        return True

    async def _answers(self) -> bool:
        """Return whether there is a server at the other end of the connection that listens."""
        if self._connection is None:
            return False
        try:
            async with asyncio.timeout(ECHO_TIMEOUT):
                await self._connection.execute("SELECT 1")
        except Exception:  # noqa: BLE001 - any error means that this connection receives nothing
            return False
        return True

    def _forget(self) -> None:
        """Drop everything that is cached: a notification may have been missed."""
        self.tell_watchers("everything", 0)

    def tell_watchers(self, kind: str, number: int) -> None:
        """Notify this process of a change."""
        for watcher in self.watchers:
            tell(watcher, kind, number)

    def _heard(self, connection: object, pid: int, channel: str, payload: object) -> None:
        sender, *names = str(payload).split(" ")
        if sender == self._me:
            self._echoed.set()
            names = [name for name in names if self._unconfirmed.get(name)]
        if channel == CHANGED:
            self._heard_changed(names)
        elif sender != self._me and self.listener is not None:
            tell(self.listener.due, dict.fromkeys(map(int, names), LONG_AGO))

    def _heard_changed(self, names: Iterable[str]) -> None:
        for name in names:
            kind, _, number = name.partition(":")
            self.tell_watchers(kind, int(number))
