"""Reads some members of a payload, and skips the others."""

from collections.abc import Callable
from decimal import InvalidOperation
from functools import lru_cache
from typing import Any, TypedDict

import msgspec


@lru_cache(maxsize=1024)
def reader_of_members(
    members: frozenset[str],
    read_fraction: Callable[[str], Any],
    read_all: Callable[[bytes], Any],
) -> Callable[[bytes], Any]:
    """Return what reads these members of an accepted payload; what is skipped costs little.

    ``read_fraction`` reads a number with a fraction or an exponent. ``read_all`` reads a payload
    that cannot be read this way: it is no object, or has a number that is out of range.
    """
    shape = TypedDict("shape", dict.fromkeys(members, Any), total=False)  # type: ignore[misc]
    quickly = msgspec.json.Decoder(shape, float_hook=read_fraction).decode

    def read(payload: bytes) -> Any:
        try:
            return quickly(payload)
        except (msgspec.ValidationError, InvalidOperation):
            return read_all(payload)

    return read
