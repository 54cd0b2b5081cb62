"""``/`` and ``/docs``: what a browser is shown there; a program is told that there is nothing."""

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from hooktide.domain.errors import NotFoundError
from hooktide.web.pages.framework.rendering import POLICY, render


def home_routes() -> list[Route]:
    """Return the routes of the pages that lead on to the dashboard and to the guides."""
    return [Route("/", _home), Route("/docs", _home)]


async def _home(request: Request) -> Response:
    """Answer a browser with a page.

    :raises NotFoundError: something else asks: these are no paths of the API.
    """
    if "text/html" not in request.headers.get("accept", ""):
        raise NotFoundError("page")
    page = render("home.html")
    return HTMLResponse(page, headers={**POLICY, "vary": "accept"})
