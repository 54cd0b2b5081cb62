"""Endpoints and their secrets in SQLite."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import apsw

from hooktide.domain.model import Endpoint, Micros, Scope, Secret
from hooktide.domain.operations import Happening, rotated
from hooktide.store import refusals, rows
from hooktide.store.base import Page
from hooktide.store.batch import Effects
from hooktide.store.happening import read as read_happening
from hooktide.store.lists import conditions, in_scope, page
from hooktide.store.rows import Row
from hooktide.store.sqlite.registry import Registry


class Endpoints(Registry):
    """The store's methods for endpoints and their secrets."""

    async def add_endpoint(
        self, endpoint: Endpoint, secret: Secret, limit: int | None, now: Micros
    ) -> Endpoint:
        def write(db: apsw.Connection, effects: Effects) -> Endpoint:
            account = self._account(db, Scope(), endpoint.account_id)
            self._check_limit(db, account.id, limit)
            values = {
                "id": self._ids(now),
                "project_id": account.project_id,
                "account_id": account.id,
                "now": now,
                **rows.endpoint_values(endpoint, self._vault),
            }
            db.execute(self._sql["add_endpoint"], values)
            self._add_secret(db, values["id"], secret, now)
            self._hot.forget_routes(account.id)
            effects.changed.append(("endpoint", values["id"]))
            return self._endpoint(db, Scope(), values["id"])

        return await self._write(write)

    def _check_limit(self, db: apsw.Connection, account_id: int, limit: int | None) -> None:
        [[count]] = list(db.execute(self._sql["count_endpoints"], {"account_id": account_id}))
        refusals.check_endpoints(count, limit)

    def _add_secret(
        self, db: apsw.Connection, endpoint_id: int, secret: Secret, now: Micros
    ) -> None:
        values = {
            "endpoint_id": endpoint_id,
            "created_at": now,
            "sealed": rows.seal_secret(secret, self._vault),
        }
        db.execute(self._sql["add_secret"], values)

    async def get_endpoint(self, scope: Scope, endpoint_id: int) -> Endpoint:
        return await self._read(lambda db: self._endpoint(db, scope, endpoint_id))

    def _endpoint(self, db: apsw.Connection, scope: Scope, endpoint_id: int) -> Endpoint:
        where, values = conditions([("id = :id", "id", endpoint_id), *in_scope(scope)])
        sql = self._sql["endpoints"] + where + " AND removed_at IS NULL"
        return self._join_secrets(db, self._one(db, "endpoint", sql, values))

    def _join_secrets(self, db: apsw.Connection, row: Row) -> Endpoint:
        found = db.execute(self._sql["secrets_of"], {"endpoint_id": row[0]})
        secrets = tuple(rows.active_secret(secret, self._vault) for secret in found)
        return rows.endpoint(row, secrets, self._vault)

    async def list_endpoints(self, scope: Scope, before: int | None, limit: int) -> Page:
        where, values = conditions([("id < :before", "before", before), *in_scope(scope)])
        sql = self._sql["endpoints"] + (where + " AND" if where else " WHERE")
        sql += " removed_at IS NULL ORDER BY id DESC LIMIT :limit"
        values["limit"] = limit + 1
        found = await self._read(lambda db: list(db.execute(sql, values)))
        return page(found, limit, lambda row: rows.endpoint(row, (), self._vault))

    async def endpoints_at(self, url: str) -> Sequence[Endpoint]:
        sql = self._sql["endpoints"] + " WHERE url = :url AND removed_at IS NULL"
        return await self._read(
            lambda db: [self._join_secrets(db, r) for r in list(db.execute(sql, {"url": url}))]
        )

    async def change_endpoint(
        self, scope: Scope, endpoint_id: int, changes: Mapping[str, Any], now: Micros
    ) -> Endpoint:
        def write(db: apsw.Connection, effects: Effects) -> Endpoint:
            old = self._endpoint(db, scope, endpoint_id)
            values = rows.endpoint_values(replace(old, **changes), self._vault)
            db.execute(self._sql["change_endpoint"], {"id": endpoint_id, "now": now, **values})
            return self._touched(db, old, effects)

        return await self._write(write)

    def _touched(self, db: apsw.Connection, old: Endpoint, effects: Effects) -> Endpoint:
        self._hot.forget_routes(old.account_id)
        effects.changed.append(("endpoint", old.id))
        return self._endpoint(db, Scope(), old.id)

    async def remove_endpoint(self, scope: Scope, endpoint_id: int, now: Micros) -> None:
        def write(db: apsw.Connection, effects: Effects) -> None:
            old = self._endpoint(db, scope, endpoint_id)
            self._remove_endpoint(db, old.id, old.account_id, now, effects)

        await self._write(write)

    async def disable_endpoint(
        self, scope: Scope, endpoint_id: int, reason: str, now: Micros
    ) -> Endpoint:
        def write(db: apsw.Connection, effects: Effects) -> Endpoint:
            old = self._endpoint(db, scope, endpoint_id)
            self._hot.switch_off(old.id, old.account_id, reason, now, effects)
            return self._endpoint(db, Scope(), old.id)

        return await self._write(write)

    async def enable_endpoint(self, scope: Scope, endpoint_id: int, now: Micros) -> Endpoint:
        def write(db: apsw.Connection, effects: Effects) -> Endpoint:
            old = self._endpoint(db, scope, endpoint_id)
            db.execute(self._sql["enable_endpoint"], {"id": old.id, "now": now})
            if db.changes():
                self._hot.failing.pop(old.id, None)
            return self._touched(db, old, effects)

        return await self._write(write)

    async def rotate_secret(
        self, scope: Scope, endpoint_id: int, secret: Secret, overlap: Micros, now: Micros
    ) -> Endpoint:
        def write(db: apsw.Connection, effects: Effects) -> Endpoint:
            old = self._endpoint(db, scope, endpoint_id)
            refusals.check_secrets(old)
            if overlap:
                values = {"endpoint_id": old.id, "retires_at": now + overlap}
                db.execute(self._sql["retire_current"], values)
            else:
                db.execute(self._sql["forget_secrets"], {"endpoint_id": old.id})
            newest = max((known.created_at for known in old.secrets), default=0)
            self._add_secret(db, old.id, secret, max(now, newest + 1))
            self._hot.happened([rotated(old.account_id, old.id, now + overlap, now)])
            return self._touched(db, old, effects)

        return await self._write(write)

    async def add_happening(self, happening: Happening) -> None:
        await self._write(lambda db, effects: self._hot.happened([happening]))

    async def happenings(self, limit: int) -> Sequence[tuple[int, Happening]]:
        sql = self._sql["happenings"]
        found = await self._read(lambda db: list(db.execute(sql, {"limit": limit})))
        return [read_happening(row) for row in found]

    async def forget_happenings(self, keys: Sequence[str]) -> None:
        if keys:
            values = {"keys": rows.json_text(list(keys))}
            sql = self._sql["forget_happenings"]
            await self._write(lambda db, effects: list(db.execute(sql, values)))

    async def retire_secrets(self, now: Micros) -> int:
        def write(db: apsw.Connection, effects: Effects) -> int:
            retired = list(db.execute(self._sql["forget_retired"], {"now": now}))
            effects.changed.extend(("endpoint", id_) for [id_] in retired)
            return len(retired)

        return await self._write(write)
