"""Events, deliveries and attempts in SQLite: reading what happened, and asking for more of it."""

from collections.abc import Mapping, Sequence

import apsw

from hooktide.domain.errors import NotFoundError
from hooktide.domain.model import (
    Attempt,
    Claim,
    Delivery,
    DeliveryState,
    Endpoint,
    Micros,
    Scope,
)
from hooktide.store import refusals, rows
from hooktide.store.base import EventRow, NewEvent, Page
from hooktide.store.batch import Effects
from hooktide.store.fanout import again_row, test_rows
from hooktide.store.lists import conditions, in_scope, page, within
from hooktide.store.sqlite.endpoints import Endpoints


class Log(Endpoints):
    """The store's methods for the log, and for tests and resends."""

    async def get_event(self, scope: Scope, event_id: int) -> EventRow:
        return await self._read(lambda db: self._event(db, scope, event_id))

    def _event(self, db: apsw.Connection, scope: Scope, event_id: int) -> EventRow:
        where, values = conditions([("id = :id", "id", event_id), *in_scope(scope)])
        return rows.event_row(self._one(db, "event", self._sql["events"] + where, values))

    async def list_events(
        self,
        scope: Scope,
        before: int | None,
        limit: int,
        event_type: str | None = None,
        *,
        after: int | None = None,
    ) -> Page:
        wanted = [
            ("id < :before", "before", before),
            ("id > :after", "after", after),
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

    async def events_of(self, scope: Scope, event_ids: Sequence[int]) -> Mapping[int, EventRow]:
        values = {"ids": rows.json_text(sorted(set(event_ids))), **within(scope)}
        sql = self._sql["events_of"]
        found = await self._read(lambda db: list(db.execute(sql, values)))
        return {row[0]: rows.event_row(row) for row in found}

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
        after: int | None = None,
    ) -> Page:
        wanted = [
            ("d.id < :before", "before", before),
            ("d.id > :after", "after", after),
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

    async def last_attempts(
        self, scope: Scope, delivery_ids: Sequence[int]
    ) -> Mapping[int, Attempt]:
        values = {"ids": rows.json_text(sorted(set(delivery_ids))), **within(scope)}
        sql = self._sql["last_attempts"]
        found = await self._read(lambda db: list(db.execute(sql, values)))
        return {row[0]: rows.attempt(row[0], row[1:]) for row in found}

    # -- tests and resends ---------------------------------------------------------------------

    async def add_test(
        self, scope: Scope, endpoint_id: int, event: NewEvent, now: Micros, lease: Micros
    ) -> Claim:
        def write(db: apsw.Connection, _: Effects) -> Claim:
            endpoint = self._enabled(db, scope, endpoint_id)
            limit, taken = self._take_room(endpoint.account_id, now)
            if limit is not None and not taken:
                raise refusals.hour_is_full(limit)
            claim, event_row, row = test_rows(self._ids, endpoint, event, now, lease)
            self._hot.insert([], [event_row], [row])
            self._hot.save_usage()
            return claim

        return await self._write(write)

    async def resend(self, scope: Scope, delivery_id: int, now: Micros) -> Delivery:
        def write(db: apsw.Connection, effects: Effects) -> Delivery:
            old = self._delivery(db, scope, delivery_id)
            if old.state is DeliveryState.HELD:
                raise refusals.delivery_held()
            try:
                endpoint = self._enabled(db, Scope(), old.endpoint_id)
            except NotFoundError:
                raise refusals.endpoint_removed() from None
            limit, taken = self._take_room(endpoint.account_id, now)
            id_, held_by = self._ids(now), None if taken else limit
            row = again_row(id_, old.event_id, endpoint, held_by, now)
            self._hot.insert([], [], [row])
            self._hot.save_usage()
            if held_by is None:
                effects.due_at(endpoint.id, now)
            else:
                self._hot.usage.holding.add(endpoint.account_id)
            return self._delivery(db, Scope(), id_)

        return await self._write(write)

    def _enabled(self, db: apsw.Connection, scope: Scope, endpoint_id: int) -> Endpoint:
        endpoint = self._endpoint(db, scope, endpoint_id)
        refusals.check_enabled(endpoint)
        return endpoint

    def _take_room(self, account_id: int, now: Micros) -> tuple[int | None, bool]:
        """Count a delivery in the account's hour; return its limit, and whether there was room."""
        routes = self._hot.routes(account_id)
        if routes is None:
            raise NotFoundError("account")
        limit = routes.per_hour
        return limit, limit is None or self._hot.usage.take(account_id, limit, now)


def _log_of(scope: Scope, endpoint_id: int | None) -> str:
    """Name the condition that leads to a list's deliveries; empty: their own order does."""
    if endpoint_id is not None:
        return "deliveries_of_endpoint"
    return "deliveries_of_account" if scope.account_id is not None else ""


_ABOVE_ALL = (1 << 63) - 1
