"""What the commands have in common: whom they ask, with which key, and how they say it failed."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, TypeAlias

from cyclopts import Parameter

from hooktide.client import Client, ClientError, Patience, ProblemError
from hooktide.domain.errors import ConfigError, InvalidError
from hooktide.domain.times import read_time
from hooktide.web.problem_table import PROBLEMS

Flag: TypeAlias = Annotated[bool, Parameter(negative=(), show_default=False)]
"""An option that is given or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Options of every command that asks a server.

    Parameters
    ----------
    url
        The server. [HOOKTIDE_URL, or http://127.0.0.1:8080]
    key
        The key to ask with. [HOOKTIDE_KEY, or HOOKTIDE_OPERATOR_KEY]
    json
        Print JSON instead, one value a line.
    """

    url: str | None = None
    key: str | None = None
    json: Flag = False

    def client(self) -> Client:
        """Return a client of the server.

        :raises ConfigError: there is no key.
        """
        return Client(self.url, self.key, patience=PATIENCE)


PATIENCE = Patience(retries=2, first=0.2)
"""Who waits at a terminal would rather hear at once that a server is not there."""

Options: TypeAlias = Annotated[Asking, Parameter(name="*")]
DEFAULTS = Asking()


def told(error: Exception) -> str:
    """Say what went wrong, and what to do about it."""
    lines = [str(error)]
    if isinstance(error, ProblemError):
        known = PROBLEMS.get(error.code)
        if error.status == 401:
            lines.append("Give another: --key, HOOKTIDE_KEY, or HOOKTIDE_OPERATOR_KEY")
        elif known is not None and known.remedy not in lines[0]:
            lines.append(known.remedy)
        if error.status >= 500 and error.instance:
            lines.append(f"The server's log has more: look for {error.instance}")
    elif isinstance(error, ClientError) and "check the URL" in lines[0]:
        lines.append("Give the server's own address: --url, or HOOKTIDE_URL")
    return "\n".join(lines)


def instant(text: str, option: str) -> datetime:
    """Read an instant: RFC 3339, or how long ago: ``30s``, ``15m``, ``24h``, ``7d``.

    :raises ConfigError: it is neither.
    """
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=read_time(text))
    except InvalidError:
        raise ConfigError(
            f"{text!r} is no instant; write how long ago, like 24h or 7d, or an instant like "
            "2026-01-31T12:00:00Z",
            key=option,
        ) from None


_AGO = re.compile(r"([0-9]{1,6})\s*(s|m|h|d)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
