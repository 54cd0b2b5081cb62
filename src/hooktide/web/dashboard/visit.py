"""One request of somebody who is logged in, and how it is answered."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hooktide.actions.people import Who
from hooktide.domain import ids
from hooktide.domain.errors import HooktideError, NotFoundError
from hooktide.domain.model import Account, Endpoint, Micros, Role, Scope
from hooktide.store.base import ProjectRow
from hooktide.web.dashboard.desk import Desk
from hooktide.web.dashboard.look import page_response
from hooktide.web.dashboard.words import DID
from hooktide.web.deps import Services
from hooktide.web.forms import Form
from hooktide.web.problems import describe


@dataclass(frozen=True, slots=True)
class Wrong:
    """Why an act was refused. ``at`` says it of each field; ``line`` is a project file's."""

    status: int
    title: str
    detail: str
    at: dict[str, str]
    line: int | None = None


def wrong_of(error: HooktideError) -> Wrong:
    """Say an error as a page does."""
    problem = describe(error)
    at: dict[str, str] = {}
    for fault in problem.errors:
        field = fault.pointer.strip("/")
        at.setdefault(field, fault.detail)
        at.setdefault(field.partition("/")[0], fault.detail)
    line = next((fault.line for fault in problem.errors if fault.line), None)
    return Wrong(problem.status, problem.title, problem.detail, at, line)


@dataclass(slots=True)
class Visit:
    """What a page has at hand. ``form`` is what was sent, or what stands behind the ``?``.

    ``place`` is the page's own path. ``wrong``: an act was refused, and this is the page that it
    came from. ``keeps``: fields show what was filled in although nothing is wrong with it.
    """

    desk: Desk
    request: Request
    who: Who
    csrf: str = field(repr=False)
    form: Form
    query: Form
    place: str
    wrong: Wrong | None = None
    keeps: bool = False

    # -- who, what and when --------------------------------------------------------------------

    @property
    def services(self) -> Services:
        """The actions behind the pages."""
        return self.desk.services

    @property
    def scope(self) -> Scope:
        """Whose things may be seen."""
        return self.who.scope

    @property
    def now(self) -> Micros:
        """The time."""
        return self.services.clock()

    def may(self, role: str) -> bool:
        """Whether this one has at least the role."""
        return self.who.may(Role(role))

    @property
    def everywhere(self) -> bool:
        """Whether this one sees all projects."""
        return self.scope.project_id is None

    # -- what is asked for ---------------------------------------------------------------------

    def path(self, name: str = "id") -> str:
        """Return a part of the path."""
        part: str = self.request.path_params[name]
        return part

    def id(self, prefix: str) -> int:
        """Return the id in the path.

        :raises NotFoundError: it is none of this kind.
        """
        return ids.read(prefix, self.path())

    def before(self, prefix: str) -> int | None:
        """Return the id that a list goes on below."""
        text = self.query.text("before")
        return ids.read(prefix, text) if text else None

    async def chosen(self) -> ProjectRow | None:
        """Return the project that a list is narrowed to; None: all that may be seen.

        :raises NotFoundError: there is none of this name.
        """
        name = self.query.text("project")
        return await self.services.store.get_project(self.scope, name) if name else None

    async def within(self) -> Scope:
        """Return the scope of what is asked for: of one project, where one is chosen."""
        row = await self.chosen()
        return self.scope if row is None else Scope(project_id=row.id)

    async def project(self, project_id: int) -> ProjectRow:
        """Find the project of something that was found."""
        return await self.services.directory.project(project_id)

    async def projects(self) -> dict[int, ProjectRow]:
        """Return the projects that may be seen."""
        rows = await self.services.store.list_projects(self.scope)
        return {row.id: row for row in rows}

    async def accounts(self, account_ids: Iterable[int]) -> dict[int, Account]:
        """Return the accounts of what was found; one that is removed is not among them."""
        found = {}
        for each in set(account_ids):
            with suppress(NotFoundError):
                found[each] = await self.services.directory.account(each)
        return found

    async def endpoints(self, endpoint_ids: Iterable[int]) -> dict[int, Endpoint]:
        """Return the endpoints of what was found; one that is removed is not among them."""
        found = {}
        for each in set(endpoint_ids):
            with suppress(NotFoundError):
                found[each] = await self.services.directory.endpoint(each)
        return found

    # -- the answer ----------------------------------------------------------------------------

    def value(self, name: str, default: object = "") -> str:
        """Return what a field shows: what was filled in, where that is still to be done."""
        if (self.wrong is not None or self.keeps) and name in self.form:
            return self.form.raw(name)
        return "" if default is None else str(default)

    def values(self, name: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return what is chosen under a name."""
        return default if self.wrong is None else self.form.all(name)

    def fault(self, name: str) -> str:
        """Return what is wrong with a field; empty: nothing."""
        return "" if self.wrong is None else self.wrong.at.get(name, "")

    @property
    def did(self) -> str:
        """What was done just now, as a sentence."""
        return "" if self.wrong else DID.get(self.query.text("did"), "")

    def link(self, **changed: object) -> str:
        """Return this page's address with other parameters (None or empty: without it)."""
        pairs = {name: text for name, text in self.query if name not in {"did", "before"}}
        pairs |= {name: str(value) for name, value in changed.items() if value is not None}
        kept = {name: text for name, text in pairs.items() if text}
        for name, value in changed.items():
            if value is None:
                kept.pop(name, None)
        return f"{self.place}?{urlencode(kept)}" if kept else self.place

    def show(self, template: str, **facts: Any) -> Response:
        """Answer with a page."""
        status = 200 if self.wrong is None else self.wrong.status
        return page_response(template, status, visit=self, now=self.now, **facts)

    def go(self, path: str, did: str = "", **more: str) -> Response:
        """Go on to another page of the dashboard, which says what was done."""
        pairs = {"did": did, **more} if did else more
        url = f"/dashboard{path}"
        return RedirectResponse(f"{url}?{urlencode(pairs)}" if pairs else url, 303)

    async def note(
        self, what: str, subject: str, detail: str = "", scope: Scope | None = None
    ) -> None:
        """Write into the log of changes what was done, and whose log it belongs to."""
        whose = self.scope if scope is None else scope
        await self.desk.chronicle.write(self.who.name, what, subject, detail, whose)
