"""One server process: its socket, its parts put together, its start and its end."""

import asyncio
import gc
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable

import uvloop

from hooktide.app import AddUp, App, FirstStart, alone, open_store
from hooktide.domain.errors import ConfigError
from hooktide.logs import set_up
from hooktide.settings import Settings
from hooktide.vault import Vault, load_key
from hooktide.web.server import Server

SWITCH_INTERVAL = 0.0002
"""Seconds until the writer's thread gets the interpreter's lock back; Python's own are 5 ms."""
MOST_FILES = 65_536
BACKLOG = 1024


class Process:
    """A server process: an ``App`` behind doors.

    ``opened`` is called once it takes requests; ``shared`` says that others have ``listener`` too.
    """

    def __init__(
        self,
        app: App,
        listener: socket.socket,
        opened: Callable[[], None],
        *,
        shared: bool = False,
    ) -> None:
        self.app = app
        self._listener = listener
        self._server = Server(
            app.site,
            opened=opened,
            finish=app.finish,
            within=app.settings.stop_within,
            shared=shared,
        )

    async def run(self) -> None:
        """Serve until told to stop; return when everything is closed."""
        _settle()
        await self._server.serve(sockets=[self._listener])
        await self.app.stop()

    def stop(self, *, leave: bool = False) -> None:
        """Begin to stop, once; with ``leave``, others take over and nobody needs to know."""
        if self.app.stopping.is_set():
            return
        self.app.log.info("stopping: finishing what is out", pid=os.getpid(), replaced=leave)
        self.app.begin_to_stop(replaced=leave)
        self._server.begin_to_stop(leave=leave)


def serve_alone(settings: Settings, operator_key: str) -> None:
    """Run a server in this process until it is told to stop (SIGTERM, SIGINT).

    :raises ConfigError: the settings, the database or the key do not allow it.
    """
    set_up(settings.log_level)
    tune()
    uvloop.run(_serve(settings, operator_key))


async def _serve(settings: Settings, operator_key: str) -> None:
    listener = listen(settings)
    app = await open_app(settings, listener.getsockname()[1])
    made = await app.start(operator_key)
    process = Process(app, listener, lambda: announce(app, made))
    _on_signals(process)
    await process.run()


async def open_app(settings: Settings, port: int, add_up: AddUp = alone) -> App:
    """Open the database and put the parts together.

    :raises ConfigError: the database or the key is not fit for use.
    :raises UnavailableError: the database did not answer.
    """
    key = load_key(settings.key_path)
    store = await open_store(settings, Vault(key))
    return App(settings, store, key, port, add_up)


def announce(app: App, made: FirstStart) -> None:
    """Say where this server listens, and what was made just now."""
    app.log.info("listening", url=app.public_url, database=app.settings.database_shown)
    show_made(made)


def show_made(made: FirstStart) -> None:
    """Print the operator key and the first login link, if this start has made them."""
    if made.operator_key:
        print(f"operator key (shown once, keep it): {made.operator_key}", flush=True)
    if made.login_link:
        print(f"log in to the dashboard (once, within a day): {made.login_link}", flush=True)


def _on_signals(process: Process) -> None:
    def stop() -> None:
        if process.app.stopping.is_set():
            os._exit(1)
        process.stop()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop)
    loop.add_signal_handler(signal.SIGINT, stop)


def tune() -> None:
    """Fit the interpreter and the process's limits to what it will do."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    _allow_files()


def _allow_files() -> None:
    """Let this process open as many files as it may: each request out is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < MOST_FILES:
        wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _settle() -> None:
    """Have the collector look at what comes from now on, and not at all that was made before."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def listen(settings: Settings) -> socket.socket:
    """Open the socket that requests come to.

    :raises ConfigError: the address cannot be had.
    """
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
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener
