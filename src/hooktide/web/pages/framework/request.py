"""A request as a page sees it: the session, the path, and the form."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from markupsafe import escape

from hooktide.domain import ids
from hooktide.domain.audit_log import Actor
from hooktide.domain.errors import InvalidError, NotFoundError, RefusedError
from hooktide.domain.model import Account, Endpoint, Micros, Role, Scope
from hooktide.domain.phrase import phrase
from hooktide.store.base import ProjectRow
from hooktide.web.operations.deps import Services
from hooktide.web.pages.framework.csrf import masked
from hooktide.web.pages.framework.forms import Form, parse
from hooktide.web.pages.framework.messages import said_of
from hooktide.web.pages.framework.session import Session
from hooktide.web.pages.framework.view import Redirect, Template
from hooktide.web.pages.framework.wrong import Wrong, wrong_of
from hooktide.wire.problems import Fault


@dataclass(slots=True)
class PageRequest:
    """The context of a page. ``form`` is the submitted form, ``query`` the query string.

    ``place`` is the path of the page that is shown. ``wrong``: an act was refused, and this is the
    page that it came from.
    ``keeps``: fields show what was filled in although nothing is wrong with it.
    ``shows_secret``: the page shows one that was made for it, and is not compressed.
    ``reads_only``: a HEAD request or a prefetch, which takes nothing from the stash.
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
    reads_only: bool = False
    shows_secret: bool = False

    @property
    def scope(self) -> Scope:
        """The scope that may be seen."""
        return self.session.scope

    @property
    def actor(self) -> Actor:
        """The actor for the audit log."""
        return self.session.actor

    @property
    def now(self) -> Micros:
        """The time."""
        return self.services.clock()

    def may(self, role: str) -> bool:
        """Whether the session has at least this role."""
        return self.session.may(Role(role))

    @property
    def everywhere(self) -> bool:
        """Whether the session sees all projects."""
        return self.scope.project_id is None

    @property
    def one_account(self) -> bool:
        """Whether the session sees a single account, that of a customer."""
        return self.scope.account_id is not None

    @property
    def csrf(self) -> str:
        """The hidden token of a form, as it is written this time; empty: none is needed."""
        return masked(self.session.csrf)

    def path(self, name: str = "id") -> str:
        """Return a part of the path."""
        return self.params[name]

    def id(self, prefix: str) -> int:
        """Return the id in the path.

        :raises NotFoundError: it is not an id of this kind.
        """
        return ids.read(prefix, self.path())

    def before(self, prefix: str) -> int | None:
        """Return the id below which a list continues."""
        text = self.query.text("before")
        return ids.read(prefix, text) if text else None

    async def chosen(self) -> ProjectRow | None:
        """Return the project that a list is filtered by, or ``None``.

        :raises NotFoundError: no project has this name.
        """
        name = self.query.text("project")
        return await self.services.store.get_project(self.scope, name) if name else None

    async def within(self) -> Scope:
        """Return the scope of a list: the chosen project, if any."""
        row = await self.chosen()
        return self.scope if row is None else replace(self.scope, project_id=row.id)

    async def account(self) -> Account | None:
        """Return the account named in the query; ``None`` if there is none, or if ``wrong``
        explains why not."""
        text = self.query.text("account")
        try:
            return await self.services.accounts.find(await self.within(), text) if text else None
        except (NotFoundError, RefusedError) as error:
            self.wrong = self.wrong or wrong_of(error)
            return None

    async def project(self, project_id: int) -> ProjectRow:
        """Find a project by id."""
        return await self.services.directory.project(project_id)

    async def projects(self) -> dict[int, ProjectRow]:
        """Return the projects that may be seen."""
        rows = await self.services.store.list_projects(self.scope)
        return {row.id: row for row in rows}

    async def accounts(self, account_ids: Iterable[int]) -> dict[int, Account]:
        """Return accounts by id, without deleted ones."""
        found = {}
        for each in set(account_ids):
            with suppress(NotFoundError):
                found[each] = await self.services.directory.account(each)
        return found

    async def endpoints(self, endpoint_ids: Iterable[int]) -> dict[int, Endpoint]:
        """Return endpoints by id, without deleted ones."""
        found = {}
        for each in set(endpoint_ids):
            with suppress(NotFoundError):
                found[each] = await self.services.directory.endpoint(each)
        return found

    def value(self, name: str, default: object = "") -> str:
        """Return what a field shows: the submitted value if the form is shown again, otherwise the
        current one.

        The text is shown unchanged in the form; elsewhere special characters are made visible.
        """
        if self.is_filled and name in self.form:
            return escape(self.form.raw(name))
        return "" if default is None else str(default)

    def values(self, name: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return the selected values of a name."""
        return self.form.all(name) if self.is_filled else default

    @property
    def is_filled(self) -> bool:
        """Whether the form is shown with the submitted values."""
        return self.wrong is not None or self.keeps

    @property
    def seen(self) -> str | None:
        """The fingerprint of the version that a form was opened for, or ``None``."""
        return self.form.text("seen") or None

    def fault(self, name: str) -> str:
        """Return the fault of a field; empty if there is none."""
        if self.wrong is None or name not in self.wrong.at:
            return ""
        self.wrong.shown.add(name)
        return self.wrong.at[name]

    def faulty_lines(self) -> list[Fault]:
        """Return the faults in the lines of a project file."""
        if self.wrong is None:
            return []
        if self.wrong.lines:
            self.wrong.shown.update(self.wrong.at)
        return self.wrong.lines

    @property
    def refusal(self) -> str:
        """Why nothing was saved; faults shown at their fields are not repeated."""
        if self.wrong is None or self.wrong.is_shown:
            if self.form is self.query:
                return phrase("See what is marked below.")
            return phrase("Nothing was saved. See what is marked below.")
        return self.wrong.detail

    def check_confirmed(self, name: str) -> None:
        """Check that the object's name was typed to confirm an irreversible action.

        :raises InvalidError: it was not.
        """
        if self.form.text("confirmation") != name:
            detail = phrase("type {name} to confirm", name=name)
            raise InvalidError("not_confirmed", detail, pointer="/confirmation")

    @property
    def did(self) -> str:
        """What has just been done, as a sentence."""
        did = self.query.text("did")
        if self.wrong or (did == FORM_KEPT and not self.keeps):
            return ""
        return said_of(did)

    def link(self, **changed: object) -> str:
        """Return this page's address with changed parameters (None or empty: removed)."""
        pairs = {name: text for name, text in self.query if name not in _PASSING}
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
        """Redirect to another page, which says what was done."""
        return Redirect(path, {"did": did, **more} if did else more)

    async def go_once(self, path: str, text: str, **query: str) -> Redirect:
        """Redirect to another page, which shows a secret once (``once``)."""
        target = Redirect(path, query)
        await self.services.stash.put(stash_place(self.session, target.address), text)
        return target

    async def once(self) -> str | None:
        """Return the secret to show on this page; ``None`` if it was shown already."""
        if self.reads_only:
            return None
        self.shows_secret = True
        return await self.services.stash.take(stash_place(self.session, self._address))

    async def go_again(self, path: str, form: Form) -> Redirect:
        """Redirect to a page whose form shows ``form`` again."""
        target = Redirect(path, {AGAIN: "1"})
        await self.services.stash.put(stash_place(self.session, target.address), form.encoded())
        return target

    async def show_again(self) -> None:
        """Show a form that was kept for this page, if there is one."""
        if AGAIN not in self.query:
            return
        kept = await self.services.stash.get(stash_place(self.session, self._address))
        if kept is not None:
            self.form, self.keeps = Form(parse(kept.encode())), True

    @property
    def _address(self) -> str:
        """The address of the page that is shown, below its skin's base."""
        query = self.query_string.decode("latin-1")
        return self.place.removeprefix(self.session.base) + (f"?{query}" if query else "")


AGAIN = "again"
"""The parameter that marks an address for which a form was kept."""
FORM_KEPT = "form.kept"
_PASSING = frozenset({"did", "before", "made", AGAIN})
"""The parameters of a page's address that the links on it leave out."""


def stash_place(session: Session, address: str) -> tuple[str, ...]:
    """Return the stash place of a value for a session's page at ``address``."""
    return session.base, session.csrf, address
