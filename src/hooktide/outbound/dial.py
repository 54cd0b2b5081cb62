"""Opens connections: TCP to the vetted address, through the egress proxy if there is one, then TLS
with a check of the name. A failure is returned as an ``Outcome`` that explains it.
"""

import asyncio
import errno
import os
import ssl
import time
from ipaddress import ip_address

from hooktide.domain.delivery.reachability import Reachability
from hooktide.domain.delivery.verdict import Outcome
from hooktide.domain.http.address import Target
from hooktide.domain.model import SECOND, Micros
from hooktide.outbound.connection import Connection, Key
from hooktide.outbound.pool import Pool
from hooktide.outbound.proxy import Proxy
from hooktide.outbound.tls import tls_reason
from hooktide.runtime.background import start

CONNECT_BUDGET = 3.0
ATTEMPT_DELAY = 0.25
"""Seconds before the next address is tried in parallel with one that has not responded (RFC 8305,
5)."""


class Dialer:
    """Opens connections to addresses that the resolver has vetted."""

    def __init__(self, pool: Pool, tls: ssl.SSLContext, proxy: Proxy | None) -> None:
        self._pool = pool
        self._reachability = Reachability()
        self._tls = tls
        self._proxy = proxy

    async def dial(
        self, keys: tuple[Key, ...], target: Target, deadline: float
    ) -> Connection | Outcome:
        """Connect to the first of these that accepts, within the connect budget.

        ``keys`` are tried in order.
        """
        connect_by = min(deadline, time.monotonic() + CONNECT_BUDGET)
        if len(keys) == 1:
            reached = await self._try(self._pool.add(keys[0]), connect_by, deadline)
        else:
            reached = await self._race(keys, connect_by, deadline)
        if isinstance(reached, Outcome) or target.scheme != "https":
            return reached
        try:
            failure = await self._secure(reached, target, deadline)
        except asyncio.CancelledError:
            self._discard(reached)
            raise
        if failure is not None:
            self._discard(reached)
            return failure
        return reached

    def answered(self, connection: Connection) -> None:
        """Note that a receiver responded on a reused connection."""
        if self._proxy is None:
            self._reachability.reached(connection.key[3], _now())

    async def _race(
        self, keys: tuple[Key, ...], connect_by: float, deadline: float
    ) -> Connection | Outcome:
        """Try one address after the other, the next as soon as one fails or is slow (RFC 8305)."""
        # Through a proxy, one tunnel is opened at a time.
        delay = ATTEMPT_DELAY if self._proxy is None else CONNECT_BUDGET
        left = list(reversed(keys))
        racing: dict[asyncio.Task[Connection | Outcome], Connection] = {}
        failures: list[Outcome] = []
        try:
            while racing or (left and (not failures or time.monotonic() < connect_by)):
                if left:
                    connection = self._pool.add(left.pop())
                    trying = self._try(connection, connect_by, deadline)
                    racing[start(trying, "connect to a receiver")] = connection
                done, _ = await asyncio.wait(
                    racing, timeout=delay if left else None, return_when=asyncio.FIRST_COMPLETED
                )
                reached: Connection | None = None
                for task in done:
                    connection, result = racing.pop(task), task.result()
                    if isinstance(result, Outcome):
                        failures.append(result)
                    elif reached is None:
                        reached = connection
                    else:
                        self._discard(connection)
                if reached is not None:
                    return reached
        finally:
            for task, connection in racing.items():
                task.cancel()
                self._discard(connection)
        # It is a local failure only if no address failed for another reason.
        return min(failures, key=lambda failure: failure.local)

    async def _try(
        self, connection: Connection, connect_by: float, deadline: float
    ) -> Connection | Outcome:
        try:
            failure = await self._connect(connection, connect_by - time.monotonic(), deadline)
        except asyncio.CancelledError:
            self._discard(connection)
            raise
        if failure is not None:
            self._discard(connection)
            return failure
        return connection

    def _discard(self, connection: Connection) -> None:
        connection.abort()
        self._pool.forget(connection)

    async def _connect(
        self, connection: Connection, seconds: float, deadline: float
    ) -> Outcome | None:
        _, _, port, address = connection.key
        if self._proxy is not None:
            return await self._proxy.connect(connection, address, port, deadline)
        try:
            async with asyncio.timeout(seconds):
                transport, _ = await asyncio.get_running_loop().create_connection(
                    lambda: connection, address, port
                )
        except TimeoutError:
            return Outcome(
                error="connect_error", detail="the receiver did not accept the connection"
            )
        except OSError as error:
            return self._unreachable(error, address)
        self._reachability.reached(address, _now())
        return _check_peer(transport, address)

    def _unreachable(self, error: OSError, address: str) -> Outcome:
        """Return the result of a connection attempt, closing idle connections if that helps."""
        number, now = error.errno or 0, _now()
        reason = os.strerror(number).lower() if number else "no connection"
        if _has_run_out(number, address):
            if number in RUN_OUT:
                self._pool.drop_idle()
            return _local_error(reason)
        if not _is_unrouted(number, address):
            self._reachability.reached(address, now)
        else:
            self._pool.drop_idle(address)
            if self._reachability.is_local(address, now):
                return _local_error(reason)
        return Outcome(error="connect_error", detail=f"could not connect: {reason}")

    async def _secure(
        self, connection: Connection, target: Target, deadline: float
    ) -> Outcome | None:
        plain = connection.transport
        if plain is None:
            return _tls_error("the receiver closed the connection before the handshake")
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                transport = await asyncio.get_running_loop().start_tls(
                    plain,
                    connection,
                    self._tls,
                    server_hostname=target.literal or target.host,
                )
        except TimeoutError:
            return _tls_error("the handshake did not finish in time")
        except (ssl.SSLError, ssl.CertificateError) as error:
            return _tls_error(tls_reason(error))
        except OSError:
            return _tls_error("the receiver closed the connection during the handshake")
        if transport is None:
            return _tls_error("the receiver closed the connection during the handshake")
        connection.attach(transport)
        return None


def _now() -> Micros:
    return int(time.monotonic() * SECOND)


def _check_peer(transport: asyncio.Transport, address: str) -> Outcome | None:
    """Check that the peer is the vetted address."""
    peer = transport.get_extra_info("peername")
    if peer and ip_address(peer[0]) == ip_address(address):
        return None
    return Outcome(error="connection_lost", detail="the connection was lost immediately")


def _is_unrouted(number: int, address: str) -> bool:
    """Whether an error says that there is no route to an address.

    Without IPv6 on this host, an IPv6-only receiver is permanently unreachable, which is not a
    local failure.
    """
    return number == errno.ENETDOWN or (number == errno.ENETUNREACH and ":" not in address)


def _has_run_out(number: int, address: str) -> bool:
    """Whether an error means that this process or machine has run out of a resource.

    For IPv4, no local address means no free port; for IPv6, no IPv6 on this host.
    """
    return number in RUN_OUT or (number == errno.EADDRNOTAVAIL and ":" not in address)


RUN_OUT = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
"""Resources that closing idle connections frees."""


def _local_error(reason: str) -> Outcome:
    return Outcome(error="local_error", detail=f"this server: {reason}", local=True)


def _tls_error(reason: str) -> Outcome:
    return Outcome(error="tls_error", detail=reason)
