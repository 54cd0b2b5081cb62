"""Checks what each commit changes, row by row."""

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from simulation.ledger import Receiver, Tracked
from simulation.moves import (
    AccountNow,
    AttemptAdded,
    DeliveryAdded,
    DeliveryChanged,
    EndpointNow,
    EventAdded,
    SecretsChanged,
    take_moves,
)
from simulation.truth import LEASE_AT_LEAST, SKEW, SLOWEST, Truth

from hooktide.domain.delivery.verdict import Delivered, Failed
from hooktide.domain.model import HOUR, MINUTE, SECOND, Micros, Origin
from hooktide.store import rows
from hooktide.store.base import AttemptRecord
from hooktide.store.sqlite.writing.batch import Batch

RELEASED_TIMEOUT: Micros = 5 * SECOND
"""How long after a process's death others have its claims, where nothing is in their way."""


class CommitChecks:
    """Tracks the state after each commit, and checks it."""

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self._ledger = truth.ledger
        self._plan_of: dict[int, str] = {}
        self._limits: defaultdict[int, list[tuple[Micros, int]]] = defaultdict(list)
        self._sent: defaultdict[int, list[Micros]] = defaultdict(list)
        self._events: dict[int, EventAdded] = {}
        self._fan_out: defaultdict[int, list[int]] = defaultdict(list)
        self._markers: dict[bytes, int] = {}

    def committed(self, process: Any, batches: Sequence[Batch]) -> None:
        """Check what was just committed."""
        kept: dict[int, DeliveryChanged] = {}
        enabled: set[int] = set()
        before = {id_: each.consecutive_failures for id_, each in self._ledger.receivers.items()}
        self._events.clear()
        self._fan_out.clear()
        for move in take_moves(self._truth.db):
            match move:
                case EventAdded():
                    self._event(move)
                case DeliveryAdded():
                    self._added(process, move)
                case DeliveryChanged():
                    self._changed(process, move)
                    kept[move.id] = move
                case AttemptAdded():
                    self._attempt(move)
                case EndpointNow():
                    if self._endpoint(move):
                        enabled.add(move.id)
                case SecretsChanged(endpoint_id=endpoint_id):
                    self._secrets(endpoint_id)
                case AccountNow(id=account_id, plan=plan):
                    self._plan_of[account_id] = plan
                    self._note_limit(account_id)
        self._check_fan_out()
        recorded = [each for batch in batches if batch.error is None for each in batch.records]
        self._check_recorded(recorded, kept, before, enabled)

    def _event(self, event: EventAdded) -> None:
        self._events[event.id] = event
        number = json.loads(event.payload).get("n", "—")
        self._truth.markers[event.id] = str(number).encode()
        if b'"key"' in event.payload:
            if event.payload in self._markers:
                self._ledger.broken(9, f"an event with an idempotency key is there twice: {event}")
            self._markers[event.payload] = event.id

    def _added(self, process: Any, move: DeliveryAdded) -> None:
        name = f"dlv{len(self._ledger.deliveries) + 1}"
        tracked = Tracked(
            id=move.id,
            name=name,
            event_id=move.event_id,
            endpoint_id=move.endpoint_id,
            account_id=move.account_id,
            origin=move.origin,
            state=move.state,
            claim=move.claim,
            due_at=move.due_at,
            claimed=self._truth.now(),
        )
        tracked.claims[move.claim] = self._truth.now()
        tracked.holders[move.claim] = process
        self._ledger.deliveries[move.id] = tracked
        claimed = ", handed over" if move.claim else ""
        self._ledger.note(
            str(process), f"{name} made ({move.origin}), {move.state}{claimed}", move.id
        )
        if move.origin == "event":
            self._fan_out[move.event_id].append(move.endpoint_id)
        receiver = self._ledger.receivers[move.endpoint_id]
        if not receiver.takes(move.origin):
            self._ledger.broken(4, "made for an endpoint that is off", move.id)
        if move.state == "pending" and not self._was_asked_long_ago(process):
            self._count(tracked)

    def _changed(self, process: Any, move: DeliveryChanged) -> None:
        tracked = self._ledger.deliveries[move.id]
        if move.state != move.old_state:
            self._check_transition(tracked, move)
        if move.claim > 0 and move.claim != move.old_claim:
            self._check_claim(tracked, move)
            tracked.holders[move.claim] = process
        elif move.old_claim > 0 and move.claim == 0 and move.state == move.old_state == "pending":
            self._check_released(tracked, move)
        tracked.state, tracked.claim, tracked.due_at = move.state, move.claim, move.due_at
        tracked.attempts = move.attempts
        self._ledger.note(str(process), self._words(tracked, move), move.id)
        let_go = move.old_state == "held" and move.state == "pending"
        if let_go and not self._was_asked_long_ago(process):
            self._count(tracked)

    def _words(self, tracked: Tracked, move: DeliveryChanged) -> str:
        if move.claim > 0 and move.claim != move.old_claim:
            return f"{tracked.name} claimed"
        due = ""
        if move.due_at is not None:
            due = f", due in {(move.due_at - self._truth.wall()) / SECOND:.3f} s"
        if move.claim == 0 and move.old_claim > 0 and move.state == "pending":
            return f"{tracked.name} released{due}"
        return f"{tracked.name} {move.state} after {move.attempts} attempts{due}"

    def _check_transition(self, tracked: Tracked, move: DeliveryChanged) -> None:
        allowed = {
            "pending": {"delivered", "failed", "discarded"},
            "held": {"pending", "discarded"},
            "failed": {"delivered"},
        }
        if move.state not in allowed.get(move.old_state, set()):
            words = f"went from {move.old_state} to {move.state}"
            self._ledger.broken(3, words, tracked.id)

    def _check_claim(self, tracked: Tracked, move: DeliveryChanged) -> None:
        receiver = self._ledger.receivers[tracked.endpoint_id]
        if not receiver.on:
            self._ledger.broken(4, "claimed for an endpoint that is off", tracked.id)
        if move.old_claim > 0:
            self._ledger.broken(4, "claimed although another holds it", tracked.id)
        resent = tracked.origin == "resend" and move.attempts == 0
        rests = (
            receiver.rests_until - self._truth.wall() > SKEW and not self._truth.was_set_just_now()
        )
        if rests and not resent:
            self._ledger.broken(6, "claimed although its endpoint rests", tracked.id)
        tracked.claimed = tracked.claims[move.claim] = self._truth.now()

    def _check_released(self, tracked: Tracked, move: DeliveryChanged) -> None:
        """A claim is released by its holder, which then sends nothing, or after its lease ended.

        Otherwise its process had lost the session lock and was presumed dead.
        """
        token, now = move.old_claim, self._truth.now()
        held_for, holder = now - tracked.claimed, tracked.holders[token]
        if self._truth.presumed_dead(holder):
            tracked.given_back[token] = now
        for flight in tracked.flights:
            holds = flight.claim.token == token and not flight.process.dead
            early = held_for < LEASE_AT_LEAST and token not in tracked.given_back
            if holds and flight.is_out and early:
                self._ledger.broken(4, "released while its attempt is out", tracked.id)
        if holder.dead and holder.is_judged:
            waited = now - max(tracked.claimed, self._truth.judged_since(), holder.died_at)
            if waited > RELEASED_TIMEOUT:
                words = f"waited for {waited / SECOND:.1f} s for its process, which was dead"
                self._ledger.broken(1, words, tracked.id)
        elif token in tracked.unheard and not holder.dead:
            since = max(tracked.claimed, self._truth.calm_since())
            waited = now - max(since, tracked.unheard[token], holder.woke)
            if waited > RELEASED_TIMEOUT:
                words = (
                    f"waited for {waited / SECOND:.1f} s, claimed by a process that did not know"
                )
                self._ledger.broken(1, words, tracked.id)

    def _attempt(self, move: AttemptAdded) -> None:
        tracked = self._ledger.deliveries[move.delivery_id]
        if move.number != tracked.recorded + 1:
            words = f"attempt {move.number} was recorded after {tracked.recorded}"
            self._ledger.broken(2, words, tracked.id)
        tracked.recorded += 1
        if move.status is not None and 200 <= move.status < 300:
            tracked.good += 1
        most = 1 + max(plan.retries for plan in self._truth.plans.values()) + (tracked.good > 0)
        if tracked.recorded > most:
            self._ledger.broken(2, f"{tracked.recorded} attempts were recorded", tracked.id)

    def _endpoint(self, move: EndpointNow) -> bool:
        """Update the state of an endpoint. Return whether this commit enabled it."""
        found = self._ledger.receivers.get(move.id)
        if found is None:
            found = Receiver(move.id, move.account_id, off_since=self._truth.now())
            self._ledger.receivers[move.id] = found
            self._check_endpoints(found)
        was_on, was_removed, reason = found.on, found.removed, found.reason
        found.patterns = tuple(json.loads(move.event_types))
        found.reason, found.removed = move.disabled_reason, move.removed_at is not None
        found.consecutive_failures = move.consecutive_failures
        if move.rest_lifted_at != found.lifted_at:
            found.lifted_since = self._truth.now()
        found.rests_until, found.lifted_at = move.rests_until, move.rest_lifted_at
        if (found.on, found.removed) == (was_on, was_removed):
            if "in a row" in move.disabled_reason and reason != move.disabled_reason:
                self._ledger.broken(5, f"endpoint {found.id:x} was disabled once more")
            return False
        found.off_since = self._truth.now()
        self._ledger.note(
            "", f"endpoint {found.id:x} is {'on' if found.on else 'off'}: {found.reason}"
        )
        return found.on

    def _check_endpoints(self, added: Receiver) -> None:
        there = [
            each
            for each in self._ledger.receivers.values()
            if each.account_id == added.account_id and not each.removed
        ]
        limit = self._truth.plans[self._plan_of[added.account_id]].endpoints
        if limit is not None and len(there) > limit:
            self._ledger.broken(7, f"account {added.account_id:x} has {len(there)} endpoints")

    def _secrets(self, endpoint_id: int) -> None:
        sql = "SELECT sealed, created_at, retires_at FROM secrets WHERE endpoint_id = ? ORDER BY 2"
        found = self._truth.db.execute(sql, (endpoint_id,))
        receiver = self._ledger.receivers[endpoint_id]
        receiver.secrets = tuple(
            rows.active_secret(endpoint_id, row, self._truth.vault).secret.key for row in found
        )
        receiver.secrets_since = self._truth.now()
        self._ledger.note("", f"endpoint {endpoint_id:x} has {len(receiver.secrets)} secrets")

    def _check_fan_out(self) -> None:
        for event in self._events.values():
            made = sorted(self._fan_out[event.id])
            wanted = sorted(
                each.id
                for each in self._ledger.receivers.values()
                if each.account_id == event.account_id and each.on and _wants(each, event.type)
            )
            if not event.test and made != wanted and not self._switched_since(event):
                words = f"event {event.id:x} went to {_hex(made)}, not to {_hex(wanted)}"
                self._ledger.broken(1, words)

    def _switched_since(self, event: EventAdded) -> bool:
        """Return whether the event's commit also created, enabled or disabled an endpoint."""
        return any(
            each.account_id == event.account_id and each.off_since == self._truth.now()
            for each in self._ledger.receivers.values()
        )

    def _note_limit(self, account_id: int) -> None:
        plan = self._truth.plans.get(self._plan_of[account_id])
        limit = None if plan is None else plan.deliveries_per_hour
        self._limits[account_id].append(
            (self._truth.now(), limit if limit is not None else 1 << 60)
        )

    def _was_asked_long_ago(self, process: Any) -> bool:
        """Whether a process may have asked for this commit before it stalled for a minute or more.

        PostgreSQL's store gives up waiting when it wakes.
        """
        woke: Micros = process.woke
        stalled: Micros = woke - process.stalled_at
        return stalled >= MINUTE - 2 * SLOWEST and self._truth.now() - woke < SLOWEST

    def _count(self, tracked: Tracked) -> None:
        """Count a delivery in its account's hour, and check the plan's limit."""
        now, sent = self._truth.now(), self._sent[tracked.account_id]
        sent.append(now)
        while sent and sent[0] <= now - HOUR:
            sent.pop(0)
        limits = self._limits[tracked.account_id]
        since = max((at for at, _ in limits if at <= now - HOUR), default=0)
        most = max(limit for at, limit in limits if at >= since)
        if len(sent) > most and now - self._truth.clock_set_at > 2 * HOUR:
            self._ledger.broken(7, f"{len(sent)} deliveries in an hour, of {most}", tracked.id)

    def _check_recorded(
        self,
        records: Sequence[AttemptRecord],
        kept: dict[int, DeliveryChanged],
        before: dict[int, int],
        enabled: set[int],
    ) -> None:
        """Check the consecutive failures of each endpoint with recorded attempts."""
        counts: dict[int, int] = {}
        for record in records:
            flight = self._truth.unrecorded.pop(
                (record.claim.delivery_id, record.claim.token), None
            )
            move = kept.get(record.claim.delivery_id)
            counted = move is not None and (
                move.claim == -record.claim.token
                or (move.state == "delivered" and isinstance(record.verdict, Delivered))
            )
            if flight is not None:
                flight.recorded = counted
            if not counted or record.claim.origin is Origin.TEST:
                continue
            endpoint_id = record.claim.endpoint_id
            count = counts.get(endpoint_id, before.get(endpoint_id, 0))
            if isinstance(record.verdict, Delivered):
                counts[endpoint_id] = 0
            elif isinstance(record.verdict, Failed):
                counts[endpoint_id] = count + 1
        for endpoint_id, count in counts.items():
            receiver = self._ledger.receivers[endpoint_id]
            before[endpoint_id] = count
            if receiver.consecutive_failures != count and not (
                endpoint_id in enabled and not receiver.consecutive_failures
            ):
                run = receiver.consecutive_failures
                words = f"counts {run} failed deliveries in a row, not {count}"
                self._ledger.broken(5, f"endpoint {endpoint_id:x} {words}")
            if (
                receiver.on
                and 0 < self._truth.disable_after <= count
                and endpoint_id not in enabled
            ):
                self._ledger.broken(5, f"endpoint {endpoint_id:x} is on after {count} failures")


def _wants(receiver: Receiver, event_type: str) -> bool:
    return any(
        event_type == pattern or (pattern[-1:] == "*" and event_type.startswith(pattern[:-1]))
        for pattern in receiver.patterns
    )


def _hex(ids: Sequence[int]) -> str:
    return ", ".join(f"{id_:x}" for id_ in ids) or "none"
