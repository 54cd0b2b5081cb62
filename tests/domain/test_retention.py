"""Retention deletes only if the clock agrees with the stored rows."""

import pytest

from hooktide.domain.model import DAY, HOUR, SECOND, Micros
from hooktide.domain.time.retention import (
    FIRST_DELETE_DELAY,
    HOLD_TIMEOUT,
    MAX_CLOCK_LEAD,
    ClockMark,
    RetentionGuard,
)

NOON: Micros = 1_767_268_800 * SECOND
BOOT: Micros = 5 * HOUR
LATER = BOOT + 2 * HOUR
"""Past the first hour."""


def mark(seen_at: Micros = NOON, accepted_at: Micros = 0, newest_at: Micros = 0) -> ClockMark:
    return ClockMark(seen_at, accepted_at, newest_at)


@pytest.mark.parametrize(
    ("passed", "deletes"), [(0, False), (FIRST_DELETE_DELAY - 1, False), (FIRST_DELETE_DELAY, True)]
)
def test_nothing_is_deleted_in_the_first_hour_after_a_start(passed: Micros, deletes: bool) -> None:
    assert RetentionGuard(BOOT).may_delete(NOON, BOOT + passed, mark()) is deletes


@pytest.mark.parametrize(("lead", "deletes"), [(MAX_CLOCK_LEAD, True), (MAX_CLOCK_LEAD + 1, False)])
def test_nothing_is_deleted_while_the_clock_is_a_day_past_what_is_known(
    lead: Micros, deletes: bool
) -> None:
    guard = RetentionGuard(BOOT)
    assert guard.may_delete(NOON + lead, LATER, mark()) is deletes
    assert guard.lead == (0 if deletes else lead)


def test_a_clock_that_is_behind_deletes_less_and_is_trusted() -> None:
    assert RetentionGuard(BOOT).may_delete(NOON - 9 * DAY, LATER, mark())


def test_before_there_is_a_mark_the_newest_event_is_what_is_known() -> None:
    ahead = NOON + 40 * DAY
    assert not RetentionGuard(BOOT).may_delete(ahead, LATER, mark(seen_at=0, newest_at=NOON))
    assert RetentionGuard(BOOT).may_delete(ahead, LATER, mark(seen_at=0, newest_at=0))


def test_a_clock_that_stays_ahead_for_a_day_is_taken_for_right() -> None:
    guard, ahead = RetentionGuard(BOOT), NOON + 40 * DAY
    assert not guard.may_delete(ahead, LATER, mark())
    assert not guard.may_delete(ahead, LATER + HOLD_TIMEOUT - 1, mark())
    assert guard.may_delete(ahead, LATER + HOLD_TIMEOUT, mark())


def test_a_clock_that_was_corrected_meanwhile_begins_its_day_again() -> None:
    guard, ahead = RetentionGuard(BOOT), NOON + 40 * DAY
    assert not guard.may_delete(ahead, LATER, mark())
    assert guard.may_delete(NOON, LATER + HOUR, mark())
    assert not guard.may_delete(ahead, LATER + HOLD_TIMEOUT, mark())


def test_who_accepts_the_clock_need_not_wait_for_the_first_hour_either() -> None:
    guard, ahead = RetentionGuard(BOOT), NOON + 40 * DAY
    assert not guard.may_delete(ahead, BOOT, mark())
    assert guard.may_delete(ahead, BOOT + 1, mark(seen_at=ahead, accepted_at=ahead))


def test_a_clock_accepted_before_this_start_says_nothing_about_this_start() -> None:
    guard = RetentionGuard(BOOT)
    accepted = mark(accepted_at=NOON)
    assert not guard.may_delete(NOON, BOOT, accepted)
    assert not guard.may_delete(NOON + 40 * DAY, LATER, accepted)
