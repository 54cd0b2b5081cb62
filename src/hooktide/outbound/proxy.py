"""The explicit egress proxy: an HTTP CONNECT tunnel, for http and https targets alike.

The proxy is the operator's, so its own address is not vetted. The target's is vetted as always, and
the tunnel is opened to that address, so the proxy resolves nothing. Proxy environment variables
(``HTTPS_PROXY`` and the like) are ignored.
"""

import asyncio
import re
import time

from hooktide.domain.delivery.verdict import Outcome
from hooktide.domain.http.address import Target
from hooktide.outbound.connection import Connection
from hooktide.outbound.resolver import Resolver

MAX_HEAD = 8 * 1024


class Proxy:
    """Opens tunnels through one proxy."""

    def __init__(self, origin: Target, resolver: Resolver) -> None:
        self._origin = origin
        self._resolver = resolver

    async def connect(
        self, connection: Connection, address: str, port: int, deadline: float
    ) -> Outcome | None:
        """Open a tunnel to an address on this connection; return None on success."""
        tunnel = _Tunnel()
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                host = await self._address()
                transport, _ = await asyncio.get_running_loop().create_connection(
                    lambda: tunnel, host, self._origin.port
                )
        except (OSError, TimeoutError):
            return Outcome(
                error="local_error", detail="the egress proxy cannot be reached", local=True
            )
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                failure = await tunnel.ask(transport, address, port)
        except TimeoutError:
            failure = Outcome(
                error="connect_error", detail="the egress proxy could not open the tunnel"
            )
        except asyncio.CancelledError:
            transport.abort()
            raise
        if failure is not None:
            transport.abort()
            return failure
        transport.set_protocol(connection)
        connection.connection_made(transport)
        return None

    async def _address(self) -> str:
        if self._origin.literal is not None:
            return self._origin.literal
        answer = await self._resolver.resolve(self._origin.host)
        if not answer.addresses:
            raise OSError(answer.problem)
        return str(answer.addresses[0])


class _Tunnel(asyncio.Protocol):
    """Requests a tunnel and reads the proxy's response head."""

    def __init__(self) -> None:
        self._head = b""
        self._answered: asyncio.Future[Outcome | None] = asyncio.get_running_loop().create_future()

    async def ask(self, transport: asyncio.Transport, address: str, port: int) -> Outcome | None:
        """Return None when the tunnel is open, or why it is not."""
        host = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        transport.write(f"CONNECT {host} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode("ascii"))
        return await self._answered

    def data_received(self, data: bytes) -> None:
        """Collect the head."""
        self._head += data
        if b"\r\n\r\n" in self._head or len(self._head) > MAX_HEAD:
            self._answer(_judge(self._head))

    def connection_lost(self, exc: Exception | None) -> None:
        """End without a response."""
        self._answer(_broken("closed the connection"))

    def _answer(self, failure: Outcome | None) -> None:
        if not self._answered.done():
            self._answered.set_result(failure)


def _judge(head: bytes) -> Outcome | None:
    match = _STATUS.match(head)
    if match is None or not head.endswith(b"\r\n\r\n"):
        return _broken("did not respond like a proxy")
    if match[1].startswith(b"2"):
        return None
    if match[1] == b"407":
        return _broken("requires credentials, which are not supported")
    return Outcome(
        error="connect_error", detail=f"the egress proxy answered {match[1].decode('ascii')}"
    )


_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])[ \r]")


def _broken(what: str) -> Outcome:
    return Outcome(error="local_error", detail=f"the egress proxy {what}", local=True)
