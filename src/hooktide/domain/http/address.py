"""Where a webhook may be sent: the grammar of target URLs, and the addresses that are refused.

A URL is parsed once, by this grammar, into a ``Target``. The text is never parsed again, so two
parsers can never disagree about its host. What the grammar cannot know (what a name resolves to) is
checked by ``check_address`` on the exact address that is dialled.

The tables are our own on purpose: the answers of ``ipaddress.is_global`` and ``is_private`` are
wrong for many special ranges and change with Python's patch level.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_network,
)
from typing import TypeAlias

import idna

from hooktide import __version__
from hooktide.domain.errors import InvalidError
from hooktide.domain.phrase import phrase

Address: TypeAlias = IPv4Address | IPv6Address
Origin: TypeAlias = tuple[str, str, int]
"""Scheme, host and port."""

MAX_URL = 2048
OWN_HOST = "ip_own_host"
"""The code for an address that leads to this server itself."""


class OwnAddresses:
    """The addresses known to lead to this server itself.

    All callers share one object; ``outbound.own_host`` keeps it up to date.
    """

    __slots__ = ("addresses",)

    def __init__(self, addresses: Iterable[Address] = ()) -> None:
        self.addresses = frozenset(addresses)


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlPolicy:
    """Which addresses webhooks may reach. Set by the operator, never by a customer.

    ``allow_networks`` opens networks that are refused otherwise; ``deny_networks`` closes more, and
    wins. ``own_host`` are the server's own addresses, which are refused. ``own_bins`` is what the
    URLs of the server's own bins begin with, ``/bin/`` included: those are allowed although the
    server itself is not (empty: none). ``strict_ports`` leaves only 443. ``chat_hosts`` (``host``
    or ``host:port``) may be endpoints of any chat kind, such as a self-hosted server that is
    compatible with Slack. ``nat64`` accepts ``64:ff9b::/96`` where the embedded IPv4 address is
    accepted. ``mail``: a mail relay is configured. ``ValueError`` for text that is not a network.
    """

    allow_http: bool = False
    strict_ports: bool = False
    nat64: bool = False
    allow_networks: tuple[str, ...] = ()
    deny_networks: tuple[str, ...] = ()
    own_bins: str = ""
    chat_hosts: tuple[str, ...] = ()
    mail: bool = False
    own_host: OwnAddresses = field(default_factory=OwnAddresses, repr=False, compare=False)

    def __post_init__(self) -> None:
        _networks(self.allow_networks)
        _networks(self.deny_networks)


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that may be dialled, in its parsed form.

    ``host`` is in lower case (an IPv6 literal keeps its brackets), ``path`` includes the query,
    ``url`` is the canonical text, ``literal`` the address where the host is one. ``prefix`` is the
    start of every request head sent there, up to where the delivery's own headers begin.
    """

    scheme: str
    host: str
    port: int
    path: str
    url: str = field(init=False)
    literal: str | None = field(init=False)
    origin: Origin = field(init=False, repr=False, compare=False)
    prefix: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        default = self.port == DEFAULT_PORTS[self.scheme]
        authority = self.host if default else f"{self.host}:{self.port}"
        fixed = object.__setattr__
        fixed(self, "url", f"{self.scheme}://{authority}{self.path}")
        fixed(self, "literal", _literal_text(self.host))
        fixed(self, "origin", (self.scheme, self.host, self.port))
        fixed(self, "prefix", _prefix(authority, self.path))

    def prefix_of(self, user_agent: str) -> bytes:
        """Return the prefix with another ``User-Agent``; empty: Hooktide's own."""
        if not user_agent:
            return self.prefix
        line = f"\r\nuser-agent: {user_agent}\r\n".encode("ascii")
        return self.prefix.replace(f"\r\nuser-agent: {USER_AGENT}\r\n".encode("ascii"), line, 1)


USER_AGENT = f"Hooktide/{__version__}"
DEFAULT_PORTS = {"http": 80, "https": 443}


def check_url(text: str, policy: UrlPolicy) -> Target:
    """Parse a target URL and check its text; names are checked when they are resolved.

    :raises InvalidError: with the code of the rule that refuses it, and what to write instead.
    """
    target = _parse(text)
    if is_own(target, policy):
        return target
    if target.scheme == "http" and not policy.allow_http:
        raise InvalidError("scheme", phrase("http is not allowed here; use an https:// URL"))
    _check_port(target.port, policy)
    if target.literal is None:
        _check_name(target.host, policy)
    elif code := check_address(read_address(target.literal), policy):
        what = (
            phrase("this server's own address")
            if code == OWN_HOST
            else phrase("not a public address")
        )
        raise InvalidError(
            code,
            phrase(
                "{literal} is {what}; use the receiver's public address",
                literal=target.literal,
                what=what,
            ),
        )
    return target


def is_own(target: Target, policy: UrlPolicy) -> bool:
    """Whether this is the URL of one of the server's own bins: a token, optionally a status."""
    if not policy.own_bins or not target.url.startswith(policy.own_bins):
        return False
    return _BIN.fullmatch(target.url[len(policy.own_bins) :]) is not None


_BIN = re.compile(r"[A-Za-z0-9_-]{16,64}(/[0-9]{3})?")


def check_proxy(text: str) -> Target:
    """Read the operator's egress proxy, ``http://host:port``: any host and port, no path.

    :raises InvalidError: it is not a valid proxy URL.
    """
    target = _parse(text)
    if target.scheme != "http" or target.path != "/":
        raise InvalidError("proxy", "write the egress proxy as http://host:port")
    return target


def read_address(text: str) -> Address:
    """Read an address in its canonical form; ``ValueError`` for anything else."""
    return IPv6Address(text) if ":" in text else IPv4Address(text)


def check_address(address: Address, policy: UrlPolicy) -> str | None:
    """Return why an address is refused (a code), or None if it may be dialled."""
    if _within(address, policy.deny_networks):
        return "ip_operator_denied"
    if isinstance(address, IPv4Address):
        return _check_ipv4(address, policy)
    return _check_ipv6(address, policy)


def is_allowed_by_operator(address: Address, policy: UrlPolicy) -> bool:
    """Whether the operator allowed the network of this address."""
    return _within(address, policy.allow_networks)


def _check_ipv4(address: IPv4Address, policy: UrlPolicy) -> str | None:
    if is_allowed_by_operator(address, policy):
        return None
    if _in_any(address, IPV4_DENIED):
        return "ip_v4_special"
    return OWN_HOST if address in policy.own_host.addresses else None


def _check_ipv6(address: IPv6Address, policy: UrlPolicy) -> str | None:
    # An IPv4-mapped network allows nothing: to allow an IPv4 network, write it as IPv4.
    if address.ipv4_mapped is not None:
        return "ip_v4_mapped"
    if is_allowed_by_operator(address, policy):
        return None
    if policy.nat64 and address in NAT64:
        return check_address(IPv4Address(int(address) & 0xFFFFFFFF), policy)
    if address not in IPV6_ALLOWED:
        return "ip_v6_not_global_unicast"
    if _in_any(address, IPV6_DENIED):
        return "ip_v6_special"
    return OWN_HOST if address in policy.own_host.addresses else None


def _within(address: Address, networks: tuple[str, ...]) -> bool:
    return bool(networks) and _in_any(address, _networks(networks))


def _in_any(address: Address, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    return any(address in network for network in networks)


@cache
def _networks(texts: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(text) for text in texts)


IPV4_DENIED = _networks(
    (
        "0.0.0.0/8",  # this host, RFC 791; Linux dials loopback
        "10.0.0.0/8",  # private, RFC 1918
        "100.64.0.0/10",  # carrier-grade NAT, RFC 6598
        "127.0.0.0/8",  # loopback, RFC 1122
        "168.63.129.16/32",  # Azure's host agent: a public address, reachable only from inside
        "169.254.0.0/16",  # link-local and cloud metadata, RFC 3927
        "172.16.0.0/12",  # private, RFC 1918
        "192.0.0.0/24",  # protocol assignments, RFC 6890
        "192.0.2.0/24",  # documentation, RFC 5737
        "192.31.196.0/24",  # AS112, RFC 7535
        "192.52.193.0/24",  # AMT, RFC 7450
        "192.88.99.0/24",  # 6to4 relays, RFC 7526
        "192.168.0.0/16",  # private, RFC 1918
        "192.175.48.0/24",  # AS112, RFC 7534
        "198.18.0.0/15",  # benchmarks, RFC 2544
        "198.51.100.0/24",  # documentation, RFC 5737
        "203.0.113.0/24",  # documentation, RFC 5737
        "224.0.0.0/4",  # multicast, RFC 5771
        "240.0.0.0/4",  # reserved and broadcast, RFC 1112, RFC 919
    )
)

# An allow-list: what is not allocated is refused, and with it every way of embedding an IPv4
# address (compatible, mapped, translated, ISATAP, local NAT64) without having to name them all.
IPV6_ALLOWED = IPv6Network("2000::/3")
NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052
IPV6_DENIED = _networks(
    (
        "2001::/23",  # Teredo, benchmarks, ORCHID, AMT, AS112, DRIP: RFC 4380 and others
        "2001:db8::/32",  # documentation, RFC 3849
        "2002::/16",  # 6to4, RFC 3056
        "2620:4f:8000::/48",  # AS112, RFC 7534
        "3ffe::/16",  # 6bone, RFC 3701
        "3fff::/20",  # documentation, RFC 9637
    )
)


def _check_port(port: int, policy: UrlPolicy) -> None:
    if policy.strict_ports:
        if port != 443:
            raise InvalidError("port_policy", phrase("only port 443 is allowed here"))
    elif port in BAD_PORTS or (port < 1024 and port not in (80, 443)):
        raise InvalidError(
            "port_policy",
            phrase("port {port} is not allowed; use 443, 80, or 1024 and above", port=str(port)),
        )


# Ports of the Fetch standard's bad-port list that are 1024 and above, then those of databases,
# queues and cluster agents, which have answered to a stray POST before.
_BAD_PORTS = """
    1719 1720 1723 2049 3659 4045 4190 5060 5061 6000 6566 6665 6666 6667 6668 6669 6679 6697 10080
    1433 1521 2181 2375 2376 2379 2380 3306 3389 4369 5432 5672 5900 5984 6379 6380 6443 9042 9092
    9200 9300 10250 10255 11211 26257 27017 27018 27019 28017
"""
BAD_PORTS = frozenset(map(int, _BAD_PORTS.split()))


def _check_name(host: str, policy: UrlPolicy) -> None:
    labels = host.split(".")
    if labels == ["localhost"] and is_allowed_by_operator(LOOPBACK, policy):
        raise InvalidError(
            "single_label",
            phrase("write the address, {loopback}, and not {host}", loopback=LOOPBACK, host=host),
        )
    if len(labels) < 2:
        raise InvalidError(
            "single_label",
            phrase("{host} is not a public name; write the receiver's full name", host=host),
        )
    if labels[-1] in SPECIAL_USE:
        raise InvalidError(
            "special_use_name",
            phrase(
                "names in .{name} are not public; use the receiver's public name",
                name=labels[-1],
            ),
        )


LOOPBACK = IPv4Address("127.0.0.1")


# RFC 6761, 6762 (with its appendix G), 7686, 8375, 9476, and ICANN's .internal.
_SPECIAL_USE = """
    alt arpa corp example home internal intranet invalid lan local localdomain localhost onion
    private test
"""
SPECIAL_USE = frozenset(_SPECIAL_USE.split())


def _parse(text: str) -> Target:
    _check_characters(text)
    match = _URL.fullmatch(text)
    if match is None:
        raise InvalidError("syntax", phrase("write the whole URL, as in https://example.com/hook"))
    scheme, authority, path = match[1].lower(), match[2], match[3]
    if scheme not in DEFAULT_PORTS:
        raise InvalidError(
            "scheme", phrase("{scheme}: is not supported; use an https:// URL", scheme=scheme)
        )
    host, port = _split_authority(authority)
    number = DEFAULT_PORTS[scheme] if port is None else _read_port(port)
    _check_path(path)
    return Target(
        scheme, _read_host(host.lower()), number, path if path.startswith("/") else f"/{path}"
    )


_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://([^/?#]*)(.*)")


def _check_characters(text: str) -> None:
    if not text:
        raise InvalidError("empty", phrase("the URL is empty"))
    if len(text) > MAX_URL:
        raise InvalidError(
            "too_long",
            phrase("a URL may have {most} characters, not {count}", most=MAX_URL, count=len(text)),
        )
    if not text.isascii():
        raise InvalidError(
            "non_ascii", phrase("write the URL in ASCII{hint}", hint=_ascii_hint(text))
        )
    if not _PLAIN.fullmatch(text):
        raise InvalidError(
            "bad_character",
            phrase('spaces, control characters and any of \\ ^ {{ | }} < > " ` must be escaped'),
        )


_PLAIN = re.compile(r'[^\x00-\x20\x7f\\^{|}<>"`]+')


def _ascii_hint(text: str) -> str:
    """Name the A-label form of an internationalised host, where there is a valid one."""
    match = _URL.fullmatch(text)
    host = match[2].rpartition("@")[2].partition(":")[0] if match else ""
    try:
        name = idna.encode(host).decode()
        return phrase("; the host is {name}", name=name) if not host.isascii() else ""
    except idna.IDNAError:
        return ""


def _split_authority(authority: str) -> tuple[str, str | None]:
    """Split host and port text; the port is None if absent."""
    if "@" in authority:
        raise InvalidError("userinfo", phrase("a URL must not contain a user name or password"))
    if "%" in authority:
        raise InvalidError("percent_in_host", phrase("the host must not contain percent-escapes"))
    if authority.startswith("["):
        host, bracket, rest = authority.partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise InvalidError(
                "bad_ipv6_literal", phrase("write an IPv6 address as [2606:4700::1111]")
            )
        return host + bracket, rest[1:] if rest else None
    host, colon, port = authority.partition(":")
    return host, port if colon else None


def _read_port(text: str) -> int:
    if text and not _DIGITS.fullmatch(text):
        raise InvalidError("bad_port_or_host", phrase("a port is a number from 1 to 65535"))
    if not text or text.startswith("0") or len(text) > 5 or int(text) > 65535:
        raise InvalidError(
            "bad_port", phrase("a port is a number from 1 to 65535, without leading zeros")
        )
    return int(text)


_DIGITS = re.compile(r"[0-9]+")


def _check_path(path: str) -> None:
    if "#" in path:
        raise InvalidError("fragment", phrase("leave out the #fragment; it is never sent"))
    if _BAD_ESCAPE.search(path):
        raise InvalidError(
            "bad_percent", phrase("write % as %25, or two hexadecimal digits after it")
        )
    if _ENCODED_CONTROL.search(path):
        raise InvalidError("encoded_control", phrase("escaped control characters are not allowed"))


_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ENCODED_CONTROL = re.compile(r"%(?:[01][0-9A-Fa-f]|7[Ff])")


def _read_host(host: str) -> str:
    """Return the canonical host: a name, a dotted quad or a bracketed IPv6 address."""
    if not host:
        raise InvalidError("no_host", phrase("the URL has no host"))
    if host.startswith("["):
        return f"[{_read_ipv6(host[1:-1])}]"
    if host.endswith("."):
        raise InvalidError("trailing_dot", phrase("leave out the dot at the end of the host"))
    if _ENDS_IN_NUMBER.search(host):
        return _read_ipv4(host)
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise InvalidError("bad_hostname", phrase("{host} is not a host name", host=host[:80]))
    _check_idna(labels)
    return host


# The URL standard's "ends in a number": everything of this shape is an IPv4 address to some parser.
_ENDS_IN_NUMBER = re.compile(r"(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)$")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")


def _read_ipv4(host: str) -> str:
    try:
        return str(IPv4Address(host))
    except AddressValueError:
        raise InvalidError(
            "noncanonical_ipv4",
            phrase("write an IPv4 address as four decimal numbers, as in 198.51.100.7"),
        ) from None


def _read_ipv6(text: str) -> str:
    try:
        return str(IPv6Address(text))
    except AddressValueError:
        raise InvalidError(
            "bad_ipv6_literal", phrase("write an IPv6 address as [2606:4700::1111]")
        ) from None


def _check_idna(labels: list[str]) -> None:
    """Refuse A-labels that are not valid IDNA2008: resolvers and people read them differently."""
    for label in labels:
        if label.startswith("xn--"):
            try:
                idna.ulabel(label)
            except idna.IDNAError:
                raise InvalidError(
                    "bad_idna", phrase("{label} is not a valid IDNA label", label=label)
                ) from None


def _literal_text(host: str) -> str | None:
    if host.startswith("["):
        return host[1:-1]
    return host if _ENDS_IN_NUMBER.search(host) else None


def _prefix(authority: str, path: str) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nhost: {authority}\r\nuser-agent: {USER_AGENT}\r\n"
        "accept: */*\r\naccept-encoding: identity\r\n"
    ).encode("ascii")
