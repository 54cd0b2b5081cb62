"""What an attempt brought back, and what that means for its delivery.

An ``Outcome`` is what the way out saw; ``judge`` turns it into a ``Verdict``. A failed attempt is
an everyday value here, never an exception.
"""

from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from hooktide.domain.model import DAY, SECOND, Micros

RETRY_AFTER_CAP = DAY
LOCAL_PAUSE = 2 * SECOND


class Outcome(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one attempt brought back.

    ``status`` is the receiver's status (100..599) or None when there was no valid answer; then
    ``error`` is one of ``ERRORS``. ``head`` is the raw response head (status line and headers) and
    ``body`` the first 4 KB of the body. ``detail`` explains an error to the endpoint's owner and
    holds no address that the guard refused. ``local`` marks our own trouble (no file descriptors,
    our network down): it costs no attempt. ``retry_after`` is the span the receiver asked for.
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
"""The error classes of an attempt without a valid answer."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """A 2xx: the delivery is done."""


@dataclass(frozen=True, slots=True)
class RetryAt:
    """The attempt failed and the delivery has another one, not before ``due_at``.

    ``pause_endpoint``: the receiver asked for rest (429, or 503 with Retry-After), so the whole
    endpoint waits until then.
    """

    due_at: Micros
    pause_endpoint: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt failed and it was the last one."""


@dataclass(frozen=True, slots=True)
class Gone:
    """A 410, or what means the same: the receiver wants nothing more, so the endpoint is disabled.

    ``reason`` is empty for a plain 410.
    """

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Again:
    """Our own trouble: the same attempt is made again at ``due_at``; it never counted."""

    due_at: Micros


Verdict: TypeAlias = Delivered | RetryAt | Failed | Gone | Again


def judge(
    outcome: Outcome, *, attempt: int, delays: tuple[Micros, ...], now: Micros, rand: float
) -> Verdict:
    """Say what an outcome means for a delivery.

    ``delays`` are the spans after attempt 1, 2, ...; there are as many retries as delays.
    ``rand`` (0..1) spreads the retry over plus or minus 10 % of its delay. A Retry-After moves
    the retry later, at most by ``RETRY_AFTER_CAP``, and never earlier.
    """
    if outcome.local:
        return Again(now + LOCAL_PAUSE)
    status = outcome.status
    if status is not None and 200 <= status < 300:
        return Delivered()
    if status == 410:
        return Gone()
    if attempt > len(delays):
        return Failed()
    delay = round(delays[attempt - 1] * (1 + JITTER * (2 * rand - 1)))
    asked = min(outcome.retry_after or 0, RETRY_AFTER_CAP)
    resting = status == 429 or (status == 503 and asked > 0)
    return RetryAt(now + max(delay, asked), pause_endpoint=resting)


JITTER = 0.1
"""How far chance moves a retry, as a share of its delay, to both sides."""
