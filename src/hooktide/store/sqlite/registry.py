"""Projects, accounts and keys in SQLite: what changes rarely."""

from collections.abc import Mapping, Sequence
from typing import Any

import apsw

from hooktide.domain.errors import NotFoundError
from hooktide.domain.model import Account, ApiKey, Micros, Scope
from hooktide.domain.project import Project
from hooktide.store import refusals, rows
from hooktide.store.base import Page, ProjectRow
from hooktide.store.batch import Effects
from hooktide.store.lists import beginning, conditions, in_scope, page, within
from hooktide.store.sqlite.part import Part


class Registry(Part):
    """The store's methods for projects, accounts and keys."""

    async def put_project(self, project: Project, now: Micros) -> ProjectRow:
        def write(db: apsw.Connection, effects: Effects) -> ProjectRow:
            values = {
                "id": self._ids(now),
                "name": project.name,
                "config": rows.json_text(project),
                "now": now,
            }
            [[id_]] = list(db.execute(self._sql["put_project"], values))
            self._hot.forget_routes()
            effects.changed.append(("project", id_))
            return self._project(db, id_)

        return await self._write(write)

    async def get_project(self, scope: Scope, name: str) -> ProjectRow:
        sql = self._sql["projects"] + " AND name = :name AND id = coalesce(:id, id)"
        values = {"name": name, "id": scope.project_id}
        return await self._read(lambda db: rows.project_row(self._one(db, "project", sql, values)))

    async def get_project_by_id(self, project_id: int) -> ProjectRow:
        return await self._read(lambda db: self._project(db, project_id))

    def _project(self, db: apsw.Connection, project_id: int) -> ProjectRow:
        sql = self._sql["projects"] + " AND id = :id"
        return rows.project_row(self._one(db, "project", sql, {"id": project_id}))

    async def list_projects(self, scope: Scope) -> Sequence[ProjectRow]:
        sql = self._sql["projects"] + " AND id = coalesce(:id, id) ORDER BY name"
        values = {"id": scope.project_id}
        return await self._read(lambda db: [rows.project_row(r) for r in db.execute(sql, values)])

    async def remove_project(self, project_id: int, now: Micros) -> None:
        def write(db: apsw.Connection, effects: Effects) -> None:
            self._project(db, project_id)
            sql = self._sql["accounts"] + " WHERE project_id = :id AND removed_at IS NULL LIMIT 1"
            if list(db.execute(sql, {"id": project_id})):
                raise refusals.project_in_use()
            values = {"id": project_id, "now": now}
            db.execute(self._sql["remove_project"], values)
            db.execute(self._sql["revoke_keys_of_project"], values)
            db.execute(self._sql["remove_people_of_project"], values)
            effects.changed.append(("project", project_id))
            effects.changed.append(("key", 0))

        await self._write(write)

    # -- accounts ------------------------------------------------------------------------------

    async def add_account(
        self, project_id: int, reference: str, name: str, plan: str, now: Micros
    ) -> Account:
        def write(db: apsw.Connection, effects: Effects) -> Account:
            self._project(db, project_id)
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
                db.execute(self._sql["add_account"], values)
            except apsw.ConstraintError:
                raise refusals.account_exists() from None
            effects.changed.append(("account", id_))
            return self._account(db, Scope(), id_)

        return await self._write(write)

    async def get_account(self, scope: Scope, account_id: int) -> Account:
        return await self._read(lambda db: self._account(db, scope, account_id))

    def _account(self, db: apsw.Connection, scope: Scope, account_id: int) -> Account:
        where, values = conditions([("id = :id", "id", account_id), *_accounts_in(scope)])
        sql = self._sql["accounts"] + where + " AND removed_at IS NULL"
        return rows.account(self._one(db, "account", sql, values))

    async def find_account(self, scope: Scope, reference: str) -> Account:
        where, values = conditions(
            [("reference = :reference", "reference", reference), *_accounts_in(scope)]
        )
        sql = self._sql["accounts"] + where + " AND removed_at IS NULL LIMIT 2"
        found = await self._read(lambda db: list(db.execute(sql, values)))
        if not found:
            raise NotFoundError("account")
        if len(found) > 1:
            raise refusals.ambiguous_account()
        return rows.account(found[0])

    async def search_accounts(self, scope: Scope, text: str, limit: int) -> Sequence[Account]:
        values = {**beginning(text), **within(scope), "limit": limit}
        sql = self._sql["search_accounts"]
        return await self._read(lambda db: [rows.account(row) for row in db.execute(sql, values)])

    async def list_accounts(self, scope: Scope, before: int | None, limit: int) -> Page:
        wanted = [("id < :before", "before", before), *_accounts_in(scope)]
        where, values = conditions(wanted)
        sql = self._sql["accounts"] + (where + " AND" if where else " WHERE")
        sql += " removed_at IS NULL ORDER BY id DESC LIMIT :limit"
        values["limit"] = limit + 1
        found = await self._read(lambda db: list(db.execute(sql, values)))
        return page(found, limit, rows.account)

    async def change_account(
        self, scope: Scope, account_id: int, changes: Mapping[str, Any], now: Micros
    ) -> Account:
        def write(db: apsw.Connection, effects: Effects) -> Account:
            old = self._account(db, scope, account_id)
            values = {"id": old.id, "name": old.name, "plan": old.plan, **changes}
            db.execute(self._sql["change_account"], values)
            self._hot.forget_routes(account_id)
            effects.changed.append(("account", account_id))
            return self._account(db, scope, account_id)

        return await self._write(write)

    async def remove_account(self, scope: Scope, account_id: int, now: Micros) -> None:
        def write(db: apsw.Connection, effects: Effects) -> None:
            self._account(db, scope, account_id)
            values = {"account_id": account_id, "now": now}
            sql = self._sql["endpoints"] + " WHERE account_id = :account_id AND removed_at IS NULL"
            for row in list(db.execute(sql, {"account_id": account_id})):
                self._remove_endpoint(db, row[0], account_id, now, effects)
            for [key_id] in list(db.execute(self._sql["revoke_keys_of_account"], values)):
                effects.changed.append(("key", key_id))
            db.execute(self._sql["remove_account"], {"id": account_id, "now": now})
            self._hot.forget_routes(account_id)
            effects.changed.append(("account", account_id))

        await self._write(write)

    def _remove_endpoint(
        self, db: apsw.Connection, endpoint_id: int, account_id: int, now: Micros, effects: Effects
    ) -> None:
        before = self._ids(now)
        values = {
            "id": endpoint_id,
            "now": now,
            "stale_before": before,
            "no_headers": rows.seal_headers((), self._vault),
        }
        db.execute(self._sql["remove_endpoint"], values)
        db.execute(self._sql["forget_secrets"], {"endpoint_id": endpoint_id})
        self._hot.cancel_replays(endpoint_id, "endpoint removed", now)
        self._hot.mark_stale(endpoint_id, account_id, before, "endpoint removed", effects)

    # -- keys ----------------------------------------------------------------------------------

    async def add_key(self, key: ApiKey, digest: bytes) -> ApiKey:
        def write(db: apsw.Connection, _: Effects) -> ApiKey:
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
                db.execute(self._sql["add_key"], values)
            except apsw.ConstraintError:
                raise refusals.key_known() from None
            return self._key(db, Scope(), id_)

        return await self._write(write)

    def _key(self, db: apsw.Connection, scope: Scope, key_id: int) -> ApiKey:
        where, values = conditions([("id = :id", "id", key_id), *in_scope(scope)])
        return rows.api_key(self._one(db, "key", self._sql["keys"] + where, values))

    async def find_key(self, digest: bytes) -> ApiKey | None:
        sql = self._sql["keys"] + " WHERE digest = :digest AND revoked_at IS NULL"
        found = await self._read(lambda db: list(db.execute(sql, {"digest": digest})))
        return rows.api_key(found[0]) if found else None

    async def get_key(self, scope: Scope, key_id: int) -> ApiKey:
        return await self._read(lambda db: self._key(db, scope, key_id))

    async def list_keys(self, scope: Scope, before: int | None, limit: int) -> Page:
        where, values = conditions([("id < :before", "before", before), *in_scope(scope)])
        sql = self._sql["keys"] + where + " ORDER BY id DESC LIMIT :limit"
        values["limit"] = limit + 1
        found = await self._read(lambda db: list(db.execute(sql, values)))
        return page(found, limit, rows.api_key)

    async def revoke_key(self, scope: Scope, key_id: int, now: Micros) -> ApiKey:
        def write(db: apsw.Connection, effects: Effects) -> ApiKey:
            self._key(db, scope, key_id)
            db.execute(self._sql["revoke_key"], {"id": key_id, "now": now})
            effects.changed.append(("key", key_id))
            return self._key(db, scope, key_id)

        return await self._write(write)

    async def touch_keys(self, used: Mapping[int, Micros]) -> None:
        def write(db: apsw.Connection, _: Effects) -> None:
            for key_id, used_at in used.items():
                db.execute(self._sql["touch_key"], {"id": key_id, "used_at": used_at})

        await self._write(write)


def _accounts_in(scope: Scope) -> list[tuple[str, str, Any]]:
    return [
        ("project_id = :scope_project", "scope_project", scope.project_id),
        ("id = :scope_account", "scope_account", scope.account_id),
    ]
