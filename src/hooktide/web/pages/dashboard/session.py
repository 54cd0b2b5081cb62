"""The dashboard's skin: users log in, and a cookie says who they are."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hooktide.actions.access.users import RANKS, Principal, Users, owner_of
from hooktide.domain.audit_log import Actor, Source
from hooktide.domain.errors import HooktideError, RefusedError
from hooktide.domain.ids import show
from hooktide.domain.model import Role, Scope
from hooktide.web.http.client_address import address_of
from hooktide.web.pages.framework.csrf import unmasked
from hooktide.web.pages.framework.forms import Form
from hooktide.web.pages.framework.rendering import POLICY
from hooktide.web.pages.framework.request import PageRequest
from hooktide.web.pages.framework.session import Session
from hooktide.web.pages.framework.skin import Skin
from hooktide.web.pages.framework.view import Template
from hooktide.web.pages.framework.wrong import wrong_of

BASE = "/dashboard"
SESSION_SECONDS = 7 * 86_400

# Browsers say where a form comes from only as far as this policy lets them.
HEADERS: Mapping[str, str] = {
    **POLICY,
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
    "x-robots-tag": "noindex",
}


@dataclass(frozen=True, slots=True)
class UserSession:
    """The session of a user who is logged in to the dashboard."""

    base: ClassVar[str] = BASE
    frame: ClassVar[Mapping[str, Any]] = {
        "base": BASE,
        "live_url": f"{BASE}/live",
        "endpoints_url": f"{BASE}/endpoints",
    }

    principal: Principal
    users: Users
    address: str
    csrf: str = field(repr=False)

    @property
    def scope(self) -> Scope:
        """Whose things they see."""
        return self.principal.scope

    @property
    def actor(self) -> Actor:
        """Who they are in the audit log."""
        return Actor(name=self.principal.name, source=Source.DASHBOARD, address=self.address)

    @property
    def watches(self) -> bytes:
        """Each session has its own streams."""
        return self.principal.digest

    def may(self, role: Role) -> bool:
        """Whether they have at least this role."""
        return self.principal.may(role)

    def missing_role(self, role: Role) -> RefusedError:
        """Name the required role."""
        able = [each for each in RANKS if RANKS[each] >= RANKS[role]]
        names = " or ".join(f"an {each}" if each == "owner" else f"a {each}" for each in able)
        return RefusedError("forbidden", f"only {names} can do this; ask one of them", status=403)

    def path_of_account(self, account_id: int) -> str:
        """Return the path of an account's page."""
        return f"/accounts/{show('acc', account_id)}"

    async def is_open(self) -> bool:
        """Whether the session is still what it was when the page was opened."""
        return await self.users.is_current(self.principal)


class DashboardSkin(Skin):
    """The pages for users who are logged in."""

    base = BASE
    templates = "dashboard"

    def __init__(self, users: Users, public_url: str) -> None:
        self.users = users
        self.secure = public_url.startswith("https://")

    async def enter(self, request: Request) -> Session | Response:
        """Return the session of the request's cookie; without one, lead to the login."""
        token = _cookie(request, cookie_name(secure=self.secure))
        principal = await self.users.principal(token)
        if principal is None:
            return _to_login(request)
        return UserSession(principal, self.users, address_of(request), csrf_of(token))

    def ask_login(self, path: str, sent: Form) -> Template | Response:
        """Lead to the login and back to the form, with what was filled in."""
        filled = sent.without("csrf")
        if not filled:
            return RedirectResponse(_login_url(path), 303)
        facts = {
            "next": path,
            "name": "",
            "with_key": False,
            "kept": filled.encoded(),
            "owner": unmasked(sent.text("csrf")),
        }
        return Template("login.html", facts, 403)

    def explain(self, error: HooktideError, session: Session | None) -> Template:
        """Return a page that says what went wrong."""
        wrong = wrong_of(error)
        return Template("wrong.html", {"wrong": wrong}, wrong.status)

    def headers(self, session: Session | None, error: HooktideError | None) -> Mapping[str, str]:
        """Return the headers of every page of the dashboard."""
        return HEADERS

    def keep_session(self, response: Response, token: str) -> None:
        """Set the session's cookie, which only the dashboard's pages get; empty: remove it."""
        response.set_cookie(
            cookie_name(secure=self.secure),
            token,
            max_age=SESSION_SECONDS if token else 0,
            expires=None if token else 0,
            path=BASE,
            secure=self.secure,
            httponly=True,
            samesite="lax",
        )


def user_of(request: PageRequest) -> Principal:
    """Return the principal who is logged in."""
    if isinstance(request.session, UserSession):
        return request.session.principal
    raise TypeError("this is a page of the dashboard")


def cookie_name(*, secure: bool) -> str:
    """Return the name of the session's cookie.

    Over https the prefix makes browsers take it from no insecure page (RFC 6265bis, 4.1.3). It is
    not ``__Host-``, which would send the cookie to every path: a request bin keeps what it is sent.
    """
    return f"{'__Secure-' if secure else ''}hooktide_session"


def csrf_of(token: str) -> str:
    """Return the secret token that a session's forms include.

    Its second half shows whose session it was, even after that has ended (``owns``).
    """
    secret = hashlib.sha256(b"hooktide form " + token.encode()).hexdigest()
    return f"{secret}.{_mark(secret, token)}"


def owns(token: str, csrf: str) -> bool:
    """Whether a session belongs to the user or key whose session a form was filled in with."""
    secret, _, mark = csrf.partition(".")
    return hmac.compare_digest(mark.encode(), _mark(secret, token).encode())


def _mark(secret: str, token: str) -> str:
    return hashlib.sha256(f"hooktide owner {secret} {owner_of(token)}".encode()).hexdigest()


def _cookie(request: Request, wanted: str) -> str:
    """Return a cookie's value; empty if absent.

    ``request.cookies`` takes time by the square of a quoted cookie's escapes (CVE-2024-7592).
    """
    for pair in request.headers.get("cookie", "").split(";"):
        name, _, value = pair.partition("=")
        if name.strip() == wanted:
            return value.strip().strip('"')
    return ""


def _to_login(request: Request) -> Response:
    """Redirect to the login page, and back to the requested page afterwards."""
    wanted = request.url.path
    if request.method != "GET" or wanted in {BASE, f"{BASE}/live"}:
        return RedirectResponse(f"{BASE}/login", 303)
    query = f"?{request.url.query}" if request.url.query else ""
    return RedirectResponse(_login_url(wanted + query), 303)


def _login_url(path: str) -> str:
    """Return the address of the login that continues to a page."""
    return f"{BASE}/login?next={quote(path, safe='/')}"
