"""A page, declared once: its path, who may, and what answers.

    @page("/accounts/{id}")
    async def account(visit: Visit) -> Response: ...

    @act("/accounts/{id}/change", back=account)
    async def change_account(visit: Visit) -> Response: ...

A page is looked at; an act is a form's POST, and changes something. When an act is refused, the
page ``back`` is shown again, with what was filled in and what is wrong with it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from starlette.responses import Response

from hooktide.domain.model import Role
from hooktide.web.dashboard.visit import Visit

Run: TypeAlias = Callable[[Visit], Awaitable[Response]]

BASE = "/dashboard"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page or an act. ``who``: the least role that may."""

    method: str
    path: str
    who: Role
    run: Run
    back: "Page | None" = None


def page(path: str, *, who: Role = Role.VIEWER) -> Callable[[Run], Page]:
    """Declare a page."""

    def declare(run: Run) -> Page:
        return Page(method="GET", path=BASE + path, who=who, run=run)

    return declare


def act(path: str, *, back: Page | None = None, who: Role = Role.MEMBER) -> Callable[[Run], Page]:
    """Declare an act."""

    def declare(run: Run) -> Page:
        return Page(method="POST", path=BASE + path, who=who, run=run, back=back)

    return declare
