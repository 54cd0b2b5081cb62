"""All pages of the dashboard, and the routes that answer them."""

import itertools

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from hooktide.web.operations.deps import Services
from hooktide.web.pages.dashboard import (
    accounts,
    audit_log,
    endpoints,
    events,
    keys,
    login,
    overview,
    refused_rows,
    search,
    storage,
    users,
)
from hooktide.web.pages.dashboard.login import LOGIN_PAGES, LoginSkin
from hooktide.web.pages.dashboard.projects import event_types, plans, projects
from hooktide.web.pages.dashboard.session import DashboardSkin
from hooktide.web.pages.framework.answering import page_routes
from hooktide.web.pages.framework.live import Live
from hooktide.web.pages.framework.page import Page
from hooktide.web.pages.views import (
    confirmations,
    deliveries,
    delivery_jobs,
    endpoint,
    endpoint_actions,
    endpoint_form,
    export,
    replays,
)

AREAS = (
    overview,
    search,
    delivery_jobs,
    deliveries,
    export,
    events,
    endpoints,
    endpoint,
    endpoint_form,
    confirmations,
    endpoint_actions,
    replays,
    accounts,
    projects,
    event_types,
    plans,
    keys,
    users,
    audit_log,
    storage,
    refused_rows,
    login,
)
PAGES: tuple[Page, ...] = tuple(itertools.chain.from_iterable(area.PAGES for area in AREAS))


def dashboard_routes(services: Services, live: Live) -> list[Route]:
    """Return the routes of the dashboard."""
    given = services.users, services.public_url
    return [
        *page_routes(LOGIN_PAGES, LoginSkin(*given), services, live),
        Route("/dashboard/", _to_overview),
        *page_routes(PAGES, DashboardSkin(*given), services, live),
    ]


def _to_overview(_: Request) -> Response:
    return RedirectResponse("/dashboard", 303)
