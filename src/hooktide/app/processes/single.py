"""One server process: its socket, its app, its start and its end."""

import asyncio
import errno
import gc
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeAlias

import structlog
import uvloop
from starlette.types import ASGIApp

from hooktide.app import App, FirstStart, Lifecycle, begin_app, begin_when_possible
from hooktide.domain.errors import ConfigError, UnavailableError
from hooktide.runtime.background import cancel, start
from hooktide.runtime.logs import set_up
from hooktide.runtime.settings import Settings
from hooktide.web.health import live_handlers
from hooktide.web.http.server import HttpServer
from hooktide.web.http.state import Handlers
from hooktide.web.middleware.mount import prefix_of
from hooktide.web.starting import StartingSite

log = structlog.get_logger("hooktide")
Begin: TypeAlias = Callable[[], Awaitable[tuple[Lifecycle, FirstStart]]]

SWITCH_INTERVAL = 0.0002
"""Seconds until the writer's thread gets the interpreter lock back; Python's default is 5 ms."""
MAX_OPEN_FILES = 65_536
BACKLOG = 1024
BIND_TIMEOUT = 5.0
"""Seconds to wait for an address that is still in use: the processes of a killed supervisor release
it within moments, but a restart may be faster."""
BIND_RETRY_DELAY = 0.1


class Process:
    """A server process: an ``App`` behind its listeners.

    Parameters
    ----------
    settings
        How it serves.
    listener
        The socket that requests come to.
    begin
        Opens the database and starts delivering. If the database is unavailable, the process
        listens anyway, reports its health, and tries again.
    serving
        Called once it accepts requests.
    begun
        Called once it accepts requests and its database is open.
    shared
        Other processes share ``listener``.
    replaces
        Another process serves until this one can: it waits for its database without listening.
    """

    def __init__(
        self,
        settings: Settings,
        listener: socket.socket,
        begin: Begin,
        *,
        serving: Callable[[], None] = lambda: None,
        begun: Callable[[App, FirstStart], None],
        shared: bool = False,
        replaces: bool = False,
    ) -> None:
        self._life: Lifecycle | None = None
        self._settings = settings
        self._listener = listener
        self._begin = begin
        self._serving = serving
        self._begun = begun
        self._shared = shared
        self._replaces = replaces
        self._made: FirstStart | None = None
        self._server: HttpServer | None = None
        self._error: Exception | None = None
        self._settling: asyncio.Task[None] | None = None
        self.stopping = False

    @property
    def app(self) -> App | None:
        """The running app; None while the database is unavailable."""
        return None if self._life is None else self._life.app

    async def run(self) -> None:
        """Serve until stopped; return when everything is closed.

        :raises ConfigError: the database or the key is unusable.
        """
        site = await self._site()
        self._server = HttpServer(
            site,
            opened=self._opened,
            finish=self._finish,
            within=self._settings.stop_within,
            handlers=self._handlers(),
            shared=self._shared,
        )
        beginning = None
        if isinstance(site, StartingSite):
            beginning = start(self._open_when_possible(site, self._server), "open the database")
        await self._server.serve(sockets=[self._listener])
        await cancel(beginning)
        await cancel(self._settling)
        if self._life is not None:
            await self._life.stop()
        if self._error is not None:
            raise self._error

    async def _site(self) -> ASGIApp:
        """Open the database; return the site, a ``StartingSite`` if the database is unavailable."""
        try:
            return await self._open()
        except UnavailableError as error:
            starting = StartingSite(error.reason)
        return await begin_when_possible(self._open, starting) if self._replaces else starting

    async def _open(self) -> ASGIApp:
        self._life, self._made = await self._begin()
        self._settling = start(_settle(self._life.app), "load the pages")
        return self._life.app.site

    async def _open_when_possible(self, starting: StartingSite, server: HttpServer) -> None:
        """Open the database, however long it is unavailable; a permanent error ends the process."""
        try:
            site = await begin_when_possible(self._open, starting)
        except Exception as error:  # noqa: BLE001 - a bug, too, would leave the caller waiting forever
            self._error = error
            self.stop()
            return
        server.use(site, self._handlers())
        self._announce()

    def _handlers(self) -> Handlers:
        live = live_handlers(prefix_of(self._settings.public_url))
        return live if self.app is None else {**live, **self.app.handlers}

    def _opened(self) -> None:
        self._serving()
        self._announce()

    def _announce(self) -> None:
        if self.app is not None and self._made is not None:
            self._begun(self.app, self._made)

    async def _finish(self) -> None:
        if self._life is not None:
            await self._life.finish()

    @property
    def serves(self) -> bool:
        """Whether it accepts requests, so that it can be stopped."""
        return self._server is not None

    def stop(self, *, leave: bool = False) -> None:
        """Begin to stop, once; with ``leave``, other processes take over and readiness stays."""
        if self.stopping or self._server is None:
            return
        self.stopping = True
        log.info("stopping: finishing what is out", pid=os.getpid(), replaced=leave)
        if self._life is not None:
            self._life.begin_to_stop(replaced=leave)
        self._server.begin_to_stop(leave=leave)


async def _settle(app: App) -> None:
    """Load what no event needs, once events are taken."""
    await app.load_site()
    settle()


def serve_alone(settings: Settings, operator_key: str) -> None:
    """Run a server in this process until SIGTERM or SIGINT.

    :raises ConfigError: the settings, the database or the key do not allow it.
    """
    set_up(settings.log_level)
    tune()
    uvloop.run(_serve(settings, operator_key))


async def _serve(settings: Settings, operator_key: str) -> None:
    listener = listen(settings)
    process = Process(
        settings,
        listener,
        partial(begin_app, settings, listener.getsockname()[1], operator_key),
        serving=lambda: _on_signals(process),
        begun=announce,
    )
    await process.run()


def announce(app: App, made: FirstStart) -> None:
    """Print where this server listens, and the keys and links just created."""
    log.info("listening", url=app.public_url, database=app.settings.database_shown)
    show_made(made)


def show_made(made: FirstStart) -> None:
    """Print the operator key and the first login link, if this start created them."""
    for line in made.lines():
        print(line, flush=True)


def _on_signals(process: Process) -> None:
    def stop() -> None:
        if process.stopping:
            os._exit(1)
        process.stop()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop)
    loop.add_signal_handler(signal.SIGINT, stop)


def tune() -> None:
    """Tune the interpreter and the process's limits."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    _allow_files()


def _allow_files() -> None:
    """Raise the limit of open files to the maximum: each outgoing request needs one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < MAX_OPEN_FILES:
        wanted = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def settle() -> None:
    """Exclude all objects that exist now from garbage collection."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def listen(settings: Settings) -> socket.socket:
    """Open the socket that requests come to.

    :raises ConfigError: the address is not available.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    until = time.monotonic() + BIND_TIMEOUT
    while True:
        try:
            listener.bind((settings.host, settings.port))
            break
        except OSError as error:
            if error.errno == errno.EADDRINUSE and time.monotonic() < until:
                time.sleep(BIND_RETRY_DELAY)
                continue
            raise ConfigError(
                f"cannot listen on {settings.listen}: {error.strerror}; choose another address "
                "with --listen",
                key="listen",
            ) from None
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener
