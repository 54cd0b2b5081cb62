"""One box for everything: an id leads to what it is, other text to accounts and projects."""

from contextlib import suppress

from hooktide.domain import ids
from hooktide.domain.errors import NotFoundError
from hooktide.domain.ids import show
from hooktide.domain.model import Account, Endpoint
from hooktide.web.pages.framework.page import page
from hooktide.web.pages.framework.request import PageRequest
from hooktide.web.pages.framework.view import Redirect, View

MAX_RESULTS = 20
PREFIXES = ("acc", "ep", "evt", "dlv", "prj", "rpl", "key", "usr")


@page("/search")
async def search(request: PageRequest) -> View:
    """``GET /dashboard/search?q=``."""
    text = request.query.text("q")
    place = await _place(request, text)
    if place:
        return Redirect(place)
    accounts, endpoints = list[Account](), list[Endpoint]()
    if text:
        accounts = list(
            await request.services.store.search_accounts(request.scope, text, MAX_RESULTS)
        )
        listed = await request.services.store.list_endpoints(request.scope, None, MAX_RESULTS, text)
        endpoints = list(listed.items)
    projects = await request.projects()
    begins = text.casefold()
    return request.show(
        "search.html",
        text=text,
        accounts=accounts,
        endpoints=endpoints,
        owners=await request.accounts(each.account_id for each in endpoints),
        projects=projects,
        found=[
            row
            for row in projects.values()
            if text and begins in (row.project.name + " " + row.project.title).casefold()
        ],
    )


async def _place(request: PageRequest, text: str) -> str:
    """Return the page of the object with an id; empty if there is none the session may see."""
    prefix = text.partition("_")[0]
    if prefix not in PREFIXES:
        return ""
    with suppress(NotFoundError):
        return await _place_of(request, prefix, ids.read(prefix, text))
    return ""


async def _place_of(request: PageRequest, prefix: str, number: int) -> str:
    store, scope = request.services.store, request.scope
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
            return f"/replays/{show('rpl', (await store.get_replay(scope, number)).id)}"
        case "prj":
            rows = await request.projects()
            return f"/projects/{rows[number].project.name}" if number in rows else ""
        case "key":
            found = (await store.get_key(scope, number)).id
            return f"/keys?before={show('key', found + 1)}"
    return ""


PAGES = (search,)
