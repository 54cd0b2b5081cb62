"""Names to addresses: asked of DNS only, coalesced, kept shortly, and never for long.

``/etc/hosts`` is not read and no search domain is applied: what a name means is what DNS says, plus
the ``hosts`` mapping handed in. ``localhost`` is loopback without asking (RFC 6761, 6.3), which the
guard then refuses unless the operator opened it.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from types import MappingProxyType

import aiodns
import pycares

from hooktide.domain.address import Address, read_address

NEVER = float("inf")
MAX_TTL, NEGATIVE_TTL = 60.0, 5.0
NO_HOSTS: Mapping[str, Sequence[str]] = MappingProxyType({})
LOOPBACK = ("127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Answer:
    """The addresses of a name, or the problem with it. ``local``: the problem is our own."""

    addresses: tuple[Address, ...]
    expires_at: float
    problem: str = ""
    local: bool = False


@dataclass(frozen=True, slots=True)
class _Part:
    """What one question (A or AAAA) brought."""

    addresses: tuple[Address, ...] = ()
    ttl: float = MAX_TTL
    problem: str = ""
    local: bool = False


class Resolver:
    """Resolves names; all times are of ``time.monotonic``.

    ``nameservers`` (``host`` or ``host:port``) replace the system's; ``hosts`` maps names to
    addresses without asking; a lookup takes at most ``budget`` seconds, and at most
    ``max_lookups`` are under way. An answer is kept for its TTL, within ``min_ttl`` and 60 seconds.
    """

    def __init__(
        self,
        *,
        nameservers: Sequence[str] = (),
        hosts: Mapping[str, Sequence[str]] = NO_HOSTS,
        budget: float = 2.0,
        max_lookups: int = 256,
        max_names: int = 10_000,
        min_ttl: float = 1.0,
    ) -> None:
        self._nameservers = list(nameservers)
        self._budget = budget
        self._max_lookups = max_lookups
        self._max_names = max_names
        self._min_ttl = min_ttl
        self._fixed = {
            name: _fixed(texts) for name, texts in {"localhost": LOOPBACK, **hosts}.items()
        }
        self._known: dict[str, Answer] = {}
        self._lookups: dict[str, asyncio.Task[Answer]] = {}
        self._dns: aiodns.DNSResolver | None = None

    async def resolve(self, host: str) -> Answer:
        """Return the addresses of a name in lower case; a failure is an answer too."""
        answer = self._fixed.get(host) or self._known.get(host)
        if answer is not None and answer.expires_at > time.monotonic():
            return answer
        lookup = self._lookups.get(host)
        if lookup is None:
            if len(self._lookups) >= self._max_lookups:
                return Answer((), 0.0, "too many DNS lookups are under way", local=True)
            lookup = asyncio.create_task(self._look_up(host))
            self._lookups[host] = lookup
        # The lookup belongs to all who wait for it: one of them giving up must not end it.
        return await asyncio.shield(lookup)

    async def close(self) -> None:
        """Give up what is under way."""
        for lookup in self._lookups.values():
            lookup.cancel()
        if self._dns is not None:
            await self._dns.close()
            self._dns = None

    async def _look_up(self, host: str) -> Answer:
        try:
            parts = await asyncio.gather(self._ask(host, "A"), self._ask(host, "AAAA"))
            answer = _join(*parts, self._min_ttl)
            self._remember(host, answer)
            return answer
        finally:
            del self._lookups[host]

    async def _ask(self, host: str, kind: str) -> _Part:
        try:
            async with asyncio.timeout(self._budget):
                return _part(await self._channel().query_dns(host, kind))
        except TimeoutError:
            return _Part(problem=f"no DNS server answered within {self._budget:g} s")
        except aiodns.error.DNSError as error:
            return _PROBLEMS.get(
                error.args[0], _Part(problem=f"DNS lookup failed: {error.args[1]}")
            )

    def _channel(self) -> aiodns.DNSResolver:
        if self._dns is None:
            # Two servers, or one asked twice, fit into the budget.
            self._dns = aiodns.DNSResolver(
                self._nameservers or None, timeout=self._budget / 3, tries=2
            )
        return self._dns

    def _remember(self, host: str, answer: Answer) -> None:
        if len(self._known) >= self._max_names:
            now = time.monotonic()
            self._known = {name: old for name, old in self._known.items() if old.expires_at > now}
            if len(self._known) >= self._max_names:
                self._known.clear()
        self._known[host] = answer


def _fixed(texts: Sequence[str]) -> Answer:
    return Answer(tuple(read_address(text) for text in texts), NEVER)


def _part(result: pycares.DNSResult) -> _Part:
    found = [
        read_address(record.data.addr)
        for record in result.answer
        if isinstance(record.data, pycares.ARecordData | pycares.AAAARecordData)
    ]
    return _Part(tuple(found), min((record.ttl for record in result.answer), default=MAX_TTL))


def _join(v4: _Part, v6: _Part, min_ttl: float) -> Answer:
    """Put both halves together, the families in turn; one half is enough."""
    now = time.monotonic()
    mixed = chain.from_iterable(zip_longest(v4.addresses, v6.addresses))
    addresses = tuple(address for address in mixed if address is not None)
    if addresses:
        return Answer(addresses, now + min(max(min_ttl, min(v4.ttl, v6.ttl)), MAX_TTL))
    part = v6 if v4.problem in ("", NO_ADDRESS) else v4
    # Our own trouble may be over the next moment.
    kept = 0.0 if part.local else NEGATIVE_TTL
    return Answer((), now + kept, part.problem or NO_ADDRESS, part.local)


NO_ADDRESS = "the name has no address"
# That no DNS server can be reached is our own network's trouble, not the receiver's.
_PROBLEMS = {
    pycares.errno.ARES_ENOTFOUND: _Part(problem="the name does not exist"),
    pycares.errno.ARES_ENODATA: _Part(problem=NO_ADDRESS),
    pycares.errno.ARES_ETIMEOUT: _Part(problem="no DNS server answered in time"),
    pycares.errno.ARES_ESERVFAIL: _Part(problem="the DNS servers of the name fail (SERVFAIL)"),
    pycares.errno.ARES_ECONNREFUSED: _Part(problem="no DNS server can be reached", local=True),
}
