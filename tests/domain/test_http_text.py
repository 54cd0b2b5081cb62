"""Header fields and dates are parsed tolerantly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooktide.domain.http.head import (
    content_length,
    field_value,
    first_line,
    read_fields,
    read_http_date,
)


@pytest.mark.parametrize(
    ("head", "fields"),
    [
        (b"HTTP/1.1 200 OK\r\nX-A: a\r\nX-B:b \r\n\r\n", [("x-a", "a"), ("x-b", "b")]),
        (b"HTTP/1.1 200 OK\nX-A: a\nX-B: b\n\n", [("x-a", "a"), ("x-b", "b")]),
        (b"HTTP/1.1 200 OK\r\nX-A: a\r\n b\r\n\tc\r\n\r\n", [("x-a", "a b c")]),
        (b"HTTP/1.1 200 OK\r\nX-A:\r\n b\r\n\r\n", [("x-a", "b")]),
        (b"HTTP/1.1 200 OK\r\nX-A: a\r\n  \r\nX-B: b\r\n\r\n", [("x-a", "a"), ("x-b", "b")]),
        (b"HTTP/1.1 200 OK\r\n lost\r\nX-A: a\r\nlost too\r\n\r\n", [("x-a", "a")]),
        (b"HTTP/1.1 200 OK\r\nX-A: a\r\nX-A: b\r\nX-C", [("x-a", "a"), ("x-a", "b")]),
        (b"HTTP/1.1 200 OK\r\nX-A: \xa0\x85\r\n\r\n", [("x-a", "\xa0\x85")]),
        (b"HTTP/1.1 200 OK", []),
        (b"", []),
    ],
)
def test_a_broken_line_hides_itself_and_no_other(
    head: bytes, fields: list[tuple[str, str]]
) -> None:
    assert read_fields(head) == fields


@given(st.binary())
def test_any_bytes_are_read(head: bytes) -> None:
    for name, _ in read_fields(head):
        assert name == name.lower()


def test_the_first_of_several_values_counts() -> None:
    assert field_value([("x-a", "a"), ("x-a", "b")], "x-a") == "a"
    assert field_value([("x-a", "a")], "x-b") is None


def test_the_first_line_ends_as_lines_do() -> None:
    assert first_line(b"HTTP/1.1 200 OK\r\nX-A: a\r\n\r\n") == "HTTP/1.1 200 OK"
    assert first_line(b"HTTP/1.1 200 OK\nX-A: a\n\n") == "HTTP/1.1 200 OK"


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
    ],
)
def test_the_three_forms_of_a_date_are_one_instant(text: str) -> None:
    assert read_http_date(text) == 784_111_777.0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 -0000",
        "Sun Nov 31 08:49:37 1994",
        "Nov  6 08:49:37 1994",
    ],
)
def test_what_has_no_zone_is_no_date(text: str) -> None:
    assert read_http_date(text) is None


@pytest.mark.parametrize(
    ("value", "number"), [(b"0", 0), (b"0" * 5000 + b"17", 17), (b"9" * 5000, 10**19 - 1)]
)
def test_a_content_length_may_have_any_number_of_digits(value: bytes, number: int) -> None:
    assert content_length(value) == number
