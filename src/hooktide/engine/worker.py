"""Which delivery goes out next, so that nobody waits for a stranger.

Each endpoint has a lane: what is in flight to it and what waits for it, first attempts before
retries. A delivery starts when the process, its account and its endpoint each have a free slot. New
deliveries are handed over by the transaction that accepted them; the store is asked only for what
is due and not here: retries, what did not fit, and what a dead process left behind.
"""

import asyncio
import heapq
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass

from hooktide.domain.chat import MOST_BYTES, MOST_TOGETHER, PACE
from hooktide.domain.errors import UnavailableError
from hooktide.domain.model import SECOND, Attempt, Claim, Micros, Origin
from hooktide.domain.verdict import Again, Delivered, RetryAt
from hooktide.engine.deliver import TOGETHER, Deliverer
from hooktide.store.base import LEASE, Done, Room, Store

log = logging.getLogger("hooktide.engine")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much may be out at once, and how much may wait in memory.

    ``slots``: requests in flight in this process; ``per_endpoint`` and ``per_account``: of those,
    for one endpoint and for one account. ``waiting`` and ``waiting_bytes`` bound what waits in
    memory, ``waiting_per_endpoint`` one endpoint's part of it; the rest waits in the database.
    A failing endpoint's slots take one attempt in ``failing_pace`` seconds each, at most.
    A chat rests for ``chat_pace`` seconds after a message.
    """

    slots: int = 1000
    per_endpoint: int = 10
    per_account: int = 250
    waiting: int = 20_000
    waiting_bytes: int = 32 * 1024 * 1024
    waiting_per_endpoint: int = 500
    failing_pace: float = 0.1
    chat_pace: float = PACE / SECOND


LEASE_MARGIN: Micros = 35 * SECOND
"""A claim that waited so long that less than this is left of its lease is not started: the longest
timeout is 30 seconds, and the lease must outlive the attempt."""

FAILING_AFTER = 10
"""Once so many attempts to an endpoint failed in a row, its slots are paced (``failing_pace``): an
endpoint that refuses at once, with a million deliveries before it, would else cost as much as all
the others together. The next success ends that."""

MOST_LANES = 10_000
CLAIM_ENDPOINTS = 50
CLAIM_DELIVERIES = 400
FIRSTS_PER_RETRY = 4
RESCAN_EVERY = 5.0
"""Seconds between two looks for what nobody told us of: what another process left behind."""
CLAIM_AGAIN_AFTER = 1.0
AWAY_FOR: Micros = SECOND
"""How long a delivery waits that the database was asked about in vain; it is recorded when the
database is back."""
FINISH_CLAIM_WITHIN = 2.0


class Lane:
    """One endpoint's deliveries in this process.

    ``together``: the endpoint is a chat's. Then there is one slot, and what waits goes out at once
    in one message, after which the lane rests.
    """

    __slots__ = (
        "account_id",
        "active",
        "due",
        "endpoint_id",
        "failures",
        "firsts",
        "paused_until",
        "queued",
        "retries",
        "slots",
        "together",
        "turn",
    )

    def __init__(self, endpoint_id: int, account_id: int, slots: int) -> None:
        self.endpoint_id = endpoint_id
        self.account_id = account_id
        self.slots = slots
        self.together = False
        self.active = 0
        self.failures = 0
        self.firsts: deque[Claim] = deque()
        self.retries: deque[Claim] = deque()
        self.turn = 0
        self.queued = False
        self.due = False
        self.paused_until = 0.0

    @property
    def waiting(self) -> int:
        """How many deliveries wait here."""
        return len(self.firsts) + len(self.retries)

    @property
    def idle(self) -> bool:
        """Whether nothing would be lost by forgetting this lane."""
        return not (self.active or self.waiting or self.due or self.paused_until or self.queued)

    def put(self, claim: Claim) -> None:
        """Let a claimed delivery wait; what is old and sent again does so among the retries."""
        fresh = claim.attempt == 1 and claim.origin is not Origin.REPLAY
        (self.firsts if fresh else self.retries).append(claim)

    def put_back(self, claim: Claim) -> None:
        """Let a delivery wait that was taken, before the others."""
        self.firsts.appendleft(claim)

    def take(self) -> Claim:
        """Return the next: a first attempt, but a retry after every few of them."""
        self.turn += 1
        if self.retries and (not self.firsts or self.turn % (FIRSTS_PER_RETRY + 1) == 0):
            return self.retries.popleft()
        return self.firsts.popleft()

    def drain(self) -> list[Claim]:
        """Return all that waits, and let nothing wait."""
        claims = [*self.firsts, *self.retries]
        self.firsts.clear()
        self.retries.clear()
        return claims


class Worker:
    """Takes deliveries, starts them as slots come free, and asks for more when they are due."""

    def __init__(
        self, store: Store, deliverer: Deliverer, clock: Callable[[], Micros], limits: Limits
    ) -> None:
        self._store = store
        self._deliverer = deliverer
        self._clock = clock
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._lanes: dict[int, Lane] = {}
        self._accounts: dict[int, int] = {}
        self._blocked: dict[int, deque[Lane]] = {}
        self._ready: deque[Lane] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._cut_off: list[Claim] = []
        self._active = 0
        self._waiting = 0
        self._waiting_bytes = 0
        self._full: set[int] = set()
        self._due: dict[int, Micros] = {}
        self._heap: list[tuple[Micros, int]] = []
        self._wake = asyncio.Event()
        self._stopping = False
        self._running: asyncio.Task[None] | None = None

    # -- what others see -----------------------------------------------------------------------

    @property
    def in_flight(self) -> int:
        """How many requests are out."""
        return self._active

    @property
    def waiting(self) -> int:
        """How many claimed deliveries wait in memory."""
        return self._waiting

    def start(self) -> None:
        """Begin to look for due deliveries."""
        self._running = self._loop.create_task(self._run())

    async def stop(self, within: float) -> None:
        """Claim nothing more, give back what waits, and finish what is out.

        After ``within`` seconds what is still out is cut off and given back. May be called again:
        an event that was being accepted may have been handed over since.
        """
        until = self._loop.time() + within
        self._stopping = True
        await self._stop_claiming()
        claims = [claim for lane in self._lanes.values() for claim in lane.drain()]
        self._waiting = 0
        if claims:
            await self._store.release(claims, self._clock())
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=max(0.0, until - self._loop.time()))
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        cut_off, self._cut_off = self._cut_off, []
        if cut_off:
            await self._store.release(cut_off, self._clock())
        await self._store.recorded()

    async def _stop_claiming(self) -> None:
        """Let a claim that is under way come in: cut off, it would wait for its lease's end."""
        self._wake.set()
        if self._running is not None:
            await asyncio.wait({self._running}, timeout=FINISH_CLAIM_WITHIN)
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def try_now(self, claim: Claim) -> Attempt | None:
        """Make the attempt of a claim at once, outside the lanes; for tests that someone awaits."""
        done = await self._deliverer.attempt(claim)
        if done is TOGETHER:
            done = await self._try_together(claim)
        await self._store.recorded()
        return None if done is None else done.attempt

    async def _try_together(self, claim: Claim) -> Done | None:
        """Send a message at once, but in turn with those of the endpoint's lane."""
        lane = self._lane_of(claim)
        pace = self._limits.chat_pace
        rest = min(max(0.0, lane.paused_until - self._loop.time()), 2 * pace)
        self._rest(lane, rest + pace)
        await asyncio.sleep(rest)
        dones = await self._deliverer.attempt_together([claim])
        self._rest(lane, pace)
        return dones[0] if dones else None

    # -- what the store tells (store.base.Listener, and its watcher) ----------------------------

    def room(self) -> Room:
        """Say how many new deliveries may be handed over now."""
        if self._stopping:
            return Room(0, 0)
        limits = self._limits
        return Room(
            limits.waiting - self._waiting,
            limits.waiting_bytes - self._waiting_bytes,
            frozenset(self._full),
        )

    def handed_over(self, claims: Sequence[Claim]) -> None:
        """Take deliveries that are claimed already."""
        for claim in claims:
            self._put(claim)
        self._pump()

    def due(self, hints: Mapping[int, Micros]) -> None:
        """Hear that endpoints have pending deliveries due at these instants."""
        for endpoint_id, due_at in hints.items():
            known = self._due.get(endpoint_id)
            if known is None or due_at < known:
                self._due[endpoint_id] = due_at
                heapq.heappush(self._heap, (due_at, endpoint_id))
                if self._heap[0][1] == endpoint_id:
                    self._wake.set()

    def changed(self, kind: str, number: int) -> None:
        """Look at an endpoint again: it may be disabled, or enabled with something due."""
        if kind == "endpoint":
            self.due({number: self._clock()})
            if (lane := self._lanes.get(number)) is not None:
                self._part(lane)

    # -- lanes ---------------------------------------------------------------------------------

    def _put(self, claim: Claim) -> None:
        lane = self._lane_of(claim)
        lane.put(claim)
        self._waits(lane, claim)
        self._queue(lane)

    def _lane_of(self, claim: Claim) -> Lane:
        lane = self._lanes.get(claim.endpoint_id)
        if lane is None:
            if len(self._lanes) >= MOST_LANES:
                self._drop_idle_lanes()
            lane = Lane(claim.endpoint_id, claim.event.account_id, self._limits.per_endpoint)
            self._lanes[claim.endpoint_id] = lane
        return lane

    def _waits(self, lane: Lane, claim: Claim) -> None:
        self._waiting += 1
        self._waiting_bytes += len(claim.event.payload)
        if lane.waiting >= self._limits.waiting_per_endpoint:
            self._full.add(lane.endpoint_id)

    def _drop_idle_lanes(self) -> None:
        self._lanes = {id_: lane for id_, lane in self._lanes.items() if not lane.idle}

    def _queue(self, lane: Lane) -> None:
        """Put a lane where the pump finds it, if it could start something."""
        if lane.queued or lane.active >= lane.slots or not lane.waiting:
            return
        if lane.paused_until and not self._rested(lane):
            return
        lane.queued = True
        self._ready.append(lane)

    def _rested(self, lane: Lane) -> bool:
        if self._loop.time() < lane.paused_until:
            return False
        lane.paused_until = 0.0
        return True

    def _pump(self) -> None:
        """Start deliveries, a lane after the other, while there are slots."""
        limits = self._limits
        while self._ready and self._active < limits.slots and not self._stopping:
            lane = self._ready.popleft()
            lane.queued = False
            if not lane.waiting:
                continue
            if self._accounts.get(lane.account_id, 0) >= limits.per_account:
                lane.queued = True
                self._blocked.setdefault(lane.account_id, deque()).append(lane)
                continue
            self._start(lane)
            self._queue(lane)

    def _start(self, lane: Lane) -> None:
        if lane.together:
            self._start_together(lane)
            return
        claim = self._take(lane)
        if claim.lease_ends_at - self._clock() < LEASE_MARGIN:
            self.due({lane.endpoint_id: claim.lease_ends_at})
            return
        self._begin(lane, self._deliver(lane, claim))

    def _begin(self, lane: Lane, work: Coroutine[None, None, None]) -> None:
        lane.active += 1
        self._active += 1
        self._accounts[lane.account_id] = self._accounts.get(lane.account_id, 0) + 1
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _take(self, lane: Lane) -> Claim:
        claim = lane.take()
        self._waiting -= 1
        self._waiting_bytes -= len(claim.event.payload)
        if self._full and lane.waiting < self._limits.waiting_per_endpoint // 2:
            self._full.discard(lane.endpoint_id)
        return claim

    async def _deliver(self, lane: Lane, claim: Claim) -> None:
        done = None
        try:
            made = await self._deliverer.attempt(claim)
            if made is TOGETHER:
                self._gather(lane, claim)
                return
            done = made
            if done is None:
                await self._store.release([claim], self._clock())
            elif isinstance(done.verdict, RetryAt) and done.verdict.pause_endpoint:
                self._pause(lane, done, done.verdict)
        except asyncio.CancelledError:
            self._cut_off.append(claim)
        except UnavailableError:
            self._deliverer.give_up(claim, AWAY_FOR)
        except Exception:
            log.exception("a bug stopped delivery %016x", claim.delivery_id)
            self._deliverer.give_up(claim)
        finally:
            self._let_go(lane, done)

    # -- chats -----------------------------------------------------------------------------------

    def _gather(self, lane: Lane, claim: Claim) -> None:
        """Learn that an endpoint is a chat's: what waits for it goes out together."""
        lane.together, lane.slots = True, 1
        if self._stopping:
            self._cut_off.append(claim)
            return
        lane.put_back(claim)
        self._waits(lane, claim)

    def _part(self, lane: Lane) -> None:
        """Forget that an endpoint is a chat's, which it may not be any more."""
        if lane.together:
            lane.together, lane.slots = False, self._limits.per_endpoint

    def _start_together(self, lane: Lane) -> None:
        claims = self._take_together(lane)
        if claims:
            self._rest(lane, self._limits.chat_pace)
            self._begin(lane, self._deliver_together(lane, claims))

    def _take_together(self, lane: Lane) -> list[Claim]:
        """Take as much of what waits as one message has room for."""
        claims: list[Claim] = []
        room = MOST_BYTES
        while lane.waiting and len(claims) < MOST_TOGETHER and room > 0:
            claim = self._take(lane)
            if claim.lease_ends_at - self._clock() < LEASE_MARGIN:
                self.due({lane.endpoint_id: claim.lease_ends_at})
                continue
            room -= len(claim.event.payload)
            claims.append(claim)
        return claims

    async def _deliver_together(self, lane: Lane, claims: list[Claim]) -> None:
        dones: list[Done] | None = None
        try:
            dones = await self._deliverer.attempt_together(claims)
            if dones is None:
                self._part(lane)
                await self._store.release(claims, self._clock())
        except asyncio.CancelledError:
            self._cut_off.extend(claims)
        except UnavailableError:
            for claim in claims:
                self._deliverer.give_up(claim, AWAY_FOR)
        except Exception:
            log.exception("a bug stopped a message of %d deliveries", len(claims))
            for claim in claims:
                self._deliverer.give_up(claim)
        finally:
            self._rest(lane, self._limits.chat_pace)
            for done in dones or ():
                if isinstance(done.verdict, RetryAt) and done.verdict.pause_endpoint:
                    self._pause(lane, done, done.verdict)
            self._let_go(lane, dones[0] if dones else None)

    def _let_go(self, lane: Lane, done: Done | None) -> None:
        """Free the slot: at once, but later where an endpoint fails and fails fast."""
        if done is None or isinstance(done.verdict, Again):
            self._ended(lane)
            return
        lane.failures = 0 if isinstance(done.verdict, Delivered) else lane.failures + 1
        rest = self._limits.failing_pace - done.attempt.duration / SECOND
        if lane.failures > FAILING_AFTER and rest > 0 and not self._stopping:
            self._loop.call_later(rest, self._ended, lane)
        else:
            self._ended(lane)

    def _ended(self, lane: Lane) -> None:
        lane.active -= 1
        self._active -= 1
        self._leave_account(lane.account_id)
        if lane.waiting:
            self._queue(lane)
        if lane.due and not lane.paused_until and lane.waiting < self._limits.per_endpoint:
            lane.due = False
            self.due({lane.endpoint_id: self._clock()})
        if self._ready:
            self._pump()

    def _leave_account(self, account_id: int) -> None:
        left = self._accounts[account_id] - 1
        if left:
            self._accounts[account_id] = left
        else:
            del self._accounts[account_id]
        if account_id in self._blocked:
            self._unblock(account_id, self._blocked[account_id])

    def _unblock(self, account_id: int, blocked: deque[Lane]) -> None:
        while blocked:
            lane = blocked.popleft()
            lane.queued = False
            self._queue(lane)
            if lane.queued:
                break
        if not blocked:
            del self._blocked[account_id]

    def _pause(self, lane: Lane, done: Done, verdict: RetryAt) -> None:
        """The receiver asked for rest: start nothing more for its endpoint until then."""
        ended_at = done.attempt.started_at + done.attempt.duration
        self._rest(lane, (verdict.due_at - ended_at) / SECOND)

    def _rest(self, lane: Lane, span: float) -> None:
        lane.paused_until = max(lane.paused_until, self._loop.time() + span)
        self._loop.call_later(span + 0.01, self._resume, lane)

    def _resume(self, lane: Lane) -> None:
        self._rested(lane)
        self._queue(lane)
        if lane.due:
            lane.due = False
            self.due({lane.endpoint_id: self._clock()})
        self._pump()

    # -- what is due ---------------------------------------------------------------------------

    async def _run(self) -> None:
        rescan_at = 0.0
        while not self._stopping:
            try:
                if self._loop.time() >= rescan_at:
                    self.due(await self._store.due_heads())
                    rescan_at = self._loop.time() + RESCAN_EVERY
                await self._claim()
            except UnavailableError as error:
                log.warning("could not claim: %s", error)
                await asyncio.sleep(CLAIM_AGAIN_AFTER)
            except Exception:
                log.exception("could not claim; trying again")
                await asyncio.sleep(CLAIM_AGAIN_AFTER)
            await self._until_due(rescan_at)

    async def _until_due(self, rescan_at: float) -> None:
        self._wake.clear()
        if self._stopping:
            return
        wait = rescan_at - self._loop.time()
        if self._heap:
            wait = min(wait, (self._heap[0][0] - self._clock()) / SECOND)
        if wait <= 0:
            await asyncio.sleep(0)
            return
        timer = self._loop.call_later(wait, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()

    async def _claim(self) -> None:
        endpoint_ids = self._due_now()
        if not endpoint_ids:
            return
        each = max(4, CLAIM_DELIVERIES // len(endpoint_ids))
        each = min(each, self._limits.waiting_per_endpoint)
        claims = await self._store.claim_due(endpoint_ids, self._clock(), LEASE, each)
        self.handed_over(claims)

    def _due_now(self) -> list[int]:
        """Take the endpoints off the heap that are due and have room here."""
        now = self._clock()
        found: list[int] = []
        while self._heap and self._heap[0][0] <= now and len(found) < CLAIM_ENDPOINTS:
            due_at, endpoint_id = heapq.heappop(self._heap)
            if self._due.get(endpoint_id) != due_at:
                continue
            del self._due[endpoint_id]
            if self._has_room(endpoint_id):
                found.append(endpoint_id)
        return found

    def _has_room(self, endpoint_id: int) -> bool:
        """Whether to claim more for an endpoint; if not, its lane asks once it has run dry."""
        lane = self._lanes.get(endpoint_id)
        if lane is None:
            return True
        resting = bool(lane.paused_until) and not self._rested(lane)
        if resting or lane.waiting >= self._limits.per_endpoint:
            lane.due = True
            return False
        return True
