"""A scheduler on virtual time: nothing waits, and an hour passes as fast as a millisecond."""

from dataclasses import dataclass, field

from storekit import NOON

from hooktide.domain.delivery.rest import RestRequest
from hooktide.domain.delivery.verdict import Delivered, Outcome, Requeued, RetryAt, Verdict
from hooktide.domain.model import MINUTE, SECOND, Attempt, Claim, Event, Micros, Origin
from hooktide.engine.scheduling.lanes import Batch, NotSent
from hooktide.engine.scheduling.polling import ClaimDue, Now, Query, ReadDueTimes, ReadRests
from hooktide.engine.scheduling.scheduler import Limits, Scheduler
from hooktide.store.base import AttemptRecord

MILLISECOND: Micros = 1000
FAILED = RetryAt(NOON + MINUTE)


@dataclass
class Schedule:
    """A scheduler, its clocks, and a store in which nothing is due unless a test adds it.

    ``shift`` is how far the lease clock is ahead of the other clock.
    """

    limits: Limits = field(default_factory=Limits)
    monotonic: Micros = 0
    clock: Micros = NOON
    shift: Micros = 0
    made: int = 0

    def __post_init__(self) -> None:
        self.scheduler = Scheduler(self.limits)
        self.read_all()

    @property
    def now(self) -> Now:
        return Now(self.monotonic, self.clock, self.clock + self.shift)

    def pass_time(self, span: Micros) -> None:
        self.monotonic += span
        self.clock += span

    def claim(
        self,
        endpoint_id: int = 1,
        *,
        account_id: int = 1,
        attempt: int = 1,
        origin: Origin = Origin.EVENT,
        payload: bytes = b"{}",
        lease: Micros = MINUTE,
    ) -> Claim:
        self.made += 1
        event = Event(
            id=self.made,
            account_id=account_id,
            type="invoice.paid",
            payload=payload,
            occurred_at=self.clock,
        )
        return Claim(
            delivery_id=self.made,
            endpoint_id=endpoint_id,
            event=event,
            attempt=attempt,
            token=self.made,
            due_at=self.clock,
            lease_ends_at=self.clock + self.shift + lease,
            origin=origin,
        )

    def offer(self, endpoint_id: int = 1, count: int = 1, *, account_id: int = 1) -> list[Claim]:
        claims = [self.claim(endpoint_id, account_id=account_id) for _ in range(count)]
        self.scheduler.offer(claims)
        return claims

    def start(self) -> list[Batch]:
        """Start every attempt that may start now."""
        started = []
        while (batch := self.scheduler.next(self.now)) is not None:
            started.append(batch)
        return started

    def end(
        self,
        *batches: Batch,
        verdict: Verdict | None = None,
        rest: Micros | None = None,
        took: Micros = 0,
        outcome: Outcome | None = None,
    ) -> None:
        """End attempts with a response. ``rest`` is the receiver's Retry-After."""
        for batch in batches:
            claim = batch.claims[0]
            asks = None if rest is None else RestRequest(429, rest)
            made = attempt(claim, self.clock - took, took, outcome or Outcome())
            done = AttemptRecord(claim, made, verdict or Delivered(), asks)
            self.scheduler.finished(batch, done, self.monotonic)

    def run_dry(self) -> int:
        """Start and end every attempt that may be sent now. Return the number of deliveries."""
        count = 0
        while started := self.start():
            count += sum(len(batch.claims) for batch in started)
            self.end(*started)
        return count

    def is_chat(self, endpoint_id: int = 1) -> None:
        """Let the scheduler discover that an endpoint is a chat.

        Nothing is left queued or in flight.
        """
        self.offer(endpoint_id)
        [batch] = self.start()
        self.scheduler.finished(batch, NotSent.CHAT, self.monotonic)
        [batch] = self.start()
        self.end(batch)
        self.pass_time(self.pace)

    @property
    def pace(self) -> Micros:
        return round(self.limits.chat_pace * SECOND)

    def read_all(
        self, rests: dict[int, Micros] | None = None, due: dict[int, Micros] | None = None
    ) -> list[Query]:
        """Answer the scheduler's store requests without claiming anything. Return the requests."""
        asked: list[Query] = []
        while (query := self.scheduler.query(self.now)) is not None:
            asked.append(query)
            if isinstance(query, ReadRests):
                self.scheduler.rests_read(query, rests or {})
            elif isinstance(query, ReadDueTimes):
                self.scheduler.polling.due_times_read(due or {}, self.now)
        return asked

    def claimed_for(self) -> list[ClaimDue]:
        """Return the claim requests among the scheduler's store requests."""
        return [query for query in self.read_all() if isinstance(query, ClaimDue)]


def attempt(claim: Claim, started_at: Micros, duration: Micros, outcome: Outcome) -> Attempt:
    return Attempt(
        delivery_id=claim.delivery_id,
        number=claim.attempt,
        started_at=started_at,
        duration=duration,
        status=outcome.status,
        error=outcome.error,
        detail="",
        request_head=b"",
        response_head=b"",
        response_body=b"",
        response_truncated=False,
    )


REQUEUED = Requeued(NOON)
