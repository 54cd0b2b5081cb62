"""A chart's drawing, its summary and its table agree with the data."""

import pytest

from hooktide.domain.model import HOUR as ONE_HOUR
from hooktide.domain.model import MINUTE, SECOND, Micros
from hooktide.domain.stats import ChartPoint, Percentiles
from hooktide.web.pages.views.chart import (
    HOURLY,
    SPANS,
    Chart,
    Series,
    make_chart,
    make_latency_chart,
    nice,
    nice_span,
)

GOOD = Series("delivered", "good", lambda point: point.delivered)
BAD = Series("failed", "bad", lambda point: point.failed)
HOUR = SPANS["hour"]


def drawn(*numbers: tuple[int, int]) -> Chart:
    points = [
        ChartPoint(at=at * MINUTE, delivered=good, failed=bad)
        for at, (good, bad) in enumerate(numbers)
    ]
    return make_chart("c", "Deliveries", HOUR, points, (GOOD, BAD))


def test_bars_stand_on_each_other_and_end_within_the_drawing() -> None:
    chart = drawn((30, 10), (0, 0), (0, 40))
    both, none, bad = (bar.pieces for bar in chart.bars)
    assert [(each.kind, each.y, each.height) for each in both] == [
        ("good", 25.0, 75.0),
        ("bad", 0.0, 25.0),
    ]
    assert none == ()
    assert [(each.kind, each.y, each.height) for each in bad] == [("bad", 0.0, 100.0)]


def test_what_is_little_is_seen() -> None:
    chart = drawn((100_000, 1))
    assert all(each.height >= 1 for bar in chart.bars for each in bar.pieces)


def test_the_sentence_and_the_table_say_the_numbers() -> None:
    chart = drawn((30, 10), (0, 0), (5, 0))
    assert chart.alt == ("Deliveries. Last hour: 35 delivered, 10 failed; at most 40 in a minute.")
    assert chart.rows == (
        ("1 Jan 1970 00:00", ("30", "10")),
        ("1 Jan 1970 00:02", ("5", "0")),
    )
    assert [each.total for each in chart.keys] == ["35", "10"]


def test_nothing_at_all_can_be_drawn() -> None:
    assert drawn((0, 0)).bars[0].pieces == ()
    assert make_chart("c", "Deliveries", HOUR, [], (GOOD,)).bars == ()


@pytest.mark.parametrize("most", [0, 1, 7, 10, 11, 99, 100, 101, 949, 1_000, 51_234, 10**9 + 1])
def test_a_scale_ends_at_a_round_number_that_is_not_far_above(most: int) -> None:
    top = nice(most)
    assert max(most, 1) <= top <= max(1.7 * most, 5)


def test_percentiles_stand_behind_each_other_and_their_table_says_them_whole() -> None:
    slow = Percentiles(10, SECOND, 2 * SECOND, 4 * SECOND)
    none = Percentiles(0, None, None, None)
    steps = [(0, slow), (ONE_HOUR, none)]
    chart = make_latency_chart("l", "Response time", HOURLY["day"], slow, steps)
    full, empty = (bar.pieces for bar in chart.bars)
    assert [(each.y, each.height) for each in full] == [(75.0, 25.0), (50.0, 25.0), (0.0, 50.0)]
    assert empty == ()
    assert chart.rows == (("1 Jan 1970 00:00", ("1.0 s", "2.0 s", "4.0 s")),)
    assert chart.alt == "Response time. Last 24 hours: p50 1.0 s, p95 2.0 s, p99 4.0 s."


@pytest.mark.parametrize("most", [0, 3000, 777_000, 31 * SECOND, 7 * MINUTE, 50 * ONE_HOUR])
def test_a_scale_of_spans_ends_in_a_round_one(most: Micros) -> None:
    assert most <= nice_span(most) <= max(2 * most, 5000)


def test_a_span_is_made_of_whole_steps_and_includes_now() -> None:
    for span in (*SPANS.values(), *HOURLY.values()):
        now = 1_767_268_800_000_000 + 1
        since, until = span.around(now)
        assert since % span.step == 0
        assert until - since == span.length
        assert since < now < until
        assert span.length % span.step == 0
