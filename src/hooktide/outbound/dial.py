"""How a connection comes to be: TCP to the vetted address, through the egress proxy if there is
one, then TLS with the name checked. What fails comes back as an ``Outcome`` that says why.
"""

import asyncio
import errno
import os
import ssl
import time
from ipaddress import ip_address

from hooktide.domain.address import Target
from hooktide.domain.verdict import Outcome
from hooktide.outbound.connection import Connection, Key
from hooktide.outbound.pool import Pool
from hooktide.outbound.proxy import Proxy

CONNECT_BUDGET = 3.0
MAX_TRIED = 3


class Dialer:
    """Opens connections, each to an address that somebody else has vetted."""

    def __init__(self, pool: Pool, tls: ssl.SSLContext, proxy: Proxy | None) -> None:
        self._pool = pool
        self._tls = tls
        self._proxy = proxy

    async def dial(
        self, keys: tuple[Key, ...], target: Target, deadline: float
    ) -> Connection | Outcome:
        """Connect to the first of these that lets us, within the connect budget."""
        connect_by = min(deadline, time.monotonic() + CONNECT_BUDGET)
        tried = keys[:MAX_TRIED]
        failures: list[Outcome] = []
        for left, key in zip(range(len(tried), 0, -1), tried, strict=True):
            share = (connect_by - time.monotonic()) / left
            connection = self._pool.add(key)
            failure = await self._open(connection, share, target, deadline)
            if failure is None:
                return connection
            self._discard(connection)
            if failure.error == "tls_error":
                return failure
            failures.append(failure)
        # Our own trouble is only to blame where no address failed for another reason.
        return min(failures, key=lambda failure: failure.local)

    async def _open(
        self, connection: Connection, seconds: float, target: Target, deadline: float
    ) -> Outcome | None:
        try:
            failure = await self._connect(connection, seconds, deadline)
            if failure is None and target.scheme == "https":
                failure = await self._secure(connection, target, deadline)
        except asyncio.CancelledError:
            self._discard(connection)
            raise
        return failure

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
            return Outcome(error="connect_error", detail="the receiver did not take the connection")
        except OSError as error:
            return _unreachable(error, address)
        return _check_peer(transport, address)

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
            return _tls_error(_tls_reason(error))
        except OSError:
            return _tls_error("the receiver closed the connection during the handshake")
        if transport is None:
            return _tls_error("the receiver closed the connection during the handshake")
        connection.attach(transport)
        return None


def default_tls() -> ssl.SSLContext:
    """Return how TLS is done here: the system's roots, 1.2 or newer, names always checked."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    return context


def _check_peer(transport: asyncio.Transport, address: str) -> Outcome | None:
    """Make sure that who answers is who was vetted."""
    peer = transport.get_extra_info("peername")
    if peer and ip_address(peer[0]) == ip_address(address):
        return None
    return Outcome(error="connection_lost", detail="the connection was lost at once")


def _unreachable(error: OSError, address: str) -> Outcome:
    number = error.errno or 0
    reason = os.strerror(number).lower() if number else "no connection"
    # Without any IPv6 here, an IPv6-only receiver is unreachable for good; without a route to an
    # IPv4 address, our own network is down.
    if number in LOCAL_ERRNOS or (number == errno.ENETUNREACH and ":" not in address):
        return Outcome(error="local_error", detail=f"this server: {reason}", local=True)
    return Outcome(error="connect_error", detail=f"could not connect: {reason}")


LOCAL_ERRNOS = frozenset(
    (
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENOMEM,
        errno.ENETDOWN,
        errno.EADDRNOTAVAIL,
    )
)


def _tls_error(reason: str) -> Outcome:
    return Outcome(error="tls_error", detail=reason)


def _tls_reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        known = _CERTIFICATE_REASONS.get(error.verify_code)
        return known or f"the certificate is not trusted: {error.verify_message}"
    reason = (error.reason or "").replace("_", " ").lower()
    return f"the handshake failed: {reason or 'no common ground'}"


# Numbers of OpenSSL's X509_V_ERR_*.
_CERTIFICATE_REASONS = {
    9: "the certificate is not valid yet",
    10: "the certificate has expired",
    18: "the certificate is self-signed",
    19: "the certificate's chain ends in a root that is not trusted",
    20: "the certificate's issuer is not known; the chain may be incomplete",
    62: "the certificate is for another host name",
    64: "the certificate is for another address",
}
