"""What is counted, for health and for charts, in PostgreSQL."""

from collections.abc import Mapping, Sequence
from typing import Any

from hooktide.domain.model import BY_HAND, MINUTE, Endpoint, Micros, Scope
from hooktide.domain.numbers import (
    MOST_COUNTED,
    AccountUsage,
    Busy,
    ChartPoint,
    EndpointHour,
    Health,
    ProjectMinute,
    Slow,
)
from hooktide.store import rows, tallies
from hooktide.store.lists import within
from hooktide.store.postgres.connection import Link
from hooktide.store.postgres.endpoints import Endpoints
from hooktide.store.usage import WINDOW_MINUTES


class Numbers(Endpoints):
    """The store's methods for numbers, and for what follows from them."""

    async def add_tallies(
        self, minutes: Sequence[ProjectMinute], hours: Sequence[EndpointHour]
    ) -> None:
        given = {
            "add_minutes": tallies.minute_rows(minutes),
            "add_hours": tallies.hour_rows(hours),
            "add_health": tallies.health_rows(hours),
        }

        async def write(link: Link) -> None:
            for name, items in given.items():
                if items:
                    await link.many(self._sql[name], items)

        await self._write(write)

    async def health(
        self, scope: Scope, endpoint_ids: Sequence[int], since: Micros
    ) -> Mapping[int, Health]:
        values = {"ids": list(endpoint_ids), "hour": tallies.hour_of(since), **within(scope)}
        return tallies.health(await self._rows("health", values))

    async def chart(
        self, scope: Scope, since: Micros, until: Micros, step_minutes: int
    ) -> Sequence[ChartPoint]:
        values = tallies.chart_values(scope, since, until, step_minutes)
        found = [] if scope.account_id is not None else await self._rows("chart", values)
        return tallies.chart_points(values, found)

    async def busiest(self, scope: Scope, since: Micros, limit: int) -> Sequence[Busy]:
        values = {"hour": tallies.hour_of(since), "limit": limit, **within(scope)}
        return [tallies.busy(row) for row in await self._rows("busiest", values)]

    async def slowest(self, scope: Scope, since: Micros, limit: int) -> Sequence[Slow]:
        values = {"hour": tallies.hour_of(since), "limit": limit, **within(scope)}
        return [tallies.slow(row) for row in await self._rows("slowest", values)]

    async def troubled(self, scope: Scope, limit: int) -> Sequence[Endpoint]:
        values = {"by_hand": BY_HAND, "limit": limit, **within(scope)}
        sql = f"{self._sql['endpoints']} {self._sql['troubled']}"
        found = await self._read(lambda link: link.rows(sql, values))
        return [rows.endpoint(row, (), self._vault) for row in found]

    async def account_usage(self, scope: Scope, account_id: int, now: Micros) -> AccountUsage:
        values = {
            "account_id": account_id,
            "since": now // MINUTE - WINDOW_MINUTES,
            "most": MOST_COUNTED,
        }

        async def read(link: Link) -> AccountUsage:
            await self._account(link, scope, account_id)
            row = await self._one(link, "account", self._sql["account_usage"], values)
            return tallies.account_usage(row)

        return await self._read(read)

    async def _rows(self, name: str, values: Mapping[str, Any]) -> list[Any]:
        return await self._read(lambda link: link.rows(self._sql[name], values))
