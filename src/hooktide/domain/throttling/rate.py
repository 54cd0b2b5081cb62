"""How many requests a second an endpoint or an account may get, and how many of them at once."""

from dataclasses import dataclass

import msgspec

from hooktide.domain.errors import InvalidError
from hooktide.domain.model import SECOND, Micros
from hooktide.domain.phrase import Phrase, phrase

MAX_RATE = 10_000
"""Maximum requests a second of an endpoint or an account."""
MAX_BURST_SECONDS = 10
"""A burst is at most what the rate allows in this many seconds."""


class Rate(msgspec.Struct, frozen=True, gc=False):
    """Requests a second, and how many of them may be sent at once after a pause."""

    per_second: int
    burst: int

    @property
    def interval(self) -> Micros:
        """Microseconds from one request to the next, rounded up: the rate is never exceeded."""
        return -(-SECOND // self.per_second)


class Rates(msgspec.Struct, frozen=True, gc=False):
    """The rates that a request to an endpoint obeys: its own, and its account's."""

    endpoint: Rate | None
    account: Rate | None


def effective_rate(per_second: int | None, burst: int | None, allowed: int | None) -> Rate | None:
    """Return the rate of an endpoint or an account; None: there is none.

    ``per_second`` and ``burst`` are its own settings, ``allowed`` is the most that its plan allows,
    which also holds for one without a rate of its own.
    """
    limits = [limit for limit in (per_second, allowed) if limit is not None]
    if not limits:
        return None
    rate = min(limits)
    return Rate(rate, min(burst or rate, rate * MAX_BURST_SECONDS))


def rates_of(endpoint: Rate | None, account: Rate | None) -> Rates | None:
    """Return the rates of an endpoint's requests; None: nothing limits them."""
    return Rates(endpoint, account) if endpoint or account else None


def check_rate(per_second: int | None, burst: int | None, allowed: int | None) -> None:
    """Check the rate that an endpoint or an account is to have.

    :raises InvalidError: ``invalid_rate``: it is out of bounds, or more than the plan allows.
    """
    if per_second is None:
        if burst is not None:
            raise _invalid("/burst", phrase("a burst needs a rate; give rate_limit, too"))
        return
    most = min(MAX_RATE, allowed or MAX_RATE)
    if not 1 <= per_second <= most:
        if most < MAX_RATE:
            why = phrase("this account's plan allows 1 to {most} requests a second", most=most)
        else:
            why = phrase("use 1 to {most} requests a second", most=most)
        raise _invalid("/rate_limit", why)
    most_at_once = per_second * MAX_BURST_SECONDS
    if burst is not None and not 1 <= burst <= most_at_once:
        raise _invalid(
            "/burst",
            phrase(
                "use 1 to {most}: at most {seconds} times rate_limit, which is {rate}",
                most=most_at_once,
                seconds=MAX_BURST_SECONDS,
                rate=per_second,
            ),
        )


def _invalid(pointer: str, detail: str) -> InvalidError:
    return InvalidError("invalid_rate", detail, pointer=pointer)


@dataclass(frozen=True, slots=True)
class Backlogged:
    """What waits for a rate: ``waiting`` deliveries at ``per_second``, for one endpoint or for all
    of the account."""

    per_second: int
    waiting: int
    of_account: bool = False

    @property
    def seconds(self) -> int:
        """About how long it takes to send them all."""
        return -(-self.waiting // self.per_second)

    @property
    def reason(self) -> Phrase:
        """Why they wait, as in ``paced: 10/s, 1,200 waiting, about 2 min``."""
        values = {"rate": self.per_second, "waiting": self.waiting, "span": _about(self.seconds)}
        if self.of_account:
            return phrase(
                "paced: {rate}/s for the account, {waiting} waiting, about {span}", **values
            )
        return phrase("paced: {rate}/s, {waiting} waiting, about {span}", **values)


def _about(seconds: int) -> Phrase:
    if seconds < 120:
        return phrase("{count} s", count=seconds)
    if seconds < 2 * 3600:
        return phrase("{count} min", count=seconds // 60)
    return phrase("{count} h", count=seconds // 3600)
