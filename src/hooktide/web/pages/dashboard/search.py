"""One box for everything: what the views' search finds, and accounts, projects and keys."""

from collections.abc import Sequence

from hooktide.domain.ids import show
from hooktide.domain.model import Account
from hooktide.store.base import ProjectRow
from hooktide.web.pages.framework.page import act, page
from hooktide.web.pages.framework.request import PageRequest
from hooktide.web.pages.framework.view import Redirect, View
from hooktide.web.pages.views.search import (
    MAX_RESULTS,
    find,
    place_of,
    place_of_event,
    place_of_id,
)


@page("/search")
async def search(request: PageRequest) -> View:
    """``GET /dashboard/search?q=``."""
    text = request.query.text("q")
    place = await place_of_id(request, text, _place_of)
    if place:
        return Redirect(place)
    accounts = await _accounts(request, text)
    projects = await request.projects()
    named = [row for row in projects.values() if _is_named(row, text)]
    results = await find(request, text)
    if results.only_event is not None and not (accounts or named):
        return Redirect(place_of_event(request, results.only_event.event.id))
    owners = [each.account_id for each in results.endpoints]
    owners += [row.event.account_id for row in results.events.items]
    return request.show(
        "search.html",
        text=text,
        results=results,
        accounts=accounts,
        owners=await request.accounts(owners),
        projects=projects,
        found=named,
    )


async def _accounts(request: PageRequest, text: str) -> Sequence[Account]:
    if not text:
        return []
    return await request.services.store.search_accounts(request.scope, text, MAX_RESULTS)


def _is_named(row: ProjectRow, text: str) -> bool:
    return bool(text) and text.casefold() in f"{row.project.name} {row.project.title}".casefold()


async def _place_of(request: PageRequest, prefix: str, number: int) -> str:
    store, scope = request.services.store, request.scope
    match prefix:
        case "acc":
            return f"/accounts/{show('acc', (await store.get_account(scope, number)).id)}"
        case "prj":
            rows = await request.projects()
            return f"/projects/{rows[number].project.name}" if number in rows else ""
        case "key":
            found = (await store.get_key(scope, number)).id
            return f"/keys?before={show('key', found + 1)}"
        case _:
            return await place_of(request, prefix, number)


@act("/projects/{name}/reindex", back=search)
async def reindex(request: PageRequest) -> View:
    """``POST /dashboard/projects/{name}/reindex``: index its older events, too."""
    await request.services.event_search.reindex(request.actor, request.scope, request.path("name"))
    return request.go("/search", "project.reindexing")


PAGES = (search, reindex)
