"""How the API writes what it answers: instants, ids, schedules, raw HTTP heads, and its JSON."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, overload

import msgspec

from hooktide.domain.http.head import read_fields
from hooktide.domain.ids import show
from hooktide.domain.model import SECOND, Micros
from hooktide.wire.fields import HeaderPairs


class _Instant(datetime):
    """An instant whose JSON always has microseconds; msgspec leaves out those of a whole second."""


_EPOCH = _Instant(1970, 1, 1, tzinfo=UTC)


@overload
def instant(at: Micros) -> datetime: ...
@overload
def instant(at: Micros | None) -> datetime | None: ...
def instant(at: Micros | None) -> datetime | None:
    """Return an instant, which may be missing, as answers have it."""
    return None if at is None else _EPOCH + timedelta(microseconds=at)


def optional_id(prefix: str, number: int | None) -> str | None:
    """Write an id that may be missing."""
    return None if number is None else show(prefix, number)


def schedule_shown(delays: Sequence[Micros] | None, timeout: Micros | None) -> dict[str, Any]:
    """Write own delays and an own timeout, which may be missing, in seconds."""
    return {
        "retry_delays": None if delays is None else [each // SECOND for each in delays],
        "timeout_seconds": None if timeout is None else timeout / SECOND,
    }


def header_pairs(head: bytes) -> HeaderPairs:
    """Read the headers of a raw head, in order, skipping invalid lines."""
    return list(read_fields(head))


def _write(value: Any) -> str:
    if isinstance(value, _Instant):
        return value.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"
    raise NotImplementedError


to_json = msgspec.json.Encoder(enc_hook=_write).encode
"""Write an answer."""
