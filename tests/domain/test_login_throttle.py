"""Failed logins wait longer and longer; others do not."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import pytest

from hooktide.domain.errors import BusyError
from hooktide.domain.model import SECOND, Micros
from hooktide.domain.throttling.login_throttle import (
    FAILURE_RETENTION,
    SUCCESS_RETENTION,
    LoginPlace,
    LoginRecord,
    begin_login,
    finish_login,
    login_places,
)

Edit: TypeAlias = Callable[
    [Sequence[LoginPlace], Sequence[LoginRecord], Micros], Sequence[LoginRecord]
]


@dataclass
class Throttle:
    """The records as a store keeps them, and a clock that a test moves."""

    now: Micros = 1_000 * SECOND
    records: dict[bytes, LoginRecord] = field(default_factory=dict)

    def fail(self, name: str, address: str, times: int = 1) -> None:
        for _ in range(times):
            self._edit(begin_login, name, address)

    def succeed(self, name: str, address: str) -> None:
        self.fail(name, address)
        self._edit(finish_login, name, address)

    def wait(self, name: str, address: str) -> int:
        with pytest.raises(BusyError) as refused:
            self.fail(name, address)
        assert (refused.value.code, refused.value.status) == ("too_many_logins", 429)
        return refused.value.retry_after

    def _edit(self, edit: Edit, name: str, address: str) -> None:
        places = login_places(name, address)
        old = [self.records.get(each.digest, LoginRecord()) for each in places]
        new = edit(places, old, self.now)
        self.records |= {place.digest: each for place, each in zip(places, new, strict=True)}


def test_the_first_five_failures_of_a_name_at_an_address_are_free() -> None:
    throttle = Throttle()
    throttle.fail("ann", "1.1.1.1", 6)
    assert throttle.wait("ANN", "1.1.1.1") == 1


def test_each_further_failure_doubles_the_wait_up_to_a_minute() -> None:
    throttle, waits = Throttle(), []
    throttle.fail("ann", "1.1.1.1", 5)
    for _ in range(9):
        throttle.fail("ann", "1.1.1.1")
        waits.append(throttle.wait("ann", "1.1.1.1"))
        throttle.now += waits[-1] * SECOND
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_an_unknown_address_counts_as_one_place_and_is_not_counted_by_itself() -> None:
    throttle = Throttle()
    for number in range(30):
        throttle.fail(f"name {number}", "")
    throttle.fail("ann", "", 6)
    assert throttle.wait("ann", "") == 1
    throttle.fail("ann", "1.1.1.1")


def test_an_address_that_tries_many_names_waits_after_twenty() -> None:
    throttle = Throttle()
    for number in range(21):
        throttle.fail(f"name {number}", "1.1.1.1")
    assert throttle.wait("another", "1.1.1.1") == 1
    throttle.fail("another", "1.1.1.2")


def test_a_name_that_is_tried_from_many_addresses_waits_after_a_hundred() -> None:
    throttle = Throttle()
    for number in range(101):
        throttle.fail("ann", f"1.1.1.{number}")
    assert throttle.wait("ann", "2.2.2.2") == 1
    throttle.fail("bob", "2.2.2.2")


def test_a_known_address_never_waits_for_guesses_from_elsewhere() -> None:
    throttle = Throttle()
    throttle.succeed("ann", "9.9.9.9")
    for number in range(101):
        throttle.fail("ann", f"1.1.1.{number}")
    throttle.succeed("ann", "9.9.9.9")
    assert throttle.wait("ann", "2.2.2.2") == 1
    throttle.now += SUCCESS_RETENTION + SECOND
    for number in range(101):
        throttle.fail("ann", f"1.1.1.{number}")
    assert throttle.wait("ann", "9.9.9.9") == 1


def test_a_known_address_still_waits_for_its_own_failures() -> None:
    throttle = Throttle()
    throttle.succeed("ann", "9.9.9.9")
    throttle.fail("ann", "9.9.9.9", 6)
    assert throttle.wait("ann", "9.9.9.9") == 1


def test_logins_that_succeed_never_wait() -> None:
    throttle = Throttle()
    for _ in range(200):
        throttle.succeed("ann", "1.1.1.1")


def test_failures_are_forgotten_after_a_while_and_not_before() -> None:
    throttle = Throttle()
    throttle.fail("ann", "1.1.1.1", 6)
    throttle.now += FAILURE_RETENTION
    throttle.fail("ann", "1.1.1.1")
    assert throttle.wait("ann", "1.1.1.1") == 2
    throttle.now += FAILURE_RETENTION + 1
    throttle.fail("ann", "1.1.1.1", 5)


def test_a_clock_that_was_set_back_locks_nobody_out() -> None:
    throttle = Throttle(now=100_000 * SECOND)
    throttle.fail("ann", "1.1.1.1", 6)
    throttle.now -= 3_600 * SECOND
    throttle.fail("ann", "1.1.1.1", 5)
