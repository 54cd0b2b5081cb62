"""Accepted events do not wait for the CPU, however many publishers there are. Uses virtual time."""

import asyncio
import functools
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from simulation.loop import VirtualLoop

from hooktide.actions.publishing.intake import LARGE, MAX_WAIT, SMALL, Intake, Portions
from hooktide.store.base import Accepted

WINDOW, SHARE = SMALL
MICROSECOND = 1e-6
ACCEPTING, DELIVERING = 60 * MICROSECOND, 90 * MICROSECOND
"""The CPU that an event and a delivery take."""
COMMIT, ANSWER = 3e-3, 1e-3
"""What a commit and a receiver take, of other CPUs."""
SLOTS = 100


def on_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(*args: Any, **named: Any) -> None:
        VirtualLoop().run(test(*args, **named))

    return run


class Machine:
    """A process on one CPU: an event loop, publishers in a closed loop, and an endpoint.

    ``late`` has the time from commit to the receiver's response for each delivery.
    """

    def __init__(
        self,
        publishers: int,
        *,
        limited: bool = True,
        answer: float = ANSWER,
        portions: Portions = SMALL,
    ) -> None:
        self.now = 0.0
        self.soon: list[Callable[[], object]] = []
        self.timers: list[tuple[float, Callable[[], object]]] = []
        self.intake = Intake(self, limited=limited, portions=portions)
        self.late: list[float] = []
        self.accepted: list[float] = []
        self._answer = answer
        self._asking = deque([0.0] * publishers)
        self._written: list[tuple[float, float]] = []
        self._committing: list[tuple[float, float]] = []
        self._commit_ends: float | None = None
        self._waiting: deque[float] = deque()
        self._out: deque[tuple[float, float]] = deque()

    def time(self) -> float:
        return self.now

    def call_soon(self, callback: Callable[[], object], /) -> None:
        self.soon.append(callback)

    def call_at(self, when: float, callback: Callable[[], object], /) -> None:
        self.timers.append((when, callback))

    def run(self, seconds: float) -> None:
        while self.now < seconds:
            self._turn()

    def _turn(self) -> None:
        """Run one iteration: due timers, then callbacks, as an event loop does."""
        began = self.now
        soon, self.soon = self.soon, []
        due = [each for each in self.timers if each[0] <= self.now]
        self.timers = [each for each in self.timers if each[0] > self.now]
        for callback in [*soon, *[callback for _, callback in due]]:
            callback()
        if self._commit_ends is not None and self._commit_ends <= self.now:
            self._committed()
        answered = [each for each in self._out if each[0] <= began]
        for _ in answered:
            _, committed_at = self._out.popleft()
            self.late.append(self.now - committed_at)
            self._start()
        for asked_at in [self._asking.popleft() for _ in range(len(self._asking))]:
            if self.intake.open:
                self._accept(asked_at)
            else:
                self.intake.wait(functools.partial(self._accept, asked_at))
        if self._commit_ends is None and self._written:
            self._committing, self._written = self._written, []
            self._commit_ends = self.now + COMMIT
        self.now += 10 * MICROSECOND

    def _accept(self, asked_at: float) -> None:
        self.now += ACCEPTING
        self._written.append((asked_at, self.intake.enter(1)))

    def _committed(self) -> None:
        self._commit_ends = None
        for asked_at, size in self._committing:
            self.intake.leave(size, [Accepted(1, 1)])
            self.accepted.append(self.now - asked_at)
            self._asking.append(self.now)
            self._waiting.append(self.now)
        while self._waiting and len(self._out) < SLOTS:
            self._start()

    def _start(self) -> None:
        if self._waiting and len(self._out) < SLOTS:
            self.now += DELIVERING
            self._out.append((self.now + self._answer, self._waiting.popleft()))


def p99(values: list[float]) -> float:
    return sorted(values)[len(values) * 99 // 100]


@pytest.mark.parametrize("portions", [SMALL, LARGE])
@pytest.mark.parametrize("publishers", [1, 64, 256, 500])
def test_what_is_accepted_is_delivered_within_a_quarter_of_a_second(
    publishers: int, portions: Portions
) -> None:
    machine = Machine(publishers, portions=portions)
    machine.run(5.0)
    assert p99(machine.late) < 0.1
    assert len(machine.late) > len(machine.accepted) - 2 * SLOTS


def test_without_it_deliveries_pile_up_behind_many_publishers() -> None:
    """The measurement can fail."""
    machine = Machine(256, limited=False)
    machine.run(5.0)
    assert p99(machine.late) > 0.25


def test_a_receiver_that_hangs_slows_no_publisher() -> None:
    quick, hanging = Machine(64), Machine(64, answer=60.0)
    for machine in (quick, hanging):
        machine.run(2.0)
    assert len(hanging.accepted) >= len(quick.accepted)
    assert p99(hanging.accepted) <= p99(quick.accepted)


class Door:
    """Requests that wait for admission. ``entered`` are those admitted, with their size."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self.entered: dict[int, float] = {}

    def ask(self, number: int, events: int = 1) -> None:
        if self._intake.open:
            self._enter(number, events)
        else:
            self._intake.wait(functools.partial(self._enter, number, events))

    def _enter(self, number: int, events: int) -> None:
        self.entered[number] = self._intake.enter(events)


async def turn() -> None:
    await asyncio.sleep(0)


@on_virtual_time
async def test_an_iteration_of_the_loop_admits_its_share_oldest_first() -> None:
    door = Door(Intake())
    for number in range(3 * SHARE):
        door.ask(number)
    assert list(door.entered) == list(range(SHARE))
    await turn()
    assert list(door.entered) == list(range(2 * SHARE)) == list(range(WINDOW))
    await turn()
    assert len(door.entered) == WINDOW


@on_virtual_time
async def test_as_many_enter_as_were_stored_or_refused() -> None:
    intake = Intake()
    door = Door(intake)
    for number in range(WINDOW + 3):
        door.ask(number)
    await turn()
    intake.leave(door.entered[0], [Accepted(1, 1)])
    intake.leave(door.entered[1])
    await turn()
    assert len(door.entered) == WINDOW + 2


@on_virtual_time
async def test_a_request_waits_for_a_tenth_of_a_second_at_most() -> None:
    door, loop = Door(Intake()), asyncio.get_running_loop()
    for number in range(1000):
        door.ask(number)
    await asyncio.sleep(MAX_WAIT - 0.001)
    assert len(door.entered) == WINDOW
    door.ask(1000)
    await asyncio.sleep(0.001)
    assert len(door.entered) == 1000
    began = loop.time()
    while len(door.entered) < 1001:
        await asyncio.sleep(0.001)
    assert loop.time() - began == pytest.approx(MAX_WAIT, abs=0.003)


@on_virtual_time
async def test_a_batch_is_admitted_as_a_whole_and_the_next_iterations_pay_for_it() -> None:
    intake = Intake()
    door = Door(intake)
    door.ask(0, 5 * SHARE)
    door.ask(1)
    intake.leave(door.entered[0], [Accepted(1, 1)] * 5 * SHARE)
    for _ in range(4):
        await turn()
        assert 1 not in door.entered
    await turn()
    assert 1 in door.entered


@on_virtual_time
async def test_an_event_counts_as_the_deliveries_that_events_have_had_lately() -> None:
    intake = Intake()
    door = Door(intake)
    for number in range(100):
        door.ask(number)
        while number not in door.entered:
            await turn()
        intake.leave(door.entered[number], [Accepted(1, 2 * WINDOW)])
    door.ask(100)
    door.ask(101)
    for _ in range(10):
        await turn()
    assert door.entered[100] == pytest.approx(2 * WINDOW, rel=0.1)
    assert 101 not in door.entered
    intake.leave(door.entered[100], [Accepted(1, WINDOW)])
    for _ in range(10):
        await turn()
    assert 101 in door.entered


@on_virtual_time
async def test_a_request_that_is_given_up_while_it_waits_takes_no_room() -> None:
    intake = Intake()
    door = Door(intake)
    door.ask(0, WINDOW)
    waiting = [asyncio.ensure_future(intake.enter_in_turn(WINDOW)) for _ in range(3)]
    await turn()
    waiting[0].cancel()
    intake.leave(door.entered[0])
    for _ in range(5):
        await turn()
    assert [each.done() for each in waiting] == [True, True, False]
    intake.leave(await waiting[1])
    assert await waiting[2] == WINDOW


@on_virtual_time
async def test_a_process_that_only_accepts_takes_what_comes() -> None:
    intake = Intake(limited=False)
    door = Door(intake)
    for number in range(1000):
        door.ask(number)
    assert len(door.entered) == 1000
    assert await intake.enter_in_turn(1) == 0
