"""A lane: the waiting deliveries of one endpoint in this process, and their order.

The kind of lane (``LaneKind``) decides how they are sent: a webhook takes several requests at a
time, each for one delivery; a chat takes one at a time, for as many deliveries as fit in a message,
and then pauses. Nothing here reads a clock; ``engine.scheduling.scheduler`` decides which lane is
next.
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum

import msgspec

from hooktide.domain.delivery.rest import ignores_rest
from hooktide.domain.delivery.verdict import Delivered, Requeued
from hooktide.domain.model import SECOND, Claim, Micros, Origin
from hooktide.domain.throttling.rate import Rates
from hooktide.engine.scheduling.adaptive_slots import AdaptiveSlots
from hooktide.engine.scheduling.pacing import Pace
from hooktide.store.base import AttemptRecord

LEASE_MARGIN: Micros = 35 * SECOND
"""A claim with less than this left of its lease is not started: the longest timeout is 30 seconds,
and the lease must outlive the attempt."""

FAILING_THRESHOLD = 10
"""After this many failed attempts in a row an endpoint's slots are paced (``Limits.failing_pace``).
Otherwise one that refuses immediately, with a million deliveries waiting, would cost as much as all
the others together. The next success ends the pacing."""

FIRSTS_PER_RETRY = 4
"""First attempts that are sent for each retry while both wait."""


@dataclass(frozen=True, slots=True)
class LaneKind:
    """How deliveries leave a lane: concurrent requests, and deliveries per request.

    A batch is full with ``max_batch`` deliveries, or once their payloads reach ``max_batch_bytes``.
    ``pause`` is the minimum time from the start, and from the end, of a request to the next one.
    """

    slots: int
    max_batch: int = 1
    max_batch_bytes: int = 0
    pause: Micros = 0


class Lane:
    """One endpoint's deliveries in this process.

    ``active``: the slots in use. ``waiting``: the deliveries that wait. ``queued``: the scheduler
    has the lane in one of its queues. ``wants_more``: the store has more due deliveries, to be
    claimed once this lane has capacity. ``rests``: only ``urgent`` deliveries, which ignore rests,
    may start. ``paused_until`` is 0 when the lane is not paused. ``rates`` are those that its
    requests obey, as far as is known, ``paces`` what this process may send of them. ``hungry``: the
    store has more, to be claimed once less waits for a pace.
    """

    __slots__ = (
        "account_id",
        "active",
        "adaptive",
        "endpoint_id",
        "failures",
        "firsts",
        "hungry",
        "kind",
        "paces",
        "paused_until",
        "queued",
        "rates",
        "rests",
        "retries",
        "turn",
        "urgent",
        "waiting",
        "wants_more",
    )

    def __init__(self, endpoint_id: int, account_id: int, kind: LaneKind) -> None:
        self.endpoint_id = endpoint_id
        self.account_id = account_id
        self.kind = kind
        self.active = 0
        self.adaptive = AdaptiveSlots(kind.slots)
        self.waiting = 0
        self.failures = 0
        self.rests = False
        self.urgent: deque[Claim] = deque()
        self.firsts: deque[Claim] = deque()
        self.retries: deque[Claim] = deque()
        self.turn = 0
        self.queued = False
        self.wants_more = False
        self.hungry = False
        self.paused_until: Micros = 0
        self.rates: Rates | None = None
        self.paces: tuple[Pace, ...] = ()

    @property
    def slots(self) -> int:
        """Maximum concurrent requests."""
        most, found = self.kind.slots, self.adaptive.count
        return found if found < most else most

    @property
    def startable(self) -> bool:
        """Whether a delivery is waiting that may start in spite of rests."""
        return bool(self.urgent or (not self.rests and (self.firsts or self.retries)))

    @property
    def idle(self) -> bool:
        """Whether this lane can be dropped without losing anything."""
        busy = self.active or self.waiting or self.queued
        return not (busy or self.wants_more or self.hungry or self.paused_until)

    def put(self, claim: Claim) -> None:
        """Add a claimed delivery. Replayed events are queued with the retries."""
        self.waiting += 1
        if claim.origin is Origin.EVENT:  # the common case
            (self.firsts if claim.attempt == 1 else self.retries).append(claim)
        elif ignores_rest(claim):
            self.urgent.append(claim)
        elif claim.attempt == 1 and claim.origin is not Origin.REPLAY:
            self.firsts.append(claim)
        else:
            self.retries.append(claim)

    def put_back(self, claim: Claim) -> None:
        """Put back a delivery that was taken but not sent, ahead of newer ones."""
        self.waiting += 1
        waiting = self.urgent if ignores_rest(claim) else self.firsts
        older: list[Claim] = []
        while waiting and waiting[0].delivery_id < claim.delivery_id:
            older.append(waiting.popleft())
        waiting.appendleft(claim)
        waiting.extendleft(reversed(older))

    def take(self) -> Claim:
        """Take the next one: urgent ones, then first attempts, with a retry after every few of
        them."""
        self.waiting -= 1
        if self.urgent:
            return self.urgent.popleft()
        self.turn += 1
        if self.retries and (not self.firsts or self.turn % (FIRSTS_PER_RETRY + 1) == 0):
            return self.retries.popleft()
        return self.firsts.popleft()

    def drain(self) -> list[Claim]:
        """Take everything that waits."""
        claims = [*self.urgent, *self.firsts, *self.retries]
        for waiting in (self.urgent, self.firsts, self.retries):
            waiting.clear()
        self.waiting = 0
        return claims

    def take_newest(self, count: int) -> list[Claim]:
        """Take up to so many of those that are sent last."""
        taken: list[Claim] = []
        for waiting in (self.retries, self.firsts):
            while waiting and len(taken) < count:
                taken.append(waiting.pop())
        self.waiting -= len(taken)
        return taken

    def take_overdue(self, until: Micros) -> list[Claim]:
        """Take the deliveries that would have too little of their lease left after a rest until
        then."""
        taken: list[Claim] = []
        for waiting in (self.firsts, self.retries):
            kept = [claim for claim in waiting if claim.lease_ends_at - until >= LEASE_MARGIN]
            if len(kept) < len(waiting):
                taken += [claim for claim in waiting if claim.lease_ends_at - until < LEASE_MARGIN]
                waiting.clear()
                waiting.extend(kept)
        self.waiting -= len(taken)
        return taken

    def cool_down(self, record: AttemptRecord, failing_pace: Micros) -> Micros:
        """Note how an attempt ended, and return how much longer its slot stays in use.

        An endpoint that fails quickly gets its slots back late.
        """
        if isinstance(record.verdict, Requeued):
            return 0
        if isinstance(record.verdict, Delivered):
            self.failures = 0
            return 0
        self.failures += 1
        if self.failures <= FAILING_THRESHOLD:
            return 0
        self.adaptive.restrain()
        return max(0, failing_pace - record.attempt.duration)


class Batch(msgspec.Struct, frozen=True, gc=False):
    """The deliveries of one request, and the kind of their lane.

    There is exactly one, unless the kind allows more: then the request is a message to a chat.
    """

    lane: Lane
    kind: LaneKind
    claims: list[Claim]
    round: int = 0
    """Of ``AdaptiveSlots``."""
    rates: Rates | None = None
    """Those that it obeys."""


class Paced(msgspec.Struct, frozen=True, gc=False):
    """Nothing was sent, because the endpoint's rates are not those that its lane obeys."""

    rates: Rates | None


class NotSent(Enum):
    """Why nothing was sent for a claim, and no attempt is recorded."""

    RELEASED = "released"
    """The endpoint was disabled or deleted, or a chat became a webhook: the claims are released."""
    CHAT = "chat"
    """The endpoint is a chat, so its deliveries are sent in batches."""
    GIVEN_UP = "given up"
    """No message could be made of any of them: a bug; each is retried later."""
