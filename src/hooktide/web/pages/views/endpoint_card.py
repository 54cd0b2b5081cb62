"""Endpoints as the portal's pages show them."""

from collections.abc import Sequence
from dataclasses import dataclass

from hooktide.domain.ids import show
from hooktide.domain.model import Endpoint, Micros
from hooktide.domain.phrase import counted, phrase, phrases
from hooktide.domain.project.project import Project
from hooktide.domain.stats import Health
from hooktide.domain.stored_reasons import reason_words
from hooktide.domain.time.times import show_time
from hooktide.web.pages.framework import formats
from hooktide.web.pages.views.delivery import endpoint_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """An endpoint and its health. ``rate`` is its share of attempts that were answered 2xx.
    ``failures`` are deliveries in a row.

    ``strike`` says when it will be disabled automatically, if that is near.
    """

    id: str
    name: str
    url: str
    description: str
    types: Sequence[str]
    word: str
    tone: str
    disabled_reason: str
    disabled_at: str
    may_enable: bool
    attempts: int
    rate: int | None
    rate_tone: str
    last_delivered_at: str
    failing_since: str
    mean: str
    failures: str
    strike: str
    resting_until: str
    resting_reason: str
    created_at: str


def card_of(endpoint: Endpoint, health: Health | None, project: Project, now: Micros) -> Card:
    """Return the card of an endpoint; ``health`` covers the last 24 hours."""
    rate = _rate(health)
    word, tone = _state(endpoint, health, now)
    resting_until = endpoint.resting_until(now)
    last = health.last_delivered_at if health else None
    since = health.failing_since if health else None
    return Card(
        id=show("ep", endpoint.id),
        name=endpoint_name(endpoint),
        url=endpoint.url,
        description=endpoint.description,
        types=endpoint.event_types,
        word=word,
        tone=tone,
        disabled_reason=reason_words(endpoint.disabled_reason),
        disabled_at=show_time(endpoint.disabled_at) if endpoint.disabled_at else "",
        may_enable=endpoint.may_be_enabled(by_account=True),
        attempts=health.attempts if health else 0,
        rate=rate,
        rate_tone=_rate_tone(rate),
        last_delivered_at=show_time(last) if last else "",
        failing_since=show_time(since) if since else "",
        mean=formats.duration(health.mean) if health and health.mean is not None else "",
        failures=counted(endpoint.consecutive_failures, "failure")
        if endpoint.consecutive_failures
        else "",
        strike=_strike(endpoint, project.disable_after),
        resting_until=show_time(resting_until) if resting_until else "",
        resting_reason=reason_words(endpoint.rest_reason),
        created_at=show_time(endpoint.created_at),
    )


def _rate(health: Health | None) -> int | None:
    if health is None or not health.attempts:
        return None
    good = health.attempts - health.failed_attempts
    # 100 means all: a single failure must be visible.
    return min(round(100 * good / health.attempts), 99 if health.failed_attempts else 100)


def _rate_tone(rate: int | None) -> str:
    if rate is None:
        return ""
    return "good" if rate >= 99 else "heed" if rate >= 80 else "bad"


def _state(endpoint: Endpoint, health: Health | None, now: Micros) -> tuple[str, str]:
    if not endpoint.enabled:
        return phrase("Disabled"), "quiet" if endpoint.disabled_on_purpose else "bad"
    if endpoint.resting_until(now):
        return phrase("Resting"), "heed"
    if endpoint.consecutive_failures:
        return phrase("Failing"), "bad"
    if health and health.failing_since:
        return (phrase("Unsteady"), "heed") if health.flapping else (phrase("Failing"), "bad")
    return phrase("Active"), "good"


def _strike(endpoint: Endpoint, disable_after: int) -> str:
    """Describe when an endpoint will be disabled automatically; empty if that is not near."""
    left = disable_after - endpoint.consecutive_failures
    if not endpoint.enabled or not endpoint.consecutive_failures or left <= 0 or not disable_after:
        return ""
    failed = phrases(
        "{count} delivery failed in a row.",
        "{count} deliveries failed in a row.",
        endpoint.consecutive_failures,
    )
    more = phrases(
        "If one more fails, this endpoint is disabled automatically.",
        "If {count} more fail, this endpoint is disabled automatically.",
        left,
    )
    return phrase("{first} {second}", first=failed, second=more)
