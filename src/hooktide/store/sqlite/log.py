"""Events, deliveries and attempts in SQLite: reading what happened, and asking for more of it."""

from collections.abc import Sequence
from typing import Any

import apsw

from hooktide.domain.errors import LimitError, NotFoundError, RefusedError
from hooktide.domain.model import (
    MINUTE,
    Attempt,
    Claim,
    Delivery,
    DeliveryState,
    Endpoint,
    Event,
    Micros,
    Origin,
    Scope,
)
from hooktide.store import rows
from hooktide.store.base import EventRow, NewEvent, Page
from hooktide.store.batch import Effects
from hooktide.store.fanout import Routes
from hooktide.store.rows import Row
from hooktide.store.sqlite.endpoints import Endpoints
from hooktide.store.sqlite.part import conditions, in_scope, page


class Log(Endpoints):
    """The store's methods for the log, and for tests and resends."""

    async def get_event(self, scope: Scope, event_id: int) -> EventRow:
        return await self._read(lambda db: self._event(db, scope, event_id))

    def _event(self, db: apsw.Connection, scope: Scope, event_id: int) -> EventRow:
        where, values = conditions([("id = :id", "id", event_id), *in_scope(scope)])
        return rows.event_row(self._one(db, "event", self._sql["events"] + where, values))

    async def list_events(
        self, scope: Scope, before: int | None, limit: int, event_type: str | None = None
    ) -> Page:
        wanted = [
            ("id < :before", "before", before),
            ("type = :type", "type", event_type),
            *in_scope(scope),
        ]
        if scope.account_id is not None:
            wanted.append((self._sql["events_of_account"], "below", before or _ABOVE_ALL))
        where, values = conditions(wanted)
        values = {"type": None, **values}
        sql = self._sql["events"] + where + " ORDER BY id DESC LIMIT :limit"
        values["limit"] = limit + 1
        found = await self._read(lambda db: list(db.execute(sql, values)))
        return page(found, limit, rows.event_row)

    async def get_delivery(self, scope: Scope, delivery_id: int) -> Delivery:
        return await self._read(lambda db: self._delivery(db, scope, delivery_id))

    def _delivery(self, db: apsw.Connection, scope: Scope, delivery_id: int) -> Delivery:
        where, values = conditions([("d.id = :id", "id", delivery_id), *in_scope(scope, "d.")])
        return rows.delivery(self._one(db, "delivery", self._sql["deliveries"] + where, values))

    async def list_deliveries(
        self,
        scope: Scope,
        before: int | None,
        limit: int,
        *,
        endpoint_id: int | None = None,
        event_id: int | None = None,
        state: DeliveryState | None = None,
    ) -> Page:
        wanted = [
            ("d.id < :before", "before", before),
            ("d.endpoint_id = :endpoint_id", "endpoint_id", endpoint_id),
            ("d.event_id = :event_id", "event_id", event_id),
            ("d.state = :state", "state", None if state is None else state.value),
            *in_scope(scope, "d."),
        ]
        if event_id is None and (name := _log_of(scope, endpoint_id)):
            wanted.append((self._sql[name], "below", before or _ABOVE_ALL))
        where, values = conditions(wanted)
        sql = self._sql["deliveries"] + where + " ORDER BY d.id DESC LIMIT :limit"
        values = {"state": None, **values, "limit": limit + 1}
        found = await self._read(lambda db: list(db.execute(sql, values)))
        return page(found, limit, rows.delivery)

    async def list_attempts(self, scope: Scope, delivery_id: int) -> Sequence[Attempt]:
        def read(db: apsw.Connection) -> list[Attempt]:
            self._delivery(db, scope, delivery_id)
            found = db.execute(self._sql["attempts"], {"delivery_id": delivery_id})
            return [rows.attempt(delivery_id, row) for row in found]

        return await self._read(read)

    # -- tests and resends ---------------------------------------------------------------------

    async def add_test(
        self, scope: Scope, endpoint_id: int, event: NewEvent, now: Micros, lease: Micros
    ) -> Claim:
        def write(db: apsw.Connection, _: Effects) -> Claim:
            endpoint = self._enabled(db, scope, endpoint_id)
            self._take_room(endpoint.account_id, now)
            made = Event(
                id=self._ids(now),
                account_id=endpoint.account_id,
                type=event.type,
                payload=event.payload,
                occurred_at=event.occurred_at if event.occurred_at is not None else now,
                transition=event.transition,
                test=True,
            )
            claim = Claim(
                delivery_id=self._ids(now),
                endpoint_id=endpoint.id,
                event=made,
                attempt=1,
                token=made.id,
                lease_ends_at=now + lease,
                origin=Origin.TEST,
            )
            event_row = rows.event_columns(made, endpoint.project_id, 1)
            self._hot.insert([], [event_row], [_claimed(claim, endpoint)])
            return claim

        return await self._write(write)

    async def resend(self, scope: Scope, delivery_id: int, now: Micros) -> Delivery:
        def write(db: apsw.Connection, effects: Effects) -> Delivery:
            old = self._delivery(db, scope, delivery_id)
            if old.state is DeliveryState.HELD:
                raise RefusedError(
                    "delivery_held",
                    "the delivery is held back by the plan's hour and is sent by itself when "
                    "there is room",
                )
            try:
                endpoint = self._enabled(db, Scope(), old.endpoint_id)
            except NotFoundError:
                raise RefusedError(
                    "endpoint_removed",
                    "the endpoint of this delivery was removed; nothing can be sent to it",
                ) from None
            limit = self._per_hour(endpoint.account_id)
            held = limit is not None and not self._hot.usage.take(endpoint.account_id, limit, now)
            id_ = self._ids(now)
            state, reason = (
                ("held", f"plan: {limit} deliveries an hour") if held else ("pending", "")
            )
            row = _delivery_columns(id_, old.event_id, endpoint, Origin.RESEND, state)
            self._hot.insert([], [], [(*row, None if held else now, 0, reason)])
            self._hot.save_usage()
            if held:
                self._hot.usage.holding.add(endpoint.account_id)
            else:
                effects.due_at(endpoint.id, now)
            return self._delivery(db, Scope(), id_)

        return await self._write(write)

    def _enabled(self, db: apsw.Connection, scope: Scope, endpoint_id: int) -> Endpoint:
        endpoint = self._endpoint(db, scope, endpoint_id)
        if not endpoint.enabled:
            raise RefusedError(
                "endpoint_disabled",
                f"the endpoint is disabled ({endpoint.disabled_reason}); enable it first",
            )
        return endpoint

    def _per_hour(self, account_id: int) -> int | None:
        routes: Routes | None = self._hot.routes(account_id)
        if routes is None:
            raise NotFoundError("account")
        return routes.per_hour

    def _take_room(self, account_id: int, now: Micros) -> None:
        limit = self._per_hour(account_id)
        if limit is not None and not self._hot.usage.take(account_id, limit, now):
            raise LimitError(
                f"the plan's {limit} deliveries of this hour are used up; try again later",
                limit=limit,
                status=429,
                retry_after=MINUTE // 1_000_000,
            )
        self._hot.save_usage()


def _log_of(scope: Scope, endpoint_id: int | None) -> str:
    """Name the condition that leads to a list's deliveries; empty: their own order does."""
    if endpoint_id is not None:
        return "deliveries_of_endpoint"
    return "deliveries_of_account" if scope.account_id is not None else ""


_ABOVE_ALL = (1 << 63) - 1


def _claimed(claim: Claim, endpoint: Endpoint) -> Row:
    row = _delivery_columns(claim.delivery_id, claim.event.id, endpoint, claim.origin, "pending")
    return (*row, claim.lease_ends_at, claim.token, "")


def _delivery_columns(
    id_: int, event_id: int, endpoint: Endpoint, origin: Origin, state: str
) -> tuple[Any, ...]:
    return (
        id_,
        event_id,
        endpoint.id,
        endpoint.account_id,
        endpoint.project_id,
        origin.value,
        state,
    )
