"""Accounts."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hooktide.domain.audit_log import Action, snapshot
from hooktide.domain.errors import NotFoundError
from hooktide.domain.model import Account, Micros, Scope
from hooktide.domain.project.project import check_plan
from hooktide.store import refusals, rows
from hooktide.store.base import Page
from hooktide.store.configuration.projects import hold_project
from hooktide.store.journal.audit_log import record_action, record_change
from hooktide.store.rows import Row
from hooktide.store.sql.lists import (
    LIVE,
    accounts_in,
    beginning,
    conditions,
    having,
    newest,
    within,
)
from hooktide.store.sql.repository import Repository, reads, writes
from hooktide.store.sql.transaction import Transaction, UniqueError


class Accounts(Repository):
    """The store's methods for accounts, except deletion (``store.configuration.erasures``)."""

    @writes
    async def create_account(
        self,
        tx: Transaction,
        project_id: int,
        reference: str,
        name: str,
        plan: str,
        now: Micros,
        action: Action | None = None,
        *,
        metadata: tuple[tuple[str, str], ...] = (),
    ) -> Account:
        """Add an account.

        :raises RefusedError: the project has an account with this reference.
        """
        check_plan((await hold_project(tx, project_id)).project, plan)
        id_ = tx.ids(now)
        values = _account_values(id_, project_id, reference, name, plan, now, metadata)
        try:
            await tx.run("create_account", values)
        except UniqueError:
            raise refusals.account_exists() from None
        tx.effects.changed.append(("account", id_))
        made = await read_account(tx, Scope(), id_)
        await record_change(tx, action, None, snapshot(made), now)
        return made

    @reads
    async def get_account(self, tx: Transaction, scope: Scope, account_id: int) -> Account:
        """Find an account by id."""
        return await read_account(tx, scope, account_id)

    @reads
    async def find_account(self, tx: Transaction, scope: Scope, reference: str) -> Account:
        """Find an account by the product's own id for it.

        :raises RefusedError: the scope spans projects, and several have this reference.
        """
        wanted = [("reference = :reference", "reference", reference), *accounts_in(scope), LIVE]
        where, values = conditions(wanted)
        found = await tx.rows("accounts", values, where + " LIMIT 2")
        if not found:
            raise NotFoundError("account")
        if len(found) > 1:
            raise refusals.ambiguous_account()
        return _account(found[0])

    @reads
    async def search_accounts(
        self, tx: Transaction, scope: Scope, text: str, limit: int
    ) -> Sequence[Account]:
        """Return accounts whose reference or name begins with a text, by reference.

        Case is ignored, at least for ASCII.
        """
        values = {**beginning(text), **within(scope), "limit": limit}
        return [_account(row) for row in await tx.rows("search_accounts", values)]

    @reads
    async def list_accounts(
        self,
        tx: Transaction,
        scope: Scope,
        before: int | None,
        limit: int,
        metadata: tuple[str, str] | None = None,
    ) -> Page:
        """Return accounts, newest first; ``metadata``: those with this name and value in it."""
        wanted = [
            ("id < :before", "before", before),
            *having(tx, metadata),
            *accounts_in(scope),
            LIVE,
        ]
        value = {"metadata_value": metadata and metadata[1]}
        return await newest(tx, "accounts", wanted, limit, _account, value)

    @writes
    async def update_account(
        self,
        tx: Transaction,
        scope: Scope,
        account_id: int,
        changes: Mapping[str, Any],
        now: Micros,
        action: Action | None = None,
    ) -> Account:
        """Change an account's ``name``, ``plan``, ``metadata``, ``rate_limit`` or ``burst``."""
        await tx.writer.lock_account(tx, account_id)
        old = await read_account(tx, scope, account_id)
        if "plan" in changes:
            check_plan((await hold_project(tx, old.project_id)).project, changes["plan"])
        new = replace(old, **changes)
        values = {
            "id": old.id,
            "name": new.name,
            "plan": new.plan,
            "metadata": rows.metadata_text(new.metadata),
            "rate_limit": new.rate_limit,
            "burst": new.burst,
        }
        await tx.run("update_account", values)
        tx.effects.changed.append(("account", account_id))
        new = await read_account(tx, scope, account_id)
        await record_change(tx, action, snapshot(old), snapshot(new), now)
        return new

    @writes
    async def revoke_portal_links(
        self,
        tx: Transaction,
        scope: Scope,
        account_id: int,
        now: Micros,
        action: Action | None = None,
    ) -> None:
        """Raise an account's link generation, which revokes all earlier links."""
        old = await read_account(tx, scope, account_id)
        await tx.run("revoke_portal_links", {"id": account_id})
        tx.effects.changed.append(("account", account_id))
        await record_action(tx, action, snapshot(old), now)


async def read_account(tx: Transaction, scope: Scope, account_id: int) -> Account:
    """Find an account by id.

    :raises NotFoundError: it is not in the scope, or was deleted.
    """
    where, values = conditions([("id = :id", "id", account_id), *accounts_in(scope), LIVE])
    return _account(await tx.one("account", "accounts", values, where))


def _account(row: Row) -> Account:
    """Read an account's columns."""
    return Account(
        id=row[0],
        project_id=row[1],
        reference=row[2],
        name=row[3],
        plan=row[4],
        created_at=row[5],
        link_generation=row[6],
        metadata=rows.read_metadata(row[7]),
        rate_limit=row[8],
        burst=row[9],
    )


def _account_values(
    id_: int,
    project_id: int,
    reference: str,
    name: str,
    plan: str,
    now: Micros,
    metadata: tuple[tuple[str, str], ...],
) -> dict[str, Any]:
    """Return what ``create_account`` writes of an account."""
    return {
        "id": id_,
        "project_id": project_id,
        "reference": reference,
        "name": name,
        "plan": plan,
        "now": now,
        "metadata": rows.metadata_text(metadata),
    }
