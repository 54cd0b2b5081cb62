"""What the portal's pages work with, made once."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request

from hooktide.actions.bins import Bins
from hooktide.actions.changes import Chronicle
from hooktide.actions.delivery_log import DeliveryLog
from hooktide.actions.endpoints import Endpoints
from hooktide.actions.replays import Replays
from hooktide.domain.errors import NotFoundError
from hooktide.domain.ids import read
from hooktide.domain.model import Bin, Endpoint, Micros
from hooktide.store.base import Store
from hooktide.web.live import Live
from hooktide.web.portal.door import Door, Guest

MOST_ENDPOINTS = 200
"""Endpoints that a page lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """The actions behind the pages, and the door that they answer through."""

    door: Door
    store: Store
    clock: Callable[[], Micros]
    public_url: str
    endpoints: Endpoints
    replays: Replays
    bins: Bins
    log: DeliveryLog
    live: Live
    chronicle: Chronicle

    async def tell(self, guest: Guest, what: str, subject: str, detail: str = "") -> None:
        """Write a line of the log of changes: what the guest did, to which id."""
        who = f"portal of {guest.account.reference}"
        await self.chronicle.write(who, what, subject, detail, guest.scope)

    async def all_endpoints(self, guest: Guest) -> list[Endpoint]:
        """Return the guest's endpoints, newest first."""
        page = await self.store.list_endpoints(guest.scope, None, MOST_ENDPOINTS)
        return list(page.items)

    async def bin_of(self, url: str) -> Bin | None:
        """Return the test bin that a URL is; None: it is none, or it has expired."""
        token = url.removeprefix(f"{self.public_url}/bin/").partition("/")[0]
        try:
            return await self.bins.open(token)
        except NotFoundError:
            return None


def endpoint_id(request: Request) -> int:
    """Return the endpoint that a path is about.

    :raises NotFoundError: it is no id of an endpoint.
    """
    return read("ep", request.path_params["id"])
