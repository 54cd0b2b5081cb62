"""Decides, on each DNS response, which addresses of a target may be dialled.

One forbidden address refuses the whole response: no legitimate name has such a mixture. A decision
is valid as long as the DNS response is; then the name is resolved and vetted again.
"""

import asyncio
import logging
import time
from dataclasses import dataclass

from hooktide.domain.delivery.verdict import Outcome
from hooktide.domain.http.address import (
    Address,
    Origin,
    Target,
    UrlPolicy,
    check_address,
    is_own,
    read_address,
)
from hooktide.outbound.connection import NEVER, Key
from hooktide.outbound.resolver import DnsAnswer, Resolver
from hooktide.runtime.cache import Cache

FORBIDDEN = "the destination is not allowed"
"""All that the endpoint's owner is told; the address itself goes to the operator's log."""

MAX_ADDRESSES = 16
MAX_CACHED_ROUTES = 20_000
MAX_ROUTE_AGE = 60.0
"""Seconds after which even a literal address is vetted again: our own addresses may change."""

log = logging.getLogger("hooktide.outbound")


@dataclass(frozen=True, slots=True)
class Route:
    """The vetted addresses of an origin, as the keys of connections to them."""

    keys: tuple[Key, ...]
    expires_at: float


class Guard:
    """Resolves and vets names, and caches its decisions."""

    def __init__(self, policy: UrlPolicy, resolver: Resolver) -> None:
        self._policy = policy
        self._resolver = resolver
        self._routes: Cache[Origin, Route] = Cache(MAX_CACHED_ROUTES)

    def known(self, origin: Origin, now: float) -> Route | None:
        """Return the cached decision for an origin while it is valid."""
        route = self._routes.get(origin)
        return route if route is not None and now < route.expires_at else None

    async def find(self, target: Target, deadline: float, account: int) -> Route | Outcome:
        """Return the addresses at which a target may be dialled, or an ``Outcome`` that explains
        why not."""
        answer = await self._resolve(target, deadline, account)
        if answer.problem:
            error = "local_error" if answer.local else "dns_error"
            return Outcome(error=error, detail=answer.problem, local=answer.local)
        if not self._is_allowed(target, answer.addresses):
            return Outcome(error="destination_forbidden", detail=FORBIDDEN)
        keys = tuple((*target.origin, str(address)) for address in answer.addresses)
        expires_at = min(answer.expires_at, time.monotonic() + MAX_ROUTE_AGE)
        route = Route(keys[:MAX_ADDRESSES], expires_at)
        if not is_own(target, self._policy):
            self._routes.keep(target.origin, route)
        return route

    async def _resolve(self, target: Target, deadline: float, account: int) -> DnsAnswer:
        if target.literal is not None:
            return DnsAnswer((read_address(target.literal),), NEVER)
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                return await self._resolver.resolve(target.host, account)
        except TimeoutError:
            return DnsAnswer((), 0.0, "the name was not resolved in time")

    def _is_allowed(self, target: Target, addresses: tuple[Address, ...]) -> bool:
        if is_own(target, self._policy):
            return True
        for address in addresses:
            code = check_address(address, self._policy)
            if code is not None:
                log.warning("refused to dial %s at %s: %s", target.host, address, code)
                return False
        return True
