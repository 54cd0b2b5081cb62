"""People, their sessions and the log of changes in SQLite."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import apsw

from hooktide.domain.errors import NotFoundError
from hooktide.domain.model import MINUTE, Change, Micros, Person, Role, Scope, Session
from hooktide.store import refusals, rows
from hooktide.store.base import Page
from hooktide.store.batch import Effects
from hooktide.store.lists import conditions, in_scope, page
from hooktide.store.sqlite.registry import Registry


class People(Registry):
    """The store's methods for who logs in, and for who changed what."""

    async def add_person(
        self, name: str, role: Role, project_id: int | None, now: Micros
    ) -> Person:
        def write(db: apsw.Connection, _: Effects) -> Person:
            self._check_project(db, project_id)
            id_ = self._ids(now)
            values = {
                "id": id_,
                "name": name,
                "folded": name.casefold(),
                "role": role.value,
                "project_id": project_id,
                "now": now,
            }
            try:
                db.execute(self._sql["add_person"], values)
            except apsw.ConstraintError:
                raise refusals.person_exists() from None
            return self._person(db, id_)

        return await self._write(write)

    def _check_project(self, db: apsw.Connection, project_id: int | None) -> None:
        if project_id is not None:
            self._project(db, project_id)

    async def get_person(self, person_id: int) -> Person:
        return await self._read(lambda db: self._person(db, person_id))

    def _person(self, db: apsw.Connection, person_id: int) -> Person:
        sql = self._sql["people"] + " AND id = :id"
        return rows.person(self._one(db, "person", sql, {"id": person_id}))

    async def find_person(self, name: str) -> Person:
        sql = self._sql["people"] + " AND folded = :folded"
        values = {"folded": name.casefold()}
        return await self._read(lambda db: rows.person(self._one(db, "person", sql, values)))

    async def list_people(self) -> Sequence[Person]:
        sql = self._sql["people"] + " ORDER BY folded"
        return await self._read(lambda db: [rows.person(row) for row in db.execute(sql)])

    async def change_person(
        self, person_id: int, changes: Mapping[str, Any], now: Micros
    ) -> Person:
        def write(db: apsw.Connection, _: Effects) -> Person:
            old = self._person(db, person_id)
            new = replace(old, **changes)
            if new.project_id != old.project_id:
                self._check_project(db, new.project_id)
            try:
                db.execute(self._sql["change_person"], rows.person_values(new))
            except apsw.ConstraintError:
                raise refusals.person_exists() from None
            self._check_owners(db, old)
            return self._person(db, person_id)

        return await self._write(write)

    def _check_owners(self, db: apsw.Connection, changed: Person) -> None:
        [[left]] = list(db.execute(self._sql["count_owners"]))
        refusals.check_owners(changed, left)

    async def remove_person(self, person_id: int, now: Micros) -> None:
        def write(db: apsw.Connection, _: Effects) -> None:
            old = self._person(db, person_id)
            db.execute(self._sql["remove_person"], {"id": person_id, "now": now})
            self._check_owners(db, old)
            self._end_sessions(db, person_id)

        await self._write(write)

    # -- logging in ----------------------------------------------------------------------------

    async def add_login_link(self, person_id: int, digest: bytes, expires_at: Micros) -> None:
        def write(db: apsw.Connection, _: Effects) -> None:
            self._person(db, person_id)
            values = {"digest": digest, "person_id": person_id, "expires_at": expires_at}
            db.execute(self._sql["add_login_link"], values)

        await self._write(write)

    async def take_login_link(self, digest: bytes, now: Micros) -> Person:
        def write(db: apsw.Connection, _: Effects) -> Person:
            sql, values = self._sql["take_login_link"], {"digest": digest, "now": now}
            for [person_id] in list(db.execute(sql, values)):
                return self._person(db, person_id)
            raise NotFoundError("login link")

        return await self._write(write)

    async def add_session(
        self,
        digest: bytes,
        person_id: int | None,
        key_id: int | None,
        now: Micros,
        expires_at: Micros,
    ) -> None:
        values = {
            "digest": digest,
            "person_id": person_id,
            "key_id": key_id,
            "now": now,
            "expires_at": expires_at,
        }

        def write(db: apsw.Connection, _: Effects) -> None:
            if person_id is not None:
                self._person(db, person_id)
            db.execute(self._sql["add_session"], values)

        await self._write(write)

    async def find_session(self, digest: bytes, now: Micros) -> Session | None:
        found = await self._read(lambda db: self._session(db, digest, now))
        if found is None or found.person is None or now - (found.person.seen_at or 0) < MINUTE:
            return found
        values = {"id": found.person.id, "now": now}
        await self._write(lambda db, _: db.execute(self._sql["touch_person"], values))
        return replace(found, person=replace(found.person, seen_at=now))

    def _session(self, db: apsw.Connection, digest: bytes, now: Micros) -> Session | None:
        values = {"digest": digest, "now": now}
        for person_id, key_id, expires_at in db.execute(self._sql["find_session"], values):
            try:
                if person_id is not None:
                    person = self._person(db, person_id)
                    return Session(person=person, key=None, expires_at=expires_at)
                key = self._key(db, Scope(), key_id)
            except NotFoundError:
                return None
            if key.revoked_at is None:
                return Session(person=None, key=key, expires_at=expires_at)
        return None

    async def end_session(self, digest: bytes) -> None:
        await self._write(lambda db, _: db.execute(self._sql["end_session"], {"digest": digest}))

    async def end_sessions(self, person_id: int) -> None:
        def write(db: apsw.Connection, _: Effects) -> None:
            self._end_sessions(db, person_id)

        await self._write(write)

    def _end_sessions(self, db: apsw.Connection, person_id: int) -> None:
        for name in ("end_sessions", "forget_login_links"):
            db.execute(self._sql[name], {"person_id": person_id})

    # -- changes -------------------------------------------------------------------------------

    async def add_change(self, change: Change, now: Micros) -> Change:
        def write(db: apsw.Connection, _: Effects) -> Change:
            made = replace(change, id=self._ids(now))
            db.execute(self._sql["add_change"], asdict(made))
            return made

        return await self._write(write)

    async def list_changes(
        self, scope: Scope, before: int | None, limit: int, *, subject: str | None = None
    ) -> Page:
        wanted = [("id < :before", "before", before), ("subject = :subject", "subject", subject)]
        where, values = conditions([*wanted, *in_scope(scope)])
        sql = self._sql["changes"] + where + " ORDER BY id DESC LIMIT :limit"
        values["limit"] = limit + 1
        found = await self._read(lambda db: list(db.execute(sql, values)))
        return page(found, limit, rows.change)
