"""Lists a page at a time, newest first: the cursor says where to go on, and fits only that list."""

import base64
import binascii
import hashlib
import hmac
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from hooktide.domain.errors import InvalidError

T = TypeVar("T")
_TAG_BYTES = 16
_ID_BYTES = 8


class PageQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which page of a list."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=100, description="How many, at most.")] = 50
    cursor: Annotated[str, msgspec.Meta(description="`next_cursor` of the page before.")] | None = (
        None
    )


class Listed(msgspec.Struct, Generic[T]):
    """One page of a list, newest first; `next_cursor` is null on the last."""

    items: list[T]
    next_cursor: str | None


class Cursors:
    """Makes and reads cursors: an id and a tag that binds it to the list it came from.

    ``place`` is all that the list depends on: the route, the caller's scope, the filters.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def make(self, place: Any, before: int | None) -> str | None:
        """Return the cursor of the page below the id ``before``; None: there is none."""
        if before is None:
            return None
        number = before.to_bytes(_ID_BYTES, "big")
        return base64.urlsafe_b64encode(number + self._tag(place, number)).decode()

    def read(self, place: Any, text: str | None) -> int | None:
        """Return the id to go on below; None: from the start.

        :raises InvalidError: the cursor is not one of this list's.
        """
        if text is None:
            return None
        try:
            whole = base64.b64decode(text.encode("ascii"), b"-_", validate=True)
        except (binascii.Error, UnicodeEncodeError, ValueError):
            whole = b""
        number, tag = whole[:_ID_BYTES], whole[_ID_BYTES:]
        if not hmac.compare_digest(tag, self._tag(place, number)):
            raise InvalidError(
                "invalid_cursor",
                "use next_cursor as it was given, with the same key and filters",
                pointer="/cursor",
            )
        return int.from_bytes(number, "big")

    def _tag(self, place: Any, number: bytes) -> bytes:
        content = msgspec.json.encode(place) + number
        return hmac.digest(self._key, content, hashlib.sha256)[:_TAG_BYTES]
