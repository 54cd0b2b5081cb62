"""The explicit egress proxy: an HTTP CONNECT tunnel, for http and https targets alike.

The proxy is the operator's, so its own address is not vetted. The target's is, as ever: the tunnel
is asked for by the vetted address, so the proxy resolves nothing. Proxies of the environment
(``HTTPS_PROXY`` and the like) are not looked at.
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
        """Tunnel this connection to an address; None when it is through."""
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
            failure = Outcome(error="connect_error", detail="the egress proxy did not get through")
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
    """Asks for a tunnel and reads the proxy's answer, up to its blank line."""

    def __init__(self) -> None:
        self._head = b""
        self._answered: asyncio.Future[Outcome | None] = asyncio.get_running_loop().create_future()

    async def ask(self, transport: asyncio.Transport, address: str, port: int) -> Outcome | None:
        """Return None when the tunnel stands, or why it does not."""
        host = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        transport.write(f"CONNECT {host} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode("ascii"))
        return await self._answered

    def data_received(self, data: bytes) -> None:
        """Collect the head."""
        self._head += data
        if b"\r\n\r\n" in self._head or len(self._head) > MAX_HEAD:
            self._answer(_judge(self._head))

    def connection_lost(self, exc: Exception | None) -> None:
        """End without an answer."""
        self._answer(_broken("closed the connection"))

    def _answer(self, failure: Outcome | None) -> None:
        if not self._answered.done():
            self._answered.set_result(failure)


def _judge(head: bytes) -> Outcome | None:
    match = _STATUS.match(head)
    if match is None or not head.endswith(b"\r\n\r\n"):
        return _broken("did not answer as a proxy does")
    if match[1].startswith(b"2"):
        return None
    if match[1] == b"407":
        return _broken("asks for credentials, which are not supported")
    return Outcome(
        error="connect_error", detail=f"the egress proxy answered {match[1].decode('ascii')}"
    )


_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])[ \r]")


def _broken(what: str) -> Outcome:
    return Outcome(error="local_error", detail=f"the egress proxy {what}", local=True)
