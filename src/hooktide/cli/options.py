"""What the commands share: the options for the server and key, error messages, and instants."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, TypeAlias

from cyclopts import Parameter

from hooktide.client import Client, ClientError, ProblemError, RetryPolicy
from hooktide.client.server import find_server
from hooktide.domain.errors import ConfigError, InvalidError
from hooktide.domain.time.times import read_time
from hooktide.web.problems.problem_table import PROBLEMS

Flag: TypeAlias = Annotated[bool, Parameter(negative=(), show_default=False)]
"""An option that is given or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """Options of every command that asks a server.

    Parameters
    ----------
    server
        The server to ask. [HOOKTIDE_SERVER, or http://127.0.0.1:8080]
    key
        The key to ask with. [HOOKTIDE_KEY, or HOOKTIDE_OPERATOR_KEY]
    project
        The project, for a key that reaches several.
    json
        Print JSON instead, one value per line.
    """

    server: str | None = None
    key: str | None = None
    project: str | None = None
    json: Flag = False

    def client(self) -> Client:
        """Return a client of the server.

        :raises ConfigError: there is no key.
        """
        return Client(self.server, self.key, project=self.project, retry_policy=RETRY_POLICY)


RETRY_POLICY = RetryPolicy(retries=2, first=0.2)
"""Few and short retries: at a terminal, an early error is better than a long wait."""
OPERATOR_TIMEOUT = 30.0

Options: TypeAlias = Annotated[ServerOptions, Parameter(name="*")]
DEFAULTS = ServerOptions()


def operator_client(
    server: str | None, key: str | None, *, timeout: float = OPERATOR_TIMEOUT
) -> Client:
    """Return a client for a command of an operator."""
    found = find_server(server, key, for_operator=True)
    return Client(found.url, found.key, timeout=timeout, retry_policy=RETRY_POLICY)


def error_text(error: Exception) -> str:
    """Return what went wrong, and what to do about it."""
    lines = [str(error)]
    if isinstance(error, ProblemError):
        known = PROBLEMS.get(error.code)
        if error.status == 401:
            lines.append("Give another: --key, HOOKTIDE_KEY, or HOOKTIDE_OPERATOR_KEY")
        elif known is not None and not error.errors and known.remedy not in lines[0]:
            lines.append(known.remedy)  # else each place is named, with its rule
        if error.status >= 500 and error.instance:
            lines.append(f"The server's log has more: look for {error.instance}")
    elif isinstance(error, ClientError) and "check the URL" in lines[0]:
        lines.append("Give the server's own address: --server, or HOOKTIDE_SERVER")
    return "\n".join(lines)


def instant(text: str, option: str) -> datetime:
    """Read an instant: RFC 3339, or how long ago: ``30s``, ``15m``, ``24h``, ``7d``.

    :raises ConfigError: it is neither, or so long ago that it is before 1970.
    """
    ago = _AGO.fullmatch(text)
    if ago is not None:
        span, now = timedelta(**{_UNITS[ago[2]]: int(ago[1])}), datetime.now(UTC)
        if span > now - _EPOCH:
            raise ConfigError(f"{text} ago is before 1970", key=option)
        return now - span
    try:
        return _EPOCH + timedelta(microseconds=read_time(text))
    except InvalidError:
        raise ConfigError(
            f"{text!r} is not a time; write how long ago, like 24h or 7d, or a time like "
            "2026-01-31T12:00:00Z",
            key=option,
        ) from None


def optional_instant(text: str | None, option: str) -> datetime | None:
    """Read an instant that may not be given; see ``instant``."""
    return None if text is None else instant(text, option)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AGO = re.compile(r"([0-9]{1,6})\s*(s|m|h|d)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
