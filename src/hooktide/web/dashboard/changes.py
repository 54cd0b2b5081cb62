"""The log of changes: who changed what, and when."""

from starlette.responses import Response

from hooktide.web.dashboard.page import page
from hooktide.web.dashboard.visit import Visit

A_PAGE = 100
PLACES = {
    "acc": "/dashboard/accounts/",
    "ep": "/dashboard/endpoints/",
    "evt": "/dashboard/events/",
    "dlv": "/dashboard/deliveries?delivery=",
    "key": "/dashboard/search?q=",
    "rpl": "/dashboard/search?q=",
}


@page("/changes")
async def changes(visit: Visit) -> Response:
    """``GET /dashboard/changes``; ``?subject=`` the id or name of one thing."""
    subject = visit.query.text("subject") or None
    listed = await visit.services.store.list_changes(
        await visit.within(), visit.before("chg"), A_PAGE, subject=subject
    )
    return visit.show(
        "changes.html",
        rows=listed.items,
        more=listed.next_before,
        projects=await visit.projects(),
        place=_place,
    )


def _place(subject: str) -> str:
    """Return where something is shown; empty: nowhere."""
    prefix, bar, digits = subject.partition("_")
    found = PLACES.get(prefix, "") if bar and len(digits) == 16 and digits.isalnum() else ""
    return found + subject if found else ""


PAGES = (changes,)
