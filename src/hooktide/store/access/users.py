"""The dashboard's users, and their one-time login links."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hooktide.domain.audit_log import Action, snapshot
from hooktide.domain.model import Micros, Role, User
from hooktide.store import refusals
from hooktide.store.configuration.projects import hold_project
from hooktide.store.journal.audit_log import record_action, record_change
from hooktide.store.rows import Row
from hooktide.store.sql.repository import Repository, reads, writes
from hooktide.store.sql.transaction import Transaction, UniqueError

USERS_SPACE = 0x70656F70
"""Ownership is changed under this lock, so that two owners do not delete each other."""


class Users(Repository):
    """The store's methods for users and their login links."""

    @writes
    async def create_user(
        self,
        tx: Transaction,
        name: str,
        role: Role,
        project_id: int | None,
        now: Micros,
        action: Action | None = None,
    ) -> User:
        """Add a user, who has no password yet.

        :raises NotFoundError: there is no such project.
        :raises RefusedError: ``user_exists``: another user has this name.
        """
        if project_id is not None:
            await hold_project(tx, project_id)
        id_ = tx.ids(now)
        try:
            await tx.run("create_user", _new_user_values(id_, name, role, project_id, now))
        except UniqueError:
            raise refusals.user_exists() from None
        made = await read_user(tx, id_)
        await record_change(tx, action, None, snapshot(made), now)
        return made

    @reads
    async def get_user(self, tx: Transaction, user_id: int) -> User:
        """Find a user by id."""
        return await read_user(tx, user_id)

    @reads
    async def find_user(self, tx: Transaction, name: str) -> User:
        """Find a user by name, ignoring case."""
        values = {"folded": name.casefold()}
        return _user(await tx.one("user", "users", values, " AND folded = :folded"))

    @reads
    async def list_users(self, tx: Transaction) -> Sequence[User]:
        """Return all users, by name."""
        found = await tx.rows("users", then=' ORDER BY folded COLLATE "C"')
        return [_user(row) for row in found]

    @writes
    async def update_user(
        self,
        tx: Transaction,
        user_id: int,
        changes: Mapping[str, Any],
        now: Micros,
        action: Action | None = None,
    ) -> User:
        """Change a user's ``name``, ``role``, ``project_id`` or ``password``.

        :raises NotFoundError: the user or the project does not exist.
        :raises RefusedError: ``user_exists``, or ``last_owner``: no owner of all projects would be
        left.
        """
        await tx.lock(USERS_SPACE, 0)
        old = await read_user(tx, user_id)
        new = replace(old, **changes)
        if new.project_id is not None and new.project_id != old.project_id:
            await hold_project(tx, new.project_id)
        try:
            await tx.run("update_user", _user_values(new))
        except UniqueError:
            raise refusals.user_exists() from None
        refusals.check_owners(old, await tx.value("count_owners"))
        if new.password != old.password:
            await _end_sessions(tx, user_id)
        await record_change(tx, action, snapshot(old), snapshot(new), now)
        return await read_user(tx, user_id)

    @writes
    async def replace_password_hash(
        self, tx: Transaction, user_id: int, old: str, new: str
    ) -> None:
        """Replace the hash of an unchanged password; sessions continue.

        Does nothing if the password was changed meanwhile.
        """
        await tx.run("replace_password_hash", {"id": user_id, "old": old, "new": new})

    @writes
    async def delete_user(
        self, tx: Transaction, user_id: int, now: Micros, action: Action | None = None
    ) -> None:
        """Remove a user, and end their sessions and login links.

        :raises RefusedError: ``last_owner``: no owner of all projects would be left.
        """
        await tx.lock(USERS_SPACE, 0)
        old = await read_user(tx, user_id)
        await tx.run("delete_user", {"id": user_id, "now": now})
        refusals.check_owners(old, await tx.value("count_owners"))
        await _end_sessions(tx, user_id)
        await record_change(tx, action, snapshot(old), None, now)

    @writes
    async def create_login_link(
        self,
        tx: Transaction,
        user_id: int,
        digest: bytes,
        expires_at: Micros,
        action: Action | None = None,
    ) -> None:
        """Add a link that logs a user in once, by the SHA-256 of its token."""
        user = await read_user(tx, user_id)
        await record_action(tx, action, snapshot(user), self.clock())
        values = {"digest": digest, "person_id": user_id, "expires_at": expires_at}
        await tx.run("create_login_link", values)

    @reads
    async def check_login_link(self, tx: Transaction, digest: bytes, now: Micros) -> None:
        """Check that a login link still works, without using it up.

        :raises NotFoundError: it does not exist, has expired, or was used up.
        """
        await tx.one("login link", "login_link", {"digest": digest, "now": now})

    @writes
    async def take_login_link(self, tx: Transaction, digest: bytes, now: Micros) -> User:
        """Use up a login link, and return its user.

        :raises NotFoundError: it does not exist, or was used up.
        """
        [id_] = await tx.one("login link", "take_login_link", {"digest": digest, "now": now})
        return await read_user(tx, id_)


async def read_user(tx: Transaction, user_id: int) -> User:
    """Find a user by id.

    :raises NotFoundError: it does not exist.
    """
    return _user(await tx.one("user", "users", {"id": user_id}, " AND id = :id"))


async def hold_person(tx: Transaction, user_id: int) -> User:
    """Find a user, and lock them against changes and deletion until the commit.

    :raises NotFoundError: it does not exist.
    """
    await tx.rows("hold_person", {"id": user_id})
    return await read_user(tx, user_id)


async def _end_sessions(tx: Transaction, user_id: int) -> None:
    for name in ("end_sessions", "forget_login_links"):
        await tx.run(name, {"person_id": user_id})


def _user(row: Row) -> User:
    """Read a user's columns."""
    return User(
        id=row[0],
        name=row[1],
        role=Role(row[2]),
        project_id=row[3],
        password=row[4],
        created_at=row[5],
        seen_at=row[6],
    )


def _new_user_values(
    id_: int, name: str, role: Role, project_id: int | None, now: Micros
) -> dict[str, Any]:
    """Return the values of ``create_user``."""
    return {
        "id": id_,
        "name": name,
        "folded": name.casefold(),
        "role": role.value,
        "project_id": project_id,
        "now": now,
    }


def _user_values(user: User) -> dict[str, Any]:
    """Return the values of ``update_user``."""
    return {
        "id": user.id,
        "name": user.name,
        "folded": user.name.casefold(),
        "role": user.role.value,
        "project_id": user.project_id,
        "password": user.password,
    }
