"""The audit log: entries for changes, and for actions without a stored change."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from hooktide.domain.audit_log import Action, AuditEntry, Snapshot, entry_of, note_of
from hooktide.domain.ids import NODE_BITS, NODES, made_at
from hooktide.domain.model import Micros, Scope
from hooktide.store import rows
from hooktide.store.base import Page
from hooktide.store.rows import Row
from hooktide.store.sql.lists import in_scope, newest, within
from hooktide.store.sql.repository import Repository, reads, writes
from hooktide.store.sql.transaction import Statements, Transaction


class AuditLog(Repository):
    """The store's methods for the audit log."""

    @writes
    async def add_audit_entry(self, tx: Transaction, entry: AuditEntry, now: Micros) -> None:
        """Write an entry (its id is made here) for an action without a stored change.

        Methods that store a change take an ``action``, and write its entry in the same transaction.
        """
        await write_entry(tx, entry, now)

    @reads
    async def list_audit_log(
        self,
        tx: Transaction,
        scope: Scope,
        before: int | None,
        limit: int,
        *,
        target: str | None = None,
        after: int | None = None,
    ) -> Page:
        """Return entries (``AuditEntry``), newest first.

        ``target``: only those on it; ``after``: only those with a larger id.
        """
        wanted = [
            ("id < :before", "before", before),
            ("id > :after", "after", after),
            ("target = :target", "target", target),
            *in_scope(scope),
        ]
        return await newest(tx, "audit_log", wanted, limit, _audit_entry)

    @reads
    async def last_actions(
        self,
        tx: Transaction,
        scope: Scope,
        targets: Sequence[str],
        actions: Sequence[str],
        before: int,
    ) -> Mapping[str, tuple[str, Micros]]:
        """Return which of these actions was done last to each target, and when.

        Of entries with an id below ``before``; targets without one are absent.
        """
        values = {
            "targets": list(targets),
            "actions": list(actions),
            "before": before,
            **within(scope),
        }
        found = await tx.rows("last_actions", values)
        return {target: (action, made_at(id_)) for target, action, id_ in found}


async def record_change(
    tx: Transaction,
    action: Action | None,
    before: Snapshot | None,
    after: Snapshot | None,
    now: Micros,
) -> None:
    """Record what an action changed in the audit log, if anything (None: no entry)."""
    if action is not None and (entry := entry_of(action, before, after)) is not None:
        await write_entry(tx, entry, now)


async def record_action(
    tx: Transaction, action: Action | None, about: Snapshot, now: Micros
) -> None:
    """Record an action that does not change its target."""
    if action is not None:
        await write_entry(tx, note_of(action, about), now)


async def write_entry(tx: Transaction, entry: AuditEntry, now: Micros) -> None:
    """Write an entry of the audit log."""
    await tx.run("add_audit_entry", _audit_values(entry, tx.ids(now)))


async def record_command(statements: Statements, action: Action, now: Micros) -> None:
    """Record what a command does to the database while servers may use it.

    The id is the last one of its microsecond, which no server makes: a command has no number.
    """
    about = Snapshot(project_id=None, account_id=None, target="", facts={})
    values = _audit_values(note_of(action, about), now << NODE_BITS | NODES - 1)
    await statements.run("add_audit_entry", values)


def _audit_entry(row: Row) -> AuditEntry:
    """Read an audit log entry's columns."""
    *columns, before, after = row
    names = AuditEntry.__slots__[: len(columns)]
    return AuditEntry(
        **dict(zip(names, columns, strict=True)),
        before=msgspec.json.decode(before),
        after=msgspec.json.decode(after),
    )


def _audit_values(entry: AuditEntry, id_: int) -> dict[str, Any]:
    """Return an audit log entry's columns, by name."""
    values = {name: getattr(entry, name) for name in AuditEntry.__slots__}
    written = {"before": rows.json_text(entry.before), "after": rows.json_text(entry.after)}
    return values | written | {"id": id_}
