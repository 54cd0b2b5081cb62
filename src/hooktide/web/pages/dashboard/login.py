"""Logging in: by a link that works once, by name and password, or with an API key; and out again.

A link is opened by a form's POST, for programs that look at links in mails must not use it up.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from starlette.requests import Request

from hooktide.domain.errors import (
    HooktideError,
    InvalidError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from hooktide.domain.model import Role
from hooktide.web.http.client_address import address_of
from hooktide.web.pages.dashboard.session import (
    BASE,
    HEADERS,
    DashboardSkin,
    csrf_of,
    owns,
    user_of,
)
from hooktide.web.pages.framework.answering import MAX_KEPT_BYTES
from hooktide.web.pages.framework.fields import Raw
from hooktide.web.pages.framework.page import act, page
from hooktide.web.pages.framework.request import AGAIN, FORM_KEPT, PageRequest
from hooktide.web.pages.framework.session import PublicSession, Session
from hooktide.web.pages.framework.view import Redirect, View
from hooktide.web.reading import MAX_LARGE_BODY

log = logging.getLogger("hooktide.web")


class LoginSkin(DashboardSkin):
    """The pages of those who are not logged in yet."""

    base = f"{BASE}/login"

    async def enter(self, request: Request) -> Session:
        """Let everyone in."""
        return PublicSession(address_of(request))

    def headers(self, session: Session | None, error: HooktideError | None) -> Mapping[str, str]:
        """Return the headers of these pages.

        A link is in the page's address: what the page loads, and a proxy logs, must not tell it.
        """
        return {**HEADERS, "referrer-policy": "strict-origin"}


@page("")
async def login(request: PageRequest) -> View:
    """``GET /dashboard/login``; ``?next=`` is where to continue."""
    wanted = request.form.text("next")
    return request.show(
        "login.html",
        next=wanted if _safe(wanted) == wanted else "",
        name=request.value("name"),
        with_key=bool(request.value("key")),
        kept=request.value("kept"),
        owner=request.value("owner"),
    )


@dataclass(frozen=True, slots=True)
class Login:
    """A name and a password, or a key.

    ``next``: where to continue; ``kept``: a form that was sent to that page without a session;
    ``owner``: the token of the session that the form was filled in with.
    """

    name: str
    password: Raw
    key: str
    next: str
    kept: Raw
    owner: str


@act("", back=login, who=Role.VIEWER, max_body=MAX_LARGE_BODY, keeps=False)
async def log_in(request: PageRequest, form: Login) -> View:
    """``POST /dashboard/login``: by name and password, or with a key."""
    users, address = request.services.users, request.actor.address
    try:
        if form.key:
            token, _ = await users.login_by_key(form.key, address)
        else:
            token, _ = await users.login(form.name, form.password, address)
    except (RefusedError, UnavailableError) as error:
        log.warning("a login from %s failed: %s", address or "this machine", error)
        raise
    path = _safe(form.next)
    if not form.kept or len(form.kept) > MAX_KEPT_BYTES or not owns(token, form.owner):
        return Redirect(path, session=token)
    target = Redirect(path, {"did": FORM_KEPT, AGAIN: "1"}, session=token)
    place = (BASE, csrf_of(token), target.address.removeprefix(BASE))
    await request.services.stash.put(place, form.kept)
    return target


@page("/{token}")
async def login_link(request: PageRequest) -> View:
    """``GET /dashboard/login/{token}``: a button; the link is still good afterwards."""
    try:
        await request.services.users.check_link(request.path("token"))
    except NotFoundError:
        raise _used() from None
    return request.show("login_link.html")


@act("/{token}", who=Role.VIEWER)
async def use_login_link(request: PageRequest) -> View:
    """``POST /dashboard/login/{token}``: log in, once."""
    try:
        token, _ = await request.services.users.login_by_link(
            request.path("token"), request.actor.address
        )
    except NotFoundError:
        raise _used() from None
    return Redirect(f"{BASE}/you", session=token)


def _used() -> RefusedError:
    return RefusedError(
        "not_found",
        "this link was used already or has expired; an owner can create another on the page Users",
        status=410,
    )


def _safe(path: str) -> str:
    """Return where to continue: only ever a page of the dashboard."""
    ours = path == BASE or path.startswith((f"{BASE}/", f"{BASE}?"))
    plain = path.isascii() and path.isprintable() and "\\" not in path
    segments = unquote(path.partition("?")[0]).split("/")[1:]
    odd = {"", ".", ".."} & set(segments) or segments[1:2] == ["login"]
    return path if ours and plain and not odd else BASE


LOGIN_PAGES = (login, log_in, login_link, use_login_link)


@act("/logout", who=Role.VIEWER)
async def log_out(request: PageRequest) -> View:
    """``POST /dashboard/logout``."""
    await request.services.users.logout(user_of(request))
    return Redirect("/login", session="")


@page("/you")
async def you(request: PageRequest) -> View:
    """``GET /dashboard/you``: the logged-in user, and the password form."""
    number = user_of(request).user_id
    user = None if number is None else await request.services.store.get_user(number)
    return request.show("you.html", projects=await request.projects(), user=user)


@dataclass(frozen=True, slots=True)
class NewPassword:
    """A password, written twice."""

    password: Raw
    again: Raw


@act("/you/password", back=you, who=Role.VIEWER, keeps=False)
async def set_password(request: PageRequest, form: NewPassword) -> View:
    """``POST /dashboard/you/password``: ends the other sessions and renews this one."""
    number, users = user_of(request).user_id, request.services.users
    if number is None:
        raise RefusedError("forbidden", "a key has no password", status=403)
    if form.password != form.again:
        raise InvalidError("differs", "the two are not the same", pointer="/again")
    await users.set_password(request.actor, number, form.password)
    token, _ = await users.begin(await request.services.store.get_user(number))
    return Redirect("", {"did": "password.set"}, session=token)


PAGES = (log_out, you, set_password)
