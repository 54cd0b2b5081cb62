"""The composition root: the only place that joins store, way out, engine and doors."""

import asyncio
import hashlib
import importlib
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import structlog
from starlette.types import ASGIApp

from hooktide.actions.accounts import Accounts
from hooktide.actions.emitted import TakeOver
from hooktide.actions.people import People
from hooktide.actions.publish import Publisher
from hooktide.clock import wall_clock
from hooktide.domain.address import UrlPolicy
from hooktide.domain.errors import ConfigError, InvalidError, RefusedError, UnavailableError
from hooktide.domain.ids import made_at
from hooktide.domain.model import SECOND, KeyScope, Scope
from hooktide.engine.deliver import Deliverer, name_of
from hooktide.engine.destinations import Destination, Destinations
from hooktide.engine.happenings import Teller
from hooktide.engine.tally import Tally
from hooktide.engine.upkeep import Chore, Upkeep, store_chores
from hooktide.engine.worker import Limits, Worker
from hooktide.logs import AttemptLog
from hooktide.metrics import Metrics, Numbers
from hooktide.outbound import Mailer, Resolver, Sender
from hooktide.settings import Settings
from hooktide.store.base import Done, Emitted, Store
from hooktide.store.directory import Directory
from hooktide.store.sqlite import open_sqlite
from hooktide.vault import Vault
from hooktide.web.auth import Authenticator, new_key
from hooktide.web.below import below
from hooktide.web.bins import bin_routes
from hooktide.web.events import PublishDoor
from hooktide.web.site import Deps, build_health_site, build_site

SHORTEST_KEY = 24
COUNT_EVERY = 2.0
COUNT_WITHIN = 1.0
"""Seconds between two counts of the queue at least, and that whoever asks waits for one at most."""
TAKE_EVERY = 0.1
"""Seconds between two looks for emitted events: an empty table costs next to nothing, and a NOTIFY
would have the application's commits wait for each other."""
CLOSING = 2.0
"""Seconds of ``stop_within`` that are left for closing, once nothing is out any more."""
LAST_SPANS = 3.0
"""Seconds at most for a collector to take the last spans, where there are so many left."""


async def open_store(settings: Settings, vault: Vault) -> Store:
    """Open the database that the settings name, its schema brought up to date.

    :raises ConfigError: it is not fit for use, or what it needs is not installed.
    :raises UnavailableError: it did not answer.
    """
    if not settings.on_postgres:
        return open_sqlite(settings.database, vault, wall_clock())
    store: Store = await _postgres().open_postgres(
        settings.database,
        vault,
        direct=settings.database_direct,
        connections=settings.database_connections,
    )
    return store


def _postgres() -> Any:
    """Import what only PostgreSQL needs."""
    try:
        return importlib.import_module("hooktide.store.postgres")
    except ModuleNotFoundError as error:
        if error.name != "asyncpg":
            raise
        raise ConfigError(
            "PostgreSQL needs asyncpg: pip install 'hooktide[postgres]'", key="--database"
        ) from None


def _tracing() -> Any:
    """Import what only traces need."""
    try:
        return importlib.import_module("hooktide.tracing")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "opentelemetry":
            raise
        raise ConfigError(
            "traces need OpenTelemetry: pip install 'hooktide[otel]'", key="--traces"
        ) from None


AddUp: TypeAlias = Callable[[Numbers], Awaitable[Numbers]]
"""Adds to a process's own numbers those of the others behind the same address."""


async def alone(own: Numbers) -> Numbers:
    """Add nothing: there are no others."""
    return own


@dataclass(frozen=True, slots=True)
class FirstStart:
    """What the first start with a database has made: an operator key, a link that logs in once."""

    operator_key: str | None = field(repr=False)
    login_link: str | None = field(repr=False)


class App:
    """What one process does, from its opened store to its last commit.

    ``key`` seals secrets; ``port`` is what the doors listen on.
    """

    def __init__(
        self, settings: Settings, store: Store, key: bytes, port: int, add_up: AddUp = alone
    ) -> None:
        self.settings = settings
        self.store = store
        self.clock = store.clock
        self.delivers = settings.role != "api"
        self.public_url = settings.url(port)
        self.log = structlog.get_logger("hooktide")
        self.metrics = Metrics()
        self.tally = Tally(store.add_tallies)
        self.policy = _policy(settings, self.public_url)
        self.stopping = asyncio.Event()
        self._add_up = add_up
        self._replaced = False
        self._stop_at = 0.0
        self._finishing: asyncio.Task[None] | None = None
        self._counting: asyncio.Task[None] | None = None
        self._count_at = 0.0
        self.directory = Directory(store)
        self.destinations = Destinations(self.directory, self.policy)
        self.sender = Sender(
            self.policy,
            resolver=Resolver(),
            proxy=settings.proxy,
            max_idle=2 * settings.slots,
            max_idle_per_key=settings.slots,
        )
        self.attempt_log = AttemptLog()
        self.tracing = _tracing().Tracing(key, self.clock) if settings.traces else None
        self.deliverer = self._deliverer(
            store=store,
            sender=self.sender,
            destinations=self.destinations,
            clock=self.clock,
            rand=random.random,
            told=self._told,
            mailer=Mailer(relay, settings.mail_from) if (relay := settings.relay) else None,
        )
        self.worker = Worker(store, self.deliverer, self.clock, _limits(settings))
        self.auth = Authenticator(store, self.clock)
        told = self.tally.accepted
        if self.tracing is not None:
            told = self.tracing.accepted(told)
        self.publisher = Publisher(store, self.directory, self.clock, self._warned, told)
        self.portal_key = hashlib.sha256(b"hooktide portal links" + key).digest()
        self.accounts = Accounts(store, self.directory, self.clock)
        self.upkeep = Upkeep(self._chores())
        self.site = self._site(key)
        self._listen()

    def _deliverer(self, **parts: Any) -> Deliverer:
        if self.tracing is None:
            return Deliverer(**parts)
        made: Deliverer = _tracing().TracedDeliverer(self.tracing, **parts)
        return made

    def _site(self, key: bytes) -> ASGIApp:
        if self.settings.role == "worker":
            return build_health_site(self._unready, self._metrics_page)
        return below(build_site(self._deps(key)), self.public_url)

    def _deps(self, key: bytes) -> Deps:
        door: ASGIApp = PublishDoor(self.publisher, self.auth, self.metrics)
        if self.tracing is not None:
            door = self.tracing.door(door)
        return Deps(
            store=self.store,
            directory=self.directory,
            auth=self.auth,
            url_policy=self.policy,
            clock=self.clock,
            public_url=self.public_url,
            cursor_key=hashlib.sha256(b"hooktide cursors" + key).digest(),
            portal_key=self.portal_key,
            try_now=self.worker.try_now,
            publisher=self.publisher,
            publish_door=door,
            bin_routes=bin_routes(
                store=self.store,
                directory=self.directory,
                clock=self.clock,
                public_url=self.public_url,
                auth=self.auth,
                stopping=self.stopping,
            ),
            ready=self._unready,
            metrics_page=self._metrics_page,
            stopping=self.stopping,
        )

    def _listen(self) -> None:
        for remembers in (self.directory, self.destinations, self.auth):
            self.store.watch(remembers.changed)
        if self.delivers:
            self.store.listen(self.worker)
            self.store.watch(self.worker.changed)
        self.metrics.watch("in_flight", "Requests out.", lambda: self.worker.in_flight)
        self.metrics.watch(
            "waiting_in_memory", "Claimed deliveries waiting.", lambda: self.worker.waiting
        )

    # -- its life ------------------------------------------------------------------------------

    async def start(self, operator_key: str, *, make_key: bool = True) -> FirstStart:
        """Begin to deliver. Returns what this start made, if it is the database's first.

        ``make_key``: make an operator key where there is none and none is given, and a first owner
        where there is nobody.
        """
        made = FirstStart(
            await self._operator_key(operator_key, make_key), await self._login_link(make_key)
        )
        if self.delivers:
            self.worker.start()
        self.upkeep.start()
        return made

    def begin_to_stop(self, *, replaced: bool = False) -> None:
        """Claim nothing from now on, and say that this server is not ready.

        ``replaced``: say nothing of the kind, for other processes behind the same address are.
        """
        if self._finishing is None:
            self.stopping.set()
            self._replaced = replaced
            within = max(0.0, self.settings.stop_within - CLOSING)
            self._stop_at = asyncio.get_running_loop().time() + self.settings.stop_within
            self._finishing = asyncio.create_task(self._finish(within))

    async def finish(self) -> None:
        """Stop delivering: return when nothing is out any more."""
        self.begin_to_stop()
        if self._finishing is not None:
            await self._finishing

    async def _finish(self, within: float) -> None:
        try:
            async with asyncio.timeout(within + CLOSING / 2):
                await self.worker.stop(within)
        except (UnavailableError, TimeoutError) as error:
            self.log.warning("the database does not take back what was claimed", detail=str(error))

    async def stop(self) -> None:
        """Finish what is out, give back the rest, close the way out and the database.

        Whatever the database does, this ends: what it did not take is made again.
        """
        await self.finish()
        await self.upkeep.stop()
        if self._counting is not None:
            self._counting.cancel()
        await self.sender.close()
        self.attempt_log.flush()
        if self.tracing is not None:
            left = self._stop_at - asyncio.get_running_loop().time() - CLOSING
            await asyncio.to_thread(self.tracing.close, min(LAST_SPANS, max(CLOSING / 4, left)))
        until = max(self._stop_at, asyncio.get_running_loop().time() + CLOSING / 2)
        try:
            async with asyncio.timeout_at(until):
                await self.worker.stop(0)  # events were accepted as long as the doors were open
                await self.auth.flush()
                with suppress(UnavailableError):
                    await self.tally.flush()
                await self.store.close()
        except (UnavailableError, TimeoutError) as error:
            self.log.warning("the database did not take everything in time", detail=str(error))

    async def _operator_key(self, given: str, make: bool) -> str | None:
        if given:
            await self._keep_key(given)
            return None
        if not make or self.settings.role == "worker":
            return None
        page = await self.store.list_keys(Scope(), None, 1)
        if page.items:
            return None
        text, key, digest = new_key(KeyScope.OPERATOR, "first start", self.clock())
        await self.store.add_key(key, digest)
        return text

    async def _login_link(self, make: bool) -> str | None:
        if not make or self.settings.role == "worker":
            return None
        accounts = Accounts(self.store, self.directory, self.clock)
        link = await People(self.store, accounts, self.clock, self.public_url).first_link()
        return None if link is None else link.url

    async def _keep_key(self, given: str) -> None:
        if len(given) < SHORTEST_KEY:
            raise ConfigError(
                f"the operator key opens everything: give {SHORTEST_KEY} characters or more",
                key="HOOKTIDE_OPERATOR_KEY",
            )
        digest = hashlib.sha256(given.encode()).digest()
        if await self.store.find_key(digest) is not None:
            return
        made = new_key(KeyScope.OPERATOR, "from the settings", self.clock(), text=given)
        try:
            await self.store.add_key(made[1], digest)
        except RefusedError:  # another machine started at the same time, or it was revoked
            if await self.store.find_key(digest) is None:
                raise

    async def _unready(self) -> list[str]:
        if self.stopping.is_set() and not self._replaced:
            return ["the server is stopping"]
        try:
            async with asyncio.timeout(2):
                await self.store.check()
        except (UnavailableError, TimeoutError) as error:
            return [f"the database: {error}"]
        return []

    async def _metrics_page(self) -> bytes:
        await self._counted()
        return self.metrics.page(await self._add_up(self.metrics.numbers()))

    async def _counted(self) -> None:
        """Count what waits, unless that was done just now; let it run on if it takes long.

        It reads the whole queue, so it is done for who asks, and rests for longer than it took.
        """
        loop = asyncio.get_running_loop()
        if self._counting is None or (self._counting.done() and loop.time() >= self._count_at):
            self._counting = asyncio.create_task(self._count())
        await asyncio.wait({self._counting}, timeout=COUNT_WITHIN)

    async def _count(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        metrics = self.metrics
        try:
            counts = await self.store.counts()
        except UnavailableError:
            metrics.pending.now = metrics.held.now = metrics.oldest_due.now = None
        else:
            oldest = counts.oldest_due_at
            late = 0.0 if oldest is None else (self.clock() - oldest) / SECOND
            metrics.pending.now, metrics.held.now = counts.pending, counts.held
            metrics.oldest_due.now = max(0.0, late)
        self._count_at = loop.time() + max(COUNT_EVERY, 10 * (loop.time() - began))

    # -- what happens, told to the log and the metrics -------------------------------------------

    def _told(self, done: Done, destination: Destination) -> None:
        claim, made, verdict = done.claim, done.attempt, name_of(done.verdict)
        first = claim.attempt == 1
        waited = (made.started_at - made_at(claim.delivery_id)) / SECOND if first else None
        self.metrics.attempt(verdict, made.error, made.duration / SECOND, waited)
        self.tally.attempt(done, destination.endpoint)
        if self.settings.log_attempts:
            self.attempt_log.write(destination.project_name, claim, made, verdict)

    def _warned(self, event_type: str, error: InvalidError) -> None:
        self.log.warning("payload breaks its schema", type=event_type, detail=error.detail)

    def _chores(self) -> list[Chore]:
        own = [
            Chore("write down when keys were used", 60.0, self.auth.flush),
            Chore("add up what was counted", 2.0, self._add_up_tallies),
        ]
        if not self.delivers:
            return own
        taking = TakeOver(
            self.store,
            self.publisher,
            self.clock,
            accepted=self.metrics.accepted.add,
            refused=self._refused,
        )
        own.append(Chore("take over what applications emitted", TAKE_EVERY, taking.run))
        teller = Teller(self.store, self.directory, self.clock)
        told = Chore("tell of what happened", 1.0, teller.tell)
        return [*store_chores(self.store, self.clock), *own, told]

    def _refused(self, row: Emitted, why: str) -> None:
        self.log.error(
            "an emitted event was refused", row=row.id, project=row.project, type=row.type, why=why
        )

    async def _add_up_tallies(self) -> int:
        await self.tally.flush()
        return 0  # what is counted meanwhile waits for its turn


def _policy(settings: Settings, public_url: str) -> UrlPolicy:
    return UrlPolicy(
        allow_http=settings.allow_http,
        strict_ports=settings.only_port_443,
        allow_networks=settings.allow_network,
        deny_networks=settings.deny_network,
        chat_hosts=tuple(host.lower() for host in settings.chat_host),
        mail=settings.relay is not None,
        nat64=settings.nat64,
        own_bins=f"{public_url}/bin/",
    )


def _limits(settings: Settings) -> Limits:
    return Limits(
        slots=settings.slots,
        per_endpoint=settings.slots_per_endpoint,
        per_account=settings.slots_per_account,
    )
