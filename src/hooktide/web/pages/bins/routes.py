"""The routes of the bins' pages."""

import asyncio

from starlette.routing import Route

from hooktide.web.operations.deps import Services
from hooktide.web.pages.bins.page import PAGES
from hooktide.web.pages.bins.session import BinSkin
from hooktide.web.pages.framework.answering import page_routes
from hooktide.web.pages.framework.live import Live


def bin_page_routes(services: Services, live: Live, stopping: asyncio.Event) -> list[Route]:
    """Return the routes of the bins' pages, whose streams end when ``stopping`` is set."""
    return page_routes(PAGES, BinSkin(services.bins, stopping), services, live)
