"""Who is let in, and how they are answered.

A link reaches one account and nothing else (``Guest.scope``). A request that changes something has
to come from a page of ours: another site would have to know the link, and is refused even then.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from hooktide.domain.errors import (
    InvalidError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from hooktide.domain.model import Account, Micros, Scope
from hooktide.domain.portal import Portal
from hooktide.domain.project import Plan, Project, plan_of
from hooktide.store.directory import Directory
from hooktide.web.docs import words
from hooktide.web.docs.pages import docs_url
from hooktide.web.docs.render import shown
from hooktide.web.forms import sentence
from hooktide.web.look import templates
from hooktide.web.portal.links import Link, PortalLinks
from hooktide.web.portal.theme import page_headers


@dataclass(frozen=True, slots=True)
class Guest:
    """Somebody who came by a link: whose portal it is, and what they may do."""

    link: Link
    account: Account
    project: Project

    @property
    def scope(self) -> Scope:
        """All that this guest reaches."""
        return Scope(project_id=self.account.project_id, account_id=self.account.id)

    @property
    def plan(self) -> Plan:
        """The account's plan."""
        return plan_of(self.project, self.account.plan)

    @property
    def base(self) -> str:
        """What the paths of this portal begin with."""
        return f"/portal/{self.link.token}"

    @property
    def title(self) -> str:
        """The product, as its customers know it."""
        return shown(words.one_line(self.project.title) or self.project.name)


Page: TypeAlias = Callable[[Guest, Request], Awaitable[Response]]


class ExpiredError(RefusedError):
    """A link's time is over."""

    def __init__(self, project: Project | None) -> None:
        super().__init__("link_expired", "this link is no longer valid", status=410)
        self.project = project


class Door:
    """Lets guests in, and puts pages into the portal's frame."""

    def __init__(
        self,
        links: PortalLinks,
        directory: Directory,
        clock: Callable[[], Micros],
        public_url: str,
    ) -> None:
        self._links = links
        self._directory = directory
        self._clock = clock
        self._public_url = public_url

    def get(self, path: str, page: Page) -> Route:
        """Return the route of a page."""
        return Route(f"/portal/{{token}}{path}", self._answering(page), methods=["GET"])

    def post(self, path: str, page: Page) -> Route:
        """Return the route of a form; a link that only looks does not open it."""
        return Route(f"/portal/{{token}}{path}", self._answering(page), methods=["POST"])

    def _answering(self, page: Page) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            try:
                guest = await self._enter(request.path_params["token"])
            except ExpiredError as error:
                return _closed(410, error.project)
            except NotFoundError:
                return _closed(404, None)
            except UnavailableError as error:
                return _closed(503, None, error.detail)
            try:
                if request.method == "POST":
                    self._check_sender(guest, request)
                return await page(guest, request)
            except NotFoundError:
                return self.show(guest, "missing.html", status=404)
            except (InvalidError, RefusedError) as error:
                reason = sentence(error.detail)
                return self.show(guest, "refused.html", status=error.status, reason=reason)
            except UnavailableError as error:
                reason = sentence(error.detail)
                return self.show(guest, "refused.html", status=503, reason=reason)

        return answer

    async def _enter(self, token: str) -> Guest:
        """Let somebody in.

        :raises NotFoundError: the link was not made here, or its account was removed.
        :raises ExpiredError: its time is over.
        """
        link = self._links.read(token)
        account = await self._directory.account(link.account_id)
        project = (await self._directory.project(account.project_id)).project
        if link.expires_at <= self._clock():
            raise ExpiredError(project)
        return Guest(link, account, project)

    def _check_sender(self, guest: Guest, request: Request) -> None:
        """Refuse what another site sends, or who may only look.

        Our pages tell nobody where they are (no referrer), so their forms' Origin is ``null``.
        """
        headers = request.headers
        ours = {_origin(self._public_url), f"{request.url.scheme}://{request.url.netloc}"}
        if headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
            raise RefusedError("forbidden", "this was sent from another site", status=403)
        if headers.get("origin", "null") not in {"null", *ours}:
            raise RefusedError("forbidden", "this was sent from another site", status=403)
        if guest.link.read_only:
            raise RefusedError("forbidden", "this link lets you look, not change", status=403)

    def show(self, guest: Guest, template: str, /, status: int = 200, **facts: Any) -> Response:
        """Answer with a page."""
        portal = guest.project.portal
        html = templates.get_template(f"portal/{template}").render(
            base=guest.base,
            face=portal,
            name=shown(portal.name) or guest.title,
            product=guest.title,
            customer=shown(guest.account.name or guest.account.reference),
            guide=docs_url(guest.project, self._public_url),
            can_change=not guest.link.read_only,
            **facts,
        )
        return Response(html, status, headers=page_headers(portal), media_type="text/html")


def to(guest: Guest, path: str) -> Response:
    """Lead a form's sender to a page of the portal."""
    headers = dict(page_headers(guest.project.portal))
    return RedirectResponse(guest.base + path, 303, headers=headers)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _closed(status: int, project: Project | None, reason: str = "") -> Response:
    """Say that the portal cannot be opened; with the look of no portal in particular."""
    html = templates.get_template("portal/closed.html").render(
        status=status,
        product=shown(words.one_line(project.title)) if project else "",
        reason=sentence(reason),
    )
    headers = page_headers(project.portal if project else Portal())
    return Response(html, status, headers=headers, media_type="text/html")
