"""What the way out reads from a raw response head: where it ends, how large it may be, Retry-After.

Only the framing of a response is the parser's (llhttp); its head is kept as the bytes that came.
"""

import re
from email.utils import parsedate_to_datetime

from hooktide.domain.model import SECOND, Micros
from hooktide.domain.verdict import RETRY_AFTER_CAP

HEAD_KEPT = 16 * 1024
BODY_KEPT = 4 * 1024
BODY_LIMIT = 64 * 1024
WIRE_LIMIT = 1024 * 1024
"""Bytes of one response on the wire: chunk framing and trailers can be most of it."""
MAX_INTERIM = 16
"""Responses of the 1xx kind before the real one."""

_HEAD_LIMIT = 64 * 1024
_STATUS_LINE_LIMIT = 256 * 1024
_MAX_FIELDS = 100


def head_end(raw: bytes) -> int:
    """Return the offset behind the blank line that ends the first head; -1 if it has not come."""
    end = raw.find(b"\n\r\n")
    bare = raw.find(b"\n\n", 0, end if end >= 0 else len(raw))
    if bare >= 0:
        return bare + 2
    return end + 3 if end >= 0 else -1


def is_oversized(head: bytes) -> bool:
    """Whether a head has more than 100 fields or 64 KB of them.

    A long status line is no reason to refuse (nobody needs its words), but it has an end too.
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

    ``now`` is in seconds since 1970. None where there is none, or where it is neither a plain
    number nor a date with a zone: a guess would be somebody else's delay.
    """
    match = _RETRY_AFTER.search(head)
    if match is None:
        return None
    value = match[1].strip(b" \t")
    return _seconds(value) if _SECONDS.fullmatch(value) else _until(value, now)


_RETRY_AFTER = re.compile(rb"\nretry-after:([^\r\n]*)", re.IGNORECASE)
_SECONDS = re.compile(rb"[0-9]+")


def _seconds(digits: bytes) -> Micros:
    # A receiver may send thousands of digits; nine are far beyond the cap already.
    significant = digits.lstrip(b"0") or b"0"
    return (
        RETRY_AFTER_CAP if len(significant) > 9 else min(int(significant) * SECOND, RETRY_AFTER_CAP)
    )


def _until(value: bytes, now: float) -> Micros | None:
    try:
        date = parsedate_to_datetime(value.decode("ascii"))
        if date.tzinfo is None:
            return None
        span = round((date.timestamp() - now) * SECOND)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    return min(max(span, 0), RETRY_AFTER_CAP)
