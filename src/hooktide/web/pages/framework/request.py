"""One request as a page sees it: who asks, for what, and what was filled in."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from markupsafe import escape

from hooktide.domain import ids
from hooktide.domain.audit_log import Actor
from hooktide.domain.errors import HooktideError, InvalidError, NotFoundError
from hooktide.domain.model import Account, Endpoint, Micros, Role, Scope
from hooktide.store.base import ProjectRow
from hooktide.web.deps import Services
from hooktide.web.pages.framework.forms import Form
from hooktide.web.pages.framework.messages import MESSAGES
from hooktide.web.pages.framework.session import Session
from hooktide.web.pages.framework.view import Redirect, Template
from hooktide.web.problems import describe
from hooktide.wire.problems import Fault


@dataclass(frozen=True, slots=True)
class Wrong:
    """Why an act was refused. ``at`` says it of each field, ``lines`` of a project file's lines."""

    code: str
    status: int
    title: str
    detail: str
    at: Mapping[str, str]
    lines: list[Fault]


def wrong_of(error: HooktideError) -> Wrong:
    """Say an error as a page does."""
    problem = describe(error)
    at: dict[str, str] = {}
    for fault in problem.errors:
        field = fault.pointer.strip("/")
        at.setdefault(field, fault.detail)
        at.setdefault(field.partition("/")[0], fault.detail)
    lines = [fault for fault in problem.errors if fault.line]
    code = problem.type.rpartition("/")[2]
    return Wrong(code, problem.status, problem.title, problem.detail, at, lines)


@dataclass(slots=True)
class PageRequest:
    """What a page has at hand. ``form`` is what was filled in, ``query`` what is behind the ``?``.

    ``place`` is the path of the page that is shown. ``wrong``: an act was refused, and this is the
    page that it came from.
    ``keeps``: fields show what was filled in although nothing is wrong with it.
    """

    services: Services
    session: Session
    place: str
    params: Mapping[str, str]
    query_string: bytes
    query: Form
    form: Form
    wrong: Wrong | None = None
    keeps: bool = False

    @property
    def scope(self) -> Scope:
        """Whose things may be seen."""
        return self.session.scope

    @property
    def actor(self) -> Actor:
        """Who asks, as the audit log has them."""
        return self.session.actor

    @property
    def now(self) -> Micros:
        """The time."""
        return self.services.clock()

    def may(self, role: str) -> bool:
        """Whether this one has at least the role."""
        return self.session.may(Role(role))

    @property
    def everywhere(self) -> bool:
        """Whether this one sees all projects."""
        return self.scope.project_id is None

    @property
    def one_account(self) -> bool:
        """Whether this one sees a single account: one of its customers."""
        return self.scope.account_id is not None

    def path(self, name: str = "id") -> str:
        """Return a part of the path."""
        return self.params[name]

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

    def value(self, name: str, default: object = "") -> str:
        """Return what a field shows: what was filled in, where that is still to be done.

        Whoever filled it in gets it back unchanged; other text is written out where it is shown.
        """
        if (self.wrong is not None or self.keeps) and name in self.form:
            return escape(self.form.raw(name))
        return "" if default is None else str(default)

    def values(self, name: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return what is chosen under a name."""
        return self.form.all(name) if self.wrong is not None or self.keeps else default

    @property
    def seen(self) -> str | None:
        """The fingerprint of what a form was filled in for; None: it does not say."""
        return self.form.text("seen") or None

    def fault(self, name: str) -> str:
        """Return what is wrong with a field; empty: nothing."""
        return "" if self.wrong is None else self.wrong.at.get(name, "")

    def check_confirmed(self, name: str) -> None:
        """Check that the name of what cannot be brought back was typed.

        :raises InvalidError: it was not.
        """
        if self.form.text("sure") != name:
            raise InvalidError("not_sure", f"type {name} to confirm", pointer="/sure")

    @property
    def did(self) -> str:
        """What was done just now, as a sentence."""
        return "" if self.wrong else MESSAGES.get(self.query.text("did"), "")

    def link(self, **changed: object) -> str:
        """Return this page's address with other parameters (None or empty: without it)."""
        pairs = {name: text for name, text in self.query if name not in {"did", "before"}}
        pairs |= {name: str(value) for name, value in changed.items() if value is not None}
        kept = {name: text for name, text in pairs.items() if text}
        for name, value in changed.items():
            if value is None:
                kept.pop(name, None)
        return f"{self.place}?{urlencode(kept)}" if kept else self.place

    def show(self, template: str, **facts: Any) -> Template:
        """Answer with a page."""
        status = 200 if self.wrong is None else self.wrong.status
        return Template(template, {"request": self, "now": self.now, **facts}, status)

    def go(self, path: str, did: str = "", **more: str) -> Redirect:
        """Go on to another page, which says what was done."""
        return Redirect(path, {"did": did, **more} if did else more)
