"""Pagination, newest first: a cursor says where to continue, and is valid for one list only."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from hooktide.domain.errors import InvalidError
from hooktide.domain.ids import between
from hooktide.domain.model import Micros
from hooktide.domain.time.times import read_time
from hooktide.wire.fields import PeriodQuery

_TAG_BYTES = 16
_ID_BYTES = 8


def id_bounds(query: PeriodQuery, before: int | None) -> tuple[int | None, int | None]:
    """Return the ids between which a list's items lie, ``before`` being where its page begins.

    :raises InvalidError: ``since`` or ``until`` is not an instant, or ``until`` is not the later
    one.
    """
    since, until = read_period(query.since, query.until)
    return between(since, until, before)


def read_period(
    since: str | None, until: str | None, within: str = ""
) -> tuple[Micros | None, Micros | None]:
    """Read the ends of a period, which are members of what the pointer ``within`` points to.

    :raises InvalidError: one is not an instant, or ``until`` is not the later one.
    """
    begin = None if since is None else read_time(since, f"{within}/since")
    end = None if until is None else read_time(until, f"{within}/until")
    if begin is not None and end is not None and end <= begin:
        raise InvalidError(
            "invalid_time", "until must be later than since", pointer=f"{within}/until"
        )
    return begin, end


class Cursors:
    """Makes and reads cursors: an id and a tag that binds it to the list it came from.

    ``keys`` are the installation's own: the first signs, all verify. ``place`` is all that the list
    depends on: the route, the caller's scope, the filters.
    """

    def __init__(self, keys: Callable[[], Sequence[bytes]]) -> None:
        self._keys = keys

    def make(self, place: Any, before: int | None) -> str | None:
        """Return the cursor of the page below the id ``before``; None: there is none."""
        if before is None:
            return None
        number = before.to_bytes(_ID_BYTES, "big")
        return base64.urlsafe_b64encode(number + _tag(self._keys()[0], place, number)).decode()

    def read(self, place: Any, text: str | None) -> int | None:
        """Return the id below which to continue; None: from the start.

        :raises InvalidError: the cursor is not one of this list's.
        """
        if text is None:
            return None
        try:
            whole = base64.b64decode(text.encode("ascii"), b"-_", validate=True)
        except (binascii.Error, UnicodeEncodeError, ValueError):
            whole = b""
        number, tag = whole[:_ID_BYTES], whole[_ID_BYTES:]
        tags = (_tag(key, place, number) for key in self._keys())
        if not any(hmac.compare_digest(tag, each) for each in tags):
            raise InvalidError(
                "invalid_cursor",
                "use next_cursor as it was given, with the same key and filters",
                pointer="/cursor",
            )
        return int.from_bytes(number, "big")


def _tag(key: bytes, place: Any, number: bytes) -> bytes:
    content = msgspec.json.encode(place) + number
    return hmac.digest(key, content, hashlib.sha256)[:_TAG_BYTES]
