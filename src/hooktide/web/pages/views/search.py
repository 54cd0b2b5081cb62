"""What one box finds: an id leads to what it is, other text to whatever begins with it, or has it.

A page that finds one event and nothing else leads to it at once.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

from hooktide.actions.deliveries.event_search import ShownIndex
from hooktide.domain import ids
from hooktide.domain.errors import NotFoundError
from hooktide.domain.ids import show
from hooktide.domain.model import Endpoint
from hooktide.domain.project.project import offered
from hooktide.domain.searching.index import title_of
from hooktide.store.base import EventRow
from hooktide.store.deliveries.search import FoundEvents
from hooktide.web.pages.framework.request import PageRequest

MAX_RESULTS = 20


@dataclass(frozen=True, slots=True)
class Results:
    """What a text finds, apart from accounts and projects.

    ``types`` are event types, as (project's id, name); ``titles`` name the events, by their ids;
    ``indexes`` are those of the projects in sight.
    """

    endpoints: Sequence[Endpoint]
    types: Sequence[tuple[int, str]]
    events: FoundEvents
    titles: Mapping[int, str]
    indexes: Sequence[ShownIndex]

    @property
    def any(self) -> bool:
        """Whether anything was found."""
        return bool(self.endpoints or self.types or self.events.items)

    @property
    def only_event(self) -> EventRow | None:
        """The event, if nothing else was found."""
        if self.endpoints or self.types or self.events.too_broad or len(self.events.items) != 1:
            return None
        return self.events.items[0]


async def find(request: PageRequest, text: str) -> Results:
    """Return what a text finds in the session's scope; nothing for no text."""
    services, scope = request.services, request.scope
    indexes = (await services.event_search.indexes(scope)).values()
    if not text:
        return Results([], [], FoundEvents([], None, too_broad=False), {}, [*indexes])
    listed = await services.store.list_endpoints(scope, None, MAX_RESULTS, text)
    events = await services.event_search.find(scope, text, None, MAX_RESULTS)
    types = await _types(request, text)
    titles = await titles_of(request, events.items)
    return Results(listed.items, types, events, titles, [*indexes])


async def titles_of(request: PageRequest, events: Sequence[EventRow]) -> dict[int, str]:
    """Name events after the values that their projects index; those without one are left out."""
    found = {}
    for row in events:
        project = (await request.project(row.project_id)).project
        if title := title_of(project.index, row.event.payload):
            found[row.event.id] = title
    return found


async def _types(request: PageRequest, text: str) -> list[tuple[int, str]]:
    begins = text.casefold()
    reference = ""
    if request.scope.account_id is not None:
        reference = (await request.services.directory.account(request.scope.account_id)).reference
    return [
        (id_, kind.name)
        for id_, row in (await request.projects()).items()
        for kind in (offered(row.project, reference) if reference else row.project.event_types)
        if kind.name.casefold().startswith(begins)
    ][:MAX_RESULTS]


PlaceOf: TypeAlias = Callable[[PageRequest, str, int], Awaitable[str]]
"""Returns the page of what has an id, of the id's prefix and number; empty: it has none."""


async def place_of_id(request: PageRequest, text: str, place_of: PlaceOf) -> str:
    """Return the page of what has an id; empty: the session sees no such thing."""
    prefix = text.partition("_")[0]
    with suppress(NotFoundError):
        return await place_of(request, prefix, ids.read(prefix, text))
    return ""


async def place_of(request: PageRequest, prefix: str, number: int) -> str:
    """Return the page of a delivery, endpoint, event, job or replay; empty: it is none of these.

    An event is shown by its deliveries where it has no page.

    :raises NotFoundError: the session may see none with this number.
    """
    store, scope = request.services.store, request.scope
    match prefix:
        case "ep":
            return f"/endpoints/{show('ep', (await store.get_endpoint(scope, number)).id)}"
        case "evt":
            return place_of_event(request, (await store.get_event(scope, number)).event.id)
        case "dlv":
            found = (await store.get_delivery(scope, number)).id
            return f"/deliveries?delivery={show('dlv', found)}"
        case "job":
            return f"/jobs/{show('job', (await store.get_delivery_job(scope, number)).id)}"
        case "rpl":
            return f"/replays/{show('rpl', (await store.get_replay(scope, number)).id)}"
    return ""


def place_of_event(request: PageRequest, number: int) -> str:
    """Return where an event is shown: on its page, or in the portal by its deliveries."""
    if request.one_account:
        return f"/deliveries?event={show('evt', number)}"
    return f"/events/{show('evt', number)}"
