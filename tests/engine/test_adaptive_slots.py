"""The number of concurrent requests adapts to how well an endpoint responds, on virtual time."""

import heapq
import itertools
from collections.abc import Callable
from typing import TypeAlias

import pytest
from schedulerkit import FAILED, MILLISECOND, Schedule

from hooktide.domain.delivery.verdict import Delivered, Outcome
from hooktide.domain.model import DAY, MINUTE, SECOND, Micros
from hooktide.engine.scheduling.adaptive_slots import FORGET_AFTER, START
from hooktide.engine.scheduling.lanes import Batch
from hooktide.engine.scheduling.scheduler import Limits

OK = Outcome(status=200)
TIMEOUT = Outcome(error="timeout")
Receiver: TypeAlias = Callable[[int], tuple[Outcome, Micros]]
"""Says what a request is answered, and after how long, when so many are out with it."""


class Load:
    """An endpoint with a permanent backlog.

    ``most`` is the highest number of concurrent requests.
    """

    def __init__(self, limits: Limits, endpoint_id: int = 1) -> None:
        self.schedule = Schedule(limits)
        self.delivered = self.most = 0
        self._endpoint_id = endpoint_id
        self._out: list[tuple[Micros, int, Batch, Outcome, Micros]] = []
        self._numbers = itertools.count()

    @property
    def slots(self) -> int:
        return self.schedule.scheduler._lanes[self._endpoint_id].slots

    def run(self, receiver: Receiver, span: Micros) -> None:
        """Deliver for some time, and then until nothing is in flight."""
        schedule = self.schedule
        until = schedule.monotonic + span
        self.delivered = self.most = 0
        while self._out or schedule.monotonic < until:
            if schedule.monotonic < until:
                self._start(receiver)
            ends_at, _, batch, outcome, took = heapq.heappop(self._out)
            schedule.pass_time(max(0, ends_at - schedule.monotonic))
            delivered = outcome.status == 200
            self.delivered += delivered
            verdict = Delivered() if delivered else FAILED
            schedule.end(batch, verdict=verdict, took=took, outcome=outcome)

    def _start(self, receiver: Receiver) -> None:
        schedule = self.schedule
        missing = 300 - schedule.scheduler.waiting
        claims = [schedule.claim(self._endpoint_id, lease=DAY) for _ in range(missing)]
        schedule.scheduler.offer(claims)
        for batch in schedule.start():
            outcome, took = receiver(len(self._out) + 1)
            ends_at = schedule.monotonic + took
            heapq.heappush(self._out, (ends_at, next(self._numbers), batch, outcome, took))
        self.most = max(self.most, len(self._out))
        assert self._out


def steady(_: int) -> tuple[Outcome, Micros]:
    return OK, 100 * MILLISECOND


def hangs(_: int) -> tuple[Outcome, Micros]:
    return TIMEOUT, 15 * SECOND


def queueing(workers: int) -> Receiver:
    """Respond in 20 ms with this many workers. Requests wait for a free worker."""
    return lambda out: (OK, 20 * MILLISECOND * max(1, -(-out // workers)))


def refusing(most: int, outcome: Outcome) -> Receiver:
    """Refuse requests beyond this many at a time."""
    return lambda out: (OK, 100 * MILLISECOND) if out <= most else (outcome, MILLISECOND)


def test_a_receiver_that_takes_100_ms_is_sent_1000_a_second() -> None:
    load = Load(Limits())
    load.run(steady, SECOND)
    assert load.slots == 100
    load.run(steady, 10 * SECOND)
    assert load.delivered == 10_000


def test_no_endpoint_begins_with_more_than_the_first_slots() -> None:
    load = Load(Limits())
    load.run(hangs, SECOND)
    assert load.most == START


def test_the_bound_for_an_endpoint_holds() -> None:
    load = Load(Limits(per_endpoint=10))
    load.run(steady, 20 * SECOND)
    assert (load.most, load.slots) == (10, 10)


def test_slots_grow_only_while_all_are_in_use() -> None:
    schedule = Schedule()
    for _ in range(1000):
        schedule.offer(count=START - 1)
        schedule.end(*schedule.start(), outcome=OK, took=MILLISECOND)
    assert schedule.scheduler._lanes[1].slots == START


def test_a_receiver_that_hangs_gets_one_request_at_a_time_and_all_back_once_it_answers() -> None:
    load = Load(Limits())
    load.run(hangs, 3 * MINUTE)
    assert load.slots == 1
    load.run(steady, 20 * SECOND)
    assert load.slots > START


def test_what_fails_together_halves_once() -> None:
    load = Load(Limits())
    load.run(hangs, SECOND)
    assert load.slots == START // 2


@pytest.mark.parametrize(
    "outcome", [Outcome(status=429), Outcome(status=503), Outcome(error="connect_error")]
)
def test_a_receiver_that_refuses_is_kept_near_what_it_takes(outcome: Outcome) -> None:
    load = Load(Limits(failing_pace=0))
    load.run(refusing(30, outcome), 10 * SECOND)
    load.run(refusing(30, outcome), 20 * SECOND)
    assert load.most <= 31
    assert load.delivered > 20 * 10 * 15  # half of what it could take, at least


@pytest.mark.parametrize("status", [400, 404, 500, 502])
def test_another_failure_says_nothing_about_how_much_the_receiver_takes(status: int) -> None:
    load = Load(Limits(failing_pace=0))
    load.run(lambda _: (Outcome(status=status), 10 * MILLISECOND), 5 * SECOND)
    assert load.slots == START


def test_an_endpoint_that_does_nothing_but_fail_loses_what_it_had_grown() -> None:
    load = Load(Limits(failing_pace=0))
    load.run(steady, 2 * SECOND)
    assert load.slots == 100
    load.run(lambda _: (Outcome(status=500), 10 * MILLISECOND), SECOND)
    assert load.slots == START


def test_a_receiver_whose_queue_grows_is_not_pushed_over() -> None:
    load = Load(Limits())
    load.run(queueing(8), 30 * SECOND)
    load.run(queueing(8), 30 * SECOND)
    assert START <= load.slots <= 60
    assert load.most <= 60


def test_a_receiver_that_becomes_slower_for_good_grows_from_there() -> None:
    load = Load(Limits())
    load.run(lambda _: (OK, 5 * MILLISECOND), 5 * SECOND)
    load.run(lambda _: (OK, 300 * MILLISECOND), MINUTE)
    assert load.slots == 100


@pytest.mark.parametrize("one_in", [2, 10, 100])
def test_a_few_quick_answers_do_not_make_the_others_slow(one_in: int) -> None:
    """A receiver that ignores some events responds to them immediately."""
    durations = itertools.cycle([2, *[200] * (one_in - 1)])
    load = Load(Limits())
    load.run(lambda _: (OK, next(durations) * MILLISECOND), 20 * SECOND)
    load.run(lambda _: (OK, next(durations) * MILLISECOND), 20 * SECOND)
    assert load.slots >= 75


def test_answers_that_vary_do_not_take_the_first_slots() -> None:
    durations = itertools.cycle([5, 5, 5, 400])
    load = Load(Limits())
    load.run(lambda _: (OK, next(durations) * MILLISECOND), MINUTE)
    assert load.slots >= START


def test_what_was_learned_is_forgotten_when_nothing_is_sent_for_long() -> None:
    load = Load(Limits())
    load.run(steady, 2 * SECOND)
    load.schedule.pass_time(FORGET_AFTER - SECOND)
    load.run(steady, MILLISECOND)
    assert load.most == 100
    load.schedule.pass_time(FORGET_AFTER + SECOND)
    load.run(hangs, MILLISECOND)
    assert load.most == START
