"""What tells the portal's open pages that something they show has changed."""

from collections.abc import Awaitable, Callable
from typing import Any

from hooktide.domain.ids import read
from hooktide.domain.model import DAY, DeliveryState, Endpoint
from hooktide.web.pages.framework.page import page
from hooktide.web.pages.framework.request import PageRequest
from hooktide.web.pages.framework.view import Stream, View
from hooktide.web.pages.views.progress import watched_job
from hooktide.web.pages.views.test_urls import bin_of

NEWEST = 50


@page("/events")
async def events(request: PageRequest) -> View:
    """Stream changes; ``?delivery``, ``endpoint``, ``replay`` or ``job`` is watched too."""
    name, more = await _more(request)

    async def look() -> Any:
        return [await _log(request), await more()]

    return Stream((request.scope, name), look)


async def _log(request: PageRequest) -> Any:
    store, scope = request.services.store, request.scope
    newest = await store.list_deliveries(scope, None, NEWEST)
    pending = await store.list_deliveries(scope, None, NEWEST, state=DeliveryState.PENDING)
    endpoints = (await store.list_endpoints(scope, None, NEWEST)).items
    health = await store.health(scope, [each.id for each in endpoints], request.now - DAY)
    return [newest, pending, endpoints, health]


async def _more(request: PageRequest) -> tuple[str, Callable[[], Awaitable[Any]]]:
    """Return what else a page shows.

    :raises NotFoundError: it is not the session's.
    """
    query, store, scope = request.query, request.services.store, request.scope
    if text := query.text("delivery"):
        delivery = await store.get_delivery(scope, read("dlv", text))
        return text, lambda: store.get_delivery(scope, delivery.id)
    if text := query.text("endpoint"):
        endpoint = await store.get_endpoint(scope, read("ep", text))
        return text, lambda: _received(request, endpoint)
    return await watched_job(request)


async def _received(request: PageRequest, endpoint: Endpoint) -> Any:
    found = await bin_of(request, endpoint)
    return None if found is None else await request.services.bins.requests(found, None, 1)


PAGES = (events,)
