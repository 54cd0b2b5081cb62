"""People, their sessions and the log of changes in PostgreSQL."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import asyncpg

from hooktide.domain.errors import NotFoundError
from hooktide.domain.model import MINUTE, Change, Micros, Person, Role, Scope, Session
from hooktide.store import refusals, rows
from hooktide.store.base import Page
from hooktide.store.lists import conditions, in_scope, page
from hooktide.store.postgres.connection import Link
from hooktide.store.postgres.registry import Registry

PEOPLE_SPACE = 0x70656F70
"""Who owns what is changed under this lock, so that two owners do not remove each other."""


class People(Registry):
    """The store's methods for who logs in, and for who changed what."""

    async def add_person(
        self, name: str, role: Role, project_id: int | None, now: Micros
    ) -> Person:
        async def write(link: Link) -> Person:
            await self._check_project(link, project_id)
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
                await link.run(self._sql["add_person"], values)
            except asyncpg.UniqueViolationError:
                raise refusals.person_exists() from None
            return await self._person(link, id_)

        return await self._write(write)

    async def _check_project(self, link: Link, project_id: int | None) -> None:
        if project_id is not None:
            await link.rows(self._sql["hold_project"], {"id": project_id})
            await self._project(link, project_id)

    async def get_person(self, person_id: int) -> Person:
        return await self._read(lambda link: self._person(link, person_id))

    async def _person(self, link: Link, person_id: int) -> Person:
        sql = self._sql["people"] + " AND id = :id"
        return rows.person(await self._one(link, "person", sql, {"id": person_id}))

    async def find_person(self, name: str) -> Person:
        sql = self._sql["people"] + " AND folded = :folded"
        values = {"folded": name.casefold()}
        return rows.person(await self._read(lambda link: self._one(link, "person", sql, values)))

    async def list_people(self) -> Sequence[Person]:
        sql = self._sql["people"] + ' ORDER BY folded COLLATE "C"'
        return [rows.person(row) for row in await self._read(lambda link: link.rows(sql))]

    async def change_person(
        self, person_id: int, changes: Mapping[str, Any], now: Micros
    ) -> Person:
        async def write(link: Link) -> Person:
            await self._lock_people(link)
            old = await self._person(link, person_id)
            new = replace(old, **changes)
            if new.project_id != old.project_id:
                await self._check_project(link, new.project_id)
            try:
                await link.run(self._sql["change_person"], rows.person_values(new))
            except asyncpg.UniqueViolationError:
                raise refusals.person_exists() from None
            await self._check_owners(link, old)
            return await self._person(link, person_id)

        return await self._write(write)

    async def _lock_people(self, link: Link) -> None:
        await link.rows(self._sql["lock"], {"space": PEOPLE_SPACE, "number": 0})

    async def _check_owners(self, link: Link, changed: Person) -> None:
        refusals.check_owners(changed, await link.value(self._sql["count_owners"]))

    async def remove_person(self, person_id: int, now: Micros) -> None:
        async def write(link: Link) -> None:
            await self._lock_people(link)
            old = await self._person(link, person_id)
            await link.run(self._sql["remove_person"], {"id": person_id, "now": now})
            await self._check_owners(link, old)
            await self._end_sessions(link, person_id)

        await self._write(write)

    # -- logging in ----------------------------------------------------------------------------

    async def add_login_link(self, person_id: int, digest: bytes, expires_at: Micros) -> None:
        async def write(link: Link) -> None:
            await self._person(link, person_id)
            values = {"digest": digest, "person_id": person_id, "expires_at": expires_at}
            await link.run(self._sql["add_login_link"], values)

        await self._write(write)

    async def take_login_link(self, digest: bytes, now: Micros) -> Person:
        async def write(link: Link) -> Person:
            sql, values = self._sql["take_login_link"], {"digest": digest, "now": now}
            for (person_id,) in await link.rows(sql, values):
                return await self._person(link, person_id)
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

        async def write(link: Link) -> None:
            if person_id is not None:
                await self._person(link, person_id)
            await link.run(self._sql["add_session"], values)

        await self._write(write)

    async def find_session(self, digest: bytes, now: Micros) -> Session | None:
        found = await self._read(lambda link: self._session(link, digest, now))
        if found is None or found.person is None or now - (found.person.seen_at or 0) < MINUTE:
            return found
        values = {"id": found.person.id, "now": now}
        await self._write(lambda link: link.run(self._sql["touch_person"], values))
        return replace(found, person=replace(found.person, seen_at=now))

    async def _session(self, link: Link, digest: bytes, now: Micros) -> Session | None:
        values = {"digest": digest, "now": now}
        for person_id, key_id, expires_at in await link.rows(self._sql["find_session"], values):
            try:
                if person_id is not None:
                    person = await self._person(link, person_id)
                    return Session(person=person, key=None, expires_at=expires_at)
                key = await self._key(link, Scope(), key_id)
            except NotFoundError:
                return None
            if key.revoked_at is None:
                return Session(person=None, key=key, expires_at=expires_at)
        return None

    async def end_session(self, digest: bytes) -> None:
        await self._write(lambda link: link.run(self._sql["end_session"], {"digest": digest}))

    async def end_sessions(self, person_id: int) -> None:
        await self._write(lambda link: self._end_sessions(link, person_id))

    async def _end_sessions(self, link: Link, person_id: int) -> None:
        for name in ("end_sessions", "forget_login_links"):
            await link.run(self._sql[name], {"person_id": person_id})

    # -- changes -------------------------------------------------------------------------------

    async def add_change(self, change: Change, now: Micros) -> Change:
        async def write(link: Link) -> Change:
            made = replace(change, id=self._ids(now))
            await link.run(self._sql["add_change"], asdict(made))
            return made

        return await self._write(write)

    async def list_changes(
        self, scope: Scope, before: int | None, limit: int, *, subject: str | None = None
    ) -> Page:
        wanted = [("id < :before", "before", before), ("subject = :subject", "subject", subject)]
        where, values = conditions([*wanted, *in_scope(scope)])
        sql = self._sql["changes"] + where + " ORDER BY id DESC LIMIT :limit"
        values["limit"] = limit + 1
        found = await self._read(lambda link: link.rows(sql, values))
        return page(found, limit, rows.change)
