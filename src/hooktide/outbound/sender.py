"""The way out: one POST to one target, and what came of it.

Read ``Sender.post`` for the story: ``guard`` says where it may go, ``pool`` has a connection or
``dial`` makes one, ``connection`` carries the request and ``response_reader`` reads the answer.
Nothing the network does is an exception here; everything is an ``Outcome``.
"""

import asyncio
import ssl
import time

import msgspec

from hooktide.domain.delivery.verdict import Outcome
from hooktide.domain.http.address import Target, UrlPolicy
from hooktide.outbound.connection import Connection
from hooktide.outbound.dial import Dialer
from hooktide.outbound.guard import Guard
from hooktide.outbound.pool import Pool
from hooktide.outbound.proxy import Proxy
from hooktide.outbound.resolver import Resolver
from hooktide.outbound.tls import shared_tls


class Sender:
    """Sends POST requests; no other part of Hooktide opens outbound connections.

    ``proxy`` (from ``check_proxy``) is the operator's egress proxy; ``tls`` replaces the default
    context, as for a private root. Idle connections are kept for ``idle_seconds``, at most
    ``max_idle`` in all and ``max_idle_per_key`` to one address.
    """

    def __init__(
        self,
        policy: UrlPolicy,
        *,
        resolver: Resolver,
        proxy: Target | None = None,
        tls: ssl.SSLContext | None = None,
        max_idle: int = 512,
        max_idle_per_key: int = 256,
        idle_seconds: float = 30.0,
    ) -> None:
        self._resolver = resolver
        self._guard = Guard(policy, resolver)
        self._pool = Pool(
            max_idle=max_idle, max_idle_per_key=max_idle_per_key, idle_seconds=idle_seconds
        )
        self._dialer = Dialer(
            self._pool, tls or shared_tls(), Proxy(proxy, resolver) if proxy else None
        )

    async def post(
        self, target: Target, head: bytes, body: bytes, timeout: float, account: int = 0
    ) -> Outcome:
        """Send one request, ``head`` with its blank line and ``body``, within ``timeout`` seconds.

        ``account`` is whose request it is: it has its share of the name lookups (0: no share).
        The deadline is kept to a tenth of a second and covers everything from DNS to the last
        byte. No redirect is followed, no cookie kept, nothing decompressed.
        """
        started = time.monotonic()
        deadline = started + timeout
        route = self._guard.known(target.origin, started)
        if route is None:
            found = await self._guard.find(target, deadline, account)
            if isinstance(found, Outcome):
                return _timed(found, started)
            route = found
        connection = self._pool.take(route.keys)
        if connection is not None:
            outcome = await _exchange(connection, head + body, started, deadline)
            if outcome.status is not None:
                self._dialer.answered(connection)
            if outcome.error != "connection_lost" or not connection.is_untouched:
                return outcome
            # The receiver closed it while we wrote: docs/decisions/0004.
        fresh = await self._dialer.dial(route.keys, target, deadline)
        if isinstance(fresh, Connection):
            return await _exchange(fresh, head + body, started, deadline)
        return _timed(fresh, started)

    async def close(self) -> None:
        """Close every connection and the resolver. Attempts still out end as ``local_error``."""
        self._pool.close()
        await self._resolver.close()


async def _exchange(
    connection: Connection, request: bytes, started: float, deadline: float
) -> Outcome:
    try:
        return await connection.begin(request, started, deadline)
    except asyncio.CancelledError:
        connection.abort()
        raise


def _timed(outcome: Outcome, started: float) -> Outcome:
    elapsed = int((time.monotonic() - started) * 1_000_000)
    return msgspec.structs.replace(outcome, duration=elapsed)
