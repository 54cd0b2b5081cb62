"""``/v1/accounts/{account}/portal-links``: a customer's way into their portal."""

from typing import Annotated

import msgspec

from hooktide.domain.model import SECOND
from hooktide.domain.times import show_time
from hooktide.web.api.shapes import Instant
from hooktide.web.operation import MANAGERS, Call, operation

ExpiresIn = Annotated[
    int,
    msgspec.Meta(ge=60, le=7 * 86_400, description="Seconds that the link opens the portal for."),
]
ReadOnly = Annotated[bool, msgspec.Meta(description="Who opens it can look, and change nothing.")]


class PortalLinkIn(msgspec.Struct, forbid_unknown_fields=True):
    """How long a link is good for, and for what."""

    expires_in: ExpiresIn = 3600
    read_only: ReadOnly = False


class PortalLinkOut(msgspec.Struct):
    """A link into an account's portal. Whoever has `url` is let in, until `expires_at`."""

    url: str
    expires_at: Instant
    read_only: bool


@operation(
    "POST",
    "/v1/accounts/{account}/portal-links",
    who=MANAGERS,
    status=201,
    problems=("ambiguous_account",),
)
async def add_portal_link(call: Call, account: str, body: PortalLinkIn) -> PortalLinkOut:
    """Make a link into an account's portal.

    Send your customer there, or show it in a frame. Make one each time that somebody opens the
    page: a link cannot be taken back, it ends.
    """
    found = await call.services.accounts.find(call.scope, account)
    expires_at = call.now + body.expires_in * SECOND
    link = call.services.portal_links.make(found.id, expires_at, body.read_only)
    url = f"{call.services.public_url}/portal/{link.token}"
    return PortalLinkOut(url, show_time(link.expires_at), link.read_only)


OPERATIONS = (add_portal_link,)
