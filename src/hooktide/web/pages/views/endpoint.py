"""One endpoint: its health, its latest deliveries, its settings, and actions."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from hooktide.actions.deliveries.delivery_log import DeliveryFilter, Line
from hooktide.actions.deliveries.held_back import HeldBackRule
from hooktide.actions.statistics import MAX_CAUSES
from hooktide.domain import ids
from hooktide.domain.delivery.causes import Cause, cause
from hooktide.domain.delivery.hints import Hint, hint
from hooktide.domain.errors import NotFoundError
from hooktide.domain.ids import show
from hooktide.domain.model import DAY, Account, Endpoint, EndpointKind, Scope
from hooktide.domain.phrase import phrase
from hooktide.domain.project.project import EventType, Project, offered, plan_of, wants
from hooktide.domain.project.schedule import schedule_of
from hooktide.domain.stats import Health
from hooktide.domain.stored_reasons import detail_words
from hooktide.domain.throttling.rate import effective_rate
from hooktide.domain.time.times import show_time
from hooktide.web.pages.framework import formats
from hooktide.web.pages.framework.page import page
from hooktide.web.pages.framework.request import PageRequest
from hooktide.web.pages.framework.view import View
from hooktide.web.pages.framework.visible_text import beginning
from hooktide.web.pages.guide.example import indented
from hooktide.web.pages.views.chart import HOURLY, figures_facts
from hooktide.web.pages.views.deliveries import opens, rows_of
from hooktide.web.pages.views.delivery import DeliveryRow, row_of
from hooktide.web.pages.views.endpoint_card import card_of
from hooktide.web.pages.views.replays import SHOWN, job_of
from hooktide.web.pages.views.secret import programs
from hooktide.web.pages.views.test_urls import bin_of, page_of_bin, received_by

RECENT = 10
MAX_BODY_CHARACTERS = 500
CHATS = {
    EndpointKind.SLACK: "Slack",
    EndpointKind.DISCORD: "Discord",
    EndpointKind.TEAMS: "Teams",
    EndpointKind.MAIL: phrase("Mail"),
}
"""The kinds of chat endpoints: they get a readable message, and nothing is signed."""


@dataclass(frozen=True, slots=True)
class TestResult:
    """The result of a test."""

    row: DeliveryRow
    detail: str
    hint: Hint | None
    body: str


@page("/endpoints/{id}")
async def endpoint(request: PageRequest) -> View:
    """Show an endpoint; ``?tested=`` is a test event's delivery to show the result of."""
    store, now = request.services.store, request.now
    found = await store.get_endpoint(request.scope, request.id("ep"))
    account = await request.services.directory.account(found.account_id)
    project = (await request.project(found.project_id)).project
    health = (await store.health(request.scope, [found.id], now - DAY)).get(found.id)
    log = request.services.delivery_log
    recent = await log.search(request.scope, DeliveryFilter(endpoint_id=found.id), None, RECENT)
    replays = await store.list_replays(request.scope, found.id, None, SHOWN)
    kinds = offered(project, account.reference)
    bin = await bin_of(request, found)
    span = HOURLY.get(request.query.text("range"), HOURLY["day"])
    statistics = request.services.statistics
    figures = await statistics.of_endpoint(request.scope, found.id, span.period(now), now)
    held = await request.services.held_back.of(found, figures.waiting.backlog, now)
    return request.show(
        "endpoint.html",
        account=account,
        project=project,
        product=formats.product_name(project),
        card=card_of(found, health, project, now),
        health=health,
        trouble=await _trouble(request, found, health),
        **figures_facts(figures, span),
        recent=await rows_of(request, recent.lines),
        opens=opens(request, show("ep", found.id)),
        jobs=[job_of(each) for each in replays.items],
        tested=await _tested(request, found, account, project),
        missed_since=_missed_since(request),
        testable=_testable(kinds, found),
        header_names=[name for name, _ in found.headers],
        retiring=[show_time(each.retires_at) for each in found.secrets if each.retires_at],
        secret_since=show_time(found.secrets[0].created_at) if found.secrets else "",
        received=await received_by(request, bin),
        bin_page=await page_of_bin(request, found),
        is_bin=bin is not None,
        chat=CHATS.get(found.kind, ""),
        signed=found.kind not in CHATS and bool(programs(project.dialect)),
        endpoint=found,
        filter=indented(found.filter),
        rate=effective_rate(
            found.rate_limit, found.burst, plan_of(project, account.plan).endpoint_rate_limit
        ),
        paced=held if held and held.rule is HeldBackRule.RATE else None,
    )


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why an endpoint fails, or was disabled: so many attempts of one cause since ``since``."""

    cause: Cause
    attempts: int
    since: str


async def _trouble(
    request: PageRequest, endpoint: Endpoint, health: Health | None
) -> Trouble | None:
    if health is None or health.failing_since is None or not health.last_cause:
        return None
    account = Scope(project_id=endpoint.project_id, account_id=endpoint.account_id)
    found = await request.services.store.causes(
        account, health.failing_since, MAX_CAUSES, endpoint.id
    )
    attempts = sum(each.attempts for each in found if each.cause == health.last_cause)
    return Trouble(cause(health.last_cause), attempts, show_time(health.failing_since))


def _missed_since(request: PageRequest) -> str:
    """Return since when an endpoint that has just been enabled had been disabled."""
    enabled = request.query.text("did") == "endpoint.enabled"
    return request.query.text("since")[:40] if enabled else ""


async def _tested(
    request: PageRequest, endpoint: Endpoint, account: Account, project: Project
) -> TestResult | None:
    text, store = request.query.text("tested"), request.services.store
    if not text:
        return None
    with suppress(NotFoundError):
        delivery = await store.get_delivery(request.scope, ids.read("dlv", text))
        attempts = await store.list_attempts(request.scope, delivery.id)
        if delivery.endpoint_id == endpoint.id and attempts:
            last, plan = attempts[-1], plan_of(project, account.plan)
            schedule = schedule_of(project, plan, endpoint, delivery.event_type)
            body = beginning(last.response_body, truncated=last.response_truncated)
            return TestResult(
                row=row_of(Line(delivery, last), len(schedule.delays), endpoint, request.now),
                detail=detail_words(last.detail),
                hint=hint(last, schedule.timeout),
                body=body[:MAX_BODY_CHARACTERS],
            )
    return None


def _testable(kinds: Sequence[EventType], endpoint: Endpoint) -> list[tuple[str, str]]:
    """Return the types to test with, those first that the endpoint subscribes to."""
    names = [kind.name for kind in kinds]
    wanted = [name for name in names if wants(endpoint.event_types, name)]
    others = [name for name in names if name not in wanted]
    return [(name, name) for name in (*wanted, *others)]


PAGES = (endpoint,)
