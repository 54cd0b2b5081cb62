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
from hooktide.domain.model import Claim, Event, Micros, Origin
from hooktide.domain.project import plan_of, wants
from hooktide.domain.verdict import Again, Delivered, Failed, Gone, RetryAt
from hooktide.store.base import Accepted, AccountGone, AddResult, Done, KeyReused, NewEvent
from hooktide.store.sqlite import rows
from hooktide.store.sqlite.rows import Row, json_text
from hooktide.store.sqlite.usage import Usage
from hooktide.store.sqlite.writer import Batch, Effects

log = logging.getLogger("hooktide.store")

MOST_ROWS = 512
ROUTES_KEPT = 20_000


class Routes:
    """Where an account's events go: its endpoints with what they want, and its rules.

    ``per_hour`` is its plan's limit; after ``disable_after`` failures in a row (0: never) an
    endpoint is disabled.
    """

    __slots__ = ("_by_type", "_endpoints", "disable_after", "per_hour", "project_id")

    def __init__(
        self,
        project_id: int,
        per_hour: int | None,
        disable_after: int,
        endpoints: list[tuple[int, tuple[str, ...]]],
    ) -> None:
        self.project_id = project_id
        self.per_hour = per_hour
        self.disable_after = disable_after
        self._endpoints = endpoints
        self._by_type: dict[str, tuple[int, ...]] = {}

    def to(self, event_type: str) -> tuple[int, ...]:
        """Return the ids of the endpoints that want this type."""
        found = self._by_type.get(event_type)
        if found is None:
            found = tuple(id_ for id_, types in self._endpoints if wants(types, event_type))
            self._by_type[event_type] = found
        return found


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
        self.usage = Usage(db, queries, Multi(db, queries["set_usage"], 3))
        self.forget()

    def forget(self) -> None:
        """Read everything that is remembered from the database again."""
        self._routes: dict[int, Routes | None] = {}
        self.failing: dict[int, int] = dict(self.db.execute(self._sql["failing_endpoints"]))
        self.stale: dict[int, tuple[int, int, str]] = {
            id_: (account_id, before, reason)
            for id_, account_id, before, reason in self.db.execute(self._sql["stale_endpoints"])
        }
        self.usage.forget()

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
            FanOut(self, batch).write()
        self.usage.save()

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

    def known_keys(self, wanted: list[tuple[int, str]]) -> dict[tuple[int, str], Row]:
        """Return which idempotency keys were used: key to (digest, event id, deliveries)."""
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
        if self._settle.run(settled) != len(dones):
            dones = self._mend(dones)
        attempts = [
            rows.attempt_columns(done.attempt, done.claim.attempt)
            for done in dones
            if type(done.verdict) is not Again
        ]
        self._add_attempts.run(attempts)
        self._count(dones, effects)
        for done in dones:
            verdict = done.verdict
            if isinstance(verdict, RetryAt | Again):
                effects.due_at(done.claim.endpoint_id, verdict.due_at)

    def _stale_reason(self, claim: Claim) -> str:
        mark = self.stale.get(claim.endpoint_id)
        return mark[2] if mark is not None and claim.delivery_id < mark[1] else ""

    def _mend(self, dones: list[Done]) -> list[Done]:
        """Take out the attempts whose claim was lost; of those, a 2xx still counts."""
        pairs = json_text([(done.claim.delivery_id, done.claim.token) for done in dones])
        [[text]] = self.db.execute(self._sql["unsettled"], {"claims": pairs})
        lost = set(rows.read_ids(text))
        for done in dones:
            if done.claim.delivery_id in lost:
                self._record_late(done)
        return [done for done in dones if done.claim.delivery_id not in lost]

    def _record_late(self, done: Done) -> None:
        made = done.attempt
        number = None
        if isinstance(done.verdict, Delivered):
            values = {"id": made.delivery_id, "ended_at": made.started_at + made.duration}
            row = next(self.db.execute(self._sql["settle_late"], values), None)
            number = None if row is None else row[0]
        if number is None:
            log.warning("lost the lease of delivery %016x; another has it", made.delivery_id)
            return
        self._add_attempts.run([rows.attempt_columns(made, number)])

    def _count(self, dones: list[Done], effects: Effects) -> None:
        """Keep each endpoint's count of deliveries that failed in a row, and act on it."""
        for done in dones:
            endpoint_id, verdict = done.claim.endpoint_id, done.verdict
            if done.claim.origin is Origin.TEST:
                continue
            if isinstance(verdict, Delivered):
                if endpoint_id in self.failing:
                    self._set_failing(endpoint_id, 0)
            elif isinstance(verdict, Failed):
                self._count_failure(done, effects)
            elif isinstance(verdict, Gone):
                self.disable(endpoint_id, "the receiver answered 410 Gone", done, effects)

    def _count_failure(self, done: Done, effects: Effects) -> None:
        endpoint_id = done.claim.endpoint_id
        failing = self.failing.get(endpoint_id, 0) + 1
        self._set_failing(endpoint_id, failing)
        routes = self.routes(done.claim.event.account_id)
        if routes is not None and 0 < routes.disable_after <= failing:
            self.disable(endpoint_id, f"{failing} deliveries failed in a row", done, effects)

    def _set_failing(self, endpoint_id: int, failing: int) -> None:
        self.db.execute(self._sql["set_failing"], {"id": endpoint_id, "failing": failing})
        if failing:
            self.failing[endpoint_id] = failing
        else:
            self.failing.pop(endpoint_id, None)

    def disable(self, endpoint_id: int, reason: str, done: Done, effects: Effects) -> None:
        """Disable an endpoint because of what a delivery met."""
        now = done.attempt.started_at + done.attempt.duration
        self.switch_off(endpoint_id, done.claim.event.account_id, reason, now, effects)

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
            self.mark_stale(endpoint_id, account_id, before, stale_reason, effects)

    def mark_stale(
        self, endpoint_id: int, account_id: int, before: int, reason: str, effects: Effects
    ) -> None:
        """Remember that what is pending for an endpoint is to be discarded."""
        self.stale[endpoint_id] = (account_id, before, reason)
        self.forget_routes(account_id)
        effects.changed.append(("endpoint", endpoint_id))


class FanOut:
    """One batch's events, on their way to rows: matched with endpoints, held, handed over."""

    def __init__(self, hot: HotPath, batch: Batch) -> None:
        self._hot = hot
        self._batch = batch
        self._room = batch.room.deliveries
        self._room_bytes = batch.room.payload_bytes
        self._keys: list[Row] = []
        self._events: list[Row] = []
        self._deliveries: list[Row] = []
        self._known: dict[tuple[int, str], Row] = {}

    def write(self) -> None:
        """Store the batch's events and their deliveries, and note what was handed over."""
        self._known = self._hot.known_keys(list(_idempotency_keys(self._batch)))
        for publish in self._batch.publishes:
            publish.results = [self._add(event, publish.now) for event in publish.events]
        self._hot.insert(self._keys, self._events, self._deliveries)

    def _add(self, new: NewEvent, now: Micros) -> AddResult:
        if new.idempotency_key:
            known = self._known.get((new.project_id, new.idempotency_key))
            if known is not None:
                digest, event_id, deliveries = known
                if digest == new.digest:
                    return Accepted(event_id, deliveries, replayed=True)
                return KeyReused(event_id)
        routes = self._hot.routes(new.account_id)
        if routes is None:
            return AccountGone()
        event_id = self._hot.ids(now)
        event = Event(
            id=event_id,
            account_id=new.account_id,
            type=new.type,
            payload=new.payload,
            occurred_at=new.occurred_at if new.occurred_at is not None else now,
            transition=new.transition,
            test=new.test,
        )
        targets = routes.to(new.type)
        for endpoint_id in targets:
            self._deliver(event, endpoint_id, routes, now)
        self._keep(event, new, routes.project_id, len(targets))
        return Accepted(event_id, len(targets))

    def _keep(self, event: Event, new: NewEvent, project_id: int, deliveries: int) -> None:
        self._events.append(rows.event_columns(event, project_id, deliveries))
        if new.idempotency_key:
            self._keys.append((project_id, new.idempotency_key, new.digest, event.id, deliveries))
            self._known[project_id, new.idempotency_key] = (new.digest, event.id, deliveries)

    def _deliver(self, event: Event, endpoint_id: int, routes: Routes, now: Micros) -> None:
        hot = self._hot
        delivery_id = hot.ids(now)
        state, token, reason = "pending", 0, ""
        due_at: Micros | None = now
        if routes.per_hour is not None and not hot.usage.take(
            event.account_id, routes.per_hour, now
        ):
            state, due_at, reason = "held", None, f"plan: {routes.per_hour} deliveries an hour"
            hot.usage.holding.add(event.account_id)
        elif self._takes(event, endpoint_id):
            token = delivery_id
            due_at = lease_ends_at = now + hot.lease
            self._hand_over(event, endpoint_id, delivery_id, lease_ends_at)
        else:
            self._batch.effects.due_at(endpoint_id, now)
        self._deliveries.append(
            (
                delivery_id,
                event.id,
                endpoint_id,
                event.account_id,
                routes.project_id,
                "event",
                state,
                due_at,
                token,
                reason,
            )
        )

    def _takes(self, event: Event, endpoint_id: int) -> bool:
        if self._room <= 0 or self._room_bytes < len(event.payload):
            return False
        return endpoint_id not in self._batch.room.full_endpoints

    def _hand_over(
        self, event: Event, endpoint_id: int, delivery_id: int, lease_ends_at: Micros
    ) -> None:
        self._room -= 1
        self._room_bytes -= len(event.payload)
        self._batch.effects.claims.append(
            Claim(
                delivery_id=delivery_id,
                endpoint_id=endpoint_id,
                event=event,
                attempt=1,
                token=delivery_id,
                lease_ends_at=lease_ends_at,
            )
        )


def _read_routes(row: Row) -> Routes:
    project_id, plan_name, config, endpoints = row
    project = rows.read_project_json(config)
    per_hour = plan_of(project, plan_name).deliveries_per_hour
    return Routes(project_id, per_hour, project.disable_after, rows.read_routes(endpoints))


def _idempotency_keys(batch: Batch) -> Iterable[tuple[int, str]]:
    for publish in batch.publishes:
        for event in publish.events:
            if event.idempotency_key:
                yield event.project_id, event.idempotency_key
