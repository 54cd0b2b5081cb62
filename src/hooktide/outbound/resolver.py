"""Resolves names with DNS only; lookups are coalesced and cached for a short time.

``/etc/hosts`` is not read and no search domain is applied: only DNS and the ``hosts`` mapping
count. ``localhost`` is always loopback (RFC 6761, 6.3), which the guard refuses unless the operator
allowed it.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from types import MappingProxyType

import pycares

from hooktide.domain.http.address import Address, read_address
from hooktide.runtime.background import start
from hooktide.runtime.cache import Cache

NEVER = float("inf")
MAX_TTL, NEGATIVE_TTL = 60.0, 5.0
NO_HOSTS: Mapping[str, Sequence[str]] = MappingProxyType({})
LOOPBACK = ("127.0.0.1", "::1")
MAX_ASKED = 3
"""Maximum number of times a question is asked; at most twice per server."""
ACCOUNT_SHARE = 4
"""One account may hold a quarter of the lookups in progress."""


@dataclass(frozen=True, slots=True)
class DnsAnswer:
    """The addresses of a name, or the error. ``local``: the failure is our own."""

    addresses: tuple[Address, ...]
    expires_at: float
    problem: str = ""
    local: bool = False


@dataclass(frozen=True, slots=True)
class _Part:
    """The result of one question (A or AAAA)."""

    addresses: tuple[Address, ...] = ()
    ttl: float = MAX_TTL
    problem: str = ""
    local: bool = False
    is_failure: bool = False
    """Whether another server may have a better answer."""


class Resolver:
    """Resolves names; all times are of ``time.monotonic``.

    ``nameservers`` (``host`` or ``host:port``) replace the system's; ``hosts`` maps names to
    addresses without a lookup; a lookup takes at most ``budget`` seconds, and at most
    ``max_lookups`` run at a time, a quarter of them for one account. A result is cached for its
    TTL, within ``min_ttl`` and 60 seconds.
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
        self._min_ttl = min_ttl
        self._fixed = {
            name: DnsAnswer(tuple(map(read_address, texts)), NEVER)
            for name, texts in {"localhost": LOOPBACK, **hosts}.items()
        }
        self._known: Cache[str, DnsAnswer] = Cache(max_names)
        self._lookups: dict[str, asyncio.Task[DnsAnswer]] = {}
        self._of_account: Counter[int] = Counter()

    async def resolve(self, host: str, account: int = 0) -> DnsAnswer:
        """Return the addresses of a name in lower case, or the failure.

        ``account`` is the account that the lookup is for; 0 for one of the server's own, which has
        no quota.
        """
        answer = self._fixed.get(host) or self._known.get(host)
        if answer is not None and answer.expires_at > time.monotonic():
            return answer
        lookup = self._lookups.get(host)
        if lookup is None:
            if len(self._lookups) >= self._max_lookups or self._is_above_share(account):
                return DnsAnswer((), 0.0, "too many DNS lookups are in progress", local=True)
            lookup = start(self._look_up(host, account), "look up a name")
            self._lookups[host] = lookup
            self._of_account[account] += 1
        # All waiting callers share the lookup: one of them being cancelled must not end it.
        return await asyncio.shield(lookup)

    async def close(self) -> None:
        """Cancel the lookups in progress."""
        for lookup in self._lookups.values():
            lookup.cancel()

    def _is_above_share(self, account: int) -> bool:
        share = max(1, self._max_lookups // ACCOUNT_SHARE)
        return account != 0 and self._of_account[account] >= share

    async def _look_up(self, host: str, account: int) -> DnsAnswer:
        lookup = _Lookup(host, self._nameservers or _system_servers(), self._budget)
        try:
            parts = await asyncio.gather(
                lookup.ask(pycares.QUERY_TYPE_A), lookup.ask(pycares.QUERY_TYPE_AAAA)
            )
            answer = _join(*parts, self._min_ttl)
            self._known.keep(host, answer)
            return answer
        finally:
            lookup.close()
            del self._lookups[host]
            self._of_account[account] -= 1
            if not self._of_account[account]:
                del self._of_account[account]


class _Lookup:
    """The questions about one name, asked of the DNS servers in turn.

    If a server does not answer within a third of the budget, the next is asked, too (or the same
    again, if there is only one), and the first answer counts, until the budget is spent. Channels
    live no longer than this, because c-ares shortens its timeout, to a quarter of a second, once a
    channel has had a few quick answers.
    """

    def __init__(self, host: str, servers: Sequence[str], budget: float) -> None:
        self._host = host
        self._servers = servers
        self._budget = budget
        self._channels: dict[str, _Channel] = {}

    async def ask(self, kind: int) -> _Part:
        """Return the first conclusive answer of any server."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + self._budget
        left = min(MAX_ASKED, max(2, len(self._servers)))
        turn = 0
        pending: set[asyncio.Future[_Part]] = set()
        failed: list[_Part] = []
        while left or pending:
            if left:
                left -= 1
                pending.add(self._channel(turn).ask(self._host, kind))
                turn += 1
            timeout = self._budget / MAX_ASKED if left else ends_at - loop.time()
            done, pending = await asyncio.wait(
                pending, timeout=timeout, return_when=asyncio.FIRST_COMPLETED
            )
            for part in (future.result() for future in done):
                if not part.is_failure:
                    return part
                failed.append(part)
            if not done and not left:
                failed.append(_Part(problem=f"no DNS server answered within {self._budget:g} s"))
                break
        return min(failed, key=lambda part: part.local)

    def _channel(self, turn: int) -> "_Channel":
        server = self._servers[turn % len(self._servers)]
        if server not in self._channels:
            self._channels[server] = _Channel(server, self._budget)
        return self._channels[server]

    def close(self) -> None:
        """Cancel the open questions."""
        for channel in self._channels.values():
            channel.close()


class _Channel:
    """A c-ares channel to one server, driven by the event loop."""

    def __init__(self, server: str, timeout: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._watched: set[int] = set()
        # The caller enforces the time limit; this one must not be shorter.
        self._channel = pycares.Channel(
            servers=[server], timeout=2 * timeout, tries=1, sock_state_cb=self._watch
        )

    def ask(self, host: str, kind: int) -> asyncio.Future[_Part]:
        answered: asyncio.Future[_Part] = self._loop.create_future()

        def note(result: pycares.DNSResult | None, error: int | None) -> None:
            if not answered.done():
                answered.set_result(_failed(error) if result is None else _part(result))

        try:
            self._channel.query(host, kind, callback=note)
        except pycares.AresError as error:  # it could not even be sent
            note(None, error.args[0])
        return answered

    def close(self) -> None:
        for descriptor in self._watched:
            self._loop.remove_reader(descriptor)
            self._loop.remove_writer(descriptor)
        self._watched.clear()
        self._channel.close()

    def _watch(self, descriptor: int, readable: bool, writable: bool) -> None:
        self._watched.add(descriptor)
        bad = pycares.ARES_SOCKET_BAD
        if readable:
            self._loop.add_reader(descriptor, self._process, descriptor, bad)
        else:
            self._loop.remove_reader(descriptor)
        if writable:
            self._loop.add_writer(descriptor, self._process, bad, descriptor)
        else:
            self._loop.remove_writer(descriptor)
        if not (readable or writable):
            self._watched.discard(descriptor)

    def _process(self, readable: int, writable: int) -> None:
        if self._watched:
            self._channel.process_fd(readable, writable)


def _system_servers() -> list[str]:
    """Return the system resolver's servers, as ``host:port``."""
    return pycares.Channel(sock_state_cb=lambda *_: None).servers


def _part(result: pycares.DNSResult) -> _Part:
    found = [
        read_address(record.data.addr)
        for record in result.answer
        if isinstance(record.data, pycares.ARecordData | pycares.AAAARecordData)
    ]
    return _Part(tuple(found), min((record.ttl for record in result.answer), default=MAX_TTL))


def _join(v4: _Part, v6: _Part, min_ttl: float) -> DnsAnswer:
    """Join both results, alternating the families; one of them is enough."""
    now = time.monotonic()
    mixed = chain.from_iterable(zip_longest(v4.addresses, v6.addresses))
    addresses = tuple(address for address in mixed if address is not None)
    if addresses:
        return DnsAnswer(addresses, now + min(max(min_ttl, min(v4.ttl, v6.ttl)), MAX_TTL))
    part = v6 if v4.problem in ("", NO_ADDRESS) else v4
    # A local failure may be over the next moment.
    kept = 0.0 if part.local else NEGATIVE_TTL
    return DnsAnswer((), now + kept, part.problem or NO_ADDRESS, part.local)


def _failed(error: int | None) -> _Part:
    number = error or 0
    said = pycares.errno.strerror(number)
    text = said.decode() if isinstance(said, bytes) else said
    return _PROBLEMS.get(number, _Part(problem=f"DNS lookup failed: {text}", is_failure=True))


NO_ADDRESS = "the name has no address"
# If no DNS server can be reached, our own network is at fault, not the receiver.
_PROBLEMS = {
    pycares.errno.ARES_ENOTFOUND: _Part(problem="the name does not exist"),
    pycares.errno.ARES_ENODATA: _Part(problem=NO_ADDRESS),
    pycares.errno.ARES_ETIMEOUT: _Part(problem="no DNS server answered in time", is_failure=True),
    pycares.errno.ARES_ESERVFAIL: _Part(
        problem="the name's DNS servers fail (SERVFAIL)", is_failure=True
    ),
    pycares.errno.ARES_ECONNREFUSED: _Part(
        problem="no DNS server can be reached", local=True, is_failure=True
    ),
}
