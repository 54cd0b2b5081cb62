"""The server's settings, checked once. The command line fills them in (``cli.serve``)."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from hooktide.domain.address import Target, check_proxy
from hooktide.domain.errors import ConfigError, InvalidError

LOG_LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a server runs.

    Parameters
    ----------
    database
        The SQLite file; made on first start.
    listen
        Address and port.
    public_url
        How the world reaches this server; request bins are made with it. By default what it
        listens on.
    allow_network
        A network that deliveries may go to although it is not public, like 10.0.0.0/8. May be
        given several times.
    deny_network
        A network that deliveries may not go to although it is public, like this machine's own
        addresses. May be given several times; it wins over allow_network.
    nat64
        Whether addresses in 64:ff9b::/96 are judged by the IPv4 address within them.
    allow_http
        Whether endpoints may be plain http.
    only_port_443
        Whether endpoints may use no port but 443.
    egress_proxy
        An HTTP proxy that all deliveries go through, like http://proxy.internal:3128.
    key_file
        The key that seals secrets; made on first start. By default the database's name and .key.
    slots
        Requests in flight at once.
    slots_per_endpoint
        Of those, to one endpoint.
    slots_per_account
        Of those, for one account.
    stop_within
        Seconds from SIGTERM to the end at most.
    log_level
        debug, info, warning or error.
    log_attempts
        Whether each attempt is a line in the log.
    """

    database: str = "hooktide.db"
    listen: str = "127.0.0.1:8080"
    public_url: str = ""
    allow_network: tuple[str, ...] = ()
    deny_network: tuple[str, ...] = ()
    nat64: bool = False
    allow_http: bool = True
    only_port_443: bool = False
    egress_proxy: str = ""
    key_file: str = ""
    slots: int = 1000
    slots_per_endpoint: int = 10
    slots_per_account: int = 250
    stop_within: float = 12.0
    log_level: str = "info"
    log_attempts: bool = True

    @property
    def host(self) -> str:
        """The address to listen on."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port to listen on; 0 for any free one."""
        return int(self.listen.rpartition(":")[2])

    @property
    def proxy(self) -> Target | None:
        """The egress proxy.

        :raises ConfigError: it is not one's URL.
        """
        try:
            return check_proxy(self.egress_proxy) if self.egress_proxy else None
        except InvalidError as error:
            raise ConfigError(error.detail, key="--egress-proxy") from None

    @property
    def key_path(self) -> Path:
        """Where the key that seals secrets is."""
        return Path(self.key_file or f"{self.database}.key")


def check(settings: Settings) -> None:
    """Check what the types do not say.

    :raises ConfigError: a value is wrong; says which and why.
    """
    host, _, port = settings.listen.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ConfigError("write it as address:port, like 127.0.0.1:8080", key="--listen")
    for network in (*settings.allow_network, *settings.deny_network):
        _check_network(network)
    if min(settings.slots, settings.slots_per_endpoint, settings.slots_per_account) < 1:
        raise ConfigError("there must be at least one slot", key="--slots")
    if not settings.database or settings.database.startswith(("postgres:", "postgresql:")):
        raise ConfigError("give the path of a SQLite file", key="--database")
    if settings.log_level not in LOG_LEVELS:
        raise ConfigError(f"use one of {', '.join(LOG_LEVELS)}", key="--log-level")
    _ = settings.proxy
    if settings.public_url and not settings.public_url.startswith(("http://", "https://")):
        raise ConfigError("write it like https://hooks.example.com", key="--public-url")


def _check_network(network: str) -> None:
    try:
        ipaddress.ip_network(network)
    except ValueError as error:
        raise ConfigError(
            f"{error}; write it like 10.0.0.0/8", key="--allow-network, --deny-network"
        ) from None
