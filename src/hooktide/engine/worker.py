"""Runs the scheduler: starts the attempts it decides on, and reports their results to it.

All decisions are made in ``engine.scheduling.scheduler``; this module has the clocks and the timer.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from hooktide.domain.counting import count_of
from hooktide.domain.errors import BusyError, UnavailableError
from hooktide.domain.model import SECOND, Attempt, Claim, Micros
from hooktide.domain.throttling.rate import Rates
from hooktide.engine.attempts import Attempts
from hooktide.engine.deliver import Deliverer
from hooktide.engine.pacer import Pacer
from hooktide.engine.poller import Poller
from hooktide.engine.scheduling.lanes import Batch, NotSent, Paced
from hooktide.engine.scheduling.pacing import Pace
from hooktide.engine.scheduling.polling import Now
from hooktide.engine.scheduling.scheduler import Limits, Scheduler
from hooktide.store.base import AttemptRecord, Capacity
from hooktide.store.contract import Store

MAX_SLOT_WAIT = 15.0
"""Seconds that a test waits for a slot of its endpoint's rate."""
MAX_STEP: Micros = SECOND // 4
TEST_RETRY_DELAY = 5


class Worker:
    """Takes deliveries, starts them as slots become free, and claims more when they are due.

    ``on_clock_read`` is called whenever ``clock`` was read for deliveries.
    """

    def __init__(
        self,
        store: Store,
        deliverer: Deliverer,
        clock: Callable[[], Micros],
        limits: Limits,
        on_clock_read: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._deliverer = deliverer
        self._clock = clock
        self._on_clock_read = on_clock_read
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: Micros | None = None
        self._read = Now(-1, 0, 0)
        self._stopping = False
        self._attempts = Attempts(store, deliverer, clock, self._finished)
        self.scheduler = Scheduler(limits)
        self._poller = Poller(store, self.scheduler, self._now, self._start)
        self._pacer = Pacer(store, self.scheduler, self._now, self._start)

    @property
    def in_flight(self) -> int:
        """How many requests are in flight."""
        return self.scheduler.active

    @property
    def waiting(self) -> int:
        """How many claimed deliveries wait in memory."""
        return self.scheduler.waiting

    async def start(self) -> None:
        """Start taking deliveries and polling, once the resting endpoints are known."""
        with suppress(UnavailableError):  # nothing is handed over until they are known
            await self._poller.ask()
        self._poller.start()
        self._pacer.start()

    async def stop(self, within: float) -> None:
        """Stop claiming, release what waits, and finish the attempts in flight.

        After ``within`` seconds attempts still in flight are cancelled and released. It may be
        called again: an event that was being accepted may have been handed over since.
        """
        until = self._loop.time() + within
        self._stopping = True
        self.scheduler.stop()
        await self._poller.stop()
        await self._pacer.stop()
        self.scheduler.stop()  # deliveries claimed meanwhile
        await self._release()
        await self._attempts.stop(max(0.0, until - self._loop.time()))
        await self._release()  # deliveries that turned out to be for a chat
        await self._store.recorded()

    async def _release(self) -> None:
        claims, self.scheduler.released = self.scheduler.released, []
        if claims:
            await self._store.release_claims(claims, self._clock())

    def capacity(self) -> Capacity:
        """Return how many new deliveries may be handed over now."""
        return self.scheduler.capacity()

    def handed_over(self, claims: Sequence[Claim]) -> None:
        """Take deliveries that are claimed already."""
        self.scheduler.offer(claims)
        self._start()

    def due(self, hints: Mapping[int, Micros]) -> None:
        """Note that endpoints have pending deliveries due at these instants."""
        self.scheduler.due(hints, self._clock())
        self._follow_up()

    def changed(self, kind: str, number: int) -> None:
        """Check an endpoint again, which may be disabled, rest, or have something due; or note that
        a delivery was stopped."""
        self.scheduler.changed(kind, number)
        self._follow_up()

    def _start(self) -> None:
        """Start the attempts that are due."""
        scheduler, now = self.scheduler, self._now()
        while (batch := scheduler.next(now)) is not None:
            self._attempts.start(batch)
        self._follow_up()

    def _finished(self, batch: Batch, result: AttemptRecord | NotSent | Paced | None) -> None:
        self.scheduler.finished(batch, result, self._monotonic())
        if self.scheduler.may_start:
            self._start()
        else:
            self._follow_up()

    def _follow_up(self) -> None:
        """Release, poll and set the timer as the scheduler asks, after any call to it."""
        scheduler = self.scheduler
        if scheduler.released and not self._stopping:
            claims, scheduler.released = scheduler.released, []
            self._attempts.release(claims)
        if scheduler.polling.wanted:
            self._poller.wake.set()
        if scheduler.pacing.wanted:
            self._pacer.wake.set()
        if scheduler.next_at != self._timer_at:
            self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at = None, self.scheduler.next_at
        if self._timer_at is not None:
            # A microsecond later: a call that is early by a rounding error would do nothing.
            self._timer = self._loop.call_at((self._timer_at + 1) / SECOND, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = self._timer_at = None
        self._start()

    def _monotonic(self) -> Micros:
        return int(self._loop.time() * SECOND)

    def _now(self) -> Now:
        """Return what the clocks say; they are read once per iteration of the event loop."""
        monotonic = self._monotonic()
        if monotonic != self._read.monotonic:
            clock = self._clock()
            self._on_clock_read()
            self._read = Now(monotonic, clock, clock + self._store.lease_shift())
        return self._read

    async def try_now(self, claim: Claim) -> Attempt | None:
        """Attempt a claim immediately, outside the lanes, for tests that a caller awaits.

        A test is sent to a disabled endpoint, too; None: the endpoint was deleted. It waits for
        nothing but a slot of the endpoint's rates.

        :raises BusyError: there is none in time; the test is sent later.
        """
        result = await self._try_in_turn(claim)
        if isinstance(result, AttemptRecord):
            self.scheduler.asked_for_rest(result)
            self._follow_up()
        await self._store.recorded()
        return result.attempt if isinstance(result, AttemptRecord) else None

    async def _try_in_turn(self, claim: Claim) -> AttemptRecord | NotSent:
        rates = self.scheduler.rates_of(claim)
        while True:
            if rates is not None:
                await self._until_slot(claim, rates)
            result = await self._deliverer.attempt(claim, rates, even_disabled=True)
            if result is NotSent.CHAT:
                result = await self._try_chat(claim, rates)
            if not isinstance(result, Paced):
                return result
            rates = result.rates

    async def _until_slot(self, claim: Claim, rates: Rates) -> None:
        """Wait for a slot of an endpoint's rates, ahead of what waits in its lane."""
        until = self._loop.time() + MAX_SLOT_WAIT
        paces = self.scheduler.owe(claim, rates)
        try:
            while wait := self.scheduler.slot_in(paces, self._monotonic()):
                self._follow_up()
                if self._loop.time() > until:
                    break
                await asyncio.sleep(min(wait, MAX_STEP) / SECOND)
        except asyncio.CancelledError:
            self._not_owed(paces)
            raise
        if wait:
            self._not_owed(paces)
            self._attempts.release([claim])
            raise _no_slot(rates)
        self._start()

    def _not_owed(self, paces: Sequence[Pace]) -> None:
        self.scheduler.not_owed(paces, self._monotonic())
        self._start()

    async def _try_chat(self, claim: Claim, rates: Rates | None) -> AttemptRecord | NotSent | Paced:
        """Send a message immediately, but in turn with those of the endpoint's lane."""
        wait = self.scheduler.reserve(claim, self._monotonic())
        self._follow_up()
        await asyncio.sleep(wait / SECOND)
        records = await self._deliverer.attempt_batch([claim], rates, even_disabled=True)
        self.scheduler.reserved_sent(claim, self._monotonic())
        return records[0] if isinstance(records, list) else records


def _no_slot(rates: Rates) -> BusyError:
    lowest = min(rate.per_second for rate in (rates.endpoint, rates.account) if rate is not None)
    return BusyError(
        "too_many_tests",
        f"this endpoint gets at most {count_of(lowest, 'request')} a second, and others come "
        "first; the test is sent later",
        retry_after=TEST_RETRY_DELAY,
    )
