"""Events, deliveries and attempts in PostgreSQL: what happened, and asking for more of it."""

from collections.abc import Mapping, Sequence
from typing import Any

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
from hooktide.store.fanout import again_row, test_rows
from hooktide.store.lists import conditions, in_scope, page, within
from hooktide.store.postgres.connection import Link
from hooktide.store.postgres.endpoints import Endpoints


class Log(Endpoints):
    """The store's methods for the log, and for tests and resends."""

    async def get_event(self, scope: Scope, event_id: int) -> EventRow:
        return await self._read(lambda link: self._event(link, scope, event_id))

    async def _event(self, link: Link, scope: Scope, event_id: int) -> EventRow:
        where, values = conditions([("id = :id", "id", event_id), *in_scope(scope)])
        return rows.event_row(await self._one(link, "event", self._sql["events"] + where, values))

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
        where, values = conditions(wanted)
        sql = self._sql["events"] + where + " ORDER BY id DESC LIMIT :limit"
        values["limit"] = limit + 1
        found = await self._read(lambda link: link.rows(sql, values))
        return page(found, limit, rows.event_row)

    async def events_of(self, scope: Scope, event_ids: Sequence[int]) -> Mapping[int, EventRow]:
        found = await self._of("events_of", scope, event_ids)
        return {row[0]: rows.event_row(row) for row in found}

    async def _of(self, name: str, scope: Scope, ids: Sequence[int]) -> list[Any]:
        """Ask for these ids; the first and the last lead to the days that they are of."""
        if not ids:
            return []
        span = {"first": min(ids), "last": max(ids)}
        values = {"ids": list(ids), **span, **within(scope)}
        return await self._read(lambda link: link.rows(self._sql[name], values))

    async def get_delivery(self, scope: Scope, delivery_id: int) -> Delivery:
        return await self._read(lambda link: self._delivery(link, scope, delivery_id))

    async def _delivery(self, link: Link, scope: Scope, delivery_id: int) -> Delivery:
        where, values = conditions([("d.id = :id", "id", delivery_id), *in_scope(scope, "d.")])
        return rows.delivery(
            await self._one(link, "delivery", self._sql["deliveries"] + where, values)
        )

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
        where, values = conditions(wanted)
        sql = self._sql["deliveries"] + where + " ORDER BY d.id DESC LIMIT :limit"
        values["limit"] = limit + 1
        found = await self._read(lambda link: link.rows(sql, values))
        return page(found, limit, rows.delivery)

    async def list_attempts(self, scope: Scope, delivery_id: int) -> Sequence[Attempt]:
        async def read(link: Link) -> list[Attempt]:
            await self._delivery(link, scope, delivery_id)
            found = await link.rows(self._sql["attempts"], {"delivery_id": delivery_id})
            return [rows.attempt(delivery_id, row) for row in found]

        return await self._read(read)

    async def last_attempts(
        self, scope: Scope, delivery_ids: Sequence[int]
    ) -> Mapping[int, Attempt]:
        found = await self._of("last_attempts", scope, delivery_ids)
        return {row[0]: rows.attempt(row[0], row[1:]) for row in found}

    # -- tests and resends ---------------------------------------------------------------------

    async def add_test(
        self, scope: Scope, endpoint_id: int, event: NewEvent, now: Micros, lease: Micros
    ) -> Claim:
        async def write(link: Link) -> Claim:
            endpoint = await self._enabled(link, scope, endpoint_id)
            limit, taken = await self._hot.take_room(link, endpoint.account_id, now)
            if limit is not None and not taken:
                raise refusals.hour_is_full(limit)
            claim, event_row, row = test_rows(self._ids, endpoint, event, now, lease)
            await link.many(self._sql["add_events"], [event_row])
            await link.many(self._sql["add_deliveries"], [row])
            return claim

        return await self._write(write)

    async def resend(self, scope: Scope, delivery_id: int, now: Micros) -> Delivery:
        async def write(link: Link) -> Delivery:
            old = await self._delivery(link, scope, delivery_id)
            if old.state is DeliveryState.HELD:
                raise refusals.delivery_held()
            await link.rows(self._sql["lock_event"], {"id": old.event_id})
            try:
                endpoint = await self._enabled(link, Scope(), old.endpoint_id)
            except NotFoundError:
                raise refusals.endpoint_removed() from None
            limit, taken = await self._hot.take_room(link, endpoint.account_id, now)
            id_, held_by = self._ids(now), None if taken else limit
            row = again_row(id_, old.event_id, endpoint, held_by, now)
            await link.many(self._sql["add_deliveries"], [row])
            if held_by is None:
                link.effects.due_at(endpoint.id, now)
            return await self._delivery(link, Scope(), id_)

        return await self._write(write)

    async def _enabled(self, link: Link, scope: Scope, endpoint_id: int) -> Endpoint:
        """Find an endpoint that is enabled, and stays so until the commit."""
        endpoint = await self._endpoint(link, scope, endpoint_id)
        if not await link.rows(self._sql["claimable_endpoints"], {"endpoints": [endpoint_id]}):
            endpoint = await self._endpoint(link, scope, endpoint_id)
        refusals.check_enabled(endpoint)
        return endpoint
