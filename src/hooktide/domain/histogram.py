"""Histograms with fixed buckets, so that any of them can be added up.

Each bucket is a tenth wider than the previous one, so a value read from it is wrong by at most 5 %.
"""

import math
from collections.abc import Iterable, Mapping

from hooktide.domain.model import Micros

FIRST: Micros = 1000
"""Everything shorter than a millisecond is in one bucket."""
RATIO = 1.1
_LOG = math.log(RATIO)

Histogram = dict[int, int]
"""How many were in each bucket, by its number: 0 is the shortest."""


def bucket(span: Micros) -> int:
    """Return the number of the bucket that a span is in."""
    return 0 if span < FIRST else 1 + int(math.log(span / FIRST) / _LOG)


def add_span(total: Histogram, span: Micros) -> None:
    """Add one span to a histogram."""
    number = bucket(span)
    total[number] = total.get(number, 0) + 1


def add(total: Histogram, more: Mapping[int, int]) -> None:
    """Add one histogram to another."""
    for number, count in more.items():
        total[number] = total.get(number, 0) + count


def added(many: Iterable[Mapping[int, int]]) -> Histogram:
    """Return the sum of several histograms."""
    total: Histogram = {}
    for each in many:
        add(total, each)
    return total


def percentile(histogram: Mapping[int, int], share: float) -> Micros | None:
    """Return the span that this share (0 to 1) does not exceed; ``None`` if nothing was counted."""
    rank = math.ceil(share * sum(histogram.values()))
    for number in sorted(histogram):
        rank -= histogram[number]
        if rank <= 0:
            return _middle(number)
    return None


def _middle(number: int) -> Micros:
    return FIRST // 2 if number == 0 else round(FIRST * RATIO ** (number - 0.5))
