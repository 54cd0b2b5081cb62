"""A page, declared once: its path, the required role, and the function that answers.

    @page("/keys")
    async def keys(request: PageRequest) -> View: ...

    @act("/keys", back=keys)
    async def create_key(request: PageRequest, form: NewKey) -> View: ...

A page is looked at; an act is a form's POST, and changes something. An act that takes a second
argument gets what was filled in as a dataclass (``fields``). When an act is refused, the page
``back`` is shown again, with what was filled in and what is wrong with it.

Neither knows HTTP: ``answering`` reads the request and writes the response.
"""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, get_type_hints

from hooktide.domain.model import Role
from hooktide.web.pages.framework.view import View
from hooktide.web.reading import MAX_BODY

Run: TypeAlias = Callable[..., Awaitable[View]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page or an act; ``path`` is below its skin's base.

    ``who``: the least role that may open it. ``form``: the dataclass that what was filled in is
    read into. ``leads_to``: where a GET of an act's path redirects to.
    ``max_body``: bytes of an act's form. ``keeps``: a form that is sent after its session has ended
    is shown again.
    """

    method: str
    path: str
    who: Role
    run: Run
    form: type[Any] | None = None
    back: "Page | None" = None
    leads_to: str | None = None
    max_body: int = MAX_BODY
    keeps: bool = True


def page(path: str, *, who: Role = Role.VIEWER) -> Callable[[Run], Page]:
    """Declare a page."""

    def declare(run: Run) -> Page:
        return Page(method="GET", path=path, who=who, run=run)

    return declare


def act(
    path: str,
    *,
    back: Page | None = None,
    leads_to: str | None = None,
    who: Role = Role.MEMBER,
    max_body: int = MAX_BODY,
    keeps: bool = True,
) -> Callable[[Run], Page]:
    """Declare an act; ``leads_to``: where its address leads if not to ``back``."""

    def declare(run: Run) -> Page:
        return Page(
            method="POST",
            path=path,
            who=who,
            run=run,
            form=_form_of(run),
            back=back,
            leads_to=back.path if leads_to is None and back else leads_to,
            max_body=max_body,
            keeps=keeps,
        )

    return declare


def _form_of(run: Run) -> type[Any] | None:
    names = list(inspect.signature(run).parameters)
    form: type[Any] | None = get_type_hints(run)[names[1]] if len(names) > 1 else None
    return form
