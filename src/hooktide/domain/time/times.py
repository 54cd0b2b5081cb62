"""Instants as text: RFC 3339 in, RFC 3339 out, microseconds since 1970 between."""

import re
from datetime import UTC, datetime, timedelta

from hooktide.domain.errors import InvalidError
from hooktide.domain.model import Micros

_HOUR, _SIXTIETH = "(?:[01][0-9]|2[0-3])", "[0-5][0-9]"
_FORM = re.compile(
    rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[Tt ]{_HOUR}:{_SIXTIETH}:{_SIXTIETH}(\.[0-9]{{1,9}})?"
    rf"([Zz]|[+-]{_HOUR}:{_SIXTIETH})"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def read_time(text: str, pointer: str = "/occurred_at") -> Micros:
    """Read an RFC 3339 instant between 1970 and 2100, with an offset.

    :raises InvalidError: it is not valid.
    """
    at = None
    if _FORM.fullmatch(text):
        try:
            at = (datetime.fromisoformat(text.upper().replace(" ", "T")) - _EPOCH) // _MICROSECOND
        except (ValueError, OverflowError):
            at = None
    if at is None:
        how = "write an instant like 2026-01-31T12:00:00Z, with its offset"
        if _FORM.fullmatch("+".join(text.rsplit(" ", 1))):
            how += "; in a URL, write its + as %2B"
        raise InvalidError("invalid_time", how, pointer=pointer)
    if not 0 <= at < _YEAR_2100:
        raise InvalidError(
            "invalid_time", "give an instant from 1970 on and before 2100", pointer=pointer
        )
    return at


_YEAR_2100 = (datetime(2100, 1, 1, tzinfo=UTC) - _EPOCH) // _MICROSECOND


def show_time(at: Micros) -> str:
    """Write an instant in UTC, to the microsecond: ``2026-01-31T12:00:00.000000Z``."""
    return (_EPOCH + timedelta(microseconds=at)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
