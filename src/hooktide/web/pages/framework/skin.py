"""A skin: one set of pages with its own base path, templates and kind of session."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from starlette.requests import Request
from starlette.responses import Response

from hooktide.domain.errors import HooktideError
from hooktide.domain.project.portal import ENGLISH, NO_WORDS, PortalWords
from hooktide.web.pages.framework.forms import Form
from hooktide.web.pages.framework.session import Session
from hooktide.web.pages.framework.view import File, Template


class Skin(ABC):
    """The properties of one set of pages.

    ``base``: the path that all its pages are below. ``templates``: the folder of its templates.
    """

    base: ClassVar[str]
    templates: ClassVar[str]

    @abstractmethod
    async def enter(self, request: Request) -> Session | Response:
        """Return the session of a request, or a response if it has none.

        :raises HooktideError: the session is unknown or has ended.
        """

    def ask_login(self, path: str, sent: Form) -> Template | Response:
        """Ask a user to log in whose session ended before they sent a form.

        ``path``: the page of the form. ``sent``: the form; empty if nothing was filled in.
        """
        raise NotImplementedError

    @abstractmethod
    def explain(self, error: HooktideError, session: Session | None) -> Template | File:
        """Return the page that explains an error; ``session`` is None without one."""

    @abstractmethod
    def headers(self, session: Session | None, error: HooktideError | None) -> Mapping[str, str]:
        """Return the headers of a page."""

    def language(
        self, request: Request, session: Session | None, error: HooktideError | None
    ) -> str:
        """Return the language of a page; unless a skin says otherwise, English."""
        return ENGLISH

    def words(
        self, session: Session | None, error: HooktideError | None, language: str
    ) -> PortalWords:
        """Return what a page says in a project's own words; unless a skin says otherwise, none."""
        return NO_WORDS

    def keep_session(self, response: Response, token: str) -> None:
        """Set the browser's session token; empty: delete it."""
        raise NotImplementedError
