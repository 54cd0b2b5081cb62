"""The HTTP server of one process, and how it closes its doors without resetting anyone.

From the moment it is told to stop, every answer says ``Connection: close``; a connection on which
nothing has come for a while is closed; what is being asked is answered. Only then does it end.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator

import uvicorn
from starlette.types import ASGIApp
from uvicorn.server import ServerState

from hooktide.web.door import SharedDoor
from hooktide.web.protocol import MOST_HEAD_BYTES, Protocol

SILENT = 2.0
"""Seconds without a request after which a kept-alive connection may be closed: that its next one is
on its way just then is unlikely."""
AT_THE_END = 1.2
"""Seconds that are kept for ending what could not be waited for."""
_LOOK_AGAIN = 0.05


class State(ServerState):
    """What a server's connections share. ``ending``: each answer is its connection's last."""

    def __init__(self) -> None:
        super().__init__()
        self.ending = False


class Server(uvicorn.Server):
    """uvicorn, with its signals left to others and an end of its own.

    ``opened`` is called when it takes requests. ``finish`` returns when nothing is out any more;
    until then a server that stops keeps its doors open, so that a load balancer can read that it is
    not ready. ``within``: seconds from being told to stop to the end. ``shared``: other processes
    take connections from the same socket.
    """

    def __init__(
        self,
        site: ASGIApp,
        *,
        opened: Callable[[], None],
        finish: Callable[[], Awaitable[None]],
        within: float,
        shared: bool = False,
    ) -> None:
        super().__init__(_config(site))
        self.server_state: State = State()
        self.servers = []
        self._shared = shared
        self._doors: list[SharedDoor] = []
        self._opened = opened
        self._finish = finish
        self._within = within
        self._end_at = 0.0
        self._leaving = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the doors."""
        if self._shared:
            connections = self.server_state.connections
            self._doors = [
                SharedDoor(each, self._protocol, lambda: len(connections)) for each in sockets or ()
            ]
            self.started = True
        else:
            await super().startup(sockets)
        self._opened()

    def _protocol(self) -> Protocol:
        return Protocol(self.config, self.server_state, self.lifespan.state)

    def begin_to_stop(self, *, leave: bool) -> None:
        """Let each answer be the last of its connection.

        ``leave``: take no new connections, for other processes have the same socket.
        """
        self.should_exit = True
        self._leaving = leave
        self._end_at = asyncio.get_running_loop().time() + self._within - AT_THE_END
        self.server_state.ending = True
        for connection in self._connections():
            connection.end_soon()
        if leave:
            self._close_doors()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what is being asked, then close."""
        if self._leaving:
            self._close_doors()
            await asyncio.gather(self._finish(), self._let_go(self._end_at))
        else:
            await self._finish()
            self._close_doors()
            now = asyncio.get_running_loop().time()
            await self._let_go(min(now + SILENT, self._end_at))
        await super().shutdown(sockets)

    def _close_doors(self) -> None:
        for server in self.servers:
            server.close()
        for door in self._doors:
            door.close()

    async def _let_go(self, until: float) -> None:
        """Close connections as they fall silent; return when none is left, or it is time."""
        loop = asyncio.get_running_loop()
        while self.server_state.connections and loop.time() < until:
            for connection in self._connections():
                connection.end_if_silent(SILENT)
            await asyncio.sleep(_LOOK_AGAIN)

    def _connections(self) -> list[Protocol]:
        return [each for each in self.server_state.connections if isinstance(each, Protocol)]

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


def _config(site: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        site,
        http=Protocol,
        ws="none",
        proxy_headers=False,
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=65,
        timeout_graceful_shutdown=1,
        h11_max_incomplete_event_size=MOST_HEAD_BYTES,
    )
