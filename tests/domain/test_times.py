"""Instants are read strictly and written in UTC."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooktide.domain.errors import InvalidError
from hooktide.domain.time.times import read_time, show_time


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2022-02-11T11:26:59.631326+00:00", 1_644_578_819_631_326),
        ("2022-02-11T12:26:59.631326+01:00", 1_644_578_819_631_326),
        ("2022-02-11t11:26:59.6z", 1_644_578_819_600_000),
        ("2022-02-11 11:26:59.631326999Z", 1_644_578_819_631_326),
    ],
)
def test_an_instant_is_read_to_the_microsecond(text: str, at: int) -> None:
    assert read_time(text) == at


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-01-31",
        "2026-01-31T12:00:00",
        "2026-01-31T12:00Z",
        "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "2026-02-30T12:00:00Z",
        "2026-01-31T24:00:00Z",
        "2016-12-31T23:59:60Z",
        "2026-01-31T12:00:00+99:99",
        "2026-01-31T12:00:00+24:00",
        "2026-01-31T12:00:00+05:60",
        "2026-01-31T12:00:00+0100",
        "٢٠٢٦-01-31T12:00:00Z",
        "1767268800",
        "2026-W05-6T12:00:00Z",
    ],
)
def test_what_is_no_instant_or_lacks_its_offset_is_refused(text: str) -> None:
    with pytest.raises(InvalidError, match="with its offset"):
        read_time(text)


@pytest.mark.parametrize(
    "text",
    ["1969-12-31T23:59:59Z", "1970-01-01T00:00:00+00:01", "2100-01-01T00:00:00Z"],
)
def test_a_time_out_of_range_is_reported_with_the_bounds(text: str) -> None:
    with pytest.raises(InvalidError, match="from 1970 on and before 2100"):
        read_time(text)


def test_an_offset_whose_plus_became_a_space_is_reported_with_the_right_spelling() -> None:
    with pytest.raises(InvalidError, match="%2B"):
        read_time("2026-01-31T12:00:00 01:00")


@given(st.integers(0, 4_102_444_799_999_999))
def test_an_instant_is_read_as_it_was_shown(at: int) -> None:
    assert read_time(show_time(at)) == at
