"""People: who may log in to the dashboard, and the links that let them in once."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hooktide.domain.audit_log import Action, snapshot
from hooktide.domain.model import Micros, Person, Role
from hooktide.store import refusals
from hooktide.store.configuration.projects import hold_project
from hooktide.store.journal.audit_log import record_action, record_change
from hooktide.store.rows import Row
from hooktide.store.sql.repository import Repository, reads, writes
from hooktide.store.sql.transaction import Transaction, UniqueError

PEOPLE_SPACE = 0x70656F70
"""Who owns what is changed under this lock, so that two owners do not remove each other."""


class People(Repository):
    """The store's methods for people and their login links."""

    @writes
    async def add_person(
        self,
        tx: Transaction,
        name: str,
        role: Role,
        project_id: int | None,
        now: Micros,
        action: Action | None = None,
    ) -> Person:
        """Add a person, who has no password yet.

        :raises NotFoundError: there is no such project.
        :raises RefusedError: ``person_exists``: another person has this name.
        """
        if project_id is not None:
            await hold_project(tx, project_id)
        id_ = tx.ids(now)
        try:
            await tx.run("add_person", _new_person_values(id_, name, role, project_id, now))
        except UniqueError:
            raise refusals.person_exists() from None
        made = await read_person(tx, id_)
        await record_change(tx, action, None, snapshot(made), now)
        return made

    @reads
    async def get_person(self, tx: Transaction, person_id: int) -> Person:
        """Find a person by id."""
        return await read_person(tx, person_id)

    @reads
    async def find_person(self, tx: Transaction, name: str) -> Person:
        """Find a person by name, ignoring case."""
        values = {"folded": name.casefold()}
        return _person(await tx.one("person", "people", values, " AND folded = :folded"))

    @reads
    async def list_people(self, tx: Transaction) -> Sequence[Person]:
        """Return everybody, by name."""
        found = await tx.rows("people", then=' ORDER BY folded COLLATE "C"')
        return [_person(row) for row in found]

    @writes
    async def change_person(
        self,
        tx: Transaction,
        person_id: int,
        changes: Mapping[str, Any],
        now: Micros,
        action: Action | None = None,
    ) -> Person:
        """Change a person's ``name``, ``role``, ``project_id`` or ``password``.

        :raises NotFoundError: there is no person with this id, or no such project.
        :raises RefusedError: ``person_exists``, or ``last_owner``: no one would be left who owns
            all projects.
        """
        await tx.lock(PEOPLE_SPACE, 0)
        old = await read_person(tx, person_id)
        new = replace(old, **changes)
        if new.project_id is not None and new.project_id != old.project_id:
            await hold_project(tx, new.project_id)
        try:
            await tx.run("change_person", _person_values(new))
        except UniqueError:
            raise refusals.person_exists() from None
        refusals.check_owners(old, await tx.value("count_owners"))
        if new.password != old.password:
            await _end_sessions(tx, person_id)
        await record_change(tx, action, snapshot(old), snapshot(new), now)
        return await read_person(tx, person_id)

    @writes
    async def replace_password_hash(
        self, tx: Transaction, person_id: int, old: str, new: str
    ) -> None:
        """Replace the hash of a password that stays the same; sessions go on.

        Nothing is done where the password was changed meanwhile.
        """
        await tx.run("replace_password_hash", {"id": person_id, "old": old, "new": new})

    @writes
    async def remove_person(
        self, tx: Transaction, person_id: int, now: Micros, action: Action | None = None
    ) -> None:
        """Remove a person, and end their sessions and login links.

        :raises RefusedError: ``last_owner``: no one would be left who owns all projects.
        """
        await tx.lock(PEOPLE_SPACE, 0)
        old = await read_person(tx, person_id)
        await tx.run("remove_person", {"id": person_id, "now": now})
        refusals.check_owners(old, await tx.value("count_owners"))
        await _end_sessions(tx, person_id)
        await record_change(tx, action, snapshot(old), None, now)

    @writes
    async def add_login_link(
        self,
        tx: Transaction,
        person_id: int,
        digest: bytes,
        expires_at: Micros,
        action: Action | None = None,
    ) -> None:
        """Add a link that logs a person in once, by the SHA-256 of its token."""
        person = await read_person(tx, person_id)
        await record_action(tx, action, snapshot(person), self.clock())
        values = {"digest": digest, "person_id": person_id, "expires_at": expires_at}
        await tx.run("add_login_link", values)

    @writes
    async def take_login_link(self, tx: Transaction, digest: bytes, now: Micros) -> Person:
        """Use a login link up, and say whose it was.

        :raises NotFoundError: there is none, or none any more.
        """
        [id_] = await tx.one("login link", "take_login_link", {"digest": digest, "now": now})
        return await read_person(tx, id_)


async def read_person(tx: Transaction, person_id: int) -> Person:
    """Find a person by id.

    :raises NotFoundError: there is none.
    """
    return _person(await tx.one("person", "people", {"id": person_id}, " AND id = :id"))


async def hold_person(tx: Transaction, person_id: int) -> Person:
    """Find a person, and lock them against changes and removal until the commit.

    :raises NotFoundError: there is none.
    """
    await tx.rows("hold_person", {"id": person_id})
    return await read_person(tx, person_id)


async def _end_sessions(tx: Transaction, person_id: int) -> None:
    for name in ("end_sessions", "forget_login_links"):
        await tx.run(name, {"person_id": person_id})


def _person(row: Row) -> Person:
    """Read a person's columns."""
    return Person(
        id=row[0],
        name=row[1],
        role=Role(row[2]),
        project_id=row[3],
        password=row[4],
        created_at=row[5],
        seen_at=row[6],
    )


def _new_person_values(
    id_: int, name: str, role: Role, project_id: int | None, now: Micros
) -> dict[str, Any]:
    """Return the values of ``add_person``."""
    return {
        "id": id_,
        "name": name,
        "folded": name.casefold(),
        "role": role.value,
        "project_id": project_id,
        "now": now,
    }


def _person_values(person: Person) -> dict[str, Any]:
    """Return the values of ``change_person``."""
    return {
        "id": person.id,
        "name": person.name,
        "folded": person.name.casefold(),
        "role": person.role.value,
        "project_id": person.project_id,
        "password": person.password,
    }
