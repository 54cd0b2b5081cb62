"""Ingests the events that applications on the same database have written, each exactly once.

A row is replaced by its event in one transaction. Servers that read the same rows take turns; the
second finds nothing left to do, and later rows are accepted after earlier ones even if the servers'
clocks differ.
"""

from collections.abc import Callable, Mapping, Sequence

from hooktide.domain.audit_log import Action, Fact, Snapshot
from hooktide.domain.ids import made_at
from hooktide.domain.model import Micros
from hooktide.runtime.clock import StoreClock
from hooktide.store.base import (
    Accepted,
    AccountGone,
    AddResult,
    Emitted,
    NewEvent,
    Page,
    RefusedRow,
    Why,
)
from hooktide.store.journal.audit_log import record_action, record_change
from hooktide.store.postgres.connection.connection import PgConnection
from hooktide.store.postgres.writing.batch_writer import PostgresBatchWriter
from hooktide.store.postgres.writing.repository import PostgresRepository
from hooktide.store.postgres.writing.writer import Writer
from hooktide.store.sql.lists import newest
from hooktide.store.sql.repository import reads, writes
from hooktide.store.sql.transaction import Transaction

MAX_BATCH_BYTES = 8 * 1024 * 1024
MAX_PAYLOAD = 1024 * 1024
"""Maximum bytes read of a row's payload: a larger one is refused anyway."""


class OutboxIngestRepository(PostgresRepository):
    """The store's methods for events that were emitted."""

    _batch_writer: PostgresBatchWriter
    _writer: Writer
    clock: StoreClock

    async def emitted(self, limit: int) -> Sequence[Emitted]:
        values = {"limit": limit, "bytes": MAX_BATCH_BYTES, "longest": MAX_PAYLOAD}
        found = await self._read(lambda conn: conn.rows(self._sql["emitted"], values))
        return [Emitted(*row) for row in found]

    @reads
    async def list_refused_rows(self, tx: Transaction, before: int | None, limit: int) -> Page:
        wanted = [("refused <> ''", "refused", True), ("id < :before", "before", before)]
        return await newest(tx, "refused_rows", wanted, limit, lambda row: RefusedRow(*row))

    @writes
    async def retry_refused_row(
        self, tx: Transaction, row_id: int, now: Micros, action: Action
    ) -> None:
        row = await tx.one("row", "retry_refused_row", {"id": row_id})
        await record_action(tx, action, _snapshot(RefusedRow(*row)), now)

    @writes
    async def discard_refused_row(
        self, tx: Transaction, row_id: int, now: Micros, action: Action
    ) -> None:
        row = await tx.one("row", "discard_refused_row", {"id": row_id})
        await record_change(tx, action, _snapshot(RefusedRow(*row)), None, now)

    async def accept_emitted(
        self,
        events: Mapping[int, NewEvent],
        refused: Mapping[int, str],
        ignored: Sequence[int],
        why: Why,
    ) -> Mapping[int, AddResult]:
        taking = EmittedBatch(self._sql, self.clock, events, refused, ignored, why)
        await self._writer.take(taking)
        return taking.results


def _snapshot(row: RefusedRow) -> Snapshot:
    """Return what the audit log shows of a row.

    Its account's reference, and the reason, which may name it, are left out: an erasure of that
    account would not find them here.
    """
    facts = {"project": row.project, "type": row.type}
    return Snapshot(
        project_id=None,
        account_id=None,
        target=f"row {row.id}",
        label=row.type,
        facts={name: Fact(value=value, shown=value) for name, value in facts.items() if value},
    )


class EmittedBatch:
    """A batch of rows to be replaced by events (see ``Writer.take``); it may be repeated."""

    def __init__(
        self,
        sql: Mapping[str, str],
        clock: Callable[[], Micros],
        events: Mapping[int, NewEvent],
        refused: Mapping[int, str],
        ignored: Sequence[int],
        why: Why,
    ) -> None:
        self._sql = sql
        self._clock = clock
        self._events = events
        self._refused = refused
        self._ignored = frozenset(ignored)
        self._why = why
        self._held: list[int] = []
        self.now: Micros = 0
        self.results: dict[int, AddResult] = {}

    async def events(self, conn: PgConnection) -> list[NewEvent]:
        """Lock the rows that still exist; return the events of those that were not refused."""
        until = await conn.value(self._sql["lock_emitted"])
        self.now = max(self._clock(), until + 1)
        ids = [*self._events, *self._refused, *self._ignored]
        self._held = [id_ for (id_,) in await conn.rows(self._sql["hold_emitted"], {"ids": ids})]
        return [self._events[id_] for id_ in self._held if id_ in self._events]

    async def settle(self, conn: PgConnection, results: Sequence[AddResult]) -> None:
        """Delete the rows whose events were accepted or have no account; set refused ones aside."""
        ids = [id_ for id_ in self._held if id_ in self._events]
        self.results = dict(zip(ids, results, strict=True))
        last = [each.event_id for each in results if isinstance(each, Accepted)]
        if last:
            at = max(self.now, made_at(max(last)))
            await conn.run(self._sql["emitted_until"], {"at": at})
        reasons = {id_: self._why(result) for id_, result in self.results.items()}
        aside = {id_: reason for id_, reason in reasons.items() if reason}
        gone = {id_ for id_, result in self.results.items() if isinstance(result, AccountGone)}
        done = [id_ for id_ in ids if id_ not in aside and id_ not in gone]
        done += [id_ for id_ in self._held if id_ in self._ignored]
        aside |= {id_: self._refused[id_] for id_ in self._held if id_ in self._refused}
        await conn.run(self._sql["drop_emitted"], {"ids": done})
        if aside:
            await conn.many(self._sql["refuse_emitted"], list(aside.items()))
