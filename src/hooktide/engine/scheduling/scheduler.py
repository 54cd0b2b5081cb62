"""Which delivery is sent next, so that no account waits for another one's receivers.

Pure state: it never awaits, starts nothing and reads no clock. Deliveries are offered to it,
``next`` returns what to send now, ``finished`` takes the result; ``engine.worker`` executes its
decisions. Each endpoint has a lane (``engine.scheduling.lanes``). A delivery starts when the
process, its account and its endpoint each have a free slot; lanes take turns.

New deliveries are offered by the transaction that accepted them. Those that do not fit stay in the
store, and so do the newer ones of the same endpoint until they have been claimed, since they come
first. The store is polled only for due deliveries that are not here: retries, those that did not
fit, and those of dead processes (``engine.scheduling.polling``). An endpoint whose receiver asked
for rest gets nothing but manual resends until the rest ends (``domain.delivery.rest``,
``engine.scheduling.known_rests``). Where an endpoint or its account has a rate, each request needs
a slot of it, too (``engine.scheduling.pacing``).
"""

import heapq
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from hooktide.domain.delivery.rest import shortest_end
from hooktide.domain.messages.chat import MAX_BATCH, MAX_BATCH_BYTES, PACE
from hooktide.domain.model import SECOND, Claim, Micros
from hooktide.domain.throttling.rate import Rates
from hooktide.domain.throttling.timeline import AHEAD, SlotAsk, Slots
from hooktide.engine.scheduling.known_rests import KnownRests
from hooktide.engine.scheduling.lanes import LEASE_MARGIN, Batch, Lane, LaneKind, NotSent, Paced
from hooktide.engine.scheduling.pacing import Pace, Pacing
from hooktide.engine.scheduling.polling import ClaimDue, Now, Polling, Query, ReadRests
from hooktide.store.base import AttemptRecord, Capacity

MAX_IDLE_LANES = 10_000

MAX_STOPPED = 50_000
"""How many stopped deliveries are remembered. One that waits here is taken or released before its
lease ends, so only this many stops within a minute could push it out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits on requests in flight, and on what may wait in memory.

    ``slots``: requests in flight in this process; ``per_endpoint`` and ``per_account``: of those,
    for one endpoint (``AdaptiveSlots`` gives it as many of them as it handles well) and for one
    account. ``waiting`` and ``waiting_bytes`` bound what waits in memory, ``waiting_per_endpoint``
    one endpoint's share of it; the rest waits in the database. Each slot of a failing endpoint
    takes at most one attempt per ``failing_pace`` seconds. A chat rests for ``chat_pace`` seconds
    after a message.
    """

    slots: int = 1000
    per_endpoint: int = 100
    per_account: int = 250
    waiting: int = 20_000
    waiting_bytes: int = 32 * 1024 * 1024
    waiting_per_endpoint: int = 500
    failing_pace: float = 0.1
    chat_pace: float = PACE / SECOND


class Scheduler:
    """Decides what is sent next, and what is read from the store next.

    ``active``: requests in flight. ``waiting``: deliveries that wait here. ``polling``: what to
    read from the store, ``pacing`` which slots of rates to reserve. ``released``: claims to release
    in the store, for the caller to take.
    ``next_at``: when to call ``next`` although nothing else happened, by the monotonic clock.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._webhook = LaneKind(slots=limits.per_endpoint)
        self._chat = LaneKind(
            slots=1,
            max_batch=MAX_BATCH,
            max_batch_bytes=MAX_BATCH_BYTES,
            pause=round(limits.chat_pace * SECOND),
        )
        self._failing_pace: Micros = round(limits.failing_pace * SECOND)
        self._lanes: dict[int, Lane] = {}
        self._max_lanes = MAX_IDLE_LANES
        self._ready: deque[Lane] = deque()
        self._account_slots: dict[int, int] = {}
        self._blocked: dict[int, deque[Lane]] = {}
        self._full: set[int] = set()
        self._behind: set[int] = set()
        self._followed: Set[int] = frozenset()
        self._waiting_bytes = 0
        self._stopped: dict[int, None] = {}  # the oldest first
        self._timers: list[tuple[Micros, int, Callable[[Any, Micros], None], Any]] = []
        self._timers_set = 0
        self._stopping = False
        self.known_rests = KnownRests()
        self.polling = Polling(self.known_rests, limits.waiting_per_endpoint)
        self.pacing = Pacing(limits.waiting_per_endpoint)
        self.active = 0
        self.waiting = 0
        self.released: list[Claim] = []
        self.next_at: Micros | None = None

    def capacity(self) -> Capacity:
        """Return how many new deliveries may be offered now."""
        self._followed = frozenset(self._behind)
        if self._stopping or not self.polling.rests_known:
            return Capacity(0, 0)
        return Capacity(
            self._limits.waiting - self.waiting,
            self._limits.waiting_bytes - self._waiting_bytes,
            self.known_rests.endpoints | self._full | self._behind,
        )

    def offer(self, claims: Iterable[Claim]) -> None:
        """Take claimed deliveries, to be sent when it is their turn."""
        resting: dict[int, Lane] = {}
        for claim in claims:
            lane = self._lane_of(claim)
            lane.put(claim)
            self._count_in(lane, claim)
            if lane.rests:
                resting[lane.endpoint_id] = lane
            self._queue(lane)
        for lane in resting.values():
            self._release_overdue(lane)

    def due(self, due_times: Mapping[int, Micros], now: Micros) -> None:
        """Note that endpoints have deliveries in the store that are due at these instants.

        What is due already was not offered, for lack of capacity: it has to be claimed before newer
        deliveries are offered again. (What followed it to the store will be claimed with it.)
        """
        self.polling.due(due_times)
        followed = self._followed
        self._behind.update(
            id_ for id_, due_at in due_times.items() if due_at <= now and id_ not in followed
        )

    def claimed(self, query: ClaimDue, claims: Sequence[Claim]) -> None:
        """Take the answer to ``ClaimDue``; an endpoint with no more due is not behind."""
        self.offer(claims)
        if self._behind:
            found = Counter(claim.endpoint_id for claim in claims)
            self._behind.difference_update(
                id_ for id_ in query.endpoint_ids if found[id_] < query.each
            )

    @property
    def may_start(self) -> bool:
        """Whether ``next`` may return something before ``next_at``."""
        return bool(self._ready) and self.active < self._limits.slots

    def next(self, now: Now) -> Batch | None:
        """Return what to send now, or ``None``. Call ``finished`` for it afterwards."""
        if self._timers:
            self._run_timers(now.monotonic)
        limits = self._limits
        while self._ready and self.active < limits.slots and not self._stopping:
            lane = self._ready.popleft()
            lane.queued = False
            if not lane.startable:
                self._unblock(lane.account_id)
                continue
            if self._account_slots.get(lane.account_id, 0) >= limits.per_account:
                lane.queued = True
                self._blocked.setdefault(lane.account_id, deque()).append(lane)
                continue
            if lane.paces and self._park(lane, now.monotonic):
                self._unblock(lane.account_id)
                continue
            claims = self._take(lane, now)
            if claims:
                return self._begin(lane, claims, now)
            self._unblock(lane.account_id)
        return None

    def _take(self, lane: Lane, now: Now) -> list[Claim]:
        """Take as many waiting deliveries as one request has room for; there is at least one."""
        kind = lane.kind
        claims: list[Claim] = []
        size = 0
        while True:
            claim = lane.take()
            self._count_out(lane, claim)
            lease_left = claim.lease_ends_at - now.lease
            if claim.delivery_id in self._stopped and lease_left > 0:
                self._drop_stopped(claim)
            elif lease_left >= LEASE_MARGIN:
                claims.append(claim)
                size += len(claim.event.payload)
                if size >= kind.max_batch_bytes or len(claims) >= kind.max_batch:
                    return claims
            elif lease_left > 0:
                self.released.append(claim)
            else:  # somebody else may have claimed it
                self.polling.ask_now(lane.endpoint_id)
            if not lane.startable:
                return claims

    def _drop_stopped(self, claim: Claim) -> None:
        """Release the claim of a stopped delivery instead of starting it.

        The store ignores that, unless the stop did not commit: then the delivery is claimed again
        and has to be sent, so its stop is forgotten.
        """
        del self._stopped[claim.delivery_id]
        self.released.append(claim)
        self.polling.ask_now(claim.endpoint_id)  # no slot comes free that would ask for more

    def _begin(self, lane: Lane, claims: list[Claim], now: Now) -> Batch:
        kind = lane.kind
        lane.active += 1
        self.active += 1
        slots = self._account_slots
        slots[lane.account_id] = slots.get(lane.account_id, 0) + 1
        if kind.pause:
            self._pause(lane, now.monotonic + kind.pause)
        for pace in lane.paces:
            pace.take(now.monotonic)
            self.pacing.want(pace)
        lane.adaptive.use(now.monotonic)
        self._queue(lane)
        return Batch(lane, kind, claims, lane.adaptive.round, lane.rates)

    def finished(
        self, batch: Batch, result: AttemptRecord | NotSent | Paced | None, now: Micros
    ) -> None:
        """Note that a batch has ended.

        ``result`` is one of its attempts, or None if an internal error stopped them. ``now`` is by
        the monotonic clock: this is called for each attempt, and needs no other.
        """
        lane = batch.lane
        cool_down = 0
        if batch.kind.pause:
            self._pause(lane, now + batch.kind.pause)
        if isinstance(result, AttemptRecord):
            if result.rest is not None:
                self.asked_for_rest(result)
            full = lane.active >= lane.slots
            lane.adaptive.answered(result.attempt, batch.round, full=full)
            cool_down = lane.cool_down(result, self._failing_pace)
        elif isinstance(result, Paced):
            self._obey(lane, result.rates)
            self._put_back(batch)
        elif result is NotSent.CHAT:
            lane.kind = self._chat
            self._put_back(batch)
        elif result is NotSent.RELEASED:
            lane.kind = self._webhook
        if cool_down and not self._stopping:
            self._at(now + cool_down, self._free_slot, lane)
        else:
            self._free_slot(lane, now)

    def _put_back(self, batch: Batch) -> None:
        """Have a batch sent again, as its lane is by now."""
        lane = batch.lane
        if self._stopping:
            self.released += batch.claims
            return
        for claim in reversed(batch.claims):
            lane.put_back(claim)
            self._count_in(lane, claim)

    def _free_slot(self, lane: Lane, _: Micros) -> None:
        lane.active -= 1
        self.active -= 1
        left = self._account_slots[lane.account_id] - 1
        if left:
            self._account_slots[lane.account_id] = left
        else:
            del self._account_slots[lane.account_id]
        if self._blocked:
            self._unblock(lane.account_id)
        self._queue(lane)
        if lane.wants_more and not lane.paused_until and lane.waiting < lane.slots:
            lane.wants_more = False
            self.polling.ask_now(lane.endpoint_id)

    def _unblock(self, account_id: int) -> None:
        """Queue the next lane that waits for a free slot of its account."""
        blocked = self._blocked.get(account_id)
        if blocked is None:
            return
        while blocked:
            lane = blocked.popleft()
            lane.queued = False
            self._queue(lane)
            if lane.queued:
                break
        if not blocked:
            del self._blocked[account_id]

    def stop(self) -> None:
        """Start nothing more, and release what waits. Afterwards ``next`` returns None."""
        self._stopping = True
        self._release_waiting()

    def _release_waiting(self) -> None:
        for lane in self._lanes.values():
            claims = lane.drain()
            for claim in claims:
                self._count_out(lane, claim)
            self.released += claims

    def _lane_of(self, claim: Claim) -> Lane:
        lane = self._lanes.get(claim.endpoint_id)
        if lane is None:
            if len(self._lanes) >= self._max_lanes:
                self._drop_idle_lanes()
            lane = Lane(claim.endpoint_id, claim.event.account_id, self._webhook)
            lane.rests = bool(self.known_rests.until(claim.endpoint_id))
            self._lanes[claim.endpoint_id] = lane
        return lane

    def _drop_idle_lanes(self) -> None:
        self._lanes = {id_: lane for id_, lane in self._lanes.items() if not lane.idle}
        self.pacing.keep(pace for lane in self._lanes.values() for pace in lane.paces)
        # Twice the busy lanes: each lane is visited a bounded number of times, however many there
        # are.
        self._max_lanes = max(MAX_IDLE_LANES, 2 * len(self._lanes))

    def _count_in(self, lane: Lane, claim: Claim) -> None:
        self.waiting += 1
        self._waiting_bytes += len(claim.event.payload)
        for pace in lane.paces:
            if not pace.waiting:  # a lane may have been parked since nothing asked for slots
                self.pacing.want(pace)
            pace.waiting += 1
            if pace.waiting >= pace.room:
                pace.full.add(lane.endpoint_id)
                self._full.add(lane.endpoint_id)
        if lane.waiting >= self._limits.waiting_per_endpoint:
            self._full.add(lane.endpoint_id)

    def _count_out(self, lane: Lane, claim: Claim) -> None:
        self.waiting -= 1
        self._waiting_bytes -= len(claim.event.payload)
        if lane.paces:
            self._count_out_of_paces(lane)
        if (
            self._full
            and lane.waiting < self._limits.waiting_per_endpoint // 2
            and not any(lane.endpoint_id in pace.full for pace in lane.paces)
        ):
            self._full.discard(lane.endpoint_id)

    def _count_out_of_paces(self, lane: Lane) -> None:
        """Claim more for a pace once half of its room is free; all of its endpoints share it."""
        for pace in lane.paces:
            pace.waiting -= 1
            if pace.waiting <= pace.room // 2:
                self._full -= pace.full
                pace.full.clear()
                hungry, pace.hungry = pace.hungry, []
                for endpoint_id in hungry:
                    self._lanes[endpoint_id].hungry = False
                    self.polling.ask_now(endpoint_id)

    def _queue(self, lane: Lane) -> None:
        """Queue a lane for ``next``, if it could start something."""
        if not lane.waiting or lane.queued or lane.paused_until:
            return
        if lane.active < lane.slots and lane.startable:
            lane.queued = True
            self._ready.append(lane)

    def room_for(self, endpoint_id: int) -> int:
        """Return how many more deliveries to claim for an endpoint; if none, remember to claim
        later."""
        lane = self._lanes.get(endpoint_id)
        most = self._limits.waiting_per_endpoint
        if lane is None:
            return most
        for pace in lane.paces:
            if pace.waiting > pace.room // 2:
                if not lane.hungry:
                    lane.hungry = True
                    pace.hungry.append(endpoint_id)
                return 0
            # Powers of two, so that endpoints with about the same room are claimed for together.
            most = min(most, 1 << (pace.room - pace.waiting).bit_length() - 1)
        if lane.paused_until or lane.waiting >= lane.slots:
            lane.wants_more = True
            return 0
        return most

    def _at(self, at: Micros, what: Callable[[Any, Micros], None], whose: Any) -> None:
        self._timers_set += 1  # keeps heapq from comparing lanes
        heapq.heappush(self._timers, (at, self._timers_set, what, whose))
        self.next_at = self._timers[0][0]

    def _run_timers(self, now: Micros) -> None:
        while self._timers and self._timers[0][0] <= now:
            _, _, what, whose = heapq.heappop(self._timers)
            what(whose, now)
        self.next_at = self._timers[0][0] if self._timers else None

    def _pause(self, lane: Lane, until: Micros) -> None:
        if until > lane.paused_until:
            lane.paused_until = until
            self._at(until, self._unpause, lane)

    def _unpause(self, lane: Lane, now: Micros) -> None:
        if lane.paused_until > now:  # its pause was extended meanwhile
            return
        lane.paused_until = 0
        self._queue(lane)
        if lane.wants_more:
            lane.wants_more = False
            self.polling.ask_now(lane.endpoint_id)

    def _obey(self, lane: Lane, rates: Rates | None) -> None:
        """Have a lane send at these rates from now on."""
        for pace in lane.paces:
            self._leave(lane, pace)
        lane.rates = rates
        lane.paces = self.pacing.paces(lane.endpoint_id, lane.account_id, rates)
        for pace in lane.paces:
            pace.waiting += lane.waiting
            self.pacing.want(pace)
        self._release_excess(lane)

    def _release_excess(self, lane: Lane) -> None:
        """Release what cannot be sent before its lease ends, the newest."""
        most = min((pace.room for pace in lane.paces), default=lane.waiting)
        if claims := lane.take_newest(lane.waiting - most):
            for claim in claims:
                self._count_out(lane, claim)
            self.released += claims
            self._behind.add(lane.endpoint_id)
            self.polling.ask_now(lane.endpoint_id)

    def _leave(self, lane: Lane, pace: Pace) -> None:
        """Have a lane no longer wait for a pace."""
        pace.waiting -= lane.waiting
        if lane.endpoint_id in pace.full:
            pace.full.discard(lane.endpoint_id)
            self._full.discard(lane.endpoint_id)
        if lane.endpoint_id in pace.hungry:
            pace.hungry.remove(lane.endpoint_id)
            lane.hungry = False
            self.polling.ask_now(lane.endpoint_id)
        if lane.endpoint_id in pace.parked:
            pace.parked.remove(lane.endpoint_id)
            lane.queued = False
            self._queue(lane)

    def _park(self, lane: Lane, now: Micros) -> bool:
        """Return whether a lane has to wait for a slot; it is queued again when there is one."""
        for pace in lane.paces:
            if pace.ready(now) < 1:
                lane.queued = True
                pace.parked.append(lane.endpoint_id)
                self._look_later(pace, now)
                return True
        return False

    def _look_later(self, pace: Pace, now: Micros) -> None:
        """Look at a pace again when it has a slot, or may ask for one.

        Where it has one now, that is for a lane that is about to start; but it may find that it has
        to wait for its other pace.
        """
        at = pace.ready_at(now, pace.owed)
        if at is None:
            self.pacing.want(pace)
            if pace.ask_at <= now:  # the answer unparks
                return
            at = pace.ask_at
        at = max(at, now + 1)
        if pace.timer_at is None or at < pace.timer_at:
            pace.timer_at = at
            self._at(at, self._unpark, pace)

    def _unpark(self, pace: Pace, now: Micros) -> None:
        """Queue as many of the lanes that wait for slots as there are slots."""
        pace.timer_at = None
        ready = pace.ready(now)
        while pace.parked and ready > 0:
            lane = self._lanes[pace.parked.popleft()]
            lane.queued = False
            self._queue(lane)
            ready -= lane.queued
        if pace.parked:
            self._look_later(pace, now)

    def reserved(
        self, asks: Sequence[SlotAsk], slots: Sequence[Slots], asked: Now, now: Micros
    ) -> None:
        """Take the slots that were reserved for ``pacing.asks``; none: the store did not answer.

        They are instants of the leases' clock; ``asked`` is when they were asked for. So that they
        do not come in a heap, all of them are later by as much as the answer took.
        """
        for pace in self.pacing.granted(asks, slots, asked.lease - now, now):
            self._unpark(pace, now)

    def rates_of(self, claim: Claim) -> Rates | None:
        """Return the rates of an endpoint's lane, for a request outside of it."""
        return self._lane_of(claim).rates

    def owe(self, claim: Claim, rates: Rates | None) -> tuple[Pace, ...]:
        """Return the paces for which a request outside the lane has to wait (``slot_in``)."""
        lane = self._lane_of(claim)
        if rates != lane.rates:
            self._obey(lane, rates)
        for pace in lane.paces:
            pace.owed += 1
            self.pacing.want(pace)
        return lane.paces

    def slot_in(self, paces: Sequence[Pace], now: Micros) -> Micros:
        """Return how long to wait for the slots of a request outside the lanes; 0: it has them."""
        waits = []
        for pace in paces:
            at = pace.ready_at(now, pace.owed - 1)
            if at is None:
                self.pacing.want(pace)
                at = max(now, pace.ask_at) + AHEAD // 8
            waits.append(at - now)
        if (wait := max(waits, default=0)) == 0:
            for pace in paces:
                pace.take(now)
            self.not_owed(paces, now)
        return wait

    def not_owed(self, paces: Sequence[Pace], now: Micros) -> None:
        """Note that a request outside the lanes needs no slots any more: the lanes go on."""
        for pace in paces:
            pace.owed -= 1
            self._unpark(pace, now)

    def reserve(self, claim: Claim, now: Micros) -> Micros:
        """Return how long to wait before sending a chat message outside its lane.

        Meanwhile the lane starts nothing; call ``reserved_sent`` when the message was sent.
        """
        lane = self._lane_of(claim)
        pace = self._chat.pause
        wait = min(max(0, lane.paused_until - now), 2 * pace)
        self._pause(lane, now + wait + pace)
        return wait

    def reserved_sent(self, claim: Claim, now: Micros) -> None:
        """Resume the chat's lane after a pause."""
        self._pause(self._lane_of(claim), now + self._chat.pause)

    def asked_for_rest(self, record: AttemptRecord) -> None:
        """Start nothing more for an endpoint; the store will say for how long."""
        if record.rest is not None:
            until = shortest_end(record.rest, record.attempt.ended_at)
            self.known_rests.heard(record.claim.endpoint_id, until)
            self._begin_rests([record.claim.endpoint_id])
            self.polling.wanted = True

    def _begin_rests(self, endpoint_ids: Iterable[int]) -> None:
        for endpoint_id in endpoint_ids:
            lane = self._lanes.get(endpoint_id)
            if lane is not None:
                if lane.rates is not None and lane.rates.endpoint and not lane.rests:
                    lane.paces[0].refused()
                lane.rests = True
                self._release_overdue(lane)

    def _release_overdue(self, lane: Lane) -> None:
        """Release deliveries of a resting endpoint that could not start after the rest.

        Those with enough lease stay, so that a short rest costs the database nothing.
        """
        claims = lane.take_overdue(self.known_rests.until(lane.endpoint_id))
        for claim in claims:
            self._count_out(lane, claim)
        self.released += claims

    def _end_rests(self, endpoint_ids: Iterable[int]) -> None:
        """Resume endpoints whose rest is over or was lifted."""
        for endpoint_id in endpoint_ids:
            lane = self._lanes.get(endpoint_id)
            if lane is not None:
                lane.rests = False
                self._queue(lane)
            self._behind.add(endpoint_id)  # what came during the rest is in the store
            self.polling.ask_now(endpoint_id)

    def query(self, now: Now) -> Query | None:
        """Return what to read from the store now, or ``None``."""
        self._run_timers(now.monotonic)
        stale = self.polling.next_rests(now)
        if stale is not None:
            return stale
        self._end_rests(self.known_rests.ended(now.clock))
        return self.polling.next_due(now, self.room_for)

    def rests_read(self, query: ReadRests, ends: Mapping[int, Micros]) -> None:
        """Take the result of ``ReadRests``: when the rests of the resting endpoints end."""
        if query.endpoint_ids is None:
            over: Sequence[int] = self.known_rests.all_stored(ends)
            self.polling.rests_known = True
        else:
            for endpoint_id in query.endpoint_ids:
                self.known_rests.stored(endpoint_id, ends.get(endpoint_id, 0))
            gone = sorted(query.endpoint_ids - ends.keys())
            over = [id_ for id_ in gone if not self.known_rests.until(id_)]
        self._begin_rests(ends)
        self._end_rests(over)

    def changed(self, kind: str, number: int) -> None:
        """Check an endpoint again (``store.base.Changed``): what is due, its rest, its kind.

        Or check everything that waits, release what other processes have released already, or
        remember a delivery that was stopped: it may wait here, or be about to.
        """
        if kind in {"rest", "everything"}:
            self.polling.rest_changed(number)
        elif kind == "claims":  # other processes took this one for dead
            self._release_waiting()
        elif kind == "stopped":
            self._stopped[number] = None
            if len(self._stopped) > MAX_STOPPED:
                del self._stopped[next(iter(self._stopped))]
        elif kind == "resend":
            self.polling.resent(number)
        elif kind == "endpoint":
            self.polling.ask_now(number)
            if (lane := self._lanes.get(number)) is not None:
                lane.kind = self._webhook  # the next attempt shows whether it is a chat
