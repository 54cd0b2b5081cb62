"""Accounts: the customers of a project, by id or by the product's own reference."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from hooktide.actions.texts import check_text
from hooktide.domain import ids
from hooktide.domain.audit_log import Actor
from hooktide.domain.errors import InvalidError, NotFoundError, RefusedError, UnavailableError
from hooktide.domain.labels import check_metadata
from hooktide.domain.model import Account, Erasure, Micros, Scope
from hooktide.domain.project.project import Plan, check_plan, plan_of
from hooktide.domain.throttling.rate import check_rate
from hooktide.store.base import ProjectRow
from hooktide.store.contract import Store
from hooktide.store.directory import Directory

MAX_REFERENCE_LENGTH = 200
MAX_NAME_LENGTH = 200
MAX_LOOKUPS = 3
"""How often to retry while others create and delete the same account."""

_LIKE_AN_ID = re.compile(r"acc_[0-9a-f]{16}")


def is_like_an_id(text: str) -> bool:
    """Return whether a text has the form of an ``acc_`` id, which no reference may have."""
    return _LIKE_AN_ID.fullmatch(text) is not None


class Accounts:
    """Finds, creates and updates accounts within a scope."""

    def __init__(self, store: Store, directory: Directory, clock: Callable[[], Micros]) -> None:
        self._store = store
        self._directory = directory
        self._clock = clock

    async def find(self, scope: Scope, text: str) -> Account:
        """Find an account by its ``acc_`` id or its reference.

        :raises NotFoundError: the scope contains no such account.
        :raises RefusedError: several projects have this reference.
        """
        if is_like_an_id(text):
            return await self._store.get_account(scope, ids.read("acc", text))
        return await self._store.find_account(scope, text)

    async def named(self, scope: Scope, text: str | None) -> Account:
        """Find an account by id or reference; None: the one whose key the scope is of.

        :raises InvalidError: ``account_missing``: none is named, and the scope has several.
        """
        if text is not None:
            return await self.find(scope, text)
        if scope.account_id is None:
            raise InvalidError("account_missing", "name the account", pointer="/account")
        return await self._store.get_account(scope, scope.account_id)

    async def narrowed(self, scope: Scope, text: str | None) -> Scope:
        """Return the scope of one account, or the same scope if none is given."""
        if text is None:
            return scope
        account = await self.find(scope, text)
        return Scope(project_id=account.project_id, account_id=account.id)

    async def project(self, scope: Scope, name: str | None) -> ProjectRow:
        """Find the project of a request: the one named, or the key's own.

        :raises InvalidError: none is named and the key has access to all of them.
        :raises NotFoundError: the key has access to no project with this name.
        """
        if name is not None:
            return await self._store.get_project(scope, name)
        if scope.project_id is None:
            raise InvalidError(
                "project_missing",
                "name the project: this key has access to all of them",
                pointer="/project",
            )
        return await self._directory.project(scope.project_id)

    async def create(
        self,
        actor: Actor,
        scope: Scope,
        project: str | None,
        reference: str,
        name: str,
        plan: str | None,
        metadata: Mapping[str, str] | None = None,
    ) -> Account:
        """Create an account, on the project's default plan unless another is given.

        :raises InvalidError: the reference, the name or the plan cannot be used.
        :raises RefusedError: the project has an account with this reference.
        """
        row = await self.project(scope, project)
        return await self._store.create_account(
            row.id,
            check_reference(reference),
            check_text(name, "/name", MAX_NAME_LENGTH),
            check_plan(row.project, plan or row.project.default_plan),
            self._clock(),
            actor.does("account.create"),
            metadata=check_metadata(metadata or {}),
        )

    async def ensure(
        self,
        actor: Actor,
        scope: Scope,
        project: str | None,
        reference: str,
        name: str,
        plan: str | None,
        metadata: Mapping[str, str] | None = None,
    ) -> tuple[Account, bool]:
        """Return the account with a reference, and whether this call created it.

        :raises InvalidError: it would have to be created, and is invalid.
        """
        within = Scope(project_id=(await self.project(scope, project)).id)
        for _ in range(MAX_LOOKUPS):
            try:
                return await self._store.find_account(within, reference), False
            except NotFoundError:
                pass
            try:
                made = await self.create(actor, scope, project, reference, name, plan, metadata)
            except RefusedError as error:
                if error.code != "account_exists":
                    raise
            else:
                return made, True
        raise being_replaced()

    async def put(
        self,
        actor: Actor,
        scope: Scope,
        project: str | None,
        reference: str,
        *,
        name: str | None = None,
        plan: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Account:
        """Create the account with a reference, or update the given fields.

        A new account gets the project's default plan unless another is given. ``reference`` may
        also be the ``acc_`` id of an existing account.

        :raises InvalidError: the reference, the name or the plan cannot be used.
        :raises NotFoundError: it is an id, and no account has it.
        """
        if is_like_an_id(reference):
            account = await self.find(scope, reference)
        else:
            account, created = await self.ensure(
                actor, scope, project, reference, name or "", plan, metadata
            )
            if created:
                return account
        same = name in (None, account.name) and plan in (None, account.plan)
        if same and metadata in (None, dict(account.metadata)):
            return account
        id_ = ids.show("acc", account.id)
        return await self.update(actor, scope, id_, name=name, plan=plan, metadata=metadata)

    async def update(
        self,
        actor: Actor,
        scope: Scope,
        text: str,
        *,
        name: str | None = None,
        plan: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Account:
        """Update the given fields of an account.

        :raises InvalidError: the name, the plan or the metadata cannot be used.
        """
        account = await self.find(scope, text)
        changes: dict[str, Any] = {}
        if name is not None:
            changes["name"] = check_text(name, "/name", MAX_NAME_LENGTH)
        if plan is not None:
            row = await self._directory.project(account.project_id)
            changes["plan"] = check_plan(row.project, plan)
        if metadata is not None:
            changes["metadata"] = check_metadata(metadata)
        if not changes:
            return account
        return await self._store.update_account(
            scope, account.id, changes, self._clock(), actor.does("account.update")
        )

    async def set_rate(
        self, actor: Actor, scope: Scope, text: str, rate_limit: int | None, burst: int | None
    ) -> Account:
        """Set how many requests a second all endpoints of an account get together (None: any).

        :raises InvalidError: ``invalid_rate``: it is out of bounds, or more than its plan allows.
        """
        account = await self.find(scope, text)
        plan = await self.plan(account)
        check_rate(rate_limit, burst, plan.rate_limit)
        changes = {"rate_limit": rate_limit, "burst": burst}
        return await self._store.update_account(
            scope, account.id, changes, self._clock(), actor.does("account.update")
        )

    async def plan(self, account: Account) -> Plan:
        """Return the plan of an account."""
        return plan_of((await self._directory.project(account.project_id)).project, account.plan)

    async def delete(self, actor: Actor, scope: Scope, text: str) -> None:
        """Delete an account with its endpoints and keys."""
        account = await self.find(scope, text)
        await self._store.delete_account(
            scope, account.id, self._clock(), actor.does("account.delete")
        )

    async def erase(self, actor: Actor, scope: Scope, text: str) -> Erasure:
        """Delete an account, and start to erase its data in the background.

        An account that was deleted before can be erased, by its id or the reference that it had.
        Deleted accounts with the same reference are erased along with it.

        :raises NotFoundError: there is no such account.
        :raises RefusedError: several projects have this reference.
        """
        by_id = is_like_an_id(text)
        account_id, reference = (ids.read("acc", text), "") if by_id else (0, text)
        return await self._store.erase_account(
            scope, account_id, reference, self._clock(), actor.does("account.erase")
        )

    async def revoke_portal_links(self, actor: Actor, scope: Scope, text: str) -> None:
        """Revoke all existing links into an account's portal."""
        account = await self.find(scope, text)
        action = actor.does("portal_links.revoke")
        await self._store.revoke_portal_links(scope, account.id, self._clock(), action)

    async def reference(self, account_id: int) -> str:
        """Return an account's reference; empty once it is deleted."""
        try:
            return (await self._directory.account(account_id)).reference
        except NotFoundError:
            return ""

    async def project_name(self, project_id: int | None) -> str | None:
        """Return a project's name; ``None`` if not found or deleted."""
        if project_id is None:
            return None
        try:
            return (await self._directory.project(project_id)).project.name
        except NotFoundError:
            return None


def being_replaced() -> UnavailableError:
    """Return the error for an account that others create and delete at the same time."""
    return UnavailableError("the account is being created and deleted; try again")


def check_reference(reference: str, pointer: str = "/reference") -> str:
    """Return the reference of an account.

    :raises InvalidError: it is not valid.
    """
    if not 1 <= len(reference) <= MAX_REFERENCE_LENGTH or is_like_an_id(reference):
        raise InvalidError(
            "invalid_reference",
            f"use 1 to {MAX_REFERENCE_LENGTH} characters that do not look like an acc_ id",
            pointer=pointer,
        )
    # Normalizing it would make it a different string from the one the product uses.
    if check_text(reference, pointer, MAX_REFERENCE_LENGTH) != reference:
        raise InvalidError("invalid_reference", "write it in NFC", pointer=pointer)
    return reference
