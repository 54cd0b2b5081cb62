"""Where a login comes from, also where a proxy stands between.

A proxy near us says it in ``X-Forwarded-For``, last, whatever was there before. Whoever comes from
the world is not believed: they could write there what they like.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address

from starlette.requests import Request


def address_of(request: Request) -> str:
    """Return the address that a request comes from.

    Empty where it comes from this machine and no proxy says more: it may be anybody's.
    """
    peer = _read(request.client.host if request.client else "")
    if peer is None:
        return ""
    if not peer.is_private:
        return str(peer)
    told = _read(",".join(request.headers.getlist("x-forwarded-for")).rpartition(",")[2])
    if told is not None:
        return str(told)
    return "" if peer.is_loopback else str(peer)


def _read(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text.strip())
    except ValueError:
        return None
