"""The portal's skin: a link lets its account's customers in, and a project gives it its face.

A link reaches one account and nothing else. It is secret, so the forms need no CSRF token.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

from starlette.requests import Request

from hooktide.actions.access.portal_links import PortalLink
from hooktide.domain.audit_log import Actor, Source
from hooktide.domain.errors import HooktideError, InvalidError, NotFoundError, RefusedError
from hooktide.domain.model import Account, Role, Scope
from hooktide.domain.phrase import phrase
from hooktide.domain.project.portal import Portal, PortalWords
from hooktide.domain.project.project import Project
from hooktide.web.http.client_address import address_of
from hooktide.web.operations.deps import Services
from hooktide.web.pages.framework import formats
from hooktide.web.pages.framework.language import preferred
from hooktide.web.pages.framework.session import Session
from hooktide.web.pages.framework.skin import Skin
from hooktide.web.pages.framework.view import Template
from hooktide.web.pages.framework.wrong import wrong_of
from hooktide.web.pages.portal.look import Look, asked_look, read_suffix
from hooktide.web.pages.portal.theme import page_headers
from hooktide.web.urls import docs_url


@dataclass(frozen=True, slots=True)
class PortalSession:
    """A portal session: its account, and whether it is read-only."""

    csrf: ClassVar[str] = ""

    link: PortalLink
    account: Account
    project: Project
    address: str
    services: Services
    look: Look

    @property
    def scope(self) -> Scope:
        """All that the link reaches."""
        return Scope(project_id=self.account.project_id, account_id=self.account.id)

    @property
    def actor(self) -> Actor:
        """Who this is in the audit log: a link says whose portal it is, not who opened it."""
        name = f"portal of {self.account.reference}"
        return Actor(name=name, source=Source.PORTAL, address=self.address)

    @property
    def base(self) -> str:
        """What the paths of this portal begin with."""
        return f"/portal/{self.link.token}{self.look.suffix}"

    @property
    def watches(self) -> int:
        """The streams of an account are counted together."""
        return self.account.id

    @property
    def frame(self) -> Mapping[str, Any]:
        """What each page shows of the product and its customer."""
        portal, title = self.project.portal, formats.product_name(self.project)
        return {
            **_look_facts(portal, self.look),
            "base": self.base,
            "live_url": f"{self.base}/events",
            "endpoints_url": self.base,
            "face": portal,
            "name": portal.name or title,
            "product": title,
            "customer": self.account.name or self.account.reference,
            "guide": docs_url(self.project, self.services.public_url),
        }

    def may(self, role: Role) -> bool:
        """Whether the link lets change things, or only look."""
        return role is Role.VIEWER or not self.link.read_only

    def missing_role(self, role: Role) -> RefusedError:
        """Return the error that explains how to make changes."""
        return RefusedError(
            "forbidden",
            phrase("this link is read-only; open the page from your account to make changes"),
            status=403,
        )

    def path_of_account(self, account_id: int) -> str:
        """Return the path of the portal's first page."""
        return ""

    async def is_open(self) -> bool:
        """Whether the link still opens the portal."""
        try:
            await open_portal(self.services, self.link.token, self.address)
        except (NotFoundError, ExpiredError):
            return False
        return True


class ExpiredError(RefusedError):
    """A link's time is over, or it was revoked."""

    def __init__(self, project: Project, look: Look) -> None:
        super().__init__("link_expired", phrase("this link is no longer valid"), status=410)
        self.project = project
        self.look = look


async def open_portal(services: Services, token: str, address: str) -> PortalSession:
    """Open a session.

    :raises NotFoundError: the link was not made here, or its account was deleted.
    :raises ExpiredError: its time is over, or it was revoked.
    """
    token, _, suffix = token.partition("~")
    look = read_suffix(suffix)
    link = services.portal_links.read(token)
    account = await services.directory.account(link.account_id)
    project = (await services.directory.project(account.project_id)).project
    if link.expires_at <= services.clock() or link.generation != account.link_generation:
        raise ExpiredError(project, look)
    return PortalSession(link, account, project, address, services, look)


class PortalSkin(Skin):
    """The pages for customers with a portal link."""

    base = "/portal/{token}"
    templates = "portal"

    def __init__(self, services: Services) -> None:
        self._services = services

    async def enter(self, request: Request) -> Session:
        """Return the session of the link in the path."""
        token = request.path_params["token"]
        try:
            return await open_portal(self._services, token, address_of(request))
        except ExpiredError as error:
            with suppress(InvalidError):
                error.look = asked_look(request.query_params, error.look) or error.look
            raise

    def explain(self, error: HooktideError, session: Session | None) -> Template:
        """Return an error page; without a session, it has no branding."""
        if session is None:
            return _closed(error)
        wrong = wrong_of(error)
        if isinstance(error, NotFoundError):
            return Template("missing.html", {}, 404)
        return Template("refused.html", {"reason": wrong.detail}, wrong.status)

    def language(
        self, request: Request, session: Session | None, error: HooktideError | None
    ) -> str:
        """Return the project's language, or the one that the browser asks for."""
        look = Look()
        if isinstance(session, PortalSession):
            look = session.look
        elif isinstance(error, ExpiredError):
            look = error.look
        fixed = look.language or _portal_of(session, error).language
        return fixed or preferred(request.headers.get("accept-language", ""))

    def words(
        self, session: Session | None, error: HooktideError | None, language: str
    ) -> PortalWords:
        """Return the project's own words."""
        return _portal_of(session, error).words(language)

    def headers(self, session: Session | None, error: HooktideError | None) -> Mapping[str, str]:
        """Return the headers of every page of a portal; its own sites may frame it."""
        return page_headers(_portal_of(session, error))


def _facts_of_closed(error: ExpiredError) -> Mapping[str, Any]:
    portal = error.project.portal
    return {
        **_look_facts(portal, error.look),
        "product": formats.product_name(error.project),
        "face": portal,
    }


def _look_facts(portal: Portal, look: Look) -> dict[str, Any]:
    return {
        "theme": look.theme or portal.theme,
        "framed": look.framed,
        "origins": " ".join(portal.origins) if look.framed else "",
    }


def _portal_of(session: Session | None, error: HooktideError | None) -> Portal:
    """Return how the portal looks, if it is known whose it is."""
    if isinstance(session, PortalSession):
        return session.project.portal
    return error.project.portal if isinstance(error, ExpiredError) else Portal()


def _closed(error: HooktideError) -> Template:
    """Show that the portal cannot be opened."""
    match error:
        case ExpiredError():
            return Template("closed.html", _facts_of_closed(error), 410)
        case NotFoundError():
            return Template("closed.html", {}, 404)
        case _:
            return Template("closed.html", {"reason": wrong_of(error).detail}, 503)
