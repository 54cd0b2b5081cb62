"""HTTP as text: the header fields of a raw head, and the dates in them (RFC 9110, RFC 9112).

Heads are stored as received, so they are parsed as leniently as possible: a malformed line hides
itself, never the others.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime

Fields = list[tuple[str, str]]
"""Names in lower case, and values, in the order of the head."""


def read_fields(head: bytes) -> Fields:
    """Return the header fields of a raw head, without its first line.

    A folded line continues the value before it (RFC 9112, 5.2), a bare line feed ends a line as
    CRLF does (2.2), and a line without a colon is left out.
    """
    fields: Fields = []
    for line in _LINE_END.split(head.decode("latin-1"))[1:]:
        if line[:1] in (" ", "\t"):
            if fields and (more := line.strip(_BLANK)):
                name, value = fields[-1]
                fields[-1] = (name, f"{value} {more}" if value else more)
            continue
        name, colon, value = line.partition(":")
        if colon:
            fields.append((name.strip(_BLANK).lower(), value.strip(_BLANK)))
    return fields


_LINE_END = re.compile(r"\r*\n")
_BLANK = " \t\r"


def first_line(head: bytes) -> str:
    """Return the request or status line of a raw head."""
    return head.partition(b"\n")[0].rstrip(b"\r").decode("latin-1")


def field_value(fields: Iterable[Sequence[str]], wanted: str) -> str | None:
    """Return the first value of a field, by its name in lower case; None if it is missing."""
    return next((value for name, value in fields if name == wanted), None)


def read_http_date(text: str) -> float | None:
    """Read an HTTP date in any of its three forms (RFC 9110, 5.6.7), as seconds since 1970.

    None for anything else, and for a date without a zone: only asctime's form needs none, because
    it is always in UTC.
    """
    try:
        date = parsedate_to_datetime(text)
        if date.tzinfo is None:
            if not _ASCTIME.fullmatch(text):
                return None
            date = date.replace(tzinfo=UTC)
        return date.timestamp()
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


_ASCTIME = re.compile(
    r"[A-Z][a-z]{2} [A-Z][a-z]{2} (?:[0-9]{2}| [0-9]) [0-9]{2}:[0-9]{2}:[0-9]{2} [0-9]{4}"
)


def content_length(value: bytes) -> int:
    """Return the number of a Content-Length; only 19 digits count.

    It may have leading zeros, more than ``int`` reads (RFC 9110, 8.6).
    """
    return int(value.lstrip(b"0")[:19] or b"0")
