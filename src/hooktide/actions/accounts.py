"""Accounts: the customers of a project, by id or by the product's own reference."""

import re
from collections.abc import Callable

from hooktide.actions.texts import check_text
from hooktide.domain import ids
from hooktide.domain.errors import InvalidError, NotFoundError
from hooktide.domain.model import Account, Micros, Scope
from hooktide.domain.project import Project
from hooktide.store.base import ProjectRow, Store
from hooktide.store.directory import Directory

LONGEST_REFERENCE = 200
LONGEST_NAME = 200

_LIKE_AN_ID = re.compile(r"acc_[0-9a-f]{16}")


class Accounts:
    """Finds, adds and changes accounts within a scope."""

    def __init__(self, store: Store, directory: Directory, clock: Callable[[], Micros]) -> None:
        self._store = store
        self._directory = directory
        self._clock = clock

    async def find(self, scope: Scope, text: str) -> Account:
        """Find an account by its ``acc_`` id or its reference.

        :raises NotFoundError: there is none that the scope reaches.
        :raises RefusedError: several projects have this reference.
        """
        if _LIKE_AN_ID.fullmatch(text):
            return await self._store.get_account(scope, ids.read("acc", text))
        return await self._store.find_account(scope, text)

    async def narrowed(self, scope: Scope, text: str | None) -> Scope:
        """Return the scope of one account, or the same scope when none is named."""
        if text is None:
            return scope
        account = await self.find(scope, text)
        return Scope(project_id=account.project_id, account_id=account.id)

    async def project(self, scope: Scope, name: str | None) -> ProjectRow:
        """Find the project that a request is about: the one named, or the key's own.

        :raises InvalidError: it is not named and the key reaches all of them.
        :raises NotFoundError: there is none of this name that the key reaches.
        """
        if name is not None:
            return await self._store.get_project(scope, name)
        if scope.project_id is None:
            raise InvalidError(
                "project_missing", "say which project: this key reaches all", pointer="/project"
            )
        return await self._directory.project(scope.project_id)

    async def add(
        self, scope: Scope, project: str | None, reference: str, name: str, plan: str | None
    ) -> Account:
        """Add an account, on the project's default plan where none is given.

        :raises InvalidError: the reference, the name or the plan cannot be used.
        :raises RefusedError: the project has an account with this reference.
        """
        row = await self.project(scope, project)
        return await self._store.add_account(
            row.id,
            _check_reference(reference),
            check_text(name, "/name", LONGEST_NAME),
            check_plan(row.project, plan or row.project.default_plan),
            self._clock(),
        )

    async def change(
        self, scope: Scope, text: str, *, name: str | None = None, plan: str | None = None
    ) -> Account:
        """Change what is given of an account.

        :raises InvalidError: the name or the plan cannot be used.
        """
        account = await self.find(scope, text)
        changes = {}
        if name is not None:
            changes["name"] = check_text(name, "/name", LONGEST_NAME)
        if plan is not None:
            row = await self._directory.project(account.project_id)
            changes["plan"] = check_plan(row.project, plan)
        if not changes:
            return account
        return await self._store.change_account(scope, account.id, changes, self._clock())

    async def remove(self, scope: Scope, text: str) -> None:
        """Remove an account with its endpoints and keys."""
        account = await self.find(scope, text)
        await self._store.remove_account(scope, account.id, self._clock())

    async def reference(self, account_id: int) -> str:
        """Return an account's reference; empty once it is removed."""
        try:
            return (await self._directory.account(account_id)).reference
        except NotFoundError:
            return ""

    async def project_name(self, project_id: int | None) -> str | None:
        """Return a project's name; None where there is none, or it is removed."""
        if project_id is None:
            return None
        try:
            return (await self._directory.project(project_id)).project.name
        except NotFoundError:
            return None


def _check_reference(reference: str) -> str:
    if not 1 <= len(reference) <= LONGEST_REFERENCE or _LIKE_AN_ID.fullmatch(reference):
        raise InvalidError(
            "invalid_reference",
            f"use 1 to {LONGEST_REFERENCE} characters that do not look like an acc_ id",
            pointer="/reference",
        )
    # NFC would make it another string than the one the product looks for.
    if check_text(reference, "/reference", LONGEST_REFERENCE) != reference:
        raise InvalidError("invalid_reference", "write it in NFC", pointer="/reference")
    return reference


def check_plan(project: Project, name: str) -> str:
    """Return the name of one of the project's plans.

    :raises InvalidError: it has no such plan.
    """
    names = [plan.name for plan in project.plans]
    if name not in names:
        raise InvalidError(
            "unknown_plan", f"there is no such plan; there are {', '.join(names)}", pointer="/plan"
        )
    return name
