"""``/v1/accounts/{account}/portal-links``: links into a customer's portal."""

from hooktide.actions.access import portal_links as action
from hooktide.domain.model import SECOND
from hooktide.web.operations.operation import MANAGERS, Call, operation
from hooktide.web.operations.response_values import instant
from hooktide.wire import accounts as wire


@operation(
    "POST",
    "/v1/accounts/{account}/portal-links",
    who=MANAGERS,
    status=201,
    problems=("ambiguous_account",),
)
async def create_portal_link(call: Call, account: str, body: wire.PortalLinkIn) -> wire.PortalLink:
    """Create a link into an account's portal.

    Send your customer there, or show it in a frame. Create one each time a customer opens the page:
    a link expires at `expires_at`, and can be revoked only together with all others of its account.
    """
    found = await call.services.accounts.find(call.scope, account)
    expires_at = call.now + body.expires_in * SECOND
    links, audit_log = call.services.portal_links, call.services.audit_log
    link = await action.create_portal_link(
        links, audit_log, call.actor, found, expires_at, body.read_only
    )
    url = link.url(call.services.public_url)
    return wire.PortalLink(url, instant(link.expires_at), link.read_only)


@operation(
    "DELETE",
    "/v1/accounts/{account}/portal-links",
    who=MANAGERS,
    status=204,
    problems=("ambiguous_account",),
)
async def revoke_portal_links(call: Call, account: str) -> None:
    """Revoke all existing portal links of an account. New links are unaffected."""
    await call.services.accounts.revoke_portal_links(call.actor, call.scope, account)


OPERATIONS = (create_portal_link, revoke_portal_links)
