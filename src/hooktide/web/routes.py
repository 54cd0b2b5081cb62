"""What is routed: the API, the pages and the documents.

Each area of ``web.api`` lists its operations in ``OPERATIONS``; routes from elsewhere bring their
documents as ``documented`` on their handlers. A server imports this after its start: it is most of
what a server has to import, and accepting and delivering events need none of it.
"""

import asyncio
import functools

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hooktide.actions.bins.bin_check import BinCheck
from hooktide.web.api import (
    accounts,
    audit_log,
    bins,
    deliveries,
    delivery_jobs,
    endpoints,
    event_types,
    events,
    keys,
    portal_links,
    projects,
    replays,
    statistics,
    storage_usage,
    users,
    webhooks,
)
from hooktide.web.bins.bins import bin_routes
from hooktide.web.health import JSON
from hooktide.web.operations.deps import Deps, make_services
from hooktide.web.operations.openapi import make_openapi
from hooktide.web.operations.operation import Operation
from hooktide.web.pages.bins.routes import bin_page_routes
from hooktide.web.pages.dashboard.routes import dashboard_routes
from hooktide.web.pages.embed import embed_routes
from hooktide.web.pages.framework.live import Live
from hooktide.web.pages.framework.rendering import static_routes
from hooktide.web.pages.guide.routes import docs_routes
from hooktide.web.pages.home import home_routes, missing_page
from hooktide.web.pages.portal.routes import portal_routes
from hooktide.web.problems.problems import explain_route
from hooktide.web.site import Routes, health_routes

OPERATIONS: tuple[Operation, ...] = (
    *projects.OPERATIONS,
    *storage_usage.OPERATIONS,
    *accounts.OPERATIONS,
    *portal_links.OPERATIONS,
    *event_types.OPERATIONS,
    *endpoints.OPERATIONS,
    *replays.OPERATIONS,
    *events.OPERATIONS,
    *deliveries.OPERATIONS,
    *delivery_jobs.OPERATIONS,
    *statistics.OPERATIONS,
    *keys.OPERATIONS,
    *users.OPERATIONS,
    *audit_log.OPERATIONS,
    *webhooks.OPERATIONS,
    *bins.OPERATIONS,
)


def make_routes(deps: Deps) -> Routes:
    """Return everything that a server answers, but for ``POST /v1/events``."""
    return Routes(_routes(deps), missing_page)


def _routes(deps: Deps) -> list[Route]:
    services = make_services(deps)
    live = Live(deps.stopping)
    return [
        *[each.route(services, deps.auth) for each in OPERATIONS],
        *bin_routes(
            services.bins,
            BinCheck(deps.store, deps.directory, deps.public_url),
            deps.clock,
            deps.stopping,
        ),
        *bin_page_routes(services, live, deps.stopping),
        *dashboard_routes(services, live),
        *portal_routes(services, live),
        *embed_routes(),
        *home_routes(),
        *docs_routes(services, deps.url_policy, live),
        *static_routes(),
        explain_route,
        *health_routes(deps.ready, deps.metrics_page),
        _openapi_route(deps.public_url),
    ]


def _openapi_route(public_url: str) -> Route:
    async def document(_: Request) -> Response:
        text = await asyncio.to_thread(_openapi_text, public_url)
        return Response(text, media_type=JSON)

    return Route("/openapi.json", document)


@functools.cache
def _openapi_text(public_url: str) -> bytes:
    """Return the OpenAPI document. Making it takes long, so it is made at the first request."""
    documents = [*(each.document for each in OPERATIONS), events.PUBLISH]
    return msgspec.json.encode(make_openapi(documents, public_url))
