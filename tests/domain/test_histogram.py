"""Values read from a histogram are within 5 % of the recorded ones."""

import random

import pytest

from hooktide.domain.histogram import added, bucket, percentile
from hooktide.domain.model import DAY


def test_a_percentile_is_within_five_percent_of_the_true_one() -> None:
    chance = random.Random(7)
    spans = [int(1000 * 10 ** chance.uniform(0, 8)) for _ in range(5000)]
    counted = added({bucket(span): 1} for span in spans)
    true = sorted(spans)
    for share in (0.5, 0.95, 0.99):
        exact = true[int(share * len(true)) - 1]
        assert percentile(counted, share) == pytest.approx(exact, rel=0.05)


def test_histograms_of_parts_add_up_to_that_of_the_whole() -> None:
    spans = [1, 999, 1000, 1001, 50_000, 3 * DAY]
    one, other = (added({bucket(span): 1} for span in part) for part in (spans[:3], spans[3:]))
    assert added([one, other]) == added({bucket(span): 1} for span in spans)
    assert added([one, other])[0] == 2


def test_nothing_has_no_percentile_and_one_is_all_of_them() -> None:
    assert percentile({}, 0.5) is None
    one = {bucket(50_000): 1}
    assert percentile(one, 0.5) == percentile(one, 0.99) == pytest.approx(50_000, rel=0.05)
    assert percentile({bucket(3): 1}, 0.5) == 500
