"""Projects, accounts and keys in PostgreSQL: what changes rarely."""

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from hooktide.domain.errors import NotFoundError
from hooktide.domain.model import Account, ApiKey, Micros, Scope
from hooktide.domain.project import Project
from hooktide.store import refusals, rows
from hooktide.store.base import Page, ProjectRow
from hooktide.store.lists import beginning, conditions, in_scope, page, within
from hooktide.store.postgres.connection import Link
from hooktide.store.postgres.part import Part


class Registry(Part):
    """The store's methods for projects, accounts and keys."""

    async def put_project(self, project: Project, now: Micros) -> ProjectRow:
        async def write(link: Link) -> ProjectRow:
            values = {
                "id": self._ids(now),
                "name": project.name,
                "config": rows.json_text(project),
                "now": now,
            }
            id_ = await link.value(self._sql["put_project"], values)
            link.effects.changed.append(("project", id_))
            return await self._project(link, id_)

        return await self._write(write)

    async def get_project(self, scope: Scope, name: str) -> ProjectRow:
        sql = self._sql["projects"] + " AND name = :name AND id = coalesce(:id, id)"
        values = {"name": name, "id": scope.project_id}
        return rows.project_row(
            await self._read(lambda link: self._one(link, "project", sql, values))
        )

    async def get_project_by_id(self, project_id: int) -> ProjectRow:
        return await self._read(lambda link: self._project(link, project_id))

    async def _project(self, link: Link, project_id: int) -> ProjectRow:
        sql = self._sql["projects"] + " AND id = :id"
        return rows.project_row(await self._one(link, "project", sql, {"id": project_id}))

    async def list_projects(self, scope: Scope) -> Sequence[ProjectRow]:
        sql = self._sql["projects"] + " AND id = coalesce(:id, id) ORDER BY name"
        values = {"id": scope.project_id}
        found = await self._read(lambda link: link.rows(sql, values))
        return [rows.project_row(row) for row in found]

    async def remove_project(self, project_id: int, now: Micros) -> None:
        async def write(link: Link) -> None:
            await link.rows(self._sql["lock_project"], {"id": project_id})
            await self._project(link, project_id)
            sql = self._sql["accounts"] + " WHERE project_id = :id AND removed_at IS NULL LIMIT 1"
            if await link.rows(sql, {"id": project_id}):
                raise refusals.project_in_use()
            values = {"id": project_id, "now": now}
            await link.run(self._sql["remove_project"], values)
            await link.run(self._sql["revoke_keys_of_project"], values)
            await link.run(self._sql["remove_people_of_project"], values)
            link.effects.changed.append(("project", project_id))
            link.effects.changed.append(("key", 0))

        await self._write(write)

    # -- accounts ------------------------------------------------------------------------------

    async def add_account(
        self, project_id: int, reference: str, name: str, plan: str, now: Micros
    ) -> Account:
        async def write(link: Link) -> Account:
            await link.rows(self._sql["hold_project"], {"id": project_id})
            await self._project(link, project_id)
            id_ = self._ids(now)
            values = {
                "id": id_,
                "project_id": project_id,
                "reference": reference,
                "name": name,
                "plan": plan,
                "now": now,
            }
            try:
                await link.run(self._sql["add_account"], values)
            except asyncpg.UniqueViolationError:
                raise refusals.account_exists() from None
            link.effects.changed.append(("account", id_))
            return await self._account(link, Scope(), id_)

        return await self._write(write)

    async def get_account(self, scope: Scope, account_id: int) -> Account:
        return await self._read(lambda link: self._account(link, scope, account_id))

    async def _account(self, link: Link, scope: Scope, account_id: int) -> Account:
        where, values = conditions([("id = :id", "id", account_id), *_accounts_in(scope)])
        sql = self._sql["accounts"] + where + " AND removed_at IS NULL"
        return rows.account(await self._one(link, "account", sql, values))

    async def find_account(self, scope: Scope, reference: str) -> Account:
        where, values = conditions(
            [("reference = :reference", "reference", reference), *_accounts_in(scope)]
        )
        sql = self._sql["accounts"] + where + " AND removed_at IS NULL LIMIT 2"
        found = await self._read(lambda link: link.rows(sql, values))
        if not found:
            raise NotFoundError("account")
        if len(found) > 1:
            raise refusals.ambiguous_account()
        return rows.account(found[0])

    async def search_accounts(self, scope: Scope, text: str, limit: int) -> Sequence[Account]:
        values = {**beginning(text), **within(scope), "limit": limit}
        sql = self._sql["search_accounts"]
        return [rows.account(r) for r in await self._read(lambda link: link.rows(sql, values))]

    async def list_accounts(self, scope: Scope, before: int | None, limit: int) -> Page:
        wanted = [("id < :before", "before", before), *_accounts_in(scope)]
        where, values = conditions(wanted)
        sql = self._sql["accounts"] + (where + " AND" if where else " WHERE")
        sql += " removed_at IS NULL ORDER BY id DESC LIMIT :limit"
        values["limit"] = limit + 1
        found = await self._read(lambda link: link.rows(sql, values))
        return page(found, limit, rows.account)

    async def change_account(
        self, scope: Scope, account_id: int, changes: Mapping[str, Any], now: Micros
    ) -> Account:
        async def write(link: Link) -> Account:
            await self._hot.account_changed(link, account_id)
            old = await self._account(link, scope, account_id)
            values = {"id": old.id, "name": old.name, "plan": old.plan, **changes}
            await link.run(self._sql["change_account"], values)
            link.effects.changed.append(("account", account_id))
            return await self._account(link, scope, account_id)

        return await self._write(write)

    async def remove_account(self, scope: Scope, account_id: int, now: Micros) -> None:
        async def write(link: Link) -> None:
            await self._hot.account_changed(link, account_id)
            await self._account(link, scope, account_id)
            values = {"account_id": account_id, "now": now}
            sql = self._sql["endpoints"] + " WHERE account_id = :account_id AND removed_at IS NULL"
            for row in await link.rows(sql, {"account_id": account_id}):
                await self._remove_endpoint(link, row[0], now)
            for (key_id,) in await link.rows(self._sql["revoke_keys_of_account"], values):
                link.effects.changed.append(("key", key_id))
            await link.run(self._sql["remove_account"], {"id": account_id, "now": now})
            link.effects.changed.append(("account", account_id))

        await self._write(write)

    async def _remove_endpoint(self, link: Link, endpoint_id: int, now: Micros) -> None:
        values = {
            "id": endpoint_id,
            "now": now,
            "stale_before": self._ids(now),
            "no_headers": rows.seal_headers((), self._vault),
        }
        await link.run(self._sql["remove_endpoint"], values)
        await link.run(self._sql["forget_secrets"], {"endpoint_id": endpoint_id})
        await self._hot.cancel_replays(link, endpoint_id, "endpoint removed", now)
        link.effects.changed.append(("endpoint", endpoint_id))

    # -- keys ----------------------------------------------------------------------------------

    async def add_key(self, key: ApiKey, digest: bytes) -> ApiKey:
        async def write(link: Link) -> ApiKey:
            id_ = self._ids(key.created_at)
            values = {
                "id": id_,
                "digest": digest,
                "scope": key.scope.value,
                "project_id": key.project_id,
                "account_id": key.account_id,
                "name": key.name,
                "last4": key.last4,
                "created_at": key.created_at,
            }
            try:
                await link.run(self._sql["add_key"], values)
            except asyncpg.UniqueViolationError:
                raise refusals.key_known() from None
            return await self._key(link, Scope(), id_)

        return await self._write(write)

    async def _key(self, link: Link, scope: Scope, key_id: int) -> ApiKey:
        where, values = conditions([("id = :id", "id", key_id), *in_scope(scope)])
        return rows.api_key(await self._one(link, "key", self._sql["keys"] + where, values))

    async def find_key(self, digest: bytes) -> ApiKey | None:
        sql = self._sql["keys"] + " WHERE digest = :digest AND revoked_at IS NULL"
        found = await self._read(lambda link: link.rows(sql, {"digest": digest}))
        return rows.api_key(found[0]) if found else None

    async def get_key(self, scope: Scope, key_id: int) -> ApiKey:
        return await self._read(lambda link: self._key(link, scope, key_id))

    async def list_keys(self, scope: Scope, before: int | None, limit: int) -> Page:
        where, values = conditions([("id < :before", "before", before), *in_scope(scope)])
        sql = self._sql["keys"] + where + " ORDER BY id DESC LIMIT :limit"
        values["limit"] = limit + 1
        found = await self._read(lambda link: link.rows(sql, values))
        return page(found, limit, rows.api_key)

    async def revoke_key(self, scope: Scope, key_id: int, now: Micros) -> ApiKey:
        async def write(link: Link) -> ApiKey:
            await self._key(link, scope, key_id)
            await link.run(self._sql["revoke_key"], {"id": key_id, "now": now})
            link.effects.changed.append(("key", key_id))
            return await self._key(link, scope, key_id)

        return await self._write(write)

    async def touch_keys(self, used: Mapping[int, Micros]) -> None:
        async def write(link: Link) -> None:
            for key_id, used_at in used.items():
                await link.run(self._sql["touch_key"], {"id": key_id, "used_at": used_at})

        await self._write(write)


def _accounts_in(scope: Scope) -> list[tuple[str, str, Any]]:
    return [
        ("project_id = :scope_project", "scope_project", scope.project_id),
        ("id = :scope_account", "scope_account", scope.account_id),
    ]
