"""Endpoints and their secrets in PostgreSQL."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hooktide.domain.model import Endpoint, Micros, Scope, Secret
from hooktide.domain.operations import Happening, rotated
from hooktide.store import refusals, rows
from hooktide.store.base import Page
from hooktide.store.happening import read as read_happening
from hooktide.store.lists import conditions, in_scope, page
from hooktide.store.postgres.connection import Link
from hooktide.store.postgres.registry import Registry
from hooktide.store.rows import Row


class Endpoints(Registry):
    """The store's methods for endpoints and their secrets."""

    async def add_endpoint(
        self, endpoint: Endpoint, secret: Secret, limit: int | None, now: Micros
    ) -> Endpoint:
        async def write(link: Link) -> Endpoint:
            await self._hot.account_changed(link, endpoint.account_id)
            account = await self._account(link, Scope(), endpoint.account_id)
            values = {"account_id": account.id}
            count = await link.value(self._sql["count_endpoints"], values)
            refusals.check_endpoints(count, limit)
            values = {
                "id": self._ids(now),
                "project_id": account.project_id,
                "account_id": account.id,
                "now": now,
                **rows.endpoint_values(endpoint, self._vault),
            }
            await link.run(self._sql["add_endpoint"], values)
            await self._add_secret(link, values["id"], secret, now)
            link.effects.changed.append(("endpoint", values["id"]))
            return await self._endpoint(link, Scope(), values["id"])

        return await self._write(write)

    async def _add_secret(self, link: Link, endpoint_id: int, secret: Secret, now: Micros) -> None:
        values = {
            "endpoint_id": endpoint_id,
            "created_at": now,
            "sealed": rows.seal_secret(secret, self._vault),
        }
        await link.run(self._sql["add_secret"], values)

    async def get_endpoint(self, scope: Scope, endpoint_id: int) -> Endpoint:
        return await self._read(lambda link: self._endpoint(link, scope, endpoint_id))

    async def _endpoint(self, link: Link, scope: Scope, endpoint_id: int) -> Endpoint:
        where, values = conditions([("id = :id", "id", endpoint_id), *in_scope(scope)])
        sql = self._sql["endpoints"] + where + " AND removed_at IS NULL"
        return await self._join_secrets(link, await self._one(link, "endpoint", sql, values))

    async def _join_secrets(self, link: Link, row: Row) -> Endpoint:
        found = await link.rows(self._sql["secrets_of"], {"endpoint_id": row[0]})
        secrets = tuple(rows.active_secret(secret, self._vault) for secret in found)
        return rows.endpoint(row, secrets, self._vault)

    async def list_endpoints(self, scope: Scope, before: int | None, limit: int) -> Page:
        where, values = conditions([("id < :before", "before", before), *in_scope(scope)])
        sql = self._sql["endpoints"] + (where + " AND" if where else " WHERE")
        sql += " removed_at IS NULL ORDER BY id DESC LIMIT :limit"
        values["limit"] = limit + 1
        found = await self._read(lambda link: link.rows(sql, values))
        return page(found, limit, lambda row: rows.endpoint(row, (), self._vault))

    async def endpoints_at(self, url: str) -> Sequence[Endpoint]:
        sql = self._sql["endpoints"] + " WHERE url = :url AND removed_at IS NULL"

        async def read(link: Link) -> list[Endpoint]:
            found = await link.rows(sql, {"url": url})
            return [await self._join_secrets(link, row) for row in found]

        return await self._read(read)

    async def change_endpoint(
        self, scope: Scope, endpoint_id: int, changes: Mapping[str, Any], now: Micros
    ) -> Endpoint:
        async def write(link: Link) -> Endpoint:
            old = await self._locked(link, scope, endpoint_id)
            values = rows.endpoint_values(replace(old, **changes), self._vault)
            await link.run(self._sql["change_endpoint"], {"id": endpoint_id, "now": now, **values})
            return await self._touched(link, old)

        return await self._write(write)

    async def _locked(self, link: Link, scope: Scope, endpoint_id: int) -> Endpoint:
        """Find an endpoint; until the commit nobody else changes it or fans out to it."""
        found = await self._endpoint(link, scope, endpoint_id)
        await self._hot.account_changed(link, found.account_id)
        return await self._endpoint(link, scope, endpoint_id)

    async def _touched(self, link: Link, old: Endpoint) -> Endpoint:
        link.effects.changed.append(("endpoint", old.id))
        return await self._endpoint(link, Scope(), old.id)

    async def remove_endpoint(self, scope: Scope, endpoint_id: int, now: Micros) -> None:
        async def write(link: Link) -> None:
            old = await self._locked(link, scope, endpoint_id)
            await self._remove_endpoint(link, old.id, now)

        await self._write(write)

    async def disable_endpoint(
        self, scope: Scope, endpoint_id: int, reason: str, now: Micros
    ) -> Endpoint:
        async def write(link: Link) -> Endpoint:
            old = await self._locked(link, scope, endpoint_id)
            await self._hot.switch_off(link, old.id, old.account_id, reason, now)
            return await self._endpoint(link, Scope(), old.id)

        return await self._write(write)

    async def enable_endpoint(self, scope: Scope, endpoint_id: int, now: Micros) -> Endpoint:
        async def write(link: Link) -> Endpoint:
            old = await self._locked(link, scope, endpoint_id)
            values = {"id": old.id, "now": now, "stale_before": self._ids(now)}
            await link.run(self._sql["enable_endpoint"], values)
            return await self._touched(link, old)

        return await self._write(write)

    async def rotate_secret(
        self, scope: Scope, endpoint_id: int, secret: Secret, overlap: Micros, now: Micros
    ) -> Endpoint:
        async def write(link: Link) -> Endpoint:
            old = await self._locked(link, scope, endpoint_id)
            refusals.check_secrets(old)
            if overlap:
                values = {"endpoint_id": old.id, "retires_at": now + overlap}
                await link.run(self._sql["retire_current"], values)
            else:
                await link.run(self._sql["forget_secrets"], {"endpoint_id": old.id})
            newest = max((known.created_at for known in old.secrets), default=0)
            await self._add_secret(link, old.id, secret, max(now, newest + 1))
            happening = rotated(old.account_id, old.id, now + overlap, now)
            await self._hot.happened(link, [happening])
            return await self._touched(link, old)

        return await self._write(write)

    async def add_happening(self, happening: Happening) -> None:
        await self._write(lambda link: self._hot.happened(link, [happening]))

    async def happenings(self, limit: int) -> Sequence[tuple[int, Happening]]:
        found = await self._read(lambda link: link.rows(self._sql["happenings"], {"limit": limit}))
        return [read_happening(row) for row in found]

    async def forget_happenings(self, keys: Sequence[str]) -> None:
        if keys:
            values = {"keys": list(keys)}
            await self._write(lambda link: link.run(self._sql["forget_happenings"], values))

    async def retire_secrets(self, now: Micros) -> int:
        async def write(link: Link) -> int:
            retired = await link.rows(self._sql["forget_retired"], {"now": now})
            link.effects.changed.extend(("endpoint", id_) for (id_,) in retired)
            return len(retired)

        return await self._write(write)
