"""The hot way through the database: events in with their deliveries, attempts recorded.

Runs on the writer's thread, inside its transaction. Every batch is a handful of statements, each
for many rows: between statements the thread must win back the interpreter's lock, which costs more
than the rows. What it remembers (routes, usage, failure counts) is exact, because nothing else
writes.
"""

import itertools
import logging
from collections.abc import Iterable, Sequence

import apsw
import msgspec

from hooktide.domain.ids import IdMaker
from hooktide.domain.model import Claim, Micros
from hooktide.domain.operations import Happening, disabled
from hooktide.domain.verdict import Again, Delivered, RetryAt
from hooktide.store import rows
from hooktide.store.base import Done
from hooktide.store.batch import Effects
from hooktide.store.failures import Failures
from hooktide.store.fanout import FanOut, Known, Routes, idempotency_keys
from hooktide.store.happening import of_attempts, values
from hooktide.store.rows import Row, json_text
from hooktide.store.sqlite.decode import read_ids
from hooktide.store.sqlite.writer import Batch
from hooktide.store.usage import Minutes, Usage

log = logging.getLogger("hooktide.store")

MOST_ROWS = 512
ROUTES_KEPT = 20_000


class Multi:
    """A statement that takes many rows at once: sizes are powers of two, the rest is padding."""

    def __init__(self, db: apsw.Connection, sql: str, width: int) -> None:
        self._db = db
        self._width = width
        place = "(" + ",".join("?" * width) + ")"
        self._sql = {
            1 << power: sql.replace(":rows", ",".join([place] * (1 << power)))
            for power in range(MOST_ROWS.bit_length())
        }

    def run(self, items: Sequence[Row]) -> int:
        """Run the statement over all rows; return how many it changed."""
        changed = 0
        for start in range(0, len(items), MOST_ROWS):
            part = items[start : start + MOST_ROWS]
            size = 1 << (len(part) - 1).bit_length()
            values = list(itertools.chain.from_iterable(part))
            values += [None] * ((size - len(part)) * self._width)
            self._db.execute(self._sql[size], values)
            changed += self._db.changes()
        return changed


class HotPath:
    """Writes batches, and remembers what makes that cheap."""

    def __init__(
        self, db: apsw.Connection, queries: dict[str, str], ids: IdMaker, lease: Micros
    ) -> None:
        self.db = db
        self.ids = ids
        self._sql = queries
        self.lease = lease
        self._add_events = Multi(db, queries["add_events"], 9)
        self._add_deliveries = Multi(db, queries["add_deliveries"], 10)
        self._add_keys = Multi(db, queries["add_keys"], 5)
        self._add_attempts = Multi(db, queries["add_attempts"], 10)
        self._settle = Multi(db, queries["settle"], 7)
        self._set_usage = Multi(db, queries["set_usage"], 3)
        self.forget()

    def forget(self) -> None:
        """Read everything that is remembered from the database again."""
        self._routes: dict[int, Routes | None] = {}
        self.failing: dict[int, int] = dict(self.db.execute(self._sql["failing_endpoints"]))
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
        """Write what changed of the accounts' hours."""
        if changed := self.usage.changed():
            self._set_usage.run(changed)

    def forget_routes(self, account_id: int | None = None) -> None:
        """An account's endpoints or plan changed (None: a project did)."""
        if account_id is None:
            self._routes.clear()
        else:
            self._routes.pop(account_id, None)

    def write(self, batch: Batch) -> None:
        """Write a batch's events and attempts inside the open transaction."""
        if batch.dones:
            self._record(batch.dones, batch.effects)
        if batch.publishes:
            self._add(batch)
        self.save_usage()

    # -- events in -----------------------------------------------------------------------------

    def routes(self, account_id: int) -> Routes | None:
        """Return where an account's events go; None when there is no such account."""
        if account_id in self._routes:
            return self._routes[account_id]
        if len(self._routes) >= ROUTES_KEPT:
            self._routes.clear()
        row = next(self.db.execute(self._sql["routes_of_account"], {"id": account_id}), None)
        found = None if row is None else _read_routes(row)
        self._routes[account_id] = found
        return found

    def _add(self, batch: Batch) -> None:
        fan_out = FanOut(
            ids=self.ids,
            lease=self.lease,
            room=batch.room,
            routes=self.routes,
            usage=self.usage,
            known=self._known_keys(idempotency_keys(batch.publishes)),
            effects=batch.effects,
        )
        for publish in batch.publishes:
            publish.results = [fan_out.add(event, publish.now) for event in publish.events]
        self.insert(fan_out.keys, fan_out.events, fan_out.deliveries)
        self.happened(fan_out.happened)

    def _known_keys(self, wanted: list[tuple[int, str]]) -> dict[tuple[int, str], Known]:
        if not wanted:
            return {}
        [[text]] = self.db.execute(self._sql["known_keys"], {"keys": json_text(wanted)})
        return {
            (project_id, key): (bytes.fromhex(digest), event_id, deliveries)
            for project_id, key, digest, event_id, deliveries in msgspec.json.decode(text)
        }

    def insert(self, keys: list[Row], events: list[Row], deliveries: list[Row]) -> None:
        """Insert what a fan-out made."""
        if keys:
            self._add_keys.run(keys)
        self._add_events.run(events)
        self._add_deliveries.run(deliveries)

    # -- attempts recorded ---------------------------------------------------------------------

    def _record(self, dones: list[Done], effects: Effects) -> None:
        settled = [rows.settle_columns(done, self._stale_reason(done.claim)) for done in dones]
        late: list[Done] = []
        if self._settle.run(settled) != len(dones):
            dones, late = self._mend(dones)
        attempts = [
            _attempt_columns(done, done.claim.attempt)
            for done in dones
            if type(done.verdict) is not Again
        ]
        self._add_attempts.run(attempts)
        self._count([*dones, *late], effects)
        for done in dones:
            verdict = done.verdict
            if isinstance(verdict, RetryAt | Again):
                effects.due_at(done.claim.endpoint_id, verdict.due_at)

    def _stale_reason(self, claim: Claim) -> str:
        mark = self.stale.get(claim.endpoint_id)
        return mark[2] if mark is not None and claim.delivery_id < mark[1] else ""

    def _mend(self, dones: list[Done]) -> tuple[list[Done], list[Done]]:
        """Take out the attempts whose claim was lost, and return those of them that still count."""
        pairs = json_text([(done.claim.delivery_id, done.claim.token) for done in dones])
        [[text]] = self.db.execute(self._sql["unsettled"], {"claims": pairs})
        lost = set(read_ids(text))
        kept = [done for done in dones if done.claim.delivery_id not in lost]
        return kept, [
            done for done in dones if done.claim.delivery_id in lost and self._record_late(done)
        ]

    def _record_late(self, done: Done) -> bool:
        """Store an attempt whose claim was lost, if it was a 2xx: nothing else counts."""
        made = done.attempt
        number = None
        if isinstance(done.verdict, Delivered):
            values = {"id": made.delivery_id, "ended_at": made.started_at + made.duration}
            row = next(self.db.execute(self._sql["settle_late"], values), None)
            number = None if row is None else row[0]
        if number is None:
            log.warning("lost the lease of delivery %016x; another has it", made.delivery_id)
            return False
        self._add_attempts.run([_attempt_columns(done, number)])
        return True

    def _count(self, dones: list[Done], effects: Effects) -> None:
        """Keep each endpoint's count of deliveries that failed in a row, and act on it."""
        failures = Failures(self.failing)
        for done, reason in failures.count(dones, self._disable_after):
            now = done.attempt.started_at + done.attempt.duration
            account_id = done.claim.event.account_id
            self.switch_off(done.claim.endpoint_id, account_id, reason, now, effects)
        for endpoint_id, failing in failures.changed.items():
            self.db.execute(self._sql["set_failing"], {"id": endpoint_id, "failing": failing})
            if not failing:
                del self.failing[endpoint_id]

        self.happened(of_attempts(dones, failures, self._disable_after))

    def happened(self, happenings: Iterable[Happening]) -> None:
        """Keep what is to be told of."""
        for happening in happenings:
            self.db.execute(self._sql["add_happening"], values(happening))

    def _disable_after(self, account_id: int) -> int:
        routes = self.routes(account_id)
        return 0 if routes is None else routes.disable_after

    def switch_off(
        self, endpoint_id: int, account_id: int, reason: str, now: Micros, effects: Effects
    ) -> None:
        """Disable an endpoint if it is enabled, and mark what is pending for it as stale."""
        before, stale_reason = self.ids(now), f"endpoint disabled: {reason}"
        values = {
            "id": endpoint_id,
            "reason": reason,
            "now": now,
            "stale_before": before,
            "stale_reason": stale_reason,
        }
        self.db.execute(self._sql["disable_endpoint"], values)
        if self.db.changes():
            self.cancel_replays(endpoint_id, stale_reason, now)
            self.mark_stale(endpoint_id, account_id, before, stale_reason, effects)
            self.happened([disabled(account_id, endpoint_id, reason, now)])

    def cancel_replays(self, endpoint_id: int, reason: str, now: Micros) -> None:
        """End the replay of an endpoint that is off from now on."""
        values = {"endpoint_id": endpoint_id, "reason": reason, "now": now}
        self.db.execute(self._sql["cancel_replays"], values)

    def mark_stale(
        self, endpoint_id: int, account_id: int, before: int, reason: str, effects: Effects
    ) -> None:
        """Remember that what is pending for an endpoint is to be discarded."""
        self.stale[endpoint_id] = (account_id, before, reason)
        self.forget_routes(account_id)
        effects.changed.append(("endpoint", endpoint_id))


def _attempt_columns(done: Done, number: int) -> Row:
    return (done.attempt.delivery_id + number, *rows.attempt_columns(done.attempt))


def _read_routes(row: Row) -> Routes:
    project_id, plan, config, endpoints = row
    return Routes(project_id, rows.read_project_json(config), plan, rows.read_routes(endpoints))
