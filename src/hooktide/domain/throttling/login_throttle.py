"""Throttling of failed password logins: guessing is hopeless, and no user is locked out.

A login counts in up to three places: the name from its address, the address under any name, and the
name from any address. Guesses from elsewhere therefore never delay an address from which the name
has logged in before. The counts are stored, so that they hold across processes and restarts.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hooktide.domain.errors import BusyError
from hooktide.domain.model import DAY, MINUTE, SECOND, Micros

MAX_WAIT: Micros = MINUTE
FAILURE_RETENTION: Micros = 15 * MINUTE
"""Failures are forgotten this long after the last one."""
SUCCESS_RETENTION: Micros = 30 * DAY
"""How long an address counts as known for a name after a login."""


@dataclass(frozen=True, slots=True)
class LoginPlace:
    """Where failures are counted; the first ``free`` cost no wait, each further one doubles it."""

    kind: str
    digest: bytes
    free: int


@dataclass(frozen=True, slots=True)
class LoginRecord:
    """The state of a place. ``succeeded_at`` is 0 if no login ever succeeded."""

    failures: int = 0
    last_at: Micros = 0
    blocked_until: Micros = 0
    succeeded_at: Micros = 0


def login_places(name: str, address: str) -> tuple[LoginPlace, ...]:
    """Return the places that a login counts in; the first is the name from its address.

    ``address`` is empty if unknown; then there is no count per address.
    """
    folded = name.casefold()[:200]
    of_address = (_place("address", 20, address),) if address else ()
    return (
        _place("name_at_address", 5, folded, address),
        _place("name", 100, folded),
        *of_address,
    )


def _place(kind: str, free: int, *parts: str) -> LoginPlace:
    text = "\0".join((kind, *parts)).encode("utf-8", "surrogatepass")
    return LoginPlace(kind, hashlib.sha256(text).digest(), free)


def begin_login(
    places: Sequence[LoginPlace], records: Sequence[LoginRecord], now: Micros
) -> list[LoginRecord]:
    """Count a login as failed until it succeeds, so that parallel attempts count, too.

    :raises BusyError: ``too_many_logins``: it is too soon after the last failures (429).
    """
    counting = _counting(places, records, now)
    waits = [
        _current(record, now).blocked_until - now
        for record, counts in zip(records, counting, strict=True)
        if counts
    ]
    if max(waits) > 0:
        seconds = -(-max(waits) // SECOND)
        raise BusyError(
            "too_many_logins",
            f"too many logins failed; try again in {seconds} s, or log in with a link or a key",
            retry_after=seconds,
        )
    return [
        _failed(place, _current(record, now), now) if counts else record
        for place, record, counts in zip(places, records, counting, strict=True)
    ]


def finish_login(
    places: Sequence[LoginPlace], records: Sequence[LoginRecord], now: Micros
) -> list[LoginRecord]:
    """Undo what ``begin_login`` counted, and remember the address as known for the name."""
    counting = _counting(places, records, now)
    first, *others = [
        replace(record, failures=max(record.failures - 1, 0), blocked_until=0) if counts else record
        for record, counts in zip(records, counting, strict=True)
    ]
    return [replace(first, failures=0, succeeded_at=now), *others]


def _counting(
    places: Sequence[LoginPlace], records: Sequence[LoginRecord], now: Micros
) -> list[bool]:
    """Return which places count: from a known address, failures elsewhere do not."""
    known = _is_known(records[0], now)
    return [not (known and place.kind == "name") for place in places]


def _is_known(record: LoginRecord, now: Micros) -> bool:
    return record.succeeded_at > 0 and now - record.succeeded_at <= SUCCESS_RETENTION


def _current(record: LoginRecord, now: Micros) -> LoginRecord:
    ago = now - record.last_at
    if ago > FAILURE_RETENTION or ago < -MAX_WAIT:  # the clock was set back
        return replace(record, failures=0, blocked_until=0)
    return record


def _failed(place: LoginPlace, record: LoginRecord, now: Micros) -> LoginRecord:
    failures = record.failures + 1
    over = failures - place.free
    wait = 0 if over <= 0 else min(SECOND << min(over - 1, 10), MAX_WAIT)
    return replace(record, failures=failures, last_at=now, blocked_until=now + wait)
