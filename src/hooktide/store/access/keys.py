"""API keys, and which keys of the key file server processes have."""

from collections.abc import Mapping, Sequence
from typing import Any

from hooktide.domain.audit_log import Action, snapshot
from hooktide.domain.model import DAY, ApiKey, KeyScope, Micros, Scope
from hooktide.store import refusals
from hooktide.store.base import Page
from hooktide.store.journal.audit_log import record_change
from hooktide.store.rows import Row
from hooktide.store.sql.lists import conditions, in_scope, newest
from hooktide.store.sql.repository import Repository, reads, writes
from hooktide.store.sql.transaction import Transaction, UniqueError


class Keys(Repository):
    """The store's methods for API keys."""

    @writes
    async def create_key(
        self, tx: Transaction, key: ApiKey, digest: bytes, action: Action | None = None
    ) -> ApiKey:
        """Add a key (its id is made here) by the SHA-256 of its text.

        :raises RefusedError: a key with this text exists or existed.
        """
        id_ = tx.ids(key.created_at)
        try:
            await tx.run("create_key", _api_key_values(id_, key, digest))
        except UniqueError:
            raise refusals.key_known() from None
        made = await read_key(tx, Scope(), id_)
        await record_change(tx, action, None, snapshot(made), key.created_at)
        return made

    @reads
    async def find_key(self, tx: Transaction, digest: bytes) -> ApiKey | None:
        """Find an active key."""
        where = " WHERE digest = :digest AND revoked_at IS NULL"
        found = await tx.row("keys", {"digest": digest}, where)
        return None if found is None else _api_key(found)

    @reads
    async def get_key(self, tx: Transaction, scope: Scope, key_id: int) -> ApiKey:
        """Find a key, revoked or not."""
        return await read_key(tx, scope, key_id)

    @reads
    async def list_keys(
        self, tx: Transaction, scope: Scope, before: int | None, limit: int
    ) -> Page:
        """Return keys, newest first, revoked ones included."""
        wanted = [("id < :before", "before", before), *in_scope(scope)]
        return await newest(tx, "keys", wanted, limit, _api_key)

    @writes
    async def revoke_key(
        self,
        tx: Transaction,
        scope: Scope,
        key_id: int,
        now: Micros,
        action: Action | None = None,
        *,
        force: bool = False,
    ) -> ApiKey:
        """Revoke a key, immediately and permanently.

        :raises RefusedError: it is the last operator's key, and this is not forced.
        """
        old = await read_key(tx, scope, key_id)
        if old.scope is KeyScope.OPERATOR and not force:
            live = await tx.rows("live_operator_keys")
            if [id_ for (id_,) in live] == [key_id]:
                raise refusals.last_operator_key()
        await tx.run("revoke_key", {"id": key_id, "now": now})
        tx.effects.changed.append(("key", key_id))
        new = await read_key(tx, scope, key_id)
        await record_change(tx, action, snapshot(old), snapshot(new), now)
        return new

    @writes
    async def touch_keys(self, tx: Transaction, used: Mapping[int, Micros]) -> None:
        """Record when keys were last used."""
        for key_id, used_at in used.items():
            await tx.run("touch_key", {"id": key_id, "used_at": used_at})

    @writes
    async def report_keys(
        self, tx: Transaction, process: str, key_ids: Sequence[str], now: Micros
    ) -> None:
        """Record which keys of the key file a server process has read, the sealing one first."""
        await tx.run("drop_key_reports", {"process": process, "before": now - DAY})
        values = {"process": process, "key_ids": " ".join(key_ids), "now": now}
        await tx.run("report_keys", values)

    @writes
    async def end_key_report(self, tx: Transaction, process: str) -> None:
        """Delete the report of a process that ends."""
        await tx.run("end_key_report", {"process": process})


async def read_key(tx: Transaction, scope: Scope, key_id: int) -> ApiKey:
    """Find a key, revoked or not.

    :raises NotFoundError: it is not in the scope.
    """
    where, values = conditions([("id = :id", "id", key_id), *in_scope(scope)])
    return _api_key(await tx.one("key", "keys", values, where))


def _api_key(row: Row) -> ApiKey:
    """Read a key's columns."""
    return ApiKey(
        id=row[0],
        scope=KeyScope(row[1]),
        project_id=row[2],
        account_id=row[3],
        name=row[4],
        last4=row[5],
        created_at=row[6],
        used_at=row[7],
        revoked_at=row[8],
    )


def _api_key_values(id_: int, key: ApiKey, digest: bytes) -> dict[str, Any]:
    """Return what ``create_key`` writes of a key."""
    return {
        "id": id_,
        "digest": digest,
        "scope": key.scope.value,
        "project_id": key.project_id,
        "account_id": key.account_id,
        "name": key.name,
        "last4": key.last4,
        "created_at": key.created_at,
    }
