"""Writes events with their deliveries, and attempts, to SQLite in batches: the hot path.

Runs on the writer's thread, inside its transaction. Every batch is a handful of statements, each
for many rows: between statements the thread must reacquire the interpreter lock, which costs more
than the rows. Its cache (routes, usage, failure counts) is exact, because nothing else writes.
"""

import itertools
import logging
from collections.abc import Mapping, Sequence

import apsw
import msgspec

from hooktide.domain.delivery.rest import Rest
from hooktide.domain.delivery.verdict import Delivered, Requeued, RetryAt
from hooktide.domain.ids import IdMaker
from hooktide.domain.model import Claim, Micros
from hooktide.runtime.cache import Cache
from hooktide.store import rows
from hooktide.store.base import AttemptRecord
from hooktide.store.configuration.endpoints import disable_by_rule
from hooktide.store.deliveries.stats import count_discarded
from hooktide.store.journal.operational_events import add_operational_events, events_of_attempts
from hooktide.store.rows import Row, json_text
from hooktide.store.sql.transaction import BatchWriter, Transaction
from hooktide.store.sqlite.connection.transactions import SqliteTransaction, finish
from hooktide.store.sqlite.writing.batch import Batch
from hooktide.store.sqlite.writing.decode import read_ids
from hooktide.store.writing.batch import Effects
from hooktide.store.writing.failures import Failures
from hooktide.store.writing.fanout import FanOut, Known, Routes, idempotency_keys
from hooktide.store.writing.rests import concern_rests, rests_after
from hooktide.store.writing.usage import Minutes, Usage

log = logging.getLogger("hooktide.store")

MAX_ROWS = 512
MAX_CACHED_ROUTES = 20_000


class Multi:
    """A statement that takes many rows at once: sizes are powers of two, the rest is padding."""

    def __init__(self, db: apsw.Connection, sql: str, width: int) -> None:
        self._db = db
        self._width = width
        place = "(" + ",".join("?" * width) + ")"
        self._sql = {
            1 << power: sql.replace(":rows", ",".join([place] * (1 << power)))
            for power in range(MAX_ROWS.bit_length())
        }

    def run(self, items: Sequence[Row]) -> int:
        """Run the statement over all rows; return how many it changed."""
        changed = 0
        for start in range(0, len(items), MAX_ROWS):
            part = items[start : start + MAX_ROWS]
            size = 1 << (len(part) - 1).bit_length()
            values = list(itertools.chain.from_iterable(part))
            values += [None] * ((size - len(part)) * self._width)
            self._db.execute(self._sql[size], values)
            changed += self._db.changes()
        return changed


class SqliteBatchWriter(BatchWriter):
    """Writes batches, and caches what it needs for that."""

    def __init__(
        self,
        db: apsw.Connection,
        queries: Mapping[str, str],
        ids: IdMaker,
    ) -> None:
        self.db = db
        self.ids = ids
        self._sql = queries
        self._add_events = Multi(db, queries["add_events"], 11)
        self._add_deliveries = Multi(db, queries["add_deliveries"], 10)
        self._add_keys = Multi(db, queries["add_keys"], 5)
        self._add_attempts = Multi(db, queries["add_attempts"], 10)
        self._settle = Multi(db, queries["settle"], 7)
        self._set_usage = Multi(db, queries["set_usage"], 3)
        self.forget()

    def forget(self) -> None:
        """Drop the cache."""
        self._routes: Cache[int, Routes] = Cache(MAX_CACHED_ROUTES)
        self.failing: dict[int, int] = dict(self.db.execute(self._sql["failing_endpoints"]))
        self.rests: dict[int, Rest] = {
            id_: Rest(*rest) for id_, *rest in self.db.execute(self._sql["rests"])
        }
        self.stale: dict[int, tuple[int, int, str]] = {
            id_: (account_id, before, reason)
            for id_, account_id, before, reason in self.db.execute(self._sql["stale_endpoints"])
        }
        held = self.db.execute(self._sql["held_accounts"])
        self.usage = Usage(self._usage_window, [account_id for [account_id] in held])

    def _usage_window(self, account_id: int, since: int) -> Minutes:
        values = {"account_id": account_id, "since": since}
        return dict(self.db.execute(self._sql["usage_window"], values))

    def save_usage(self) -> None:
        """Write the changes of the accounts' hours."""
        if changed := self.usage.changed():
            self._set_usage.run(changed)

    async def hour(self, tx: Transaction, account_id: int, now: Micros) -> tuple[int | None, Usage]:
        routes = self.routes(account_id)
        return None if routes is None else routes.per_hour, self.usage

    async def held_accounts(self, tx: Transaction) -> Sequence[int]:
        return list(self.usage.holding)

    async def save_hour(self, tx: Transaction, usage: Usage) -> None:
        self.save_usage()

    async def insert(
        self, tx: Transaction, events: Sequence[Row], deliveries: Sequence[Row]
    ) -> None:
        self._insert([], events, deliveries)

    def _tx(self, effects: Effects) -> SqliteTransaction:
        return SqliteTransaction(self.db, self._sql, self.ids, self, effects)

    def write(self, batch: Batch) -> None:
        """Write a batch's events and attempts inside the open transaction."""
        if batch.records:
            self._record(batch.records, batch.effects)
        if batch.publishes:
            self._add(batch)
        self.save_usage()

    def routes(self, account_id: int) -> Routes | None:
        """Return where an account's events go; None if the account does not exist."""
        found = self._routes.get(account_id)
        if found is not None:
            return found
        row = next(self.db.execute(self._sql["routes_of_account"], {"id": account_id}), None)
        if row is None:
            return None
        found = _read_routes(row)
        self._routes.keep(account_id, found)
        return found

    def _add(self, batch: Batch) -> None:
        fan_out = FanOut(
            ids=self.ids,
            capacity=batch.capacity,
            routes=self.routes,
            usage=self.usage,
            known=self._known_keys(idempotency_keys(batch.publishes)),
            effects=batch.effects,
        )
        fan_out.add_all(batch.publishes)
        self._insert(fan_out.keys, fan_out.events, fan_out.deliveries)
        if fan_out.payload_expiries:
            expiries = self._tx(batch.effects).many(
                "add_payload_expiries", fan_out.payload_expiries
            )
            finish(expiries)
        if fan_out.operational_events:
            finish(add_operational_events(self._tx(batch.effects), fan_out.operational_events))

    def _known_keys(self, wanted: list[tuple[int, str]]) -> dict[tuple[int, str], Known]:
        if not wanted:
            return {}
        [[text]] = self.db.execute(self._sql["known_keys"], {"keys": json_text(wanted)})
        return {
            (project_id, key): (bytes.fromhex(digest), event_id, deliveries)
            for project_id, key, digest, event_id, deliveries in msgspec.json.decode(text)
        }

    def _insert(
        self, keys: Sequence[Row], events: Sequence[Row], deliveries: Sequence[Row]
    ) -> None:
        if keys:
            self._add_keys.run(keys)
        self._add_events.run(events)
        self._add_deliveries.run(deliveries)

    def _record(self, records: list[AttemptRecord], effects: Effects) -> None:
        settled = [
            rows.settle_columns(record, self._stale_reason(record.claim)) for record in records
        ]
        handed_in, late = records, list[AttemptRecord]()
        if self._settle.run(settled) != len(records):
            records, late = self._mend(records)
        attempts = [
            _attempt_columns(record, record.claim.attempt)
            for record in records
            if type(record.verdict) is not Requeued
        ]
        self._add_attempts.run(attempts)
        self._count([*records, *late], effects)
        self._count_discarded(records, effects)
        self._rest(handed_in, effects)
        for record in records:
            verdict = record.verdict
            if isinstance(verdict, RetryAt | Requeued):
                effects.due_at(record.claim.endpoint_id, verdict.due_at)

    def _rest(self, records: list[AttemptRecord], effects: Effects) -> None:
        """Update each endpoint's rest; a receiver's request counts even if the claim is lost."""
        concerned = concern_rests(records)
        if not (concerned or self.rests):
            return
        for endpoint_id, rest in rests_after(self.rests, records).items():
            self.db.execute(self._sql["set_rest"], rows.rest_values(endpoint_id, rest))
            self.rests[endpoint_id] = rest
        effects.changed.extend(("rest", endpoint_id) for endpoint_id in concerned)

    def _count_discarded(self, records: list[AttemptRecord], effects: Effects) -> None:
        """Count the deliveries that would have been retried, had their endpoint been enabled."""
        ids = [
            record.claim.delivery_id
            for record in records
            if isinstance(record.verdict, RetryAt | Requeued) and self._stale_reason(record.claim)
        ]
        if not ids:
            return
        found = self.db.execute(self._sql["settled_as_discarded"], {"ids": json_text(ids)})
        now = max(record.attempt.ended_at for record in records)
        finish(count_discarded(self._tx(effects), list(found), now))

    def _stale_reason(self, claim: Claim) -> str:
        mark = self.stale.get(claim.endpoint_id)
        return mark[2] if mark is not None and claim.delivery_id < mark[1] else ""

    def _mend(
        self, records: list[AttemptRecord]
    ) -> tuple[list[AttemptRecord], list[AttemptRecord]]:
        """Remove the attempts whose claim was lost, and return those that still count."""
        pairs = json_text([(record.claim.delivery_id, record.claim.token) for record in records])
        [[text]] = self.db.execute(self._sql["unsettled"], {"claims": pairs})
        lost = set(read_ids(text))
        kept = [record for record in records if record.claim.delivery_id not in lost]
        return kept, [
            record
            for record in records
            if record.claim.delivery_id in lost and self._record_late(record)
        ]

    def _record_late(self, record: AttemptRecord) -> bool:
        """Store an attempt whose claim was lost, if it was a 2xx: nothing else counts."""
        made = record.attempt
        number = None
        if isinstance(record.verdict, Delivered):
            values = {"id": made.delivery_id, "ended_at": made.ended_at}
            row = next(self.db.execute(self._sql["settle_late"], values), None)
            number = None if row is None else row[0]
        if number is None:
            log.warning("lost the lease of delivery %016x; another has it", made.delivery_id)
            return False
        self._add_attempts.run([_attempt_columns(record, number)])
        return True

    def _count(self, records: list[AttemptRecord], effects: Effects) -> None:
        """Update each endpoint's count of consecutive failures, and disable endpoints if needed."""
        failures = Failures(self.failing)
        for off in failures.count(records, self._disable_after):
            routes = self.routes(off.record.claim.event.account_id)
            project_id = None if routes is None else routes.project_id
            finish(disable_by_rule(self._tx(effects), off, project_id))
        for endpoint_id, failing in failures.changed.items():
            self.db.execute(self._sql["set_failing"], {"id": endpoint_id, "failing": failing})
            if not failing:
                del self.failing[endpoint_id]
        if events := events_of_attempts(records, failures, self._disable_after):
            finish(add_operational_events(self._tx(effects), events))

    def _disable_after(self, account_id: int) -> int:
        routes = self.routes(account_id)
        return 0 if routes is None else routes.disable_after

    async def lock_account(self, tx: Transaction, account_id: int) -> None:
        self._routes.drop(account_id)

    def project_changed(self) -> None:
        self._routes.clear()

    def rest_changed(self, endpoint_id: int, rest: Rest) -> None:
        self.rests[endpoint_id] = rest

    def enabled(self, endpoint_id: int) -> None:
        self.failing.pop(endpoint_id, None)

    def went_stale(self, endpoint_id: int, account_id: int, before: int, reason: str) -> None:
        self.stale[endpoint_id] = (account_id, before, reason)
        self._routes.drop(account_id)


def _attempt_columns(record: AttemptRecord, number: int) -> Row:
    return (record.attempt.delivery_id + number, *rows.attempt_columns(record.attempt))


def _read_routes(row: Row) -> Routes:
    project_id, plan, config, endpoints = row
    return Routes(project_id, rows.read_project_json(config), plan, rows.read_routes(endpoints))
