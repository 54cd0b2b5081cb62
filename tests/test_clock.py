"""Timestamps follow the wall clock at once; the lease clock follows it slowly."""

import itertools
import time
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooktide.domain.model import DAY, HOUR, MINUTE, SECOND, Micros
from hooktide.runtime.clock import (
    FOLLOW,
    MIN_STEP,
    RemoteClock,
    SteadyClock,
    StepDetector,
    StoreClock,
    monotonic,
    wall_clock,
)

NOON: Micros = 1_767_268_800 * SECOND


@dataclass
class Machine:
    """A machine's two clocks, which a test controls."""

    wall: Micros = NOON
    since_boot: Micros = HOUR

    def live(self, span: Micros) -> None:
        self.wall += span
        self.since_boot += span

    def read_wall(self) -> Micros:
        return self.wall

    def read_monotonic(self) -> Micros:
        return self.since_boot

    def steady(self) -> SteadyClock:
        return SteadyClock(self.read_wall, self.read_monotonic)

    def store_clock(self) -> StoreClock:
        return StoreClock(self.read_wall, self.read_monotonic)

    def steps(self) -> StepDetector:
        return StepDetector(self.read_wall, self.read_monotonic)

    def far(self, said: Micros, asked: Micros) -> RemoteClock:
        return RemoteClock(said, asked, self.read_monotonic)


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_it_is_the_wall_clock_while_that_goes_as_time_does(machine: Machine) -> None:
    clock = machine.steady()
    for span in (0, 1, SECOND, DAY):
        machine.live(span)
        assert clock() == machine.wall


@pytest.mark.parametrize("leap", [-DAY, -SECOND, SECOND, DAY])
def test_a_leap_of_the_wall_clock_moves_it_by_nothing_at_that_moment(
    machine: Machine, leap: Micros
) -> None:
    clock = machine.steady()
    machine.wall += leap
    assert clock() == NOON


@pytest.mark.parametrize(("leap", "passes"), [(DAY, 66 * SECOND), (-DAY, 54 * SECOND)])
def test_after_a_leap_a_minute_lasts_a_tenth_longer_or_shorter(
    machine: Machine, leap: Micros, passes: Micros
) -> None:
    clock = machine.steady()
    machine.wall += leap
    for _ in range(60):
        machine.live(SECOND)
        clock()
    assert clock() == NOON + passes


@pytest.mark.parametrize("leap", [-HOUR, HOUR])
def test_it_has_followed_once_ten_times_the_leap_has_passed(machine: Machine, leap: Micros) -> None:
    clock = machine.steady()
    machine.wall += leap
    for _ in range(FOLLOW * HOUR // MINUTE):
        assert clock() != machine.wall
        machine.live(MINUTE)
    assert clock() == machine.wall


def test_it_follows_however_often_it_is_asked(machine: Machine) -> None:
    clock = machine.steady()
    machine.wall += 10 * SECOND
    for _ in range(1000):
        machine.live(1)
        clock()
    assert clock() - NOON > 1000


@given(st.lists(st.tuples(st.integers(-DAY, DAY), st.integers(0, HOUR)), min_size=1, max_size=50))
def test_no_span_is_wrong_by_more_than_a_tenth_whatever_is_done_to_the_wall_clock(
    life: list[tuple[Micros, Micros]],
) -> None:
    machine = Machine()
    clock = machine.steady()
    told = [(clock(), machine.since_boot)]
    for leap, span in life:
        machine.wall += leap
        machine.live(span)
        told.append((clock(), machine.since_boot))
    for (now, at), (later, then) in itertools.pairwise(told):
        assert now <= later
        assert abs((later - now) - (then - at)) <= (then - at) // FOLLOW + 1


def test_another_machines_clock_is_known_to_half_the_time_its_answer_took(machine: Machine) -> None:
    asked = machine.since_boot
    machine.live(4 * SECOND)
    clock = machine.far(NOON + DAY, asked)
    assert clock() == NOON + DAY + 2 * SECOND


def test_another_machines_clock_goes_on_whatever_is_done_to_this_ones(machine: Machine) -> None:
    clock = machine.far(NOON, machine.since_boot)
    machine.wall -= DAY
    machine.live(MINUTE)
    assert clock() == NOON + MINUTE


def test_what_another_machine_says_now_is_believed_at_once(machine: Machine) -> None:
    clock = machine.far(NOON, machine.since_boot)
    machine.live(MINUTE)
    clock.heard(NOON + DAY, machine.since_boot)
    assert clock() == NOON + DAY


def test_a_steady_clock_on_another_machines_does_not_leap_with_it(machine: Machine) -> None:
    far = machine.far(NOON, machine.since_boot)
    clock = SteadyClock(far, machine.read_monotonic)
    far.heard(NOON + DAY, machine.since_boot)
    machine.live(10 * SECOND)
    assert clock() == NOON + 11 * SECOND


@pytest.mark.parametrize("leap", [-DAY, DAY])
def test_a_stores_clock_follows_the_wall_clock_at_once_and_its_leases_do_not(
    machine: Machine, leap: Micros
) -> None:
    clock = machine.store_clock()
    machine.live(MINUTE)
    assert clock.lease_shift() == 0
    machine.wall += leap
    assert clock() == NOON + MINUTE + leap
    assert clock() + clock.lease_shift() == NOON + MINUTE
    machine.live(10 * SECOND)
    assert abs(clock() + clock.lease_shift() - (NOON + MINUTE + 10 * SECOND)) <= SECOND


def test_leases_are_measured_by_the_wall_clock_again_once_that_is_followed(
    machine: Machine,
) -> None:
    clock = machine.store_clock()
    machine.wall += MINUTE
    assert clock.lease_shift() == -MINUTE
    machine.live(FOLLOW * MINUTE)
    assert clock.lease_shift() == 0


@pytest.mark.parametrize(("leap", "shift"), [(MIN_STEP - 1, 0), (MIN_STEP, -MIN_STEP)])
def test_less_than_a_second_is_no_step_for_leases(
    machine: Machine, leap: Micros, shift: Micros
) -> None:
    clock = machine.store_clock()
    machine.wall += leap
    assert clock.lease_shift() == shift


def test_a_process_that_starts_after_a_step_measures_leases_as_the_others_do(
    machine: Machine,
) -> None:
    old = machine.store_clock()
    machine.wall += DAY
    new = machine.store_clock()
    assert new.lease_shift() == 0
    new.measure_leases(old.lease_shift())
    assert new.lease_shift() == old.lease_shift() == -DAY
    machine.live(HOUR)
    assert new.lease_shift() == old.lease_shift() == -DAY + HOUR // FOLLOW


def test_a_step_is_noticed_once_with_how_far_it_was(machine: Machine) -> None:
    steps = machine.steps()
    machine.live(DAY)
    assert steps.step() == 0
    machine.wall -= DAY
    machine.live(SECOND)
    assert steps.step() == -DAY
    assert steps.step() == 0
    machine.wall += MIN_STEP
    assert steps.step() == MIN_STEP


def test_a_clock_set_forward_and_back_between_two_looks_was_set_back(machine: Machine) -> None:
    steps = machine.steps()
    machine.wall += DAY
    steps.note()
    machine.wall -= DAY + HOUR
    steps.note()
    assert steps.step() == -DAY - HOUR
    assert steps.step() == 0


def test_both_clocks_are_in_microseconds() -> None:
    before = time.time(), time.monotonic()
    told = wall_clock(), monotonic()
    after = time.time(), time.monotonic()
    for early, now, late in zip(before, told, after, strict=True):
        assert early - 0.001 <= now / SECOND <= late + 0.001


def test_an_answer_that_took_long_is_no_step_of_the_other_machines_clock(machine: Machine) -> None:
    """The error is at most half of the time that the query took, in either direction."""
    far = machine.far(NOON, machine.since_boot)
    steps = StepDetector(far, machine.read_monotonic)
    for said_after in (0, 4 * SECOND):
        asked, said = machine.since_boot, machine.wall + said_after
        machine.live(4 * SECOND)
        far.heard(said, asked)
        assert far() == machine.wall
        assert steps.step() == 0
    asked = machine.since_boot
    far.heard(machine.wall - DAY, asked)
    assert steps.step() == -DAY


def test_a_slow_answer_is_believed_until_there_is_a_faster_one(machine: Machine) -> None:
    asked = machine.since_boot
    machine.live(6 * SECOND)
    far = machine.far(NOON, asked)
    assert far() == NOON + 3 * SECOND
    asked = machine.since_boot
    machine.live(2 * SECOND)
    far.heard(machine.wall, asked)
    assert far() == machine.wall + SECOND
    far.heard(machine.wall, machine.since_boot)
    assert far() == machine.wall
