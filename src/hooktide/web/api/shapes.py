"""What several answers have in common: instants, and what belongs to whom."""

from typing import Annotated, TypeAlias

import msgspec

from hooktide.domain.ids import show
from hooktide.domain.model import Micros
from hooktide.domain.times import show_time

Instant: TypeAlias = Annotated[
    str,
    msgspec.Meta(
        description="An instant in UTC, RFC 3339, to the microsecond.",
        extra_json_schema={"format": "date-time"},
    ),
]
AccountName: TypeAlias = Annotated[
    str, msgspec.Meta(description="An `acc_` id, or the product's own reference.")
]


def instant(at: Micros | None) -> str | None:
    """Write an instant that may be missing."""
    return None if at is None else show_time(at)


def maybe(prefix: str, number: int | None) -> str | None:
    """Write an id that may be missing."""
    return None if number is None else show(prefix, number)
