"""Rates on virtual time, over several processes that share a timeline."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from schedulerkit import Schedule

from hooktide.domain.model import HOUR, SECOND, Micros, Origin
from hooktide.domain.throttling.rate import Rate, Rates
from hooktide.domain.throttling.timeline import Timelines
from hooktide.engine.scheduling.lanes import Batch, Paced
from hooktide.engine.scheduling.polling import ClaimDue

STEP: Micros = SECOND // 1000
WINDOW: Micros = 10 * SECOND
ACCOUNT = 1000


@dataclass
class Process:
    """A scheduler with a backlog, whose receiver answers at once."""

    number: int
    backlog: dict[int, int]
    rates: dict[int, Rates | None]
    schedule: Schedule = field(default_factory=Schedule)
    alive: bool = True
    away: bool = False

    def fill(self) -> None:
        """Claim of the backlog what there is room for."""
        scheduler = self.schedule.scheduler
        for endpoint_id in self.backlog:
            room = scheduler.room_for(endpoint_id)
            if count := min(room, self.backlog[endpoint_id]):
                self.backlog[endpoint_id] -= count
                self.schedule.offer(endpoint_id, count, account_id=ACCOUNT)

    def run(self, timelines: Timelines, sent: Callable[[Batch], None]) -> None:
        schedule, scheduler = self.schedule, self.schedule.scheduler
        while True:
            for batch in schedule.start():
                rates = self.rates[batch.lane.endpoint_id]
                if batch.rates != rates:
                    scheduler.finished(batch, Paced(rates), schedule.monotonic)
                    continue
                sent(batch)
                schedule.end(batch)
            for claim in scheduler.released:
                self.backlog[claim.endpoint_id] += 1
            scheduler.released.clear()
            asks = scheduler.pacing.asks(schedule.monotonic)
            if not asks:
                return
            slots = [] if self.away else timelines.reserve(asks, self.number, schedule.now.lease)
            scheduler.reserved(asks, slots, schedule.now, schedule.monotonic)


@dataclass
class World:
    """Some processes and what they sent: pairs of when, and to which endpoint."""

    processes: list[Process]
    timelines: Timelines = field(default_factory=Timelines)
    sent: list[tuple[Micros, int]] = field(default_factory=list)
    now: Micros = 0

    def live(self, span: Micros) -> None:
        until = self.now + span
        while self.now < until:
            for process in self.processes:
                if process.alive:
                    process.fill()
                    process.run(self.timelines, self._note)
            for process in self.processes:
                process.schedule.pass_time(STEP)
            self.now += STEP

    def _note(self, batch: Batch) -> None:
        self.sent.append((self.now, batch.lane.endpoint_id))

    def busiest(self, endpoint_ids: Iterable[int] = (1,)) -> int:
        """Return the most that was sent within any ten seconds."""
        times = [at for at, endpoint_id in self.sent if endpoint_id in endpoint_ids]
        most, first = 0, 0
        for last, at in enumerate(times):
            while times[first] <= at - WINDOW:
                first += 1
            most = max(most, last - first + 1)
        return most

    def between(self, since: Micros, until: Micros) -> int:
        return sum(1 for at, _ in self.sent if since <= at < until)


def world(count: int, rate: Rate | None, account: Rate | None = None, endpoints: int = 1) -> World:
    rates = None if rate is None and account is None else Rates(rate, account)
    known: dict[int, Rates | None] = {number + 1: rates for number in range(endpoints)}
    return World([Process(number, dict.fromkeys(known, 10**6), known) for number in range(count)])


@pytest.mark.parametrize("processes", [1, 2, 3, 5])
@pytest.mark.parametrize(
    "rate", [Rate(1, 1), Rate(3, 30), Rate(50, 50), Rate(100, 1), Rate(2000, 2000)]
)
def test_a_rate_is_kept_and_used_by_all_processes_together(rate: Rate, processes: int) -> None:
    lived = world(processes, rate)
    lived.live(25 * SECOND)
    assert lived.busiest() <= 1.1 * (10 * rate.per_second + rate.burst)
    assert lived.between(10 * SECOND, 20 * SECOND) >= 0.9 * 10 * rate.per_second


def test_each_process_gets_a_share() -> None:
    lived = world(3, Rate(60, 60))
    lived.live(30 * SECOND)
    done = [10**6 - each.backlog[1] for each in lived.processes]
    assert min(done) > max(done) / 2


def test_at_one_a_second_each_process_gets_a_turn() -> None:
    lived = world(3, Rate(1, 1))
    lived.live(60 * SECOND)
    waiting = [each.schedule.scheduler.waiting for each in lived.processes]
    done = [
        10**6 - each.backlog[1] - left for each, left in zip(lived.processes, waiting, strict=True)
    ]
    assert min(done) > 10


def test_a_dead_process_is_missed_for_less_than_a_second() -> None:
    lived = world(2, Rate(100, 100))
    lived.live(20 * SECOND)
    lived.processes[0].alive = False
    lived.live(11 * SECOND)
    assert lived.between(21 * SECOND, 31 * SECOND) >= 0.9 * 1000


def test_after_a_pause_a_burst_goes_out_at_once() -> None:
    lived = world(1, Rate(10, 50))
    lived.processes[0].backlog[1] = 5
    lived.live(20 * SECOND)
    lived.processes[0].backlog[1] = 1000
    lived.live(SECOND // 10)
    assert 45 <= lived.between(20 * SECOND, lived.now) <= 55


def test_without_a_burst_requests_are_spread_evenly() -> None:
    lived = world(2, Rate(10, 1))
    lived.live(10 * SECOND)
    times = [at for at, _ in lived.sent]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert min(gaps) >= SECOND // 10 - 2 * STEP


def test_an_accounts_rate_holds_for_all_of_its_endpoints_together() -> None:
    lived = world(2, None, Rate(40, 40), endpoints=5)
    lived.live(25 * SECOND)
    assert lived.busiest(range(1, 6)) <= 1.1 * (400 + 40)
    assert lived.between(10 * SECOND, 20 * SECOND) >= 0.9 * 400
    each = [sum(1 for _, endpoint_id in lived.sent if endpoint_id == n) for n in range(1, 6)]
    assert min(each) > max(each) / 2


def test_the_lower_of_two_rates_decides() -> None:
    lived = world(1, Rate(20, 20), Rate(50, 50), endpoints=4)
    lived.live(25 * SECOND)
    assert lived.busiest([1]) <= 1.1 * (200 + 20)
    assert lived.busiest(range(1, 5)) <= 1.1 * (500 + 50)
    assert lived.between(10 * SECOND, 20 * SECOND) >= 0.9 * 500


def test_a_lower_rate_holds_from_the_next_request_on() -> None:
    lived = world(2, Rate(100, 100))
    lived.live(15 * SECOND)
    for process in lived.processes:
        process.rates[1] = Rates(Rate(10, 10), None)
    lived.live(20 * SECOND)
    assert 90 <= lived.between(20 * SECOND, 30 * SECOND) <= 121


def test_without_a_rate_again_nothing_waits() -> None:
    lived = world(1, Rate(1, 1))
    lived.live(3 * SECOND)
    lived.processes[0].rates[1] = None
    lived.live(3 * SECOND)
    assert lived.between(5 * SECOND, 6 * SECOND) > 500


def test_with_the_database_away_each_process_keeps_its_share() -> None:
    lived = world(2, Rate(50, 50))
    lived.live(20 * SECOND)
    for process in lived.processes:
        process.away = True
    lived.live(20 * SECOND)
    assert 0.9 * 500 <= lived.between(25 * SECOND, 35 * SECOND) <= 1.1 * 550
    for process in lived.processes:
        process.away = False
    lived.live(20 * SECOND)
    assert lived.busiest() <= 1.1 * 550


def test_a_request_outside_the_lanes_takes_the_next_slot() -> None:
    lived = world(1, Rate(5, 1))
    lived.live(10 * SECOND)
    [process] = lived.processes
    scheduler, schedule = process.schedule.scheduler, process.schedule
    paces = scheduler.owe(schedule.claim(account_id=ACCOUNT, origin=Origin.TEST), process.rates[1])
    before = len(lived.sent)
    while scheduler.slot_in(paces, schedule.monotonic):
        lived.live(STEP)
    assert len(lived.sent) - before <= 1
    lived.live(10 * SECOND)
    assert len(lived.sent) - before <= 51


@pytest.mark.parametrize("phase", range(0, 20, 3))
@pytest.mark.parametrize("gives_up", [False, True])
def test_a_request_outside_the_lanes_stops_no_lane(phase: int, gives_up: bool) -> None:
    lived = world(1, Rate(1, 1))
    lived.live(10 * SECOND + phase * STEP)
    [process] = lived.processes
    scheduler, schedule = process.schedule.scheduler, process.schedule
    paces = scheduler.owe(schedule.claim(account_id=ACCOUNT, origin=Origin.TEST), process.rates[1])
    if gives_up:
        lived.live(5 * SECOND)
        scheduler.not_owed(paces, schedule.monotonic)
    else:
        while scheduler.slot_in(paces, schedule.monotonic):
            lived.live(STEP)
    before = len(lived.sent)
    lived.live(10 * SECOND)
    assert len(lived.sent) - before >= 8


def test_a_refusal_halves_the_pace_and_it_recovers() -> None:
    lived = world(1, Rate(20, 20))
    lived.live(10 * SECOND)
    schedule = lived.processes[0].schedule
    while not (started := schedule.start()):
        lived.live(STEP)
    schedule.end(*started, rest=2 * SECOND)
    schedule.pass_time(3 * SECOND)
    lived.now += 3 * SECOND
    schedule.read_all()
    rested = lived.now
    lived.live(40 * SECOND)
    assert 90 <= lived.between(rested, rested + 8 * SECOND) <= 130
    assert lived.between(rested + 30 * SECOND, rested + 40 * SECOND) >= 190


def test_a_lane_goes_on_after_a_rest_for_which_all_that_waited_was_released() -> None:
    lived = world(1, Rate(1, 1))
    lived.live(5 * SECOND)
    schedule = lived.processes[0].schedule
    while not (started := schedule.start()):
        lived.live(STEP)
    lived.live(STEP)
    schedule.end(*started, rest=HOUR)
    lived.live(3 * SECOND)
    schedule.pass_time(HOUR)
    lived.now += HOUR
    schedule.read_all()
    before = len(lived.sent)
    lived.live(20 * SECOND)
    assert len(lived.sent) - before >= 8


def test_only_so_much_is_claimed_as_is_sent_well_within_the_lease() -> None:
    lived = world(1, Rate(2, 2))
    lived.live(5 * SECOND)
    assert lived.processes[0].schedule.scheduler.waiting <= 16
    schedule = lived.processes[0].schedule
    schedule.scheduler.polling.ask_now(1)
    schedule.scheduler.polling.ask_now(2)
    asked = [query for query in schedule.read_all() if isinstance(query, ClaimDue)]
    assert all(1 not in query.endpoint_ids or query.each <= 16 for query in asked)


def test_what_was_not_sent_for_its_rate_is_sent_in_order() -> None:
    schedule = Schedule()
    claims = schedule.offer(1, 8)
    started = schedule.start()
    for batch in started:
        schedule.scheduler.finished(batch, Paced(Rates(Rate(1000, 1000), None)), 0)
    timelines, order = Timelines(), []
    for _ in range(100):
        schedule.pass_time(STEP)
        asks = schedule.scheduler.pacing.asks(schedule.monotonic)
        slots = timelines.reserve(asks, 1, schedule.now.lease)
        schedule.scheduler.reserved(asks, slots, schedule.now, schedule.monotonic)
        for batch in schedule.start():
            order += [claim.delivery_id for claim in batch.claims]
            schedule.end(batch)
    assert order == [claim.delivery_id for claim in claims]


def test_a_rate_of_nothing_known_costs_no_slot() -> None:
    schedule = Schedule()
    schedule.offer(1, 3)
    schedule.run_dry()
    assert not schedule.scheduler.pacing.wanted
