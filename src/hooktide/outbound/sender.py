"""The outbound client: one POST to one target, and its outcome.

Start reading at ``Sender.post``: ``guard`` decides where it may connect, ``pool`` has a connection
or ``dial`` opens one, ``connection`` carries the request and ``response_reader`` reads the
response. Network failures are never exceptions here; everything is an ``Outcome``.
"""

import asyncio
import logging
import ssl
import time
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import msgspec

from hooktide.domain.delivery.verdict import Outcome
from hooktide.domain.http.address import Target, UrlPolicy
from hooktide.outbound.connection import Answered, Connection, Key
from hooktide.outbound.dial import Dialer
from hooktide.outbound.guard import Guard
from hooktide.outbound.pool import Pool
from hooktide.outbound.proxy import Proxy
from hooktide.outbound.resolver import Resolver
from hooktide.outbound.tls import shared_tls
from hooktide.runtime.background import start

Cancel: TypeAlias = Callable[[], None]

_CLOSED_EARLY = frozenset(("connection_lost", "invalid_response"))
"""Errors of an idle connection that the receiver closed, or sent data on, before the request."""

log = logging.getLogger("hooktide.outbound")


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

        ``account`` is the account that the request is for, which has a share of the name lookups
        (0: no share). The deadline is kept to a tenth of a second and covers everything from DNS to
        the last byte. Redirects are not followed, cookies not stored, and bodies not decompressed.
        """
        started = time.monotonic()
        deadline = started + timeout
        route = self._guard.known(target.origin, started)
        if route is None:
            found = await self._guard.find(target, deadline, account)
            if isinstance(found, Outcome):
                return _timed(found, started)
            route = found
        request = _Request(self._dialer, target, route.keys, head + body, started, deadline)
        connection = self._pool.take(route.keys)
        if connection is None:
            return await request.over_new()
        return await _awaited(partial(request.over_kept, connection), request.cancel)

    def post_now(
        self, target: Target, head: bytes, body: bytes, timeout: float, answered: Answered
    ) -> Cancel | None:
        """Send as ``post`` does if an idle connection can take the request immediately; otherwise
        send nothing and return None.

        ``answered`` is called with the outcome, never before this returns. Calling the returned
        function first cancels the request.
        """
        started = time.monotonic()
        route = self._guard.known(target.origin, started)
        connection = None if route is None else self._pool.take(route.keys)
        if route is None or connection is None:
            return None
        deadline = started + timeout
        request = _Request(self._dialer, target, route.keys, head + body, started, deadline)
        request.over_kept(connection, answered)
        return request.cancel

    async def close(self) -> None:
        """Close every connection and the resolver. Attempts in flight end as ``local_error``."""
        self._pool.close()
        await self._resolver.close()


class _Request:
    """One request in progress, over at most two connections: an idle one and a new one."""

    __slots__ = (
        "_bytes",
        "_cancelled",
        "_connection",
        "_deadline",
        "_dialer",
        "_keys",
        "_redial",
        "_started",
        "_target",
    )

    def __init__(
        self,
        dialer: Dialer,
        target: Target,
        keys: tuple[Key, ...],
        request: bytes,
        started: float,
        deadline: float,
    ) -> None:
        self._dialer = dialer
        self._target = target
        self._keys = keys
        self._bytes = request
        self._started = started
        self._deadline = deadline
        self._connection: Connection | None = None
        self._redial: asyncio.Task[None] | None = None
        self._cancelled = False

    def over_kept(self, connection: Connection, answered: Answered) -> None:
        """Send it over an idle connection, or over a new one if the receiver has closed that."""
        self._connection = connection
        ended = partial(self._kept_ended, connection, answered)
        connection.begin(self._bytes, self._started, self._deadline, ended)

    def _kept_ended(self, connection: Connection, answered: Answered, outcome: Outcome) -> None:
        self._connection = None
        if outcome.status is not None:
            self._dialer.answered(connection)
        elif outcome.error in _CLOSED_EARLY and connection.is_untouched:
            # The receiver closed it while we wrote: docs/decisions/0004.
            again = self._dial_again(answered)
            self._redial = start(again, "send a request over a new connection")
            return
        answered(outcome)

    async def _dial_again(self, answered: Answered) -> None:
        try:
            outcome = await self.over_new()
        except asyncio.CancelledError:
            if self._cancelled:
                raise
            # Not by ``cancel``: whoever sent the request still needs an outcome.
            outcome = Outcome(error="local_error", detail="this server: interrupted", local=True)
        except Exception:
            log.exception("a bug stopped a request")
            outcome = Outcome(error="local_error", detail="this server: a bug", local=True)
        answered(outcome)

    async def over_new(self) -> Outcome:
        """Send it over a new connection."""
        dialled = await self._dialer.dial(self._keys, self._target, self._deadline)
        if isinstance(dialled, Outcome):
            return _timed(dialled, self._started)
        begin = partial(dialled.begin, self._bytes, self._started, self._deadline)
        return await _awaited(begin, dialled.abort)

    def cancel(self) -> None:
        """End it without an outcome; this does nothing if it is too late."""
        self._cancelled = True
        if self._connection is not None:
            self._connection.abort()
        if self._redial is not None:
            self._redial.cancel()


async def _awaited(begin: Callable[[Answered], None], cancel: Cancel) -> Outcome:
    answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    begin(partial(_resolve, answer))
    try:
        return await answer
    except asyncio.CancelledError:
        if answer.cancelled():  # otherwise the connection may already carry another request
            cancel()
        raise


def _resolve(answer: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not answer.done():
        answer.set_result(outcome)


def _timed(outcome: Outcome, started: float) -> Outcome:
    elapsed = int((time.monotonic() - started) * 1_000_000)
    return msgspec.structs.replace(outcome, duration=elapsed)
