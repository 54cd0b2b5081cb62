"""The log of deliveries as people look through it: by state, answer, type, time or words.

What the database has an index for it answers; the rest is looked through, newest first, so many at
a time. A page reports how far it searched, and the next page continues there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hooktide.domain.ids import between, made_at, show
from hooktide.domain.model import Attempt, Delivery, DeliveryState, Micros, Scope
from hooktide.domain.project.project import wants
from hooktide.store.base import EventRow, Page
from hooktide.store.contract import Store

LOOKED_THROUGH = 2_000
SCAN_PAGE_SIZE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFilter:
    """Which deliveries; what is None or empty wants all.

    ``answered`` is the class of the last attempt's status, 2 to 5, or 0 for no answer at all.
    ``since`` and later, before ``until``. ``text`` is searched for, ignoring case, in ids, types,
    payloads and the last attempt's response.
    """

    state: DeliveryState | None = None
    answered: int | None = None
    event_type: str = ""
    since: Micros | None = None
    until: Micros | None = None
    text: str = ""
    endpoint_id: int | None = None
    event_id: int | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A delivery and its last attempt; None: none was made, or none is kept."""

    delivery: Delivery
    attempt: Attempt | None


@dataclass(frozen=True, slots=True)
class Found:
    """One page. The next page holds ids below ``next_before`` (None: this is the last page).

    ``looked_to``: nothing older than this was looked at, although there may be more (None: the
    page is full, or all was looked at).
    """

    lines: Sequence[Line]
    next_before: int | None
    looked_to: Micros | None


class DeliveryLog:
    """Looks through deliveries, within a scope."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def search(
        self, scope: Scope, wanted: DeliveryFilter, before: int | None, limit: int
    ) -> Found:
        """Return the newest ``limit`` deliveries below the id ``before`` that are wanted."""
        after, before = between(wanted.since, wanted.until, before)
        lines: list[Line] = []
        looked = 0
        while looked < LOOKED_THROUGH:
            page = await self._page(scope, wanted, after, before, limit)
            looked += len(page.items)
            lines += await self._matching(scope, wanted, page.items)
            if len(lines) > limit:
                return Found(lines[:limit], lines[limit - 1].delivery.id, None)
            before = page.next_before
            if before is None:
                return Found(lines, None, None)
            if len(lines) == limit:
                return Found(lines, before, None)
        return Found(lines, before, made_at(before or 0))

    async def _page(
        self,
        scope: Scope,
        wanted: DeliveryFilter,
        after: int | None,
        before: int | None,
        limit: int,
    ) -> Page:
        return await self._store.list_deliveries(
            scope,
            before,
            SCAN_PAGE_SIZE if _looks(wanted) else limit,
            endpoint_id=wanted.endpoint_id,
            event_id=wanted.event_id,
            state=wanted.state,
            after=after,
        )

    async def _matching(
        self, scope: Scope, wanted: DeliveryFilter, deliveries: Sequence[Delivery]
    ) -> list[Line]:
        """Return those that are wanted, asking for no more than it takes to tell."""
        left = [each for each in deliveries if _may_be(wanted, each)]
        made = [each.id for each in left if each.attempts]
        attempts = await self._store.last_attempts(scope, made)
        lines = [Line(each, attempts.get(each.id)) for each in left]
        if wanted.answered is not None:
            lines = [line for line in lines if _answered(line.attempt) == wanted.answered]
        if not wanted.text:
            return lines
        ids = list({line.delivery.event_id for line in lines})
        events = await self._store.events_of(scope, ids)
        return [line for line in lines if _says(wanted.text, line, events)]


def _looks(wanted: DeliveryFilter) -> bool:
    """Whether there is something that the database has no index for."""
    return wanted.answered is not None or bool(wanted.event_type or wanted.text)


def _may_be(wanted: DeliveryFilter, delivery: Delivery) -> bool:
    return not wanted.event_type or wants((wanted.event_type,), delivery.event_type)


def _answered(attempt: Attempt | None) -> int | None:
    if attempt is None:
        return None
    return 0 if attempt.status is None else attempt.status // 100


def _says(text: str, line: Line, events: Mapping[int, EventRow]) -> bool:
    """Whether a text is somewhere in a delivery, as bytes of UTF-8."""
    delivery, attempt = line.delivery, line.attempt
    ids = [("dlv", delivery.id), ("evt", delivery.event_id), ("ep", delivery.endpoint_id)]
    words = [*(show(*each) for each in ids), delivery.event_type, delivery.reason]
    places = [" ".join(words).encode()]
    if delivery.event_id in events:
        places.append(events[delivery.event_id].event.payload)
    if attempt is not None:
        places += [attempt.response_head, attempt.response_body, attempt.detail.encode()]
    sought = text.lower().encode()
    return any(sought in place.lower() for place in places)
