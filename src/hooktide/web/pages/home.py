"""``/``, ``/docs``, and addresses that do not exist, as a browser is shown them.

A program is told by a problem that there is nothing.
"""

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from hooktide.domain.errors import NotFoundError
from hooktide.web.pages.framework.rendering import POLICY, render

_OF_PROGRAMS = ("/v1/", "/webhooks/", "/problems/", "/health/")


def home_routes() -> list[Route]:
    """Return the routes of the pages that lead on to the dashboard and to the guides."""
    return [Route(path, _home) for path in ("/", "/docs", "/docs/")]


async def _home(request: Request) -> Response:
    """Answer a browser with a page.

    :raises NotFoundError: something else asks: these are no paths of the API.
    """
    if not _wants_page(request):
        raise NotFoundError("page")
    return _page(missing=False)


def missing_page(request: Request) -> Response | None:
    """Return what a browser is shown at an address that does not exist; None: a program asks."""
    if not _wants_page(request) or request.url.path.startswith(_OF_PROGRAMS):
        return None
    return _page(missing=True)


def _wants_page(request: Request) -> bool:
    return request.method == "GET" and "text/html" in request.headers.get("accept", "")


def _page(*, missing: bool) -> Response:
    headers = {**POLICY, "vary": "accept"}
    return HTMLResponse(render("home.html", missing=missing), 404 if missing else 200, headers)
