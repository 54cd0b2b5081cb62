"""The bins' skin: the token in a page's address is the only credential, and opens one bin."""

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from hooktide.actions.bins.bins import Bins
from hooktide.domain.audit_log import Actor, Source
from hooktide.domain.errors import HooktideError, NotFoundError
from hooktide.domain.model import Bin, Role
from hooktide.web.bins.bin_responses import PLAIN
from hooktide.web.http.client_address import address_of
from hooktide.web.pages.framework.rendering import POLICY
from hooktide.web.pages.framework.request import PageRequest
from hooktide.web.pages.framework.session import PublicSession, Session
from hooktide.web.pages.framework.skin import Skin
from hooktide.web.pages.framework.view import File
from hooktide.web.pages.framework.wrong import wrong_of

PAGE_HEADERS: Mapping[str, str] = {
    **POLICY,
    "referrer-policy": "strict-origin",  # forms name their origin, and no page its path
    "x-robots-tag": "noindex",
    "cache-control": "no-store",
}


class BinSession(PublicSession):
    """The session of a visitor with the link of a bin's page; ``stopping`` ends its streams."""

    def __init__(self, address: str, found: Bin, bins: Bins, stopping: asyncio.Event) -> None:
        super().__init__(address)
        self.bin = found
        self.bins = bins
        self.stopping = stopping

    @property
    def actor(self) -> Actor:
        """The audit log's actor: the link identifies no user."""
        return Actor(name="bin page", source=Source.BIN_PAGE, address=self.address)

    @property
    def base(self) -> str:
        """The path of the bin's page."""
        return f"/bins/{self.bin.page_token}"

    @property
    def frame(self) -> Mapping[str, Any]:
        """What the page's links begin with."""
        return {"base": self.base}

    def may(self, role: Role) -> bool:
        """The link grants everything that the page offers."""
        return True


def session_of(request: PageRequest) -> BinSession:
    """Return the session of a bin's page."""
    if isinstance(request.session, BinSession):
        return request.session
    raise TypeError("this is a page of a bin")


class BinSkin(Skin):
    """The pages of a bin."""

    base = "/bins/{page_token}"
    templates = "bins"

    def __init__(self, bins: Bins, stopping: asyncio.Event) -> None:
        self._bins = bins
        self._stopping = stopping

    async def enter(self, request: Request) -> Session:
        """Return the session of the bin whose page the path names."""
        found = await self._bins.open_page(request.path_params["page_token"])
        return BinSession(address_of(request), found, self._bins, self._stopping)

    def explain(self, error: HooktideError, session: Session | None) -> File:
        """Return an error as plain text."""
        wrong = wrong_of(error)
        text = "not found" if isinstance(error, NotFoundError) else wrong.detail
        return File(f"{text}\n", "text/plain", wrong.status, PLAIN)

    def headers(self, session: Session | None, error: HooktideError | None) -> Mapping[str, str]:
        """Return the headers of the page."""
        return PAGE_HEADERS
