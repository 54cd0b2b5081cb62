"""A way into a customer's portal, for whoever helps them."""

from starlette.responses import Response

from hooktide.domain.ids import show
from hooktide.domain.model import HOUR
from hooktide.web.dashboard.accounts import account, find, scope_of, show_account
from hooktide.web.dashboard.page import act
from hooktide.web.dashboard.visit import Visit


@act("/accounts/{id}/portal-link", back=account)
async def make_portal_link(visit: Visit) -> Response:
    """``POST /dashboard/accounts/{id}/portal-link``: good for an hour; ``read_only``: to look."""
    found = await find(visit)
    read_only = "read_only" in visit.form
    link = visit.services.portal_links.make(found.id, visit.now + HOUR, read_only)
    detail = "only to look" if read_only else "to look and to change"
    await visit.note("portal_link.add", show("acc", found.id), detail, scope_of(found))
    return await show_account(visit, f"{visit.desk.public_url}/portal/{link.token}")


PAGES = (make_portal_link,)
