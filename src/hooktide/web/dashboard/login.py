"""Logging in: by a link that works once, by name and password, or with an API key; and out again.

A link is opened by a form's POST, for programs that look at links in mails must not use it up.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from hooktide.actions.people import Who
from hooktide.domain.errors import (
    HooktideError,
    InvalidError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from hooktide.domain.model import Role
from hooktide.web.dashboard.address import address_of
from hooktide.web.dashboard.answer import COOKIE, error_page
from hooktide.web.dashboard.desk import Desk
from hooktide.web.dashboard.look import page_response
from hooktide.web.dashboard.origin import check_origin
from hooktide.web.dashboard.page import act, page
from hooktide.web.dashboard.visit import Visit, wrong_of
from hooktide.web.forms import read_fields, read_form

log = logging.getLogger("hooktide.web")

LASTS = 7 * 86_400
"""Seconds that a session lasts."""

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]


def login_routes(desk: Desk) -> list[Route]:
    """Return the routes of those who are not logged in yet."""
    door = LoginDoor(desk)
    return [
        Route("/dashboard/login", _guarded(door.form)),
        Route("/dashboard/login", _guarded(door.log_in), methods=["POST"]),
        Route("/dashboard/login/{token}", _guarded(door.link)),
        Route("/dashboard/login/{token}", _guarded(door.use_link), methods=["POST"]),
    ]


def _guarded(handler: Handler) -> Handler:
    async def answer(request: Request) -> Response:
        try:
            response = await handler(request)
        except HooktideError as error:
            response = error_page(error)
        # A link is in the page's address: what the page loads, and a proxy logs, must not tell it.
        response.headers["referrer-policy"] = "strict-origin"
        return response

    return answer


class LoginDoor:
    """Lets people in."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def form(self, request: Request) -> Response:
        """``GET /dashboard/login``; ``?next=`` is where to go on."""
        return _form(next=read_fields(request).text("next"))

    async def log_in(self, request: Request) -> Response:
        """``POST /dashboard/login``: by name and password, or with a key."""
        check_origin(request, self._desk.public_url)
        form = await read_form(request)
        key, name, next_path = form.text("key"), form.text("name"), form.text("next")
        address = address_of(request)
        try:
            if key:
                token, who = await self._desk.people.login_by_key(key)
            else:
                token, who = await self._with_password(name, form.raw("password"), address)
        except (RefusedError, UnavailableError) as error:
            log.warning("a login from %s failed: %s", address or "this machine", error)
            return _form(next=next_path, name=name, with_key=bool(key), error=error)
        return await self._in(token, who, _safe(next_path))

    async def _with_password(self, name: str, password: str, address: str) -> tuple[str, Who]:
        self._desk.patience.begin(name, address)
        found = await self._desk.people.login(name, password)
        self._desk.patience.succeeded(name, address)
        return found

    async def link(self, _: Request) -> Response:
        """``GET /dashboard/login/{token}``: a button; the link is still good afterwards."""
        return page_response("login_link.html")

    async def use_link(self, request: Request) -> Response:
        """``POST /dashboard/login/{token}``: log in, once."""
        check_origin(request, self._desk.public_url)
        try:
            token, who = await self._desk.people.login_by_link(request.path_params["token"])
        except NotFoundError:
            raise RefusedError(
                "not_found",
                "this link was used already, or is too old; an owner makes new ones, on the page "
                "People",
                status=410,
            ) from None
        return await self._in(token, who, "/dashboard/you")

    async def _in(self, token: str, who: Who, path: str) -> Response:
        await self._desk.chronicle.write(who.name, "person.login", "", "", who.scope)
        return with_session(RedirectResponse(path, 303), token, self._desk)


def with_session(response: Response, token: str, desk: Desk) -> Response:
    """Let an answer bring the session's cookie; only the dashboard's pages get it."""
    response.set_cookie(
        COOKIE,
        token,
        max_age=LASTS,
        path="/dashboard",
        secure=desk.public_url.startswith("https://"),
        httponly=True,
        samesite="lax",
    )
    response.headers["cache-control"] = "no-store"
    return response


def _form(
    *, next: str, name: str = "", with_key: bool = False, error: HooktideError | None = None
) -> Response:
    wrong = None if error is None else wrong_of(error)
    wait = getattr(error, "retry_after", None)
    return page_response(
        "login.html",
        200 if wrong is None else wrong.status,
        {} if wait is None else {"retry-after": str(wait)},
        next=next if _safe(next) == next else "",
        name=name,
        with_key=with_key,
        wrong="" if wrong is None else wrong.detail,
    )


def _safe(path: str) -> str:
    """Return where to go on: a page of the dashboard, and nowhere else."""
    ours = path == "/dashboard" or path.startswith(("/dashboard/", "/dashboard?"))
    plain = path.isascii() and path.isprintable() and "\\" not in path and "/login" not in path
    return path if ours and plain and "//" not in path else "/dashboard"


# -- once inside -----------------------------------------------------------------------------------


@act("/logout", who=Role.VIEWER)
async def log_out(visit: Visit) -> Response:
    """``POST /dashboard/logout``."""
    await visit.desk.people.logout(visit.who)
    response = RedirectResponse("/dashboard/login", 303)
    response.delete_cookie(COOKIE, path="/dashboard")
    return response


@page("/you")
async def you(visit: Visit) -> Response:
    """``GET /dashboard/you``: who is logged in, and the form for a password."""
    number = visit.who.person_id
    person = None if number is None else await visit.services.store.get_person(number)
    return visit.show("you.html", projects=await visit.projects(), person=person)


@act("/you/password", back=you, who=Role.VIEWER)
async def set_password(visit: Visit) -> Response:
    """``POST /dashboard/you/password``: other sessions end, this one goes on as a new one."""
    number, password = visit.who.person_id, visit.form.raw("password")
    if number is None:
        raise RefusedError("forbidden", "a key has no password", status=403)
    if password != visit.form.raw("again"):
        raise InvalidError("differs", "the two are not the same", pointer="/again")
    await visit.desk.people.set_password(number, password)
    await visit.note("person.password", visit.who.name)
    token, _ = await visit.desk.people.begin(await visit.services.store.get_person(number))
    return with_session(visit.go("", "password.set"), token, visit.desk)


PAGES = (log_out, you, set_password)
