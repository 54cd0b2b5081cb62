"""The portal's first page: the endpoints and how they do, and what the plan has left."""

from dataclasses import dataclass

from hooktide.domain.model import DAY
from hooktide.domain.phrase import phrase, phrases
from hooktide.domain.project.project import Plan, plan_of
from hooktide.domain.stats import AccountUsage
from hooktide.domain.throttling.rate import effective_rate
from hooktide.web.pages.framework.page import act, page
from hooktide.web.pages.framework.request import PageRequest
from hooktide.web.pages.framework.view import File, Redirect, View
from hooktide.web.pages.portal.look import asked_look, next_page
from hooktide.web.pages.portal.session import PortalSession
from hooktide.web.pages.portal.theme import style_sheet
from hooktide.web.pages.views.delivery import hour_words
from hooktide.web.pages.views.endpoint_card import card_of
from hooktide.web.pages.views.endpoint_form import account_of
from hooktide.web.pages.views.rate_form import RateForm

MAX_CARDS = 6
"""Endpoints that are shown as cards; more are lines of a list that can be searched."""
PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class Meter:
    """How much of something the plan allows is used. ``limit``: None where it limits none."""

    label: str
    used: int
    limit: int | None

    @property
    def tone(self) -> str:
        """How near the limit is."""
        if self.limit is None or self.used < 0.8 * self.limit:
            return ""
        return "bad" if self.used >= self.limit else "heed"


@page("")
async def home(request: PageRequest) -> View:
    """Show the endpoints; or lead to where the link's query says, in the way that it says."""
    if (led := _lead(request)) is not None:
        return led
    store, now = request.services.store, request.now
    account = await account_of(request)
    project = (await request.project(account.project_id)).project
    plan = plan_of(project, account.plan)
    text = request.query.text("q")
    listed = await store.list_endpoints(request.scope, request.before("ep"), PAGE_SIZE, text)
    endpoints = listed.items
    health = await store.health(request.scope, [each.id for each in endpoints], now - DAY)
    usage = await store.account_usage(request.scope, account.id, now)
    return request.show(
        "home.html",
        cards=[card_of(each, health.get(each.id), project, now) for each in endpoints],
        text=text,
        compact=usage.endpoints > MAX_CARDS,
        more=listed.next_before,
        meters=meters(plan, usage),
        held=_held(plan, usage),
        full=plan.endpoints is not None and usage.endpoints >= plan.endpoints,
        limit=plan.endpoints,
        account=account,
        plan=plan,
        rate=effective_rate(account.rate_limit, account.burst, plan.rate_limit),
    )


def _lead(request: PageRequest) -> Redirect | None:
    session = request.session
    if not isinstance(session, PortalSession):
        return None
    look = asked_look(dict(request.query), session.look)
    if look is None:
        return None
    page = next_page(request.query.text("next"))
    return Redirect(page, base=f"/portal/{session.link.token}{look.suffix}")


@act("/rate", back=home, leads_to="/")
async def set_rate(request: PageRequest, form: RateForm) -> View:
    """Limit what all endpoints get together."""
    await form.save(request, await account_of(request))
    return request.go("/", "account.paced")


home_with_slash = page("/")(home.run)


@page("/theme.css")
async def theme(request: PageRequest) -> View:
    """Return the product's colours."""
    account = await account_of(request)
    project = (await request.project(account.project_id)).project
    theme = request.query.text("theme")
    return File(style_sheet(project.portal, theme), "text/css")


def meters(plan: Plan, usage: AccountUsage) -> list[Meter]:
    """Describe how much of a plan is used."""
    return [
        Meter(phrase("Endpoints"), usage.endpoints, plan.endpoints),
        Meter(phrase("Deliveries within the hour"), usage.deliveries, plan.deliveries_per_hour),
    ]


def _held(plan: Plan, usage: AccountUsage) -> str:
    """Explain why something waits, and until when; empty if nothing does."""
    if not usage.held:
        return ""
    return phrases(
        "{count} delivery is held back: your plan allows {allowed} an hour, and that limit is "
        "reached. Nothing is lost: held deliveries are sent automatically, oldest first, as soon "
        "as the limit allows.",
        "{count} deliveries are held back: your plan allows {allowed} an hour, and that limit is "
        "reached. Nothing is lost: held deliveries are sent automatically, oldest first, as soon "
        "as the limit allows.",
        usage.held,
        allowed=hour_words(plan),
    )


PAGES = (home, home_with_slash, set_rate, theme)
