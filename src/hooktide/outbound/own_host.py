"""Which addresses lead to this server: those of its interfaces, and what its URL resolves to.

A firewall often lets a machine reach its own public address, and with it services that are closed
to the outside. So deliveries are not sent there, unless the operator allows the network.
"""

import ipaddress
import logging
from collections.abc import Callable, Iterable

import ifaddr

from hooktide.domain.http.address import Address, OwnAddresses
from hooktide.outbound.resolver import Resolver

log = logging.getLogger("hooktide.outbound")


def interface_addresses() -> frozenset[Address]:
    """Return the addresses of all interfaces of this machine (or of its network namespace)."""
    texts = (
        ip.ip if isinstance(ip.ip, str) else ip.ip[0]
        for adapter in ifaddr.get_adapters()
        for ip in adapter.ips
    )
    return frozenset(ipaddress.ip_address(text.partition("%")[0]) for text in texts)


class OwnHost:
    """Keeps ``own`` up to date. ``public_host`` is the host of the server's URL."""

    def __init__(
        self,
        own: OwnAddresses,
        public_host: str,
        resolver: Resolver,
        interfaces: Callable[[], Iterable[Address]] = interface_addresses,
    ) -> None:
        self._own = own
        self._public_host = public_host
        self._resolver = resolver
        self._interfaces = interfaces
        self._public: frozenset[Address] = frozenset()

    async def refresh(self) -> int:
        """Read the interfaces and resolve the host; on a failure the last result stays."""
        self._public = await self._resolve() or self._public
        try:
            interfaces = frozenset(self._interfaces())
        except OSError as error:
            log.warning("could not read the addresses of this machine: %s", error)
            return 0
        self._own.addresses = interfaces | self._public
        return 0

    async def _resolve(self) -> frozenset[Address]:
        try:
            return frozenset((ipaddress.ip_address(self._public_host),))
        except ValueError:
            return frozenset((await self._resolver.resolve(self._public_host)).addresses)
