"""What happens around each page: who asks, may they, is the form ours, and what went wrong."""

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from hooktide.actions.people import RANKS
from hooktide.domain.errors import HooktideError, NotFoundError, RefusedError
from hooktide.domain.model import Role
from hooktide.web.dashboard.desk import Desk
from hooktide.web.dashboard.look import page_response
from hooktide.web.dashboard.origin import check_origin, refused
from hooktide.web.dashboard.page import Page
from hooktide.web.dashboard.visit import Visit, wrong_of
from hooktide.web.forms import read_fields, read_form

COOKIE = "hooktide_session"

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]


def route_of(page: Page, desk: Desk) -> Route:
    """Return the route that answers a page, for whoever is logged in."""

    async def endpoint(request: Request) -> Response:
        return await _answer(page, desk, request)

    return Route(page.path, endpoint, methods=[page.method])


async def _answer(page: Page, desk: Desk, request: Request) -> Response:
    token = request.cookies.get(COOKIE, "")
    try:
        who = await desk.people.who(token)
        if who is None:
            return _to_login(request)
        fields = read_fields(request)
        visit = Visit(desk, request, who, csrf_of(token), fields, fields, request.url.path)
        return await _run(page, visit)
    except HooktideError as error:
        return error_page(error)


def _to_login(request: Request) -> Response:
    """Let somebody log in first, and come back to what they wanted to see."""
    url = "/dashboard/login"
    wanted = request.url.path
    if request.method == "GET" and wanted not in {"/dashboard", "/dashboard/live"}:
        query = f"?{request.url.query}" if request.url.query else ""
        url += f"?next={quote(wanted + query, safe='/')}"
    return RedirectResponse(url, 303)


async def _run(page: Page, visit: Visit) -> Response:
    if not visit.may(page.who):
        raise RefusedError("forbidden", _needs(page.who), status=403)
    if page.method == "GET":
        return await page.run(visit)
    check_origin(visit.request, visit.desk.public_url)
    visit.form = await read_form(visit.request)
    if not hmac.compare_digest(visit.form.raw("csrf").encode(), visit.csrf.encode()):
        raise refused()
    try:
        return await page.run(visit)
    except NotFoundError:
        raise
    except HooktideError as error:
        if page.back is None:
            raise
        visit.wrong = wrong_of(error)
        visit.place = page.back.path.format(**visit.request.path_params)
        return await page.back.run(visit)


def _needs(role: Role) -> str:
    names = " or ".join(f"an {each}" if each == "owner" else f"a {each}" for each in _from(role))
    return f"this takes {names}; ask one of them"


def _from(role: Role) -> list[Role]:
    return [each for each in RANKS if RANKS[each] >= RANKS[role]]


def csrf_of(token: str) -> str:
    """Return what a session's forms bring along, and nobody else can know."""
    return hashlib.sha256(b"hooktide form " + token.encode()).hexdigest()


def error_page(error: HooktideError, **more: Any) -> Response:
    """Answer with a page that says what went wrong."""
    wrong = wrong_of(error)
    wait = getattr(error, "retry_after", None)
    headers = {} if wait is None else {"retry-after": str(wait)}
    return page_response("wrong.html", wrong.status, headers, wrong=wrong, **more)
