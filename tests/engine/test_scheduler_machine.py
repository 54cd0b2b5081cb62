"""A state machine test of the scheduler with a model of the store.

The model has deliveries with due times, leases and rests, of which the scheduler may or may not be
notified. Clocks may be set. In the end every accepted delivery has been sent.
``HOOKTIDE_SCHEDULES=5000`` runs more examples than the default.
"""

import os
from collections import Counter
from dataclasses import dataclass, replace

import msgspec
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from schedulerkit import FAILED, MILLISECOND, Schedule

from hooktide.domain.delivery.rest import ignores_rest
from hooktide.domain.delivery.verdict import Delivered
from hooktide.domain.model import HOUR, MINUTE, SECOND, Claim, Micros, Origin
from hooktide.engine.scheduling.lanes import LEASE_MARGIN, Batch, NotSent
from hooktide.engine.scheduling.polling import ClaimDue, ReadRests
from hooktide.engine.scheduling.scheduler import Limits

EXAMPLES = int(os.environ.get("HOOKTIDE_SCHEDULES", "25"))
LIMITS = Limits(
    slots=5,
    per_endpoint=3,
    per_account=4,
    waiting_per_endpoint=6,
    failing_pace=0.1,
)
ENDPOINTS = st.integers(1, 6)
CHATS = {5, 6}
MAX_TIMEOUT: Micros = 30 * SECOND
SPANS = st.sampled_from([MILLISECOND, 100 * MILLISECOND, SECOND, 7 * SECOND, 20 * SECOND, MINUTE])


def account_of(endpoint_id: int) -> int:
    return endpoint_id % 2


@dataclass
class Stored:
    """A delivery in the model: pending in the store until ``due_at``, or claimed by ``token``."""

    claim: Claim
    due_at: Micros
    token: int | None = None


class SchedulerMachine(RuleBasedStateMachine):
    """Drives a scheduler and checks its decisions."""

    @initialize()
    def begin(self) -> None:
        self.schedule = Schedule(LIMITS)
        self.stored: dict[int, Stored] = {}
        self.out: list[Batch] = []
        self.began: dict[int, Micros] = {}
        self.rests: dict[int, Micros] = {}
        self.tokens = 0

    def claim(self, stored: Stored) -> Claim:
        """Claim a delivery. Its lease ends in a minute of the lease clock."""
        self.tokens += 1
        stored.token = self.tokens
        lease_ends_at = self.schedule.now.lease + MINUTE
        claim = msgspec.structs.replace(
            stored.claim, token=self.tokens, lease_ends_at=lease_ends_at
        )
        stored.claim = claim
        return claim

    def give_back(self, claims: list[Claim], due_at: Micros, notified: bool = True) -> None:
        for claim in claims:
            stored = self.stored[claim.delivery_id]
            if stored.token == claim.token:
                stored.token, stored.due_at = None, due_at
                if notified:
                    self.schedule.scheduler.polling.due({claim.endpoint_id: due_at})

    def end_leases(self) -> None:
        for stored in self.stored.values():
            held = any(stored.claim is claim for batch in self.out for claim in batch.claims)
            if stored.token is not None and stored.claim.lease_ends_at <= self.schedule.now.lease:
                assert not held, "an attempt outlived its lease"
                stored.token, stored.due_at = None, self.schedule.clock

    def rests_until(self, endpoint_id: int) -> Micros:
        until = self.rests.get(endpoint_id, 0)
        return until if until > self.schedule.clock else 0

    @rule(
        endpoint_id=ENDPOINTS,
        count=st.integers(1, 8),
        attempt=st.sampled_from([1, 1, 2]),
        origin=st.sampled_from([Origin.EVENT, Origin.EVENT, Origin.REPLAY, Origin.RESEND]),
        how=st.sampled_from(["handed over", "notified", "silent"]),
    )
    def accept(self, endpoint_id: int, count: int, attempt: int, origin: Origin, how: str) -> None:
        capacity = self.schedule.scheduler.capacity()
        for _ in range(count):
            claim = self.schedule.claim(
                endpoint_id, account_id=account_of(endpoint_id), attempt=attempt, origin=origin
            )
            stored = self.stored[claim.delivery_id] = Stored(claim, self.schedule.clock)
            if (
                how == "handed over"
                and capacity.deliveries
                and endpoint_id not in capacity.full_endpoints
            ):
                self.schedule.scheduler.offer([self.claim(stored)])
            elif how == "notified":
                self.schedule.scheduler.polling.due({endpoint_id: self.schedule.clock})
        self.take_released()

    @rule()
    def start(self) -> None:
        """Start attempts, and check that exactly those were started that may be."""
        scheduler = self.schedule.scheduler
        while (batch := scheduler.next(self.schedule.now)) is not None:
            for claim in batch.claims:
                stored = self.stored[claim.delivery_id]
                assert stored.claim is claim, "sent although it was claimed again"
                assert stored.token == claim.token
                assert claim.lease_ends_at - self.schedule.now.lease >= LEASE_MARGIN
                if scheduler.known_rests.until(claim.endpoint_id) > self.schedule.clock:
                    assert ignores_rest(claim), "sent to a resting endpoint"
                assert not any(claim is other for each in self.out for other in each.claims)
            self.out.append(batch)
            self.began[id(batch)] = self.schedule.monotonic
            self.slots_are_kept()
        for lane in scheduler._lanes.values():
            held_back = lane.paused_until or lane.active >= lane.kind.slots
            if lane.startable and not held_back and scheduler.active < LIMITS.slots:
                used = scheduler._account_slots.get(lane.account_id, 0)
                assert used >= LIMITS.per_account, f"nothing starts in lane {lane.endpoint_id}"

    @precondition(lambda self: self.out)
    @rule(
        data=st.data(),
        how=st.sampled_from(["delivered", "delivered", "failed", "429", "trouble", "gone"]),
        notified=st.booleans(),
    )
    def end(self, data: st.DataObject, how: str, notified: bool) -> None:
        batch = self.out.pop(data.draw(st.integers(0, len(self.out) - 1)))
        self.finish(batch, how, notified)

    def finish(self, batch: Batch, how: str, notified: bool) -> None:
        schedule, endpoint_id = self.schedule, batch.lane.endpoint_id
        if endpoint_id in CHATS and batch.kind.max_batch == 1:
            schedule.scheduler.finished(batch, NotSent.CHAT, schedule.monotonic)
            return
        if how == "trouble":
            schedule.scheduler.finished(batch, None, schedule.monotonic)
            self.give_back(batch.claims, schedule.clock + SECOND, notified)
        elif how == "gone":
            schedule.scheduler.finished(batch, NotSent.RELEASED, schedule.monotonic)
            self.give_back(batch.claims, schedule.clock, notified)
        elif how == "delivered":
            schedule.end(batch, verdict=Delivered())
            for claim in batch.claims:
                del self.stored[claim.delivery_id]
        else:
            rest = 2 * SECOND if how == "429" else None
            schedule.end(batch, verdict=FAILED, rest=rest)
            if rest is not None:
                self.rests[endpoint_id] = schedule.clock + rest
                schedule.scheduler.changed("rest", endpoint_id)  # this process wrote it
            for claim in batch.claims:
                stored = self.stored[claim.delivery_id]
                retry = msgspec.structs.replace(stored.claim, attempt=claim.attempt + 1)
                self.stored[claim.delivery_id] = replace(stored, claim=retry)
            self.give_back(
                [self.stored[each.delivery_id].claim for each in batch.claims],
                schedule.clock + 10 * SECOND,
                notified,
            )
        self.take_released()

    def take_released(self) -> None:
        scheduler = self.schedule.scheduler
        released, scheduler.released = scheduler.released, []
        held = [claim for claim in released if claim.delivery_id in self.stored]  # others: stopped
        for claim in held:
            assert self.stored[claim.delivery_id].claim is claim
        self.give_back(held, self.schedule.clock)

    @rule()
    def read(self) -> None:
        """Answer one query of the scheduler."""
        query = self.schedule.scheduler.query(self.schedule.now)
        self.answer(query)

    def answer(self, query: object) -> None:
        scheduler, clock = self.schedule.scheduler, self.schedule.clock
        rests = {id_: until for id_, until in self.rests.items() if until > clock}
        if isinstance(query, ReadRests):
            wanted = rests.keys() if query.endpoint_ids is None else query.endpoint_ids
            scheduler.rests_read(query, {id_: rests[id_] for id_ in wanted if id_ in rests})
        elif isinstance(query, ClaimDue):
            claimed = []
            for endpoint_id in query.endpoint_ids:
                due = [each for each in self.due_to(endpoint_id) if each.due_at <= clock]
                claimed += [self.claim(stored) for stored in due[: query.each]]
            scheduler.offer(claimed)
            for endpoint_id in query.endpoint_ids:  # as the stores do
                later = [each.due_at for each in self.due_to(endpoint_id)]
                if later:
                    scheduler.polling.due({endpoint_id: min(later)})
        elif query is not None:
            heads: dict[int, Micros] = {}
            for endpoint_id in range(1, 7):
                if due_to := self.due_to(endpoint_id):
                    heads[endpoint_id] = min(each.due_at for each in due_to)
            scheduler.polling.due_times_read(heads, self.schedule.now)
        self.take_released()

    def due_to(self, endpoint_id: int) -> list[Stored]:
        """Return what is pending for an endpoint and not held back by its rest."""
        return [
            stored
            for stored in self.stored.values()
            if stored.token is None
            and stored.claim.endpoint_id == endpoint_id
            and (not self.rests_until(endpoint_id) or ignores_rest(stored.claim))
        ]

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def query_fails(self, data: st.DataObject) -> None:
        query = self.schedule.scheduler.query(self.schedule.now)
        if query is not None:
            self.schedule.scheduler.polling.failed(query)
            assert self.schedule.scheduler.polling.wait(self.schedule.now) == 0

    @rule(span=SPANS)
    def pass_time(self, span: Micros) -> None:
        latest = self.schedule.monotonic + span - MAX_TIMEOUT
        for batch in [each for each in self.out if self.began[id(each)] < latest]:
            self.out.remove(batch)
            self.finish(batch, "delivered", True)
        self.schedule.pass_time(span)
        self.end_leases()

    @rule(step=st.sampled_from([HOUR, -HOUR, 3 * SECOND]))
    def set_clock(self, step: Micros) -> None:
        """Set the clock of due times. Leases are not affected."""
        self.schedule.clock += step
        self.schedule.shift -= step
        for stored in self.stored.values():  # as redating does
            stored.due_at = min(stored.due_at, self.schedule.clock + 10 * SECOND)
        for endpoint_id, until in self.rests.items():
            self.rests[endpoint_id] = min(until, self.schedule.clock + 2 * SECOND)
        self.schedule.scheduler.changed("everything", 0)

    @rule(endpoint_id=ENDPOINTS)
    def lift(self, endpoint_id: int) -> None:
        self.rests.pop(endpoint_id, None)
        self.schedule.scheduler.changed("rest", endpoint_id)

    @rule(endpoint_id=ENDPOINTS, kind=st.sampled_from(["endpoint", "resend"]))
    def change(self, endpoint_id: int, kind: str) -> None:
        self.schedule.scheduler.changed(kind, endpoint_id)

    @precondition(lambda self: self.stored)
    @rule(data=st.data(), commits=st.sampled_from([True, True, False]))
    def stop_delivery(self, data: st.DataObject, commits: bool) -> None:
        """Stop a delivery that is not in flight.

        The change may be announced and then not commit.
        """
        out = {claim.delivery_id for batch in self.out for claim in batch.claims}
        if stoppable := sorted(self.stored.keys() - out):
            delivery_id = data.draw(st.sampled_from(stoppable))
            if commits:
                del self.stored[delivery_id]
            self.schedule.scheduler.changed("stopped", delivery_id)

    @invariant()
    def slots_are_kept(self) -> None:
        if not hasattr(self, "schedule"):
            return
        scheduler = self.schedule.scheduler
        assert len(self.out) <= scheduler.active <= LIMITS.slots
        accounts = Counter(batch.lane.account_id for batch in self.out)
        assert all(count <= LIMITS.per_account for count in accounts.values())
        lanes = Counter(batch.lane.endpoint_id for batch in self.out)
        assert all(count <= LIMITS.per_endpoint for count in lanes.values())
        messages = Counter(batch.lane.endpoint_id for batch in self.out if batch.kind.max_batch > 1)
        assert all(count == 1 for count in messages.values())

    @invariant()
    def what_waits_is_counted(self) -> None:
        if not hasattr(self, "schedule"):
            return
        scheduler = self.schedule.scheduler
        waiting = [
            each
            for lane in scheduler._lanes.values()
            for each in (*lane.urgent, *lane.firsts, *lane.retries)
        ]
        assert scheduler.waiting == len(waiting)
        assert scheduler._waiting_bytes == sum(len(each.event.payload) for each in waiting)

    def teardown(self) -> None:
        """Answer every request with 200: all accepted deliveries are sent in limited rounds."""
        if not hasattr(self, "schedule"):
            return
        for _ in range(200):
            self.start()
            for batch in self.out:
                self.finish(batch, "delivered", True)
            self.out.clear()
            while (query := self.schedule.scheduler.query(self.schedule.now)) is not None:
                self.answer(query)
            if not self.stored:
                break
            self.schedule.pass_time(SECOND)
            self.end_leases()
        assert not self.stored, "accepted and never sent"
        self.schedule.pass_time(SECOND)
        assert self.schedule.start() == []
        assert (self.schedule.scheduler.active, self.schedule.scheduler.waiting) == (0, 0)


TestScheduler = SchedulerMachine.TestCase
TestScheduler.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=40,
    deadline=None,
    derandomize=EXAMPLES == 25,
    phases=[Phase.explicit, Phase.generate],  # shrinking takes minutes, and the steps are few
)
