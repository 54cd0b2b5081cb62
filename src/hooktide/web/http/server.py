"""The HTTP server of one process, and how it stops without resetting a connection.

While it stops, each connection's last response says ``Connection: close``, idle connections are
closed, and requests in progress are answered. Only then does it end.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator
from types import MappingProxyType

import uvicorn
from starlette.types import ASGIApp

from hooktide.web.http.acceptor import Connecting, SharedAcceptor
from hooktide.web.http.protocol import HttpProtocol
from hooktide.web.http.state import Handlers, State

IDLE_BEFORE_CLOSE = 2.0
"""Seconds without a request after which a kept-alive connection may be closed: that its next one is
on its way just then is unlikely."""
CLOSE_RESERVE = 1.2
"""Seconds that are kept for ending what could not be waited for."""
_LAST_WRITES = 0.1
"""Seconds for the last responses to reach the kernel."""
_NO_TIME_LEFT = 0.5
"""Seconds for requests in flight where the deliveries have taken all the time."""
_POLL_INTERVAL = 0.05
SWEEP_INTERVAL = 5.0


class HttpServer(uvicorn.Server):
    """uvicorn without its signal handlers, and with a shutdown of our own.

    ``handlers`` answer before ``site`` does. ``opened`` is called when it takes requests.
    ``finish`` returns when all deliveries that are out have ended; until then a server that stops
    accepts connections, so that a load balancer can read that it is not ready. ``within``: the
    maximum seconds that stopping takes. ``shared``: other processes accept from the same socket.
    """

    def __init__(
        self,
        site: ASGIApp,
        *,
        opened: Callable[[], None],
        finish: Callable[[], Awaitable[None]],
        within: float,
        handlers: Handlers = MappingProxyType({}),
        shared: bool = False,
    ) -> None:
        super().__init__(_config(site))
        self.server_state: State = State(site, handlers)
        self.servers = []
        self._shared = shared
        self._acceptors: list[SharedAcceptor] = []
        self._listeners: list[socket.socket] = []
        self._connecting = Connecting(self._protocol)
        self._opened = opened
        self._finish = finish
        self._within = within
        self._end_at = 0.0
        self._leaving = False
        self._sweeping: asyncio.TimerHandle | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections."""
        if self._shared:
            connections = self.server_state.connections
            self._acceptors = [
                SharedAcceptor(each, self._connecting, lambda: len(connections))
                for each in sockets or ()
            ]
            self.started = True
        else:
            await super().startup(sockets)
            self._listeners = list(sockets or ())
        self._sweep()
        self._opened()

    def _sweep(self) -> None:
        """End connections whose clients do not read their answers, now and every few seconds."""
        loop = asyncio.get_running_loop()
        self._sweeping = loop.call_later(SWEEP_INTERVAL, self._sweep)
        for connection in self._connections():
            connection.abort_if_stuck(loop.time())

    def _protocol(self) -> HttpProtocol:
        return HttpProtocol(self.config, self.server_state, self.lifespan.state)

    def use(self, site: ASGIApp, handlers: Handlers) -> None:
        """Replace the application and the handlers."""
        self.server_state.application = site
        self.server_state.handlers = handlers

    def begin_to_stop(self, *, leave: bool) -> None:
        """Let each connection end with its last response.

        ``leave``: accept no new connections, because other processes have the same socket.
        """
        self.should_exit = True
        self._leaving = leave
        self._end_at = asyncio.get_running_loop().time() + self._within - CLOSE_RESERVE
        self.server_state.ending = True
        if leave:
            self._close_acceptors()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer the requests that are here, then close."""
        if self._leaving:
            self._close_acceptors()
            await self._connecting.connected()
            await asyncio.gather(self._finish(), self._close_idle(self._end_at))
        else:
            await self._finish()
            self._close_acceptors()
            await self._connecting.connected()
            now = asyncio.get_running_loop().time()
            await self._close_idle(min(now + IDLE_BEFORE_CLOSE, self._end_at))
        await self._finish_requests()
        if self._sweeping is not None:
            self._sweeping.cancel()

    async def _finish_requests(self) -> None:
        """Wait for the requests in flight; answer with 503 what is not finished in time."""
        state, loop = self.server_state, asyncio.get_running_loop()
        for connection in self._connections():
            connection.shutdown()
        until = max(self._end_at, loop.time() + _NO_TIME_LEFT)
        while loop.time() < until:
            if not (state.connections or state.tasks):
                return
            await asyncio.sleep(_POLL_INTERVAL)
        for connection in self._connections():
            connection.end_now()
        for task in list(state.tasks):
            task.cancel()
        await asyncio.sleep(_LAST_WRITES)

    def _close_acceptors(self) -> None:
        for listener in self._listeners:
            self._connecting.take_waiting(listener)
        self._listeners = []
        for server in self.servers:
            server.close()
        for acceptor in self._acceptors:
            acceptor.close()

    async def _close_idle(self, until: float) -> None:
        """Close connections as they fall silent; return when none is left, or it is time."""
        loop = asyncio.get_running_loop()
        while self.server_state.connections and loop.time() < until:
            for connection in self._connections():
                connection.close_if_idle(IDLE_BEFORE_CLOSE)
            await asyncio.sleep(_POLL_INTERVAL)

    def _connections(self) -> list[HttpProtocol]:
        return [each for each in self.server_state.connections if isinstance(each, HttpProtocol)]

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


def _config(site: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        site,
        http=HttpProtocol,
        ws="none",
        proxy_headers=False,
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
    )
