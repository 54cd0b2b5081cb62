"""The composition root: the only place that joins store, way out, engine and doors."""

import asyncio
import contextlib
import gc
import hashlib
import os
import random
import resource
import signal
import socket
import sys
import time
from collections.abc import Iterator

import structlog
import uvicorn
import uvloop

from hooktide.actions.publish import Publisher
from hooktide.domain.address import UrlPolicy
from hooktide.domain.errors import ConfigError, InvalidError, UnavailableError
from hooktide.domain.ids import made_at
from hooktide.domain.model import SECOND, KeyScope, Micros, Scope
from hooktide.engine.deliver import Deliverer, name_of
from hooktide.engine.destinations import Destination, Destinations
from hooktide.engine.upkeep import Chore, Upkeep, store_chores
from hooktide.engine.worker import Limits, Worker
from hooktide.logs import AttemptLog, set_up
from hooktide.metrics import Metrics
from hooktide.outbound import Resolver, Sender
from hooktide.settings import Settings
from hooktide.store.base import Done
from hooktide.store.directory import Directory
from hooktide.store.sqlite import open_sqlite
from hooktide.vault import Vault, load_key
from hooktide.web.auth import Authenticator, new_key
from hooktide.web.bins import bin_routes
from hooktide.web.events import PublishDoor
from hooktide.web.protocol import Protocol
from hooktide.web.site import Deps, build_site

SWITCH_INTERVAL = 0.0002
"""Seconds until the writer's thread gets the interpreter's lock back; Python's own are 5 ms."""


MOST_FILES = 65_536
SHORTEST_KEY = 24


def wall_clock() -> Micros:
    """Return now, in microseconds since 1970."""
    return time.time_ns() // 1000


class Server(uvicorn.Server):
    """uvicorn, with its signals left to ``serve``; it is open until ``app`` has finished."""

    def __init__(self, config: uvicorn.Config, app: "App") -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the doors last: until then a load balancer can read that we are not ready."""
        await self._app.finish()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


class App:
    """One server process, from its settings to its last commit."""

    def __init__(self, settings: Settings, port: int) -> None:
        self.settings = settings
        self.public_url = settings.public_url.rstrip("/") or f"http://{settings.host}:{port}"
        self.log = structlog.get_logger("hooktide")
        self.metrics = Metrics()
        self.policy = _policy(settings, self.public_url)
        self.stopping = asyncio.Event()
        self._finishing: asyncio.Task[None] | None = None
        key = load_key(settings.key_path)
        self.store = open_sqlite(settings.database, Vault(key), wall_clock())
        self.directory = Directory(self.store)
        self.destinations = Destinations(self.directory, self.policy)
        self.sender = Sender(
            self.policy,
            resolver=Resolver(),
            proxy=settings.proxy,
            max_idle=2 * settings.slots,
            max_idle_per_key=settings.slots,
        )
        self.attempt_log = AttemptLog()
        self.deliverer = Deliverer(
            store=self.store,
            sender=self.sender,
            destinations=self.destinations,
            clock=wall_clock,
            rand=random.random,
            told=self._told,
        )
        self.worker = Worker(self.store, self.deliverer, wall_clock, _limits(settings))
        self.auth = Authenticator(self.store, wall_clock)
        self.upkeep = Upkeep([*store_chores(self.store, wall_clock), *self._chores()])
        self.site = build_site(self._deps(key))
        self.store.listen(self.worker)
        for remembers in (self.directory, self.destinations, self.auth, self.worker):
            self.store.watch(remembers.changed)
        self.metrics.watch("in_flight", "Requests out.", lambda: self.worker.in_flight)
        self.metrics.watch(
            "waiting_in_memory", "Claimed deliveries waiting.", lambda: self.worker.waiting
        )

    def _deps(self, key: bytes) -> Deps:
        publisher = Publisher(self.store, self.directory, wall_clock, self._warned)
        return Deps(
            store=self.store,
            directory=self.directory,
            auth=self.auth,
            url_policy=self.policy,
            clock=wall_clock,
            public_url=self.public_url,
            cursor_key=hashlib.sha256(b"hooktide cursors" + key).digest(),
            try_now=self.worker.try_now,
            publish_door=PublishDoor(publisher, self.auth, self.metrics),
            bin_routes=bin_routes(
                store=self.store,
                directory=self.directory,
                clock=wall_clock,
                public_url=self.public_url,
                auth=self.auth,
                stopping=self.stopping,
            ),
            ready=self._unready,
            metrics_page=self.metrics.page,
        )

    # -- its life ------------------------------------------------------------------------------

    async def start(self, operator_key: str) -> str | None:
        """Begin to deliver. Returns the operator key if this start made one."""
        made = await self._operator_key(operator_key)
        self.worker.start()
        self.upkeep.start()
        return made

    def begin_to_stop(self) -> None:
        """Say that this server is not ready, and claim nothing from now on."""
        self.stopping.set()
        if self._finishing is None:
            within = max(0.0, self.settings.stop_within - 2)  # the rest is for closing
            self._finishing = asyncio.create_task(self.worker.stop(within))

    async def finish(self) -> None:
        """Stop delivering: return when nothing is out any more."""
        self.begin_to_stop()
        if self._finishing is not None:
            await self._finishing

    async def stop(self) -> None:
        """Finish what is out, give back the rest, close the way out and the database."""
        await self.finish()
        await self.upkeep.stop()
        await self.auth.flush()
        await self.sender.close()
        self.attempt_log.flush()
        await self.store.close()

    async def _operator_key(self, given: str) -> str | None:
        if given:
            if len(given) < SHORTEST_KEY:
                raise ConfigError(
                    f"the operator key opens everything: give {SHORTEST_KEY} characters or more",
                    key="HOOKTIDE_OPERATOR_KEY",
                )
            if await self.store.find_key(hashlib.sha256(given.encode()).digest()) is None:
                text, key, digest = new_key(
                    KeyScope.OPERATOR, "from the settings", wall_clock(), text=given
                )
                await self.store.add_key(key, digest)
            return None
        page = await self.store.list_keys(Scope(), None, 1)
        if page.items:
            return None
        text, key, digest = new_key(KeyScope.OPERATOR, "first start", wall_clock())
        await self.store.add_key(key, digest)
        return text

    async def _unready(self) -> list[str]:
        if self.stopping.is_set():
            return ["the server is stopping"]
        try:
            async with asyncio.timeout(2):
                await self.store.check()
        except (UnavailableError, TimeoutError) as error:
            return [f"the database: {error}"]
        return []

    # -- what happens, told to the log and the metrics -------------------------------------------

    def _told(self, done: Done, destination: Destination) -> None:
        claim, made, verdict = done.claim, done.attempt, name_of(done.verdict)
        first = claim.attempt == 1
        waited = (made.started_at - made_at(claim.delivery_id)) / SECOND if first else None
        self.metrics.attempt(verdict, made.error, made.duration / SECOND, waited)
        if self.settings.log_attempts:
            self.attempt_log.write(destination.project_name, claim, made, verdict)

    def _warned(self, event_type: str, error: InvalidError) -> None:
        self.log.warning("payload breaks its schema", type=event_type, detail=error.detail)

    def _chores(self) -> list[Chore]:
        return [
            Chore("count what waits", 2.0, self._count),
            Chore("write down when keys were used", 60.0, self.auth.flush),
        ]

    async def _count(self) -> int:
        counts = await self.store.counts()
        self.metrics.pending.set(counts.pending)
        self.metrics.held.set(counts.held)
        oldest = counts.oldest_due_at
        late = 0.0 if oldest is None else (wall_clock() - oldest) / SECOND
        self.metrics.oldest_due.set(max(0.0, late))
        return 0


def serve(settings: Settings, operator_key: str = "") -> None:
    """Run a server until it is told to stop (SIGTERM, SIGINT).

    ``operator_key`` opens everything; empty: the one made at the first start does.

    :raises ConfigError: the settings, the database or the key do not allow it.
    """
    set_up(settings.log_level)
    sys.setswitchinterval(SWITCH_INTERVAL)
    _allow_files()
    uvloop.run(_serve(settings, operator_key))


def _allow_files() -> None:
    """Let this process open as many files as it may: each request out is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < MOST_FILES:
        wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _serve(settings: Settings, operator_key: str) -> None:
    listener = _listen(settings)
    app = App(settings, listener.getsockname()[1])
    made = await app.start(operator_key)
    config = uvicorn.Config(
        app.site,
        http=Protocol,
        ws="none",
        proxy_headers=False,
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=65,
        timeout_graceful_shutdown=1,
        h11_max_incomplete_event_size=64 * 1024,
    )
    server = Server(config, app)
    _on_signals(app, server)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    app.log.info("listening", url=app.public_url, database=settings.database)
    if made:
        print(f"operator key (shown once, keep it): {made}", flush=True)
    await server.serve(sockets=[listener])
    await app.stop()


def _on_signals(app: App, server: Server) -> None:
    def stop() -> None:
        if app.stopping.is_set():
            os._exit(1)
        app.log.info("stopping: finishing what is out")
        app.begin_to_stop()
        server.should_exit = True

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop)
    loop.add_signal_handler(signal.SIGINT, stop)


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {settings.listen}: {error.strerror}; choose another address with "
            "--listen",
            key="listen",
        ) from None
    listener.listen(1024)
    listener.setblocking(False)
    return listener


def _policy(settings: Settings, public_url: str) -> UrlPolicy:
    return UrlPolicy(
        allow_http=settings.allow_http,
        strict_ports=settings.only_port_443,
        allow_networks=settings.allow_network,
        deny_networks=settings.deny_network,
        nat64=settings.nat64,
        own_bins=f"{public_url}/bin/",
    )


def _limits(settings: Settings) -> Limits:
    return Limits(
        slots=settings.slots,
        per_endpoint=settings.slots_per_endpoint,
        per_account=settings.slots_per_account,
    )
