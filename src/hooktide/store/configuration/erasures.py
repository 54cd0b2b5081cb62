"""Deleting accounts, and erasing their data in bounded steps.

Each step is a transaction; a process that dies loses at most one, and the next process continues
from what was committed. What remains: ids, counts, instants, event types, states, and the audit
line of the erasure.
"""

from collections.abc import Sequence

import msgspec

from hooktide.domain.audit_log import Action, Snapshot, snapshot
from hooktide.domain.errors import NotFoundError
from hooktide.domain.ids import made_at, show
from hooktide.domain.model import Erasure, Micros, Scope
from hooktide.runtime.vault import Vault
from hooktide.store import refusals
from hooktide.store.base import SETTLE_DELAY
from hooktide.store.configuration.accounts import read_account
from hooktide.store.configuration.endpoints import delete_endpoint
from hooktide.store.journal.audit_log import record_action, record_change
from hooktide.store.rows import Row
from hooktide.store.sql.repository import Repository, maintains, reads, surveys, writes
from hooktide.store.sql.transaction import Transaction
from hooktide.store.writing.batch import run_apart

EVENT_BATCH_SIZE = 50
"""Maximum events in one transaction: each may have many deliveries, and these many attempts."""
ROW_BATCH_SIZE = 200


class Erasures(Repository):
    """The store's methods for deleting and erasing accounts."""

    @writes
    async def delete_account(
        self,
        tx: Transaction,
        scope: Scope,
        account_id: int,
        now: Micros,
        action: Action | None = None,
    ) -> None:
        """Delete an account with its endpoints and keys; nothing more is sent for it."""
        old = await read_account(tx, scope, account_id)
        await _remove_account(tx, account_id, now, self._vault)
        await record_change(tx, action, snapshot(old), None, now)

    @writes
    async def erase_account(
        self,
        tx: Transaction,
        scope: Scope,
        account_id: int,
        reference: str,
        now: Micros,
        action: Action | None = None,
    ) -> Erasure:
        """Delete an account, and start to erase its data, in one transaction.

        It is found by its id, or, if that is 0, by its reference; it may have been deleted before.
        Deleted ones that had its reference are erased along with it. If the account is already
        being erased, that continues.

        :raises NotFoundError: there is no such account in the scope.
        :raises RefusedError: several projects have this reference.
        """
        with tx.erasing():
            found = await _find(tx, scope.project_id, account_id, reference)
            for id_, _, removed_at in found:
                if removed_at is None:
                    await _remove_account(tx, id_, now, self._vault)
            await _begin(tx, found, now)
            group_id, project_id, _ = found[0]
            await record_action(tx, action, _audited(group_id, project_id), now)
            return await _read(tx, group_id, None)

    @reads
    async def get_erasure(self, tx: Transaction, scope: Scope, account_id: int) -> Erasure:
        """Return the progress of an account's erasure.

        :raises NotFoundError: it is not being erased.
        """
        return await _read(tx, account_id, scope.project_id)

    async def run_erasures(self, now: Micros) -> int:
        """Erase the next piece of each account that is being erased; return how many rows it had.

        One process at a time works on an account.
        """
        done = await run_apart(
            await self._running_erasures(),
            lambda account_id: self._erase_piece(account_id, now),
            "erase account",
        )
        return sum(done)

    @surveys
    async def _running_erasures(self, tx: Transaction) -> Sequence[int]:
        return [id_ for (id_,) in await tx.rows("running_erasures")]

    @maintains
    async def _erase_piece(self, tx: Transaction, account_id: int, now: Micros) -> int:
        """Erase the next part; return the number of rows, 0 if there is nothing to do now."""
        with tx.erasing():
            return await _erase_piece(tx, account_id, now)


async def _remove_account(tx: Transaction, account_id: int, now: Micros, vault: Vault) -> None:
    await tx.writer.lock_account(tx, account_id)
    values = {"account_id": account_id, "now": now}
    where = " WHERE account_id = :account_id AND removed_at IS NULL"
    for row in await tx.rows("endpoints", {"account_id": account_id}, where):
        await delete_endpoint(tx, row[0], account_id, now, vault)
    for (key_id,) in await tx.rows("revoke_keys_of_account", values):
        tx.effects.changed.append(("key", key_id))
    await tx.run("delete_bins_of_account", {"account_id": account_id})
    await tx.run("delete_account", {"id": account_id, "now": now})
    tx.effects.changed.append(("account", account_id))


async def _find(
    tx: Transaction, project_id: int | None, account_id: int, reference: str
) -> Sequence[Row]:
    """Find the accounts to erase, the requested one first: (id, project, removed at).

    :raises NotFoundError: it does not exist.
    :raises RefusedError: several projects have an account with this reference.
    """
    values = {"project_id": project_id, "id": account_id, "reference": reference}
    found = await tx.rows("erasable_accounts", values)
    if not found:
        raise NotFoundError("account")
    if not account_id and len({project for _, project, _ in found}) > 1:
        raise refusals.ambiguous_account()
    return sorted(found, key=lambda row: row[0] != account_id)


async def _begin(tx: Transaction, accounts: Sequence[Row], now: Micros) -> None:
    """Start to erase accounts that were just deleted: their names are erased immediately."""
    group_id, project_id, _ = accounts[0]
    for account_id, _, _ in accounts:
        erasure = {"account_id": account_id, "group_id": group_id, "project_id": project_id}
        await tx.run("add_erasure", {**erasure, "now": now})
        target = {"account_id": account_id, "target": show("acc", account_id)}
        await tx.rows("erase_emitted", target)
        await tx.run("forget_account", {"account_id": account_id})
        forgotten = {"account_id": account_id, "now": now, "reason": "account erased"}
        await tx.run("forget_delivery_jobs", forgotten)


def _audited(account_id: int, project_id: int) -> Snapshot:
    """Return what the audit log shows of an account that is erased: ids alone."""
    return Snapshot(
        project_id=project_id, account_id=account_id, target=show("acc", account_id), facts={}
    )


async def _read(tx: Transaction, account_id: int, project_id: int | None) -> Erasure:
    values = {"account_id": account_id, "project_id": project_id}
    found = await tx.one("erasure", "erasure", values)
    group_id, started_at, events, attempts, erased_to, ended_at = found
    return Erasure(
        account_id=group_id,
        started_at=started_at,
        events=events,
        attempts=attempts,
        erased_to=made_at(erased_to) if erased_to else None,
        ended_at=ended_at,
    )


async def _erase_piece(tx: Transaction, account_id: int, now: Micros) -> int:
    found = await tx.row("take_erasure", {"account_id": account_id})
    if found is None:
        return 0  # another process has it, or it has ended
    await tx.rows("hold_index_of_account", {"account_id": account_id})
    started_at, sweep, erased_to = found
    done = await _erase_events(tx, account_id, sweep, erased_to)
    done = done or await _erase_rest(tx, account_id)
    if done:
        return done
    if sweep:
        await tx.run("end_erasure", {"account_id": account_id, "now": now})
        return 0
    unsettled = await tx.value("unsettled_erasure", {"account_id": account_id})
    unsettled = unsettled or await _jobs_with_text(tx, account_id)
    if not unsettled and now >= started_at + SETTLE_DELAY:
        await tx.run("move_erasure", _moved(account_id, 1, 0))
        return 1
    return 0


async def _erase_events(tx: Transaction, account_id: int, sweep: int, erased_to: int) -> int:
    values = {"account_id": account_id, "after": erased_to, "limit": EVENT_BATCH_SIZE}
    ids = [id_ for (id_,) in await tx.rows("events_to_erase", values)]
    if not ids:
        return 0
    attempts = await tx.rows("erase_attempts", {"ids": ids})
    events = await tx.rows("erase_events", {"ids": ids, "blank": b"null"})
    await tx.run("drop_keys_of_events", {"ids": ids})
    await tx.run("drop_terms_of_events", {"ids": ids, "first": ids[0], "last": ids[-1]})
    await tx.run("move_erasure", _moved(account_id, sweep, ids[-1], len(events), len(attempts)))
    return len(ids)


async def _erase_rest(tx: Transaction, account_id: int) -> int:
    values = {"account_id": account_id, "limit": ROW_BATCH_SIZE}
    target = {"target": show("acc", account_id)}
    for name in ("erase_endpoints", "erase_bin_requests", "erase_bins", "erase_audit_log"):
        if erased := await tx.rows(name, {**values, **target}):
            return len(erased)
    if jobs := await _erase_texts_of_jobs(tx, account_id):
        return jobs
    # After the audit log, whose entries are found by the keys' names.
    keys = await tx.rows("erase_keys", values)
    events = await tx.rows("erase_operational_events", {"account_id": account_id})
    return len(keys) + len(events)


async def _erase_texts_of_jobs(tx: Transaction, account_id: int) -> int:
    """Erase what jobs of several accounts searched for; the rest of their filters stays.

    A job that still collects needs its text: the erasure waits for it.
    """
    found = await _jobs_with_text(tx, account_id)
    done = [(id_, filter_) for id_, filter_, collects in found if not collects]
    for id_, filter_ in done:
        kept = {**msgspec.json.decode(filter_), "text": "erased"}
        await tx.run("set_job_filter", {"id": id_, "filter": msgspec.json.encode(kept).decode()})
    return len(done)


async def _jobs_with_text(tx: Transaction, account_id: int) -> Sequence[Row]:
    return await tx.rows("jobs_with_text", {"account_id": account_id, "limit": ROW_BATCH_SIZE})


def _moved(
    account_id: int, sweep: int, erased_to: int, events: int = 0, attempts: int = 0
) -> dict[str, int]:
    return {
        "account_id": account_id,
        "sweep": sweep,
        "erased_to": erased_to,
        "events": events,
        "attempts": attempts,
    }
