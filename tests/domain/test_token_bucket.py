"""A token bucket: its rate, its burst, and how long to wait."""

from hooktide.domain.model import SECOND
from hooktide.domain.throttling.token_bucket import TokenBucket


def test_twice_the_rate_is_there_at_once_and_not_one_more() -> None:
    bucket = TokenBucket.full(20, 0)
    assert [bucket.take(20, 0) for _ in range(40)] == [0.0] * 40
    assert bucket.take(20, 0) == 1 / 20


def test_a_second_brings_as_many_as_the_rate() -> None:
    bucket = TokenBucket.full(3, 0)
    while not bucket.take(3, 0):
        pass
    assert [bucket.take(3, SECOND) for _ in range(4)] == [0.0, 0.0, 0.0, 1 / 3]


def test_it_is_never_fuller_than_full_nor_emptied_by_a_clock_that_goes_back() -> None:
    bucket = TokenBucket.full(1, 10 * SECOND)
    assert bucket.take(1, 5 * SECOND) == 0.0
    assert [bucket.take(1, 3600 * SECOND) for _ in range(3)] == [0.0, 0.0, 1.0]


def test_a_wait_is_as_long_as_it_says() -> None:
    bucket = TokenBucket.full(1, 0)
    while not (wait := bucket.take(1, 0)):
        pass
    assert bucket.take(1, int(wait * SECOND) - 1) > 0
    assert bucket.take(1, int(wait * SECOND)) == 0.0
