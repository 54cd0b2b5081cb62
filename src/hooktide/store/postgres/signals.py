"""What processes tell each other through the database: LISTEN and NOTIFY.

What changed is told within the transaction that changes it, so nobody hears of what did not happen.
What is due is told after the commit, a few times a second at most: NOTIFY makes commits wait for
each other. A signal may be lost (a connection that broke): after a break everything that was
remembered is forgotten, and what is due is looked for every few seconds anyway.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from hooktide.domain.errors import HooktideError
from hooktide.domain.model import SECOND, Micros
from hooktide.store.base import Changed, Listener
from hooktide.store.batch import Effects
from hooktide.store.postgres.connection import SERVING, Connection, Database, Link, connect

log = logging.getLogger("hooktide.store")

CHANGED = "hooktide_changed"
DUE = "hooktide_due"
MOST_NAMES = 300
"""Names in one signal: PostgreSQL takes 8,000 bytes."""
BETWEEN_SIGNALS = 0.02
LISTEN_AGAIN_AFTER = 1.0
CHECK_EVERY = 10.0
SOON: Micros = SECOND
LONG_AGO: Micros = 0


class Signals:
    """Speaks for this process, and hears the others. ``me`` is a name that no other has."""

    def __init__(
        self, db: Database, notify: str, url: str, me: str, clock: Callable[[], Micros]
    ) -> None:
        self._db = db
        self._notify = notify
        self._url = url
        self._me = me
        self._clock = clock
        self._due: set[int] = set()
        self._telling: asyncio.Task[None] | None = None
        self._hearing: asyncio.Task[None] | None = None
        self._connection: Connection | None = None
        self._lost = asyncio.Event()
        self.listener: Listener | None = None
        self.watchers: list[Changed] = []

    async def start(self) -> None:
        """Begin to hear; from then on nothing is missed.

        :raises UnavailableError: the database did not answer.
        """
        await self._listen()
        self._hearing = asyncio.create_task(self._keep_listening())

    async def stop(self) -> None:
        """Hear and say nothing more."""
        tasks = [task for task in (self._hearing, self._telling) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._connection is not None:
            self._connection.terminate()

    # -- saying --------------------------------------------------------------------------------

    async def changed(self, link: Link, changed: Sequence[tuple[str, int]]) -> None:
        """Tell the others what this transaction changes, if it commits."""
        for start in range(0, len(changed), MOST_NAMES):
            part = changed[start : start + MOST_NAMES]
            names = " ".join(f"{kind}:{number}" for kind, number in part)
            await link.rows(self._notify, {"channel": CHANGED, "payload": f"{self._me} {names}"})

    def tell(self, effects: Effects) -> None:
        """Tell this process what a commit did, and the others what is due."""
        effects.tell(self.listener, self.watchers)
        if effects.due:
            self._tell_others(effects.due, self._clock() + SOON)

    def _tell_others(self, hints: Mapping[int, Micros], until: Micros) -> None:
        urgent = [endpoint_id for endpoint_id, at in hints.items() if at <= until]
        if urgent:
            self._due.update(urgent)
            if self._telling is None or self._telling.done():
                self._telling = asyncio.create_task(self._tell_due())

    async def _tell_due(self) -> None:
        while self._due:
            part = [self._due.pop() for _ in range(min(MOST_NAMES, len(self._due)))]
            payload = " ".join([self._me, *map(str, part)])
            try:
                async with self._db.connection() as link:
                    await link.rows(self._notify, {"channel": DUE, "payload": payload})
            except HooktideError as error:
                log.warning("could not tell what is due: %s", error)
            await asyncio.sleep(BETWEEN_SIGNALS)

    # -- hearing -------------------------------------------------------------------------------

    async def _listen(self) -> None:
        connection = await connect(self._url, settings=SERVING)
        self._lost.clear()
        connection.add_termination_listener(lambda _: self._lost.set())
        await connection.add_listener(CHANGED, self._heard)
        await connection.add_listener(DUE, self._heard)
        self._connection = connection

    async def _keep_listening(self) -> None:
        while True:
            await self._until_lost()
            log.warning("lost the connection that hears of changes; making another")
            self._forget()
            while True:
                try:
                    await self._listen()
                    break
                except HooktideError:
                    await asyncio.sleep(LISTEN_AGAIN_AFTER)
            self._forget()

    async def _until_lost(self) -> None:
        """Return when the connection is gone; one that is silent is asked now and then."""
        while not self._lost.is_set():
            try:
                async with asyncio.timeout(CHECK_EVERY):
                    await self._lost.wait()
            except TimeoutError:
                await self._check()

    async def _check(self) -> None:
        connection = self._connection
        if connection is None:
            return
        try:
            async with asyncio.timeout(CHECK_EVERY):
                await connection.execute("SELECT 1")
        except Exception:  # noqa: BLE001 - whatever it is, this connection hears nothing
            connection.terminate()
            self._lost.set()

    def _forget(self) -> None:
        """Have everything that is remembered forgotten: a signal may have been missed."""
        for watcher in self.watchers:
            watcher("everything", 0)

    def _heard(self, connection: object, pid: int, channel: str, payload: object) -> None:
        sender, *names = str(payload).split(" ")
        if sender == self._me:
            return
        if channel == CHANGED:
            self._heard_changed(names)
        elif self.listener is not None:
            self.listener.due(dict.fromkeys(map(int, names), LONG_AGO))

    def _heard_changed(self, names: Iterable[str]) -> None:
        for name in names:
            kind, _, number = name.partition(":")
            for watcher in self.watchers:
                watcher(kind, int(number))
