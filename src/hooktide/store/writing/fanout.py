"""Fan-out: the rows of an accepted event and of a delivery for each subscribed endpoint.

It does not access the database: both stores read its input before, and write its rows afterwards,
in the same transaction.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from hooktide.domain.counting import count_of
from hooktide.domain.filtering.filter import Filter, reader_of, stored_filter
from hooktide.domain.model import DAY, Claim, Endpoint, Event, Micros, Origin
from hooktide.domain.operational_events import OperationalEvent, limit_reached
from hooktide.domain.project.project import Project, plan_of, wants
from hooktide.runtime.yielding import Yielding
from hooktide.store import rows
from hooktide.store.base import Accepted, AccountGone, AddResult, Capacity, KeyReused, NewEvent
from hooktide.store.writing.batch import Effects, Publish
from hooktide.store.writing.usage import Usage

Row: TypeAlias = tuple[Any, ...]
Route: TypeAlias = tuple[int, tuple[str, ...], str, tuple[str, ...]]
"""An endpoint's id, its patterns, its filter and its channels."""
Known: TypeAlias = tuple[bytes, int, int]
"""What an idempotency key was used for: digest, event id, deliveries."""


class Routes:
    """The routing of an account's events: its endpoints with their patterns, and its limits.

    ``per_hour`` is its plan's limit; after ``disable_after`` failures in a row (0: never) an
    endpoint is disabled. ``selective``: an endpoint has a filter or channels. ``version``
    identifies the state of the database.
    """

    __slots__ = (
        "_by_type",
        "_channels",
        "_endpoints",
        "_filters",
        "_read",
        "disable_after",
        "per_hour",
        "project_id",
        "selective",
        "version",
    )

    def __init__(
        self,
        project_id: int,
        project: Project,
        plan: str,
        endpoints: Sequence[Route],
        version: tuple[int, int] = (0, 0),
    ) -> None:
        self.project_id = project_id
        self.per_hour = plan_of(project, plan).deliveries_per_hour
        self.disable_after = project.disable_after
        self.version = version
        self._endpoints = endpoints
        self._by_type: dict[str, tuple[int, ...]] = {}
        self._filters = _filters(endpoints)
        self._channels = {id_: frozenset(own) for id_, _, _, own in endpoints if own}
        self.selective = bool(self._filters or self._channels)
        self._read = reader_of(self._filters.values())

    def to(self, event_type: str) -> tuple[int, ...]:
        """Return the ids of the endpoints subscribed to this type, whatever else they want."""
        found = self._by_type.get(event_type)
        if found is None:
            found = tuple(id_ for id_, types, _, _ in self._endpoints if wants(types, event_type))
            self._by_type[event_type] = found
        return found

    def matching(self, new: NewEvent) -> Iterator[int | None]:
        """Yield the ids of the endpoints that want an event; None for one that does not.

        The payload is read once, and only as far as the filters look at it.
        """
        payload: Any = None
        read = False
        for id_ in self.to(new.type):
            channels = self._channels.get(id_)
            if channels is not None and channels.isdisjoint(new.channels):
                yield None
                continue
            filter_ = self._filters.get(id_)
            if filter_ is not None and not read:
                payload, read = self._read(new.payload), True
            yield id_ if filter_ is None or filter_.matches(payload) else None


def _filters(
    endpoints: Sequence[Route],
) -> dict[int, Filter]:
    found: dict[int, Filter] = {}
    for id_, _, text, _ in endpoints:
        if text and (known := stored_filter(text)) is not None:
            found[id_] = known
    return found


Matched: TypeAlias = dict[int, tuple[int, ...]]
"""The endpoints that want an event, by the ``id()`` of the ``NewEvent``."""


async def match_in_turns(
    publishes: Sequence[Publish], routes: Mapping[int, Routes | None]
) -> Matched:
    """Match events with their accounts' channels and filters, on the event loop, giving way to
    others.

    For ``FanOut``, which otherwise does it itself, without a pause.
    """
    if not any(known is not None and known.selective for known in routes.values()):
        return {}
    matched: Matched = {}
    yielding = Yielding()
    for publish in publishes:
        for new in publish.events:
            known = routes[new.account_id]
            if known is None or not known.selective:
                continue
            targets: list[int] = []
            for id_ in known.matching(new):
                await yielding.turn()
                if id_ is not None:
                    targets.append(id_)
            matched[id(new)] = tuple(targets)
    return matched


class FanOut:
    """The fan-out of one batch: events matched with endpoints, held, handed over.

    ``known`` are the idempotency keys among them that were used before, ``matched`` what
    ``match_in_turns`` found. The rows are in the order of the statements ``add_keys``,
    ``add_events``, ``add_deliveries`` and ``add_payload_expiries``.
    """

    def __init__(
        self,
        *,
        ids: Callable[[Micros], int],
        capacity: Capacity,
        routes: Callable[[int], Routes | None],
        usage: Usage,
        known: Mapping[tuple[int, str], Known],
        effects: Effects,
        matched: Matched | None = None,
    ) -> None:
        self._ids = ids
        self._free_slots = capacity.deliveries
        self._free_bytes = capacity.payload_bytes
        self._full = capacity.full_endpoints
        self._routes = routes
        self.usage = usage
        self._known = dict(known)
        self._effects = effects
        self._matched = matched or {}
        self.keys: list[Row] = []
        self.events: list[Row] = []
        self.deliveries: list[Row] = []
        self.payload_expiries: list[Row] = []
        self.operational_events: list[OperationalEvent] = []

    def add_all(self, publishes: Iterable[Publish]) -> None:
        """Build the rows of all events, and set the publishers' results."""
        for publish in publishes:
            now, lease_ends_at = publish.now, publish.now + publish.lease
            publish.results = [self._add(event, now, lease_ends_at) for event in publish.events]

    def _add(self, new: NewEvent, now: Micros, lease_ends_at: Micros) -> AddResult:
        if new.idempotency_key:
            known = self._known.get((new.project_id, new.idempotency_key))
            if known is not None:
                digest, event_id, deliveries = known
                if digest == new.digest:
                    return Accepted(event_id, deliveries, replayed=True)
                return KeyReused(event_id)
        routes = self._routes(new.account_id)
        if routes is None:
            return AccountGone()
        event = _event(self._ids(now), new, now, test=new.test)
        targets = self._targets(new, routes) if routes.selective else routes.to(new.type)
        held = sum([self._deliver(event, id_, routes, now, lease_ends_at) for id_ in targets])
        self._keep(event, new, routes.project_id, len(targets))
        if new.retention_days:
            self.payload_expiries.append((event.id, now + new.retention_days * DAY))
        return Accepted(event.id, len(targets), held=held)

    def _targets(self, new: NewEvent, routes: Routes) -> tuple[int, ...]:
        found = self._matched.get(id(new))
        if found is None:
            found = tuple(id_ for id_ in routes.matching(new) if id_ is not None)
        return found

    def _keep(self, event: Event, new: NewEvent, project_id: int, deliveries: int) -> None:
        self.events.append(rows.event_columns(event, project_id, deliveries))
        if new.idempotency_key:
            self.keys.append((project_id, new.idempotency_key, new.digest, event.id, deliveries))
            self._known[project_id, new.idempotency_key] = (new.digest, event.id, deliveries)

    def _deliver(
        self, event: Event, endpoint_id: int, routes: Routes, now: Micros, lease_ends_at: Micros
    ) -> bool:
        """Build a delivery's row; return whether the plan holds it back."""
        delivery_id = self._ids(now)
        state, token, reason = "pending", 0, ""
        due_at: Micros | None = now
        if routes.per_hour is not None and not self.usage.take(
            event.account_id, routes.per_hour, now
        ):
            state, due_at, reason = "held", None, held_reason(routes.per_hour)
            if event.account_id not in self.usage.holding:
                self.usage.holding.add(event.account_id)
                self.operational_events.append(
                    limit_reached(event.account_id, "deliveries_per_hour", routes.per_hour, now)
                )
        elif self._takes(event, endpoint_id):
            token = delivery_id
            due_at = lease_ends_at
            self._hand_over(event, endpoint_id, delivery_id, now, lease_ends_at)
        else:
            self._effects.due_at(endpoint_id, now)
        self.deliveries.append(
            (
                delivery_id,
                event.id,
                endpoint_id,
                event.account_id,
                routes.project_id,
                "event",
                state,
                due_at,
                token,
                reason,
            )
        )
        return due_at is None

    def _takes(self, event: Event, endpoint_id: int) -> bool:
        if self._free_slots <= 0 or self._free_bytes < len(event.payload):
            return False
        return endpoint_id not in self._full

    def _hand_over(
        self,
        event: Event,
        endpoint_id: int,
        delivery_id: int,
        due_at: Micros,
        lease_ends_at: Micros,
    ) -> None:
        self._free_slots -= 1
        self._free_bytes -= len(event.payload)
        self._effects.claims.append(
            Claim(
                delivery_id=delivery_id,
                endpoint_id=endpoint_id,
                event=event,
                attempt=1,
                token=delivery_id,
                due_at=due_at,
                lease_ends_at=lease_ends_at,
            )
        )


def _event(id_: int, new: NewEvent, now: Micros, *, test: bool) -> Event:
    return Event(
        id=id_,
        account_id=new.account_id,
        type=new.type,
        payload=new.payload,
        occurred_at=new.occurred_at if new.occurred_at is not None else now,
        transition=new.transition,
        test=test,
        channels=new.channels,
        tags=new.tags,
    )


def rows_of_test_event(
    ids: Callable[[Micros], int],
    endpoint: Endpoint,
    new: NewEvent,
    now: Micros,
    lease_ends_at: Micros,
) -> tuple[Claim, Row, Row]:
    """Build the rows of a test event for one endpoint, and of its claimed delivery."""
    event = _event(ids(now), new, now, test=True)
    claim = Claim(
        delivery_id=ids(now),
        endpoint_id=endpoint.id,
        event=event,
        attempt=1,
        token=event.id,
        due_at=now,
        lease_ends_at=lease_ends_at,
        origin=Origin.TEST,
    )
    row = _row(claim.delivery_id, event.id, endpoint, claim.origin)
    delivery = (*row, "pending", claim.lease_ends_at, claim.token, "")
    return claim, rows.event_columns(event, endpoint.project_id, 1), delivery


def again_row(
    id_: int,
    event_id: int,
    endpoint: Endpoint,
    held_by: int | None,
    now: Micros,
    origin: Origin = Origin.RESEND,
) -> Row:
    """Build the row of a resent or replayed delivery.

    ``held_by``: the plan's limit, if that holds it back.
    """
    row = _row(id_, event_id, endpoint, origin)
    if held_by is None:
        return (*row, "pending", now, 0, "")
    return (*row, "held", None, 0, held_reason(held_by))


def held_reason(per_hour: int) -> str:
    """Return the reason of a delivery that is held back."""
    return f"plan: {count_of(per_hour, 'delivery', 'deliveries')} an hour"


def _row(id_: int, event_id: int, endpoint: Endpoint, origin: Origin) -> Row:
    return id_, event_id, endpoint.id, endpoint.account_id, endpoint.project_id, origin.value


def idempotency_keys(publishes: Iterable[Publish]) -> list[tuple[int, str]]:
    """Return the (project, idempotency key) pairs of these events that have one."""
    return [
        (event.project_id, event.idempotency_key)
        for publish in publishes
        for event in publish.events
        if event.idempotency_key
    ]
