"""The rates of endpoints and accounts."""

import pytest

from hooktide.domain.model import SECOND
from hooktide.domain.throttling.rate import MAX_RATE, Rate


@pytest.mark.parametrize("per_second", [1, 3, 40, 7_000, 9_999, MAX_RATE])
def test_requests_that_are_an_interval_apart_are_not_more_than_the_rate(per_second: int) -> None:
    assert Rate(per_second, burst=1).interval * per_second >= SECOND
