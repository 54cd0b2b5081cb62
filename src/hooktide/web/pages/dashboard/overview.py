"""The overview: whether deliveries succeed, and what prevents it; and the stream that updates open
pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hooktide.actions.deliveries.queue_counts import Waiting
from hooktide.actions.statistics import ALIVE_FOR, OVERDUE_AFTER
from hooktide.domain.counting import count_of
from hooktide.domain.delivery.causes import Cause, cause
from hooktide.domain.model import DAY, MINUTE, Endpoint, Micros, Role, Scope
from hooktide.domain.stats import Backlog, ChartPoint, EndpointBacklog, Health
from hooktide.web.pages.framework.formats import number, roughly, share
from hooktide.web.pages.framework.page import page
from hooktide.web.pages.framework.request import PageRequest
from hooktide.web.pages.framework.view import Stream, View
from hooktide.web.pages.views.chart import (
    HOURLY,
    SPANS,
    Series,
    causes_of,
    charts_of,
    make_chart,
)
from hooktide.web.pages.views.progress import watched_job

SHOWN = 6
HARMED = 8
LOOKED_AT = 60
"""Endpoints in trouble of which the worst are shown."""
MAJORITY = 0.8
NEWEST = 20
ACCEPTED = Series("accepted", "plain", lambda point: point.accepted)


@dataclass(frozen=True, slots=True)
class Status:
    """The delivery status, in a word and a sentence; ``tone``: good, heed or bad."""

    tone: str
    word: str
    text: str


@dataclass(frozen=True, slots=True)
class Harmed:
    """An endpoint for which deliveries wait or fail, or that was disabled for it; and why."""

    endpoint: Endpoint
    waiting: int
    health: Health | None
    cause: Cause | None


@page("")
async def overview(request: PageRequest) -> View:
    """``GET /dashboard``; ``?range=`` hour, day, week or month, ``?project=`` one of them."""
    projects = await request.projects()
    if not projects:
        return request.show("welcome.html", may_make=request.everywhere and request.may(Role.OWNER))
    span = SPANS.get(request.query.text("range"), SPANS["hour"])
    hourly = HOURLY.get(span.name, HOURLY["day"])
    scope, store, now = await request.within(), request.services.store, request.now
    period = span.period(now)
    figures = await request.services.statistics.of(scope, period, now, HARMED)
    recent = await store.chart(scope, now - ALIVE_FOR, now + MINUTE, 1)
    harmed, flapping = await _harmed(request, scope, figures.waiting.backlog)
    busiest = await store.busiest(scope, period.since, SHOWN)
    lately = span if span.length <= DAY else HOURLY["day"]
    slowest = await store.slowest(scope, lately.period(now).since, SHOWN)
    return request.show(
        "overview.html",
        projects=projects,
        span=span,
        hourly=hourly,
        spans=SPANS.values(),
        figures=figures,
        status=status(figures.waiting, recent, now),
        delivered=figures.total("delivered"),
        finished=figures.total("finished"),
        failed=figures.total("failed"),
        discarded=figures.total("discarded"),
        disabled=await store.count_disabled(scope, now - DAY),
        charts=(
            make_chart("accepted", "Events accepted", span, figures.points, (ACCEPTED,)),
            *charts_of(figures, span, hourly),
        ),
        causes=causes_of(figures),
        harmed=harmed,
        flapping=flapping,
        slowest=slowest,
        lately=lately,
        slow=await request.endpoints(each.endpoint_id for each in slowest),
        busiest=busiest,
        accounts=await request.accounts(
            [
                *(each.endpoint.account_id for each in (*harmed, *flapping)),
                *(each.account_id for each in busiest),
                *(each.account_id for each in slowest),
            ]
        ),
    )


def status(waiting: Waiting, recent: Sequence[ChartPoint], now: Micros) -> Status:
    """Describe whether deliveries are being made; ``recent`` covers the last minutes."""
    backlog = _sentence(waiting, now)
    attempts = sum(each.attempts for each in recent)
    failed = sum(each.failed_attempts for each in recent)
    minutes = ALIVE_FOR // MINUTE
    if attempts and failed == attempts:
        tried = count_of(attempts, "attempt") if attempts > 1 else "attempts"
        text = f"All {tried} of the last {minutes} minutes failed. {backlog}"
        return Status("bad", "Failing.", text.strip())
    if attempts:
        return Status("heed" if waiting.backlog.waiting else "good", "Delivering.", backlog)
    due_at = waiting.oldest.due_at
    if due_at is not None and due_at < now - OVERDUE_AFTER:
        text = f"Nothing was attempted for {minutes} minutes. {backlog}"
        return Status("bad", "Not delivering.", text)
    return Status("good", "Idle.", backlog or "Nothing waits.")


def _sentence(waiting: Waiting, now: Micros) -> str:
    """Describe the backlog: its size, the endpoints with most of it, and its age."""
    backlog, oldest = waiting.backlog, waiting.oldest.made_at
    if not backlog.waiting:
        return ""
    age = f"; the oldest for {roughly(max(0, now - oldest))}" if oldest is not None else ""
    holders, held = _holders(backlog)
    if not holders:
        of = f"{count_of(backlog.waiting, 'delivery')} to {count_of(backlog.endpoints, 'endpoint')}"
        return f"{of} {'waits' if backlog.waiting == 1 else 'wait'}{age}."
    verb = "holds" if holders == 1 else "hold"
    part = "all" if held == backlog.waiting else share(held, backlog.waiting)
    return (
        f"{count_of(holders, 'endpoint')} {verb} {part} of {number(backlog.waiting)} waiting{age}."
    )


def _holders(backlog: Backlog) -> tuple[int, int]:
    """Return the smallest number of endpoints with most of the backlog, and how much; 0 if it is
    spread out."""
    held = 0
    for count, each in enumerate(backlog.largest, 1):
        held += each.waiting
        if held >= MAJORITY * backlog.waiting:
            return count, held
    return 0, 0


async def _harmed(
    request: PageRequest, scope: Scope, backlog: Backlog
) -> tuple[list[Harmed], list[Harmed]]:
    """Return the endpoints in most trouble first, and separately the flapping ones."""
    store = request.services.store
    waiting: dict[int, EndpointBacklog] = {each.endpoint_id: each for each in backlog.largest}
    endpoints = {each.id: each for each in await store.troubled(scope, LOOKED_AT)}
    endpoints |= await request.endpoints(id_ for id_ in waiting if id_ not in endpoints)
    health = await store.health(scope, list(endpoints), request.now - DAY) if endpoints else {}
    found = [
        Harmed(
            each,
            waiting[each.id].waiting if each.id in waiting else 0,
            how := health.get(each.id),
            cause(how.last_cause) if how and how.last_cause else None,
        )
        for each in endpoints.values()
    ]
    found.sort(key=_harm, reverse=True)
    flapping = [each for each in found if _flaps(each)]
    return [each for each in found if not _flaps(each)][:HARMED], flapping[:SHOWN]


def _harm(harmed: Harmed) -> tuple[int, int, int]:
    """Return the sort key of an endpoint: its backlog, its failures, when it was disabled."""
    failed = harmed.health.failed if harmed.health else 0
    return harmed.waiting, failed, harmed.endpoint.disabled_at or 0


def _flaps(harmed: Harmed) -> bool:
    endpoint, health = harmed.endpoint, harmed.health
    calm = endpoint.enabled and not endpoint.consecutive_failures and not harmed.waiting
    return calm and health is not None and health.flapping


@page("/live")
async def live(request: PageRequest) -> View:
    """``GET /dashboard/live``: notify open pages of changes, in a project or in all.

    ``?replay`` or ``job`` is watched too.
    """
    scope = await request.within()
    name, more = await watched_job(request)

    async def look() -> Any:
        return await _look(request, scope), await more()

    return Stream((scope, name), look)


async def _look(request: PageRequest, scope: Scope) -> Any:
    """Return what changes whenever something happens: the newest, and the last minutes' numbers."""
    store, minute = request.services.store, request.now // MINUTE * MINUTE
    newest = await store.list_deliveries(scope, None, NEWEST)
    numbers = await store.chart(scope, minute - MINUTE, minute + MINUTE, 1)
    return [(each.id, each.state, each.attempts) for each in newest.items], list(numbers)


PAGES = (overview, live)
