"""The server and the key of a client."""

import os
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from hooktide import __version__
from hooktide.domain.errors import ConfigError

DEFAULT_URL = "http://127.0.0.1:8080"


@dataclass(frozen=True, slots=True)
class Server:
    """A server, and the key that it is asked with."""

    url: str
    key: str = field(repr=False)
    project: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """The headers of each request."""
        narrowed = {"hooktide-project": self.project} if self.project else {}
        return {
            "authorization": f"Bearer {self.key}",
            "accept": "application/json",
            "user-agent": f"hooktide-python/{__version__}",
            **narrowed,
        }


def find_server(
    url: str | None, key: str | None, project: str | None = None, *, for_operator: bool = False
) -> Server:
    """Return the given server, or the one from the environment.

    HOOKTIDE_KEY takes precedence over HOOKTIDE_OPERATOR_KEY, unless ``for_operator``.

    :raises ConfigError: there is no key, or the URL or the project's name is invalid.
    """
    environment = os.environ.get
    url = url or environment("HOOKTIDE_SERVER") or DEFAULT_URL
    names = ("HOOKTIDE_KEY", "HOOKTIDE_OPERATOR_KEY")
    for name in reversed(names) if for_operator else names:
        key = key or environment(name)
    if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
        raise ConfigError(f"{url!r} is not a server's URL; write it like {DEFAULT_URL}", key="url")
    if not key and for_operator:
        raise ConfigError("give the operator key: --key, or HOOKTIDE_OPERATOR_KEY", key="key")
    if not key:
        raise ConfigError("give a key: --key, or HOOKTIDE_KEY", key="key")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError("a key is printable ASCII without spaces, like htk_...", key="key")
    return within_project(Server(url.rstrip("/"), key), project or "")


def within_project(server: Server, project: str) -> Server:
    """Return a server whose calls are restricted to a project; empty: unrestricted.

    :raises ConfigError: the project's name is invalid.
    """
    if not project.isascii() or (project and not project.isprintable()):
        raise ConfigError(f"{project!r} is not a project's name, like invoicing", key="project")
    return replace(server, project=project)
