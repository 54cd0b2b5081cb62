"""All pages of the portal, and the routes that answer them."""

from starlette.routing import Route

from hooktide.web.operations.deps import Services
from hooktide.web.pages.framework.answering import page_routes
from hooktide.web.pages.framework.live import Live
from hooktide.web.pages.framework.page import Page, act, page
from hooktide.web.pages.portal import event_types, home, search, streams
from hooktide.web.pages.portal.session import PortalSkin
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

new_endpoint = page("/endpoints/new")(endpoint_form.new_endpoint)
create_endpoint = act("/endpoints/new", back=new_endpoint)(endpoint_form.create_endpoint)

PAGES: tuple[Page, ...] = (
    *home.PAGES,
    *streams.PAGES,
    *event_types.PAGES,
    *search.PAGES,
    new_endpoint,
    create_endpoint,
    *endpoint.PAGES,
    *endpoint_form.PAGES,
    *confirmations.PAGES,
    *endpoint_actions.PAGES,
    *replays.PAGES,
    *delivery_jobs.PAGES,
    *deliveries.PAGES,
    *export.PAGES,
)


def portal_routes(services: Services, live: Live) -> list[Route]:
    """Return the routes of the customer portal."""
    return page_routes(PAGES, PortalSkin(services), services, live)
