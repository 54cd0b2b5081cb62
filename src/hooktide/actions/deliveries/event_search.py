"""Search for events by the values of their payloads that their projects index."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hooktide.domain.audit_log import Actor
from hooktide.domain.errors import InvalidError
from hooktide.domain.model import Event, Micros, Scope, SearchIndex
from hooktide.domain.searching.index import normal_form
from hooktide.store.base import EventRow, Page, ProjectRow
from hooktide.store.contract import Store
from hooktide.store.deliveries.search import MAX_TERMS, FoundEvents

LOOKED_THROUGH = 2_000
"""How many matches are looked through, in one call, for those of one type, tag or channel."""


@dataclass(frozen=True, slots=True)
class ShownIndex:
    """A project's index; ``complete_since`` is None if it has all events that are kept."""

    row: ProjectRow
    index: SearchIndex
    complete_since: Micros | None

    @property
    def state(self) -> str:
        """Whether all events are indexed, or older ones not, or not yet."""
        if self.index.filling:
            return "filling"
        return "complete" if self.complete_since is None else "partial"


class EventSearch:
    """Searches within a scope, and has older events indexed."""

    def __init__(self, store: Store, clock: Callable[[], Micros]) -> None:
        self._store = store
        self._clock = clock

    async def find(self, scope: Scope, text: str, before: int | None, limit: int) -> FoundEvents:
        """Return the newest events below the id ``before`` that a text finds; none for no text."""
        normal = normal_form(text)
        if not normal:
            return FoundEvents([], None, too_broad=False)
        return await self._store.search_events(scope, normal, before, limit)

    async def list(
        self,
        scope: Scope,
        text: str | None,
        event_type: str | None,
        bounds: tuple[int | None, int | None],
        limit: int,
        *,
        tag: str | None = None,
        channel: str | None = None,
    ) -> Page:
        """Return a page of events between two ids, newest first: all, or what a text finds.

        Of a type, tag or channel that few of them have, a page may be short, or empty, although it
        is not the last one.

        :raises InvalidError: the text finds nothing, or too much; or no project has an index.
        """
        after, before = bounds
        if text is None:
            return await self._store.list_events(
                scope, before, limit, event_type, after=after, tag=tag, channel=channel
            )
        normal = normal_form(text)
        if not normal:
            raise InvalidError(
                "invalid_search", "give a text that is not only white space", pointer="/search"
            )
        await self._check_indexed(scope)
        items: list[EventRow] = []
        looked = 0
        while True:
            found = await self._store.search_events(scope, normal, before, limit, after=after)
            if found.too_broad:
                raise _too_broad(text)
            looked += len(found.items)
            for row in found.items:
                if _is_wanted(row.event, event_type, tag, channel):
                    items.append(row)
                    if len(items) == limit:
                        more = row is not found.items[-1] or found.next_before is not None
                        return Page(items, row.event.id if more else None)
            before = found.next_before
            if before is None or looked >= LOOKED_THROUGH:
                return Page(items, before)

    async def _check_indexed(self, scope: Scope) -> None:
        if not await self._store.search_indexes(scope):
            raise InvalidError(
                "not_indexed",
                "the project names no paths to search in; set index = [...] in its file",
                pointer="/search",
            )

    async def indexes(self, scope: Scope) -> Mapping[int, ShownIndex]:
        """Return the indexes of the projects in a scope that name paths, by the project's id."""
        found = await self._store.search_indexes(scope)
        rows = {row.id: row for row in await self._store.list_projects(scope)} if found else {}
        return {
            id_: self._shown(rows[id_], index)
            for id_, index in found.items()
            if index.paths and id_ in rows
        }

    async def index(self, scope: Scope, project: str) -> ShownIndex:
        """Return a project's index.

        :raises NotFoundError: there is no such project.
        :raises InvalidError: ``not_indexed``: it has never named paths.
        """
        row = await self._store.get_project(scope, project)
        found = (await self._store.search_indexes(Scope(project_id=row.id))).get(row.id)
        if found is None:
            raise _no_index(row)
        return self._shown(row, found)

    async def reindex(self, actor: Actor, scope: Scope, project: str) -> ShownIndex:
        """Start to index a project's older events, in the background; raises what ``index`` does.

        If that runs already, it goes on.
        """
        row = await self._store.get_project(scope, project)
        action = actor.does("project.reindex")
        found = await self._store.start_filling_index(row.id, self._clock(), action)
        if found is None:
            raise _no_index(row)
        return self._shown(row, found)

    def _shown(self, row: ProjectRow, index: SearchIndex) -> ShownIndex:
        since = index.complete_since
        is_whole = since is None or since <= self._clock() - row.project.retention
        return ShownIndex(row, index, None if is_whole else since)


def _no_index(row: ProjectRow) -> InvalidError:
    return InvalidError(
        "not_indexed",
        f"{row.project.title} names no paths to index; set index = [...] in its file",
    )


def _too_broad(text: str) -> InvalidError:
    return InvalidError(
        "search_too_broad",
        f"more than {MAX_TERMS} different values, or words in them, begin with {text[:100]!r}; "
        "give more of it",
        pointer="/search",
    )


def _is_wanted(event: Event, event_type: str | None, tag: str | None, channel: str | None) -> bool:
    return (
        event_type in (None, event.type)
        and tag in (None, *event.tags)
        and channel in (None, *event.channels)
    )
