"""Search in the delivery log: by state, response, type, time or text.

The database answers what it has an index for; other filters scan, newest first, in batches. A page
reports how far it searched, and the next page continues there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hooktide.domain.delivery.verdict import ERRORS
from hooktide.domain.errors import InvalidError
from hooktide.domain.ids import between, made_at, show
from hooktide.domain.model import Attempt, Delivery, DeliveryState, Micros, Origin, Scope
from hooktide.domain.phrase import phrase
from hooktide.domain.project.project import wants
from hooktide.store.base import EventRow, Page
from hooktide.store.contract import Store

LOOKED_THROUGH = 2_000
SCAN_PAGE_SIZE = 100
SELECT_PAGE_SIZE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFilter:
    """Which deliveries to find; None or empty means any.

    ``answered`` is the class of the last attempt's status, 2 to 5, or 0 for no answer at all;
    ``cause`` is that status itself (``"401"``) or the error in its place (``"timeout"``).
    ``retrying``: whether an attempt was made. ``origin`` is why the delivery exists.
    Deliveries from ``since`` on and before ``until``. ``text`` is searched for, ignoring case, in
    ids, types, payloads and the last attempt's response.
    """

    state: DeliveryState | None = None
    answered: int | None = None
    cause: str = ""
    retrying: bool | None = None
    origin: Origin | None = None
    event_type: str = ""
    since: Micros | None = None
    until: Micros | None = None
    text: str = ""
    endpoint_id: int | None = None
    event_id: int | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A delivery and its last attempt; None if none was made or stored."""

    delivery: Delivery
    attempt: Attempt | None


@dataclass(frozen=True, slots=True)
class Found:
    """One page. The next page holds ids below ``next_before`` (None: this is the last page).

    ``looked_to``: the search stopped here, although there may be older matches (None: the page is
    full, or everything was searched).
    """

    lines: Sequence[Line]
    next_before: int | None
    looked_to: Micros | None


class DeliveryLog:
    """Searches deliveries within a scope."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def search(
        self, scope: Scope, wanted: DeliveryFilter, before: int | None, limit: int
    ) -> Found:
        """Return the newest ``limit`` matching deliveries below the id ``before``."""
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

    async def select(
        self, scope: Scope, wanted: DeliveryFilter, before: int | None
    ) -> tuple[Sequence[Delivery], int | None]:
        """Return the matching deliveries of the next rows below the id ``before``.

        Also the id below which to continue (None: that was everything).
        """
        after, before = between(wanted.since, wanted.until, before)
        rows = SCAN_PAGE_SIZE if wanted.text else SELECT_PAGE_SIZE
        page = await self._list(scope, wanted, after, before, rows)
        if not _reads_attempts(wanted):
            return [each for each in page.items if _may_be(wanted, each)], page.next_before
        lines = await self._matching(scope, wanted, page.items)
        return [line.delivery for line in lines], page.next_before

    async def _page(
        self,
        scope: Scope,
        wanted: DeliveryFilter,
        after: int | None,
        before: int | None,
        limit: int,
    ) -> Page:
        rows = SCAN_PAGE_SIZE if _looks(wanted) else limit
        return await self._list(scope, wanted, after, before, rows)

    async def _list(
        self,
        scope: Scope,
        wanted: DeliveryFilter,
        after: int | None,
        before: int | None,
        rows: int,
    ) -> Page:
        return await self._store.list_deliveries(
            scope,
            before,
            rows,
            endpoint_id=wanted.endpoint_id,
            event_id=wanted.event_id,
            state=wanted.state,
            after=after,
        )

    async def _matching(
        self, scope: Scope, wanted: DeliveryFilter, deliveries: Sequence[Delivery]
    ) -> list[Line]:
        """Return those that match, reading no more than needed to decide."""
        left = [each for each in deliveries if _may_be(wanted, each)]
        made = [each.id for each in left if each.attempts]
        attempts = await self._store.last_attempts(scope, made)
        lines = [Line(each, attempts.get(each.id)) for each in left]
        if wanted.answered is not None:
            lines = [line for line in lines if _answered(line.attempt) == wanted.answered]
        if wanted.cause:
            lines = [line for line in lines if cause_of(line.attempt) == wanted.cause]
        if not wanted.text:
            return lines
        ids = list({line.delivery.event_id for line in lines})
        events = await self._store.events_of(scope, ids)
        return [line for line in lines if _says(wanted.text, line, events)]


def _looks(wanted: DeliveryFilter) -> bool:
    """Whether there is a filter that the database has no index for."""
    return bool(wanted.event_type or wanted.text or wanted.cause) or any(
        each is not None for each in (wanted.answered, wanted.retrying, wanted.origin)
    )


def _reads_attempts(wanted: DeliveryFilter) -> bool:
    """Whether deliveries cannot be matched by their own rows."""
    return wanted.answered is not None or bool(wanted.cause or wanted.text)


def _may_be(wanted: DeliveryFilter, delivery: Delivery) -> bool:
    if wanted.retrying is not None and wanted.retrying != bool(delivery.attempts):
        return False
    if wanted.origin not in (None, delivery.origin):
        return False
    return not wanted.event_type or wants((wanted.event_type,), delivery.event_type)


_CLASSES = {"2xx": 2, "3xx": 3, "4xx": 4, "5xx": 5, "none": 0}
_STATUS = len("200")


def read_response(text: str, pointer: str) -> tuple[int | None, str]:
    """Read a filter on responses as its ``answered`` and ``cause``.

    A class of statuses (``4xx``, or ``none``), a status (``401``) or an error class; empty: any.

    :raises InvalidError: it is none of these.
    """
    if text in _CLASSES or not text:
        return _CLASSES.get(text), ""
    if text in ERRORS or (len(text) == _STATUS and text.isascii() and text.isdigit()):
        return None, text
    allowed = ", ".join([*_CLASSES, "a status like 401", *ERRORS])
    raise InvalidError(
        "invalid_filter",
        phrase("response must be one of: {allowed}", allowed=allowed),
        pointer=pointer,
    )


def show_response(wanted: DeliveryFilter) -> str:
    """Write a filter on responses as ``read_response`` reads it."""
    if wanted.cause or wanted.answered is None:
        return wanted.cause
    return next(name for name, number in _CLASSES.items() if number == wanted.answered)


def cause_of(attempt: Attempt | None) -> str:
    """Return an attempt's status, or its error class; empty if there was no attempt."""
    if attempt is None:
        return ""
    return attempt.error if attempt.status is None else str(attempt.status)


def _answered(attempt: Attempt | None) -> int | None:
    if attempt is None:
        return None
    return 0 if attempt.status is None else attempt.status // 100


def _says(text: str, line: Line, events: Mapping[int, EventRow]) -> bool:
    """Whether a delivery contains a text, as UTF-8 bytes."""
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
