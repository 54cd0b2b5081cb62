"""Test URLs: endpoints whose receiver is a request bin of this server."""

from collections.abc import Sequence
from dataclasses import dataclass

from hooktide.domain.errors import NotFoundError
from hooktide.domain.model import Bin, Endpoint, Micros, Scope, SignatureVerdict
from hooktide.web.pages.framework.request import PageRequest
from hooktide.web.urls import bin_page_url

SHOWN_REQUESTS = 5


@dataclass(frozen=True, slots=True)
class Received:
    """A request to a test URL."""

    at: Micros
    verdict: SignatureVerdict
    reason: str


async def bin_of(request: PageRequest, endpoint: Endpoint) -> Bin | None:
    """Return the account's own bin at an endpoint's URL, or ``None``."""
    place = f"{request.services.public_url}/bin/"
    if not endpoint.url.startswith(place):
        return None
    token = endpoint.url.removeprefix(place).partition("/")[0]
    scope = Scope(project_id=endpoint.project_id, account_id=endpoint.account_id)
    try:
        return await request.services.bins.find(scope, f"bin_{token}")
    except NotFoundError:
        return None


async def page_of_bin(request: PageRequest, endpoint: Endpoint) -> str:
    """Return the URL of a test URL's page; empty if this session has none.

    Its holder may script the bin, so the session must be allowed to make changes.
    """
    found = await bin_of(request, endpoint) if request.may("member") else None
    return "" if found is None else bin_page_url(request.services.public_url, found)


async def received_by(request: PageRequest, found: Bin | None) -> Sequence[Received]:
    """Return a bin's latest requests."""
    if found is None:
        return ()
    listed = await request.services.bins.requests(found, None, SHOWN_REQUESTS)
    return [Received(each.received_at, each.verdict, each.reason) for each in listed.items]
