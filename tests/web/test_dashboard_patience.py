"""Who guesses passwords has to wait, longer and longer; others do not."""

import pytest

from hooktide.domain.errors import LimitError
from hooktide.domain.model import MINUTE, SECOND
from hooktide.web.dashboard.patience import FREE, FREE_OF_ADDRESS, MOST_KEPT, Patience


class Clock:
    """A clock that a test moves."""

    now = 1_000 * SECOND

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def failed(patience: Patience, name: str, address: str, times: int = 1) -> None:
    for _ in range(times):
        patience.begin(name, address)


def wait(patience: Patience, name: str, address: str) -> int:
    with pytest.raises(LimitError) as refused:
        patience.begin(name, address)
    assert refused.value.status == 429
    assert refused.value.retry_after is not None
    return refused.value.retry_after


def test_the_first_failures_of_a_name_are_free(clock: Clock) -> None:
    failed(Patience(clock), "ann", "1.1.1.1", FREE)


def test_each_further_failure_of_a_name_doubles_the_wait_up_to_a_minute(clock: Clock) -> None:
    patience = Patience(clock)
    failed(patience, "ann", "1.1.1.1", FREE)
    waits = []
    for number in range(9):
        failed(patience, "ANN", f"1.1.2.{number}")
        waits.append(wait(patience, "ann", "1.1.1.2"))
        clock.now += waits[-1] * SECOND
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_another_name_from_another_address_does_not_wait(clock: Clock) -> None:
    patience = Patience(clock)
    failed(patience, "ann", "1.1.1.1", FREE + 1)
    failed(patience, "bob", "1.1.1.2")
    wait(patience, "ann", "1.1.1.2")


def test_an_address_that_tries_many_names_waits(clock: Clock) -> None:
    patience = Patience(clock)
    for number in range(FREE_OF_ADDRESS + 1):
        failed(patience, f"name {number}", "1.1.1.1")
    assert wait(patience, "another", "1.1.1.1") == 1
    failed(patience, "another", "1.1.1.2")


def test_who_gets_in_is_forgiven(clock: Clock) -> None:
    patience = Patience(clock)
    for _ in range(10 * FREE_OF_ADDRESS):
        patience.begin("ann", "1.1.1.1")
        patience.succeeded("ann", "1.1.1.1")


def test_guesses_at_the_same_time_count_before_they_are_answered(clock: Clock) -> None:
    patience = Patience(clock)
    failed(patience, "ann", "1.1.1.1", FREE + 1)
    wait(patience, "ann", "1.1.1.1")


def test_failures_are_forgotten_after_a_while(clock: Clock) -> None:
    patience = Patience(clock)
    failed(patience, "ann", "1.1.1.1", FREE + 1)
    clock.now += 16 * MINUTE
    failed(patience, "ann", "1.1.1.1", FREE)


def test_what_is_kept_is_bounded(clock: Clock) -> None:
    patience = Patience(clock)
    for number in range(MOST_KEPT + 100):
        patience.begin(f"name {number}", f"address {number}")
    assert len(patience._known) == MOST_KEPT
