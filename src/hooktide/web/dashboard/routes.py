"""All pages of the dashboard, and the routes that answer them."""

import itertools

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from hooktide.domain.errors import NotFoundError
from hooktide.web.dashboard import (
    accounts,
    changes,
    deliveries,
    endpoints,
    event_types,
    events,
    keys,
    live,
    login,
    overview,
    people,
    plans,
    portal_link,
    projects,
    replays,
    search,
    storage,
)
from hooktide.web.dashboard.answer import error_page, route_of
from hooktide.web.dashboard.desk import Desk
from hooktide.web.dashboard.page import Page
from hooktide.web.dashboard.patience import Patience
from hooktide.web.dashboard.queue import Queue
from hooktide.web.dashboard.sizes import Sizes
from hooktide.web.deps import Deps, Services
from hooktide.web.live import Live

AREAS = (
    overview,
    live,
    search,
    deliveries,
    events,
    endpoints,
    replays,
    accounts,
    portal_link,
    projects,
    event_types,
    plans,
    keys,
    people,
    changes,
    storage,
    login,
)
PAGES: tuple[Page, ...] = tuple(itertools.chain.from_iterable(area.PAGES for area in AREAS))


def dashboard_routes(deps: Deps, services: Services) -> list[Route]:
    """Return the routes of the dashboard."""
    desk = Desk(
        services=services,
        people=services.people,
        chronicle=services.chronicle,
        publisher=deps.publisher,
        live=Live(deps.stopping),
        queue=Queue(deps.store),
        sizes=Sizes(deps.store),
        patience=Patience(services.clock),
    )
    return [
        *login.login_routes(desk),
        *(route_of(each, desk) for each in PAGES),
        *(_back_route(each.path, each.back) for each in PAGES if each.back),
        Route("/dashboard/", _to_overview),
        Route("/dashboard/{rest:path}", _missing),
    ]


def _back_route(path: str, back: Page) -> Route:
    """Lead whoever looks at an act's address, as after a refusal, to the page that it is of."""

    def to_page(request: Request) -> Response:
        return RedirectResponse(back.path.format(**request.path_params), 303)

    return Route(path, to_page)


def _to_overview(_: Request) -> Response:
    return RedirectResponse("/dashboard", 303)


def _missing(_: Request) -> Response:
    return error_page(NotFoundError("page"))
