"""Parsing of raw response heads: the end, status, framing and Retry-After.

llhttp parses well-formed responses; the head is stored as received. A head that llhttp refuses is
parsed here, line by line: its status line decides, and its fields only determine where the body
ends.
"""

import re

from hooktide.domain.delivery.verdict import RETRY_AFTER_CAP
from hooktide.domain.http.head import field_value, read_fields, read_http_date
from hooktide.domain.model import SECOND, Micros

MAX_KEPT_HEAD = 16 * 1024
MAX_KEPT_RESPONSE = 4 * 1024
BODY_LIMIT = 64 * 1024
WIRE_LIMIT = 1024 * 1024
"""Maximum bytes of one response on the wire: chunk framing and trailers can be most of it."""
MAX_INTERIM = 16
"""Maximum 1xx responses before the final one."""

_HEAD_LIMIT = 64 * 1024
_STATUS_LINE_LIMIT = 256 * 1024
_MAX_FIELDS = 100


def head_end(raw: bytes) -> int:
    """Return the offset behind the blank line that ends the first head, or -1 if incomplete."""
    end = raw.find(b"\n\r\n")
    bare = raw.find(b"\n\n", 0, end if end >= 0 else len(raw))
    if bare >= 0:
        return bare + 2
    return end + 3 if end >= 0 else -1


def first_head(raw: bytes) -> bytes:
    """Return the first head, or what there is of it."""
    end = head_end(raw)
    return raw if end < 0 else raw[:end]


def read_status(head: bytes) -> int | None:
    """Return the status of a complete status line; None if absent, or not 100 to 599.

    It tolerates common mistakes: in the version, the spaces and the line end.
    """
    match = _STATUS_LINE.match(head)
    return int(match[1]) if match else None


_STATUS_LINE = re.compile(
    rb"[\r\n]*HTTP/[0-9](?:\.[0-9])?[ \t]+([1-5][0-9][0-9])(?![0-9])[^\r\n]*[\r\n]"
)


def may_become_status_line(head: bytes) -> bool:
    """Whether these bytes could still be the start of a status line."""
    start = head.lstrip(b"\r\n")
    return b"\n" not in start and b"HTTP/".startswith(start[:5])


def framing(head: bytes) -> bytes | None:
    """Return the header line that delimits the body after a malformed head.

    Empty: the body ends with the connection. None: unknown, because the lengths differ or are not
    numbers.
    """
    fields = read_fields(head)
    codings = ",".join(value for name, value in fields if name == "transfer-encoding")
    if codings.rpartition(",")[2].strip(" \t").lower() == "chunked":
        return b"transfer-encoding: chunked\r\n"
    texts = ",".join(value for name, value in fields if name == "content-length").split(",")
    lengths = {text.strip(" \t") for text in texts}
    if lengths == {""}:
        return b""
    length = lengths.pop()
    if lengths or not _LENGTH.fullmatch(length):
        return None
    return b"content-length: %b\r\n" % length.encode("ascii")


_LENGTH = re.compile(r"[0-9]{1,18}")


def is_oversized(head: bytes) -> bool:
    """Whether a head exceeds 100 fields or 64 KB, at which reading stops.

    A long status line is accepted (its reason phrase is ignored), but it is bounded, too.
    """
    if len(head) <= _HEAD_LIMIT:
        return head.count(b"\n") > _MAX_FIELDS + 2
    fields = head.find(b"\n") + 1
    if not fields:
        return len(head) > _STATUS_LINE_LIMIT
    return len(head) - fields > _HEAD_LIMIT or head.count(b"\n") > _MAX_FIELDS + 2


def is_framed(head: bytes) -> bool:
    """Whether the response says where its body ends, other than by closing the connection."""
    return _FRAMING.search(head) is not None


_FRAMING = re.compile(rb"\n(?:content-length|transfer-encoding)[ \t]*:", re.IGNORECASE)


def retry_after(head: bytes, now: float) -> Micros | None:
    """Read Retry-After (RFC 9110, 10.2.3) as a span, at most ``RETRY_AFTER_CAP``.

    ``now`` is in seconds since 1970. None if absent, or neither a plain number nor an HTTP date: a
    guess could delay by far too much.
    """
    value = field_value(read_fields(head), "retry-after")
    if value is None:
        return None
    return _seconds(value) if _SECONDS.fullmatch(value) else _until(value, now)


_SECONDS = re.compile(r"[0-9]+")


def _seconds(digits: str) -> Micros:
    # A receiver may send thousands of digits; nine are already far beyond the cap.
    significant = digits.lstrip("0") or "0"
    return (
        RETRY_AFTER_CAP if len(significant) > 9 else min(int(significant) * SECOND, RETRY_AFTER_CAP)
    )


def _until(value: str, now: float) -> Micros | None:
    date = read_http_date(value)
    if date is None:
        return None
    return min(max(round((date - now) * SECOND), 0), RETRY_AFTER_CAP)
