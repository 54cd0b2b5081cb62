"""The outcome of an attempt, and what it means for the delivery.

An ``Outcome`` is what the outbound client saw; ``judge`` turns it into a ``Verdict``. A failed
attempt is an ordinary value here, never an exception.
"""

from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from hooktide.domain.model import DAY, MINUTE, SECOND, Micros

RETRY_AFTER_CAP = DAY
LOCAL_PAUSE = 2 * SECOND


class Outcome(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The outcome of one attempt.

    ``status`` is the receiver's status (100..599) or None when there was no valid answer; then
    ``error`` is one of ``ERRORS``. ``head`` is the raw response head (status line and headers) and
    ``body`` the first 4 KB of the body. ``detail`` explains an error to the endpoint's owner and
    holds no address that the guard refused. ``local`` marks a local failure (no file descriptors,
    our network down): it uses up no attempt. ``retry_after`` is the span the receiver asked for.
    """

    status: int | None = None
    error: str = ""
    detail: str = ""
    head: bytes = b""
    body: bytes = b""
    body_truncated: bool = False
    duration: Micros = 0
    retry_after: Micros | None = None
    local: bool = False


ERRORS = (
    "timeout",
    "dns_error",
    "connect_error",
    "tls_error",
    "connection_lost",
    "invalid_response",
    "destination_forbidden",
    "local_error",
)
"""The error classes of an attempt without a valid response."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """A 2xx: the delivery is done."""


@dataclass(frozen=True, slots=True)
class RetryAt:
    """The attempt failed and the delivery has another one, not before ``due_at``.

    Where the receiver asked for rest, the endpoint's rest (``domain.delivery.rest``) may delay it
    further.
    """

    due_at: Micros


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt failed and it was the last one."""


@dataclass(frozen=True, slots=True)
class Gone:
    """A 410 or its equivalent: the receiver wants no more events, so the endpoint is disabled.

    ``reason`` is empty for a plain 410.
    """

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Requeued:
    """An internal error: the attempt is repeated at ``due_at`` and does not count."""

    due_at: Micros


Verdict: TypeAlias = Delivered | RetryAt | Failed | Gone | Requeued


def judge(
    outcome: Outcome, *, attempt: int, delays: tuple[Micros, ...], now: Micros, rand: float
) -> Verdict:
    """Return what an outcome means for a delivery.

    ``delays`` are the spans after attempt 1, 2, ...; there are as many retries as delays. ``rand``
    (0..1) spreads the retry over plus or minus 10 % of its delay. A Retry-After delays the retry
    further, by at most ``RETRY_AFTER_CAP``. With a 429 or a 503 it rests the whole endpoint instead
    (``domain.delivery.rest``), and the delivery keeps its own schedule.
    """
    if outcome.local:
        return Requeued(now + LOCAL_PAUSE)
    status = outcome.status
    if status is not None and 200 <= status < 300:
        return Delivered()
    if status == 410:
        return Gone()
    if attempt > len(delays):
        return Failed()
    delay = round(delays[attempt - 1] * (1 + JITTER * (2 * rand - 1)))
    asked = 0 if status in RESTING_STATUSES else min(outcome.retry_after or 0, RETRY_AFTER_CAP)
    return RetryAt(now + max(delay, asked))


RESTING_STATUSES = (429, 503)
"""For these, a Retry-After applies to the whole endpoint."""


JITTER = 0.1
"""The jitter of a retry, as a share of its delay, in both directions."""

MAX_LOCAL_REST: Micros = MINUTE
"""Maximum delay of an attempt after a local failure."""


def corrected_due(
    due_at: Micros,
    *,
    attempts: int,
    delays: tuple[Micros, ...],
    retry_after: Micros | None,
    now: Micros,
) -> Micros | None:
    """Return the corrected due time of a waiting delivery, or ``None`` if ``due_at`` is plausible.

    A due time further ahead than the delivery's own delay after ``attempts`` attempts, or than the
    last Retry-After, means that the clock was set back.
    """
    delay = delays[min(attempts, len(delays)) - 1] if attempts and delays else 0
    asked = min(retry_after or 0, RETRY_AFTER_CAP)
    longest = max(round(delay * (1 + JITTER)), asked, MAX_LOCAL_REST)
    return None if due_at <= now + longest else now + max(delay, asked)
