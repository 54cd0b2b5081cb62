"""What a page returns: a template to render, a redirect, a stream, or a file."""

from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import urlencode

from hooktide.domain.errors import HooktideError


@dataclass(frozen=True, slots=True)
class Template:
    """A page to show: the template's name within its skin, and what it shows.

    ``error``: why an act was refused, where this is the page that it came from.
    """

    name: str
    facts: Mapping[str, Any]
    status: int = 200
    error: HooktideError | None = None


@dataclass(frozen=True, slots=True)
class Redirect:
    """A redirect; ``path`` is below its skin's base, ``query`` goes behind the ``?``,
    ``fragment`` behind the ``#``.

    ``session``: a token for the browser's cookie; empty: the cookie is deleted. ``base``: the path
    that it is below if not the session's.
    """

    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    fragment: str = ""
    session: str | None = None
    base: str = ""

    @property
    def address(self) -> str:
        """The page's address, below its skin's base."""
        joined = "&" if "?" in self.path else "?"
        return self.path + (f"{joined}{urlencode(self.query)}" if self.query else "")


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream that notifies of changes of a page.

    ``look`` returns the page's data; pages with the same ``place`` share one check.
    """

    place: Hashable
    look: Callable[[], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Events:
    """A stream of server-sent events that the page writes itself."""

    events: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class File:
    """A file that is not a page, such as a style sheet; ``headers`` override the skin's.

    ``tag``: its ETag, so that a browser which has this version is not sent it again.
    """

    content: str | bytes
    media_type: str
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Download:
    """A file that is written while it is sent, and that a browser saves under ``name``."""

    parts: AsyncIterator[bytes]
    media_type: str
    name: str


def attachment(content: str | bytes, name: str, media_type: str = "application/json") -> File:
    """Return a file that a browser downloads under a name, and never displays."""
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return File(content, media_type, headers=headers)


View: TypeAlias = Template | Redirect | Stream | Events | File | Download
