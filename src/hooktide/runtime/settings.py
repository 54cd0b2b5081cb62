"""The server's settings, checked once; ``cli/commands/serve.py`` fills them in."""

import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path

from hooktide.domain.errors import ConfigError, InvalidError
from hooktide.domain.http.address import Target, check_proxy
from hooktide.domain.messages.mail import Relay, check_mailto, read_relay

LOG_LEVELS = ("debug", "info", "warning", "error")
ROLES = ("all", "api", "worker")
MIN_BODY_MEMORY = 16
MIN_WAL = 16
"""Megabytes."""
MAX_RECORD_WITHIN = 1000
"""Milliseconds."""
POSTGRES = ("postgresql://", "postgres://")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a server runs.

    Parameters
    ----------
    database
        A SQLite file, created on first start; or postgresql://user:password@host/name. Prefer the
        environment for a URL with a password, which the process list would show.
    database_direct
        PostgreSQL only: the same database, not through a pooler. Required if database leads through
        one, like PgBouncer.
    database_connections
        PostgreSQL only: the maximum connections of each process, besides the listening one.
    role
        What this server does: api accepts requests, worker delivers, all does both. api and worker
        require PostgreSQL.
    processes
        How many processes serve the address; more than one requires PostgreSQL.
    listen
        Address and port.
    public_url
        The server's public URL, used in links and request bins. By default the address it listens
        on.
    allow_network
        A non-public network, or one of this machine's own, that deliveries may go to, like
        10.0.0.0/8. May be repeated.
    deny_network
        A public network that deliveries may not go to, like that of your other machines; this
        machine's own addresses are refused anyway. May be repeated; it takes precedence over
        allow_network.
    trusted_proxy
        A network of proxies whose X-Forwarded-For is trusted. The client address is used to
        throttle logins and in the audit log. May be repeated; it replaces the default, this
        machine's own (127.0.0.0/8 and ::1).
    chat_host
        Your own host that is compatible with a chat service, like a Mattermost: host or host:port.
        Endpoints there may be of kind slack, discord or teams. May be repeated.
    smtp_url
        A mail relay for operational events, like smtp://user:password@mail.internal:587 (STARTTLS
        where it is offered, and always before a password) or smtps://mail.internal. Prefer the
        environment.
    mail_from
        The sender address of such mail.
    nat64
        Whether addresses in 64:ff9b::/96 are judged by the IPv4 address within them.
    allow_http
        Whether endpoints may be plain http.
    only_port_443
        Whether endpoints may use port 443 only.
    egress_proxy
        An HTTP proxy that all deliveries go through, like http://proxy.internal:3128.
    key_file
        The key that seals secrets; created on first start. By default the SQLite file's name and
        .key; required with PostgreSQL, where every machine needs the same file.
    slots
        Requests in flight at once, in each process.
    slots_per_endpoint
        Of those, to one endpoint: it starts with ten, gets more while it answers well, and fewer
        when it struggles.
    slots_per_account
        Of those, for one account.
    max_body_memory
        Megabytes of request bodies that each process holds at once, at least 16. At the limit it
        stops reading, and answers 503 to requests that have waited for 5 seconds.
    max_wal
        The maximum size of SQLite's write-ahead log in megabytes, at least 16. It grows while
        another program reads the database for long; at this size new events are refused with 507.
    record_within
        Milliseconds for which finished attempts are collected before they are written together, at
        most 1000. A process that is killed repeats as much; stopping writes everything.
    stop_within
        Maximum seconds from SIGTERM to the end.
    log_level
        debug, info, warning or error.
    log_attempts
        Whether each attempt is a line in the log.
    traces
        Whether to export OpenTelemetry traces, to OTEL_EXPORTER_OTLP_ENDPOINT.
    """

    database: str = "hooktide.db"
    database_direct: str = ""
    database_connections: int = 10
    role: str = "all"
    processes: int = 1
    listen: str = "127.0.0.1:8080"
    public_url: str = ""
    allow_network: tuple[str, ...] = ()
    deny_network: tuple[str, ...] = ()
    trusted_proxy: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    chat_host: tuple[str, ...] = ()
    smtp_url: str = field(default="", repr=False)
    mail_from: str = ""
    nat64: bool = False
    allow_http: bool = True
    only_port_443: bool = False
    egress_proxy: str = ""
    key_file: str = ""
    slots: int = 1000
    slots_per_endpoint: int = 100
    slots_per_account: int = 250
    max_body_memory: int = 256
    max_wal: int = 1024
    record_within: int = 10
    stop_within: float = 12.0
    log_level: str = "info"
    log_attempts: bool = True
    traces: bool = False

    @property
    def host(self) -> str:
        """The address to listen on."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port to listen on; 0 for any free one."""
        return int(self.listen.rpartition(":")[2])

    def url(self, port: int) -> str:
        """The server's public URL, if it listens on ``port``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.public_url.rstrip("/") or f"http://{host}:{port}"

    @property
    def proxy(self) -> Target | None:
        """The egress proxy.

        :raises ConfigError: the URL is invalid.
        """
        try:
            return check_proxy(self.egress_proxy) if self.egress_proxy else None
        except InvalidError as error:
            raise ConfigError(error.detail, key="--egress-proxy") from None

    @property
    def relay(self) -> Relay | None:
        """The mail relay; None without one.

        :raises ConfigError: it is not an SMTP URL, or the sender address is invalid.
        """
        if not self.smtp_url:
            return None
        try:
            check_mailto(f"mailto:{self.mail_from}")
        except InvalidError:
            raise ConfigError("give the sender address of mail", key="--mail-from") from None
        return read_relay(self.smtp_url)

    @property
    def on_postgres(self) -> bool:
        """Whether the database is PostgreSQL."""
        return self.database.startswith(POSTGRES)

    @property
    def database_shown(self) -> str:
        """The database for display and logs: without its password."""
        return without_password(self.database)

    @property
    def key_path(self) -> Path:
        """The path of the key file."""
        return Path(self.key_file or f"{self.database}.key")


def check(settings: Settings) -> None:
    """Check what the types do not express.

    :raises ConfigError: a value is wrong; the error says which and why.
    """
    host, _, port = settings.listen.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ConfigError("write it as address:port, like 127.0.0.1:8080", key="--listen")
    for name in ("allow_network", "deny_network", "trusted_proxy"):
        for network in getattr(settings, name):
            _check_network(network, f"--{name.replace('_', '-')}")
    if any("/" in host for host in settings.chat_host):
        raise ConfigError("write a host alone, like chat.example.com", key="--chat-host")
    if min(settings.slots, settings.slots_per_endpoint, settings.slots_per_account) < 1:
        raise ConfigError("there must be at least one slot", key="--slots")
    _check_bounds(settings)
    check_database(settings)
    _check_processes(settings)
    if settings.log_level not in LOG_LEVELS:
        raise ConfigError(f"use one of {', '.join(LOG_LEVELS)}", key="--log-level")
    _ = settings.proxy, settings.relay
    if settings.public_url:
        _check_public_url(settings.public_url)


def _check_bounds(settings: Settings) -> None:
    if settings.max_body_memory < MIN_BODY_MEMORY:
        raise ConfigError(
            f"give {MIN_BODY_MEMORY} or more: one batch of events may be that large",
            key="--max-body-memory",
        )
    if settings.max_wal < MIN_WAL:
        raise ConfigError(f"give {MIN_WAL} or more", key="--max-wal")
    if not 0 <= settings.record_within <= MAX_RECORD_WITHIN:
        raise ConfigError(
            f"give 0 to {MAX_RECORD_WITHIN} milliseconds: longer, and claims might expire before "
            "their attempts are recorded",
            key="--record-within",
        )


def _check_public_url(url: str) -> None:
    found = _PUBLIC_URL.fullmatch(url)
    if found is None:
        raise ConfigError(
            "write it like https://hooks.example.com, or with the path of the server: "
            "https://example.com/hooks",
            key="--public-url",
        )
    if {".", ".."} & set(url.split("/")):
        raise ConfigError(
            'a path cannot contain "." or ".."; write the path that it leads to',
            key="--public-url",
        )
    if found[1] == "/v1":
        raise ConfigError(
            "the API's own paths begin with /v1; use another path, like /hooks, or none",
            key="--public-url",
        )


_PUBLIC_URL = re.compile(
    r"https?://(?:[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
    r"(?:(/[A-Za-z0-9._~-]+)(?:/[A-Za-z0-9._~-]+)*)?/?"
)


def check_database(settings: Settings) -> None:
    """Check the options of the database.

    :raises ConfigError: a value is wrong; the error says which and why.
    """
    if settings.on_postgres:
        _check_postgres(settings)
    elif not settings.database or "://" in settings.database:
        raise ConfigError(
            "give the path of a SQLite file, or postgresql://user@host/name", key="--database"
        )
    elif settings.database_direct:
        raise ConfigError("only PostgreSQL has one", key="--database-direct")


def _check_postgres(settings: Settings) -> None:
    if settings.database_direct and not settings.database_direct.startswith(POSTGRES):
        raise ConfigError("write it like postgresql://user@host/name", key="--database-direct")
    if settings.database_connections < 1:
        raise ConfigError("there must be at least one", key="--database-connections")
    check_key_file(settings)


def check_key_file(settings: Settings) -> None:
    """Check that a key file is named if it is required.

    :raises ConfigError: it is missing with PostgreSQL.
    """
    if settings.on_postgres and not settings.key_file:
        raise ConfigError(
            "with PostgreSQL name the file of the key that seals secrets; it is created on first "
            "start, and every machine needs the same one",
            key="--key-file",
        )


def _check_processes(settings: Settings) -> None:
    if settings.processes < 1:
        raise ConfigError("there must be at least one", key="--processes")
    if settings.role not in ROLES:
        raise ConfigError(f"use one of {', '.join(ROLES)}", key="--role")
    key = "--processes" if settings.processes > 1 else "--role"
    if (settings.processes > 1 or settings.role != "all") and not settings.on_postgres:
        raise ConfigError(
            "a SQLite file supports one process that does everything; use PostgreSQL for more: "
            "--database postgresql://user@host/name",
            key=key,
        )


def without_password(url: str) -> str:
    """Return a database's URL without the passwords in it."""
    url = re.sub(r"^(\w+://[^/?#]*?):.*@", r"\1:***@", url)
    return re.sub(r"((?:ssl)?password=)[^&]*", r"\1***", url)


def _check_network(network: str, key: str) -> None:
    try:
        ipaddress.ip_network(network)
    except ValueError as error:
        raise ConfigError(f"{error}; write it like 10.0.0.0/8", key=key) from None
