"""Where a request comes from, also where proxies stand between.

Each proxy adds to ``X-Forwarded-For``, last, the address that its own request came from. So the
field is read from its end, as long as each entry was written by a trusted proxy; the entries before
that may be forged.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias

from starlette.requests import Request

Network: TypeAlias = IPv4Network | IPv6Network


def address_of(request: Request) -> str:
    """Return the address that a request comes from.

    Empty if it comes from this machine and no proxy adds an address: it may be anyone's.
    """
    trusted: Sequence[Network] = request.app.trusted_proxies
    address = _read(request.client.host if request.client else "")
    hops = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    while address is not None and any(address in network for network in trusted):
        further = _read(hops.pop()) if hops else None
        if further is None:
            break
        address = further
    return "" if address is None or address.is_loopback else str(address)


def _read(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
