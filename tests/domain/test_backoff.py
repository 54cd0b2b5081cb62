"""When retries are due, and how durations are written."""

import pytest

from hooktide.domain.delivery.backoff import Retry, delays
from hooktide.domain.model import DAY, HOUR, MINUTE, SECOND
from hooktide.domain.time.spans import read_delay, read_span, show_span


def test_each_delay_is_a_factor_longer_up_to_the_longest() -> None:
    schedule = Retry(first=10 * SECOND, factor=6, max=HOUR)
    assert delays(schedule, 5) == (10 * SECOND, MINUTE, 6 * MINUTE, 36 * MINUTE, HOUR)


def test_there_are_as_many_delays_as_retries() -> None:
    assert delays(Retry(), 0) == ()
    assert len(delays(Retry(), 20)) == 20
    assert delays(Retry(factor=100.0), 20)[-1] == 12 * HOUR


def test_listed_delays_are_taken_as_they_are_and_the_last_one_repeats() -> None:
    schedule = Retry(delays=(5 * SECOND, 5 * MINUTE))
    assert delays(schedule, 1) == (5 * SECOND,)
    assert delays(schedule, 4) == (5 * SECOND, 5 * MINUTE, 5 * MINUTE, 5 * MINUTE)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("10s", 10 * SECOND),
        ("5m", 5 * MINUTE),
        ("2h", 2 * HOUR),
        ("30d", 30 * DAY),
        ("0s", 0),
        ("2.5s", 2_500_000),
        ("0.000001s", 1),
    ],
)
def test_a_span_is_read_and_written_in_one_form(text: str, span: int) -> None:
    assert read_span(text) == span
    assert show_span(span) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10",
        "s",
        "1.5m",
        ".5s",
        "1.s",
        "1.0000001s",
        "-1s",
        "1 s",
        "1w",
        "1S",
        "\u0661s",
        "1s\n",
    ],
)
def test_what_is_no_span_is_none(text: str) -> None:
    assert read_span(text) is None


@pytest.mark.parametrize(("text", "delay"), [("90s", 90 * SECOND), ("1.5s", None), ("x", None)])
def test_a_delay_is_a_span_of_whole_seconds(text: str, delay: int | None) -> None:
    assert read_delay(text) == delay


def test_a_span_is_shown_in_the_largest_unit_that_is_whole() -> None:
    assert [show_span(90 * SECOND), show_span(120 * SECOND), show_span(SECOND // 2)] == [
        "90s",
        "2m",
        "0.5s",
    ]
