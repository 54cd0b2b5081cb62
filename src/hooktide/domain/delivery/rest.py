"""How long an endpoint rests because its receiver asked for it (429, or 503 with Retry-After).

A rest belongs to the endpoint: only tests and manual resends are sent to it until the rest ends or
is lifted. It uses up no attempt and does not count as a failure.
"""

from dataclasses import dataclass, replace

import msgspec

from hooktide.domain.delivery.verdict import RESTING_STATUSES, RETRY_AFTER_CAP, Outcome
from hooktide.domain.model import MINUTE, SECOND, Claim, Micros, Origin

MIN_REST = SECOND
MAX_REST = MINUTE
"""A 429 without a Retry-After rests the endpoint for ``MIN_REST``; each further one doubles the
rest, up to ``MAX_REST``."""


class RestRequest(msgspec.Struct, frozen=True, gc=False):
    """A receiver's request for rest; ``span`` is 0 where it did not say for how long."""

    status: int
    span: Micros = 0


def rest_request(outcome: Outcome) -> RestRequest | None:
    """Return the rest that a response asks for, or None.

    A 503 asks for one only with a Retry-After. A Retry-After of zero, or in the past, is treated as
    missing.
    """
    span = min(outcome.retry_after or 0, RETRY_AFTER_CAP)
    if outcome.status in RESTING_STATUSES and (span or outcome.status == 429):
        return RestRequest(outcome.status, span)
    return None


def shortest_end(request: RestRequest, ended_at: Micros) -> Micros:
    """Return when the requested rest ends at the earliest; doubling may make it longer."""
    return ended_at + (request.span or MIN_REST)


@dataclass(frozen=True, slots=True)
class Rest:
    """An endpoint's rest as it is stored; all zero where it never rested.

    ``began_at`` is when it was last requested, ``span`` the last rest whose length we chose while
    429s continue. Attempts that began before ``lifted_at`` can no longer start a rest.
    """

    until: Micros = 0
    reason: str = ""
    began_at: Micros = 0
    span: Micros = 0
    lifted_at: Micros = 0


NO_REST = Rest()


def asked(rest: Rest, request: RestRequest, started_at: Micros, ended_at: Micros) -> Rest:
    """Return an endpoint's rest after an attempt whose response asked for one.

    The later end wins. An attempt that was made before the last rest ended does not double it: ten
    requests in flight together are one burst.
    """
    if started_at < rest.lifted_at:
        return rest
    span, reason = request.span, f"the receiver answered {request.status} with Retry-After"
    own = rest.span
    if not span:
        doubles = own and started_at >= rest.until
        span = own = min(own * (2 if doubles else 1) or MIN_REST, MAX_REST)
        reason = f"the receiver answered {request.status}"
    until = ended_at + span
    if until <= rest.until:
        return replace(rest, span=own)
    return replace(rest, until=until, reason=reason, began_at=ended_at, span=own)


def succeeded(rest: Rest, origin: Origin, started_at: Micros, ended_at: Micros) -> Rest:
    """Return an endpoint's rest after an attempt that was answered 2xx.

    A test lifts it, unless the test began before the rest did. Any other attempt ends only the
    doubling, and only if it was made after the rest.
    """
    if started_at >= rest.until:
        return Rest(lifted_at=rest.lifted_at)
    if origin is Origin.TEST and started_at >= rest.began_at:
        return lifted(ended_at)
    return rest


def lifted(now: Micros) -> Rest:
    """Return an endpoint's rest after it was lifted."""
    return Rest(lifted_at=now)


def ignores_rest(claim: Claim) -> bool:
    """Whether an attempt is made although its endpoint rests: a test, or the first attempt of a
    manual resend.

    The conditions of ``claimable`` in both stores' ``queries.sql`` must match this.
    """
    return claim.origin is Origin.TEST or (claim.origin is Origin.RESEND and claim.attempt == 1)
