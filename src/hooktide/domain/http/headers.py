"""The headers that an endpoint may add to a request, and those that are reserved.

Headers that frame the request, control proxies or carry a signature cannot be set by anyone else.
"""

import re
from collections.abc import Iterable

from hooktide.domain.errors import InvalidError
from hooktide.domain.json.pointer import escaped
from hooktide.domain.phrase import phrase

MAX_HEADERS = 20
MAX_HEADERS_SIZE = 4096
MASK = "****"
"""Replaces a stored value in responses; in an update it means "keep the stored value"."""

RESERVED = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    }
)
RESERVED_PREFIXES = ("proxy-", "webhook-", "hooktide-", "x-hooktide-")

_NAME = re.compile(r"[A-Za-z0-9-]{1,64}")
_VALUE = re.compile(r"(?! )[\x20-\x7e]*(?<! )")


def header_lines(headers: Iterable[tuple[str, str]], taken: frozenset[str] = frozenset()) -> bytes:
    r"""Check an endpoint's own headers and return them as lines, each ending in ``\r\n``.

    ``taken`` are the names (lower case) that its project's dialect uses.

    :raises InvalidError: a header is not allowed; the pointer says which.
    """
    lines: list[str] = []
    seen = set(taken)
    for name, value in headers:
        if len(lines) == MAX_HEADERS:
            raise InvalidError(
                "too_many_headers",
                phrase("{count} headers at most", count=MAX_HEADERS),
                pointer="/headers",
            )
        check_header(name, value)
        if name.lower() in seen:
            raise refused_header(
                name, "header_taken", phrase("{name} is there already; give it once", name=name)
            )
        seen.add(name.lower())
        lines.append(f"{name}: {value}\r\n")
    if sum(map(len, lines)) > MAX_HEADERS_SIZE:
        raise InvalidError(
            "headers_too_large",
            phrase("{count} bytes of headers at most", count=MAX_HEADERS_SIZE),
            pointer="/headers",
        )
    return "".join(lines).encode("ascii")


def check_header(name: str, value: str) -> None:
    """Check a single header.

    :raises InvalidError: its name is malformed or reserved, or its value is malformed.
    """
    if not _NAME.fullmatch(name):
        raise refused_header(
            name, "invalid_header_name", phrase("use 1 to 64 letters, digits and hyphens in a name")
        )
    if name.lower() in RESERVED or name.lower().startswith(RESERVED_PREFIXES):
        raise refused_header(
            name,
            "reserved_header",
            phrase("{name} is set by the sender; use another name", name=name),
        )
    if not _VALUE.fullmatch(value):
        raise refused_header(
            name,
            "invalid_header_value",
            phrase("use printable ASCII in a value, without spaces at its ends"),
        )


def refused_header(name: str, code: str, detail: str) -> InvalidError:
    """Return the error that points at one header."""
    return InvalidError(code, detail, pointer=f"/headers/{escaped(name[:64])}")
