"""One box for everything: an id leads to what it is, other text to accounts and projects."""

from contextlib import suppress

from starlette.responses import RedirectResponse, Response

from hooktide.domain import ids
from hooktide.domain.errors import NotFoundError
from hooktide.domain.ids import show
from hooktide.web.dashboard.page import page
from hooktide.web.dashboard.visit import Visit

MOST = 20
PREFIXES = ("acc", "ep", "evt", "dlv", "prj", "rpl", "key", "usr")


@page("/search")
async def search(visit: Visit) -> Response:
    """``GET /dashboard/search?q=``."""
    text = visit.query.text("q")
    place = await _place(visit, text)
    if place:
        return RedirectResponse(f"/dashboard{place}", 303)
    accounts = []
    if text:
        accounts = list(await visit.services.store.search_accounts(visit.scope, text, MOST))
    projects = await visit.projects()
    begins = text.casefold()
    return visit.show(
        "search.html",
        text=text,
        accounts=accounts,
        projects=projects,
        found=[
            row
            for row in projects.values()
            if text and begins in (row.project.name + " " + row.project.title).casefold()
        ],
    )


async def _place(visit: Visit, text: str) -> str:
    """Return where the thing with an id is shown; empty: there is none that may be seen."""
    prefix = text.partition("_")[0]
    if prefix not in PREFIXES:
        return ""
    with suppress(NotFoundError):
        return await _place_of(visit, prefix, ids.read(prefix, text))
    return ""


async def _place_of(visit: Visit, prefix: str, number: int) -> str:
    store, scope = visit.services.store, visit.scope
    match prefix:
        case "acc":
            return f"/accounts/{show('acc', (await store.get_account(scope, number)).id)}"
        case "ep":
            return f"/endpoints/{show('ep', (await store.get_endpoint(scope, number)).id)}"
        case "evt":
            return f"/events/{show('evt', (await store.get_event(scope, number)).event.id)}"
        case "dlv":
            found = (await store.get_delivery(scope, number)).id
            return f"/deliveries?delivery={show('dlv', found)}"
        case "rpl":
            return f"/endpoints/{show('ep', (await store.get_replay(scope, number)).endpoint_id)}"
        case "prj":
            rows = await visit.projects()
            return f"/projects/{rows[number].project.name}" if number in rows else ""
        case "key":
            found = (await store.get_key(scope, number)).id
            return f"/keys?before={show('key', found + 1)}"
    return ""


PAGES = (search,)
