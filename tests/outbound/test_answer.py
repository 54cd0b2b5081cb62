"""Retry-After and the limits of a response head."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooktide.domain.model import DAY, SECOND
from hooktide.outbound.answer import head_end, is_oversized, retry_after

NOW = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT


def asked(value: bytes) -> int | None:
    head = b"HTTP/1.1 503 Busy\r\nX-A: b\r\nretry-AFTER:%b\r\nX-B: c\r\n\r\n" % value
    return retry_after(head, NOW)


@pytest.mark.parametrize(
    ("value", "span"),
    [
        (b" 120", 120 * SECOND),
        (b"0", 0),
        (b"  7  ", 7 * SECOND),
        (b" 86400", DAY),
        (b" 86401", DAY),
        (b" " + b"9" * 5000, DAY),
        (b" " + b"0" * 5000 + b"5", 5 * SECOND),
        (b" Sun, 06 Nov 1994 08:50:37 GMT", 60 * SECOND),
        (b" Sunday, 06-Nov-94 08:50:37 GMT", 60 * SECOND),
        (b" Sun Nov  6 08:50:37 1994", 60 * SECOND),
        (b" Sun Nov 16 08:50:37 1994", DAY),
        (b" Sun, 06 Nov 1994 08:49:00 GMT", 0),
        (b" Fri, 31 Dec 9999 23:59:59 GMT", DAY),
    ],
)
def test_a_span_or_a_date_is_read_and_capped_at_a_day(value: bytes, span: int) -> None:
    assert asked(value) == span


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b" -5",
        b" +5",
        b" 1.5",
        b" 1e3",
        b" 1_000",
        b" 0x10",
        b" 5, 10",
        b" soon",
        b" \xd9\xa1\xd9\xa2",
        b" Sun, 06 Nov 1994 08:50:37",
        b" Nov  6 08:50:37 1994",
        b" Sun Nov  6 1994 08:50:37",
        b" Sun, 06 Nov 1994 08:50:37 -0000",
        b" Sun, 99 Nov 1994 08:50:37 GMT",
        b" Sun, 06 Nov 99999 08:50:37 GMT",
    ],
)
def test_anything_else_is_ignored(value: bytes) -> None:
    assert asked(value) is None


def test_a_head_without_the_field_asks_for_nothing() -> None:
    assert retry_after(b"HTTP/1.1 503 Busy\r\nX-Retry-After: 5\r\n\r\nRetry-After 5", NOW) is None


@given(st.binary(max_size=60))
def test_no_value_of_the_field_breaks_the_reader(value: bytes) -> None:
    span = asked(value)
    assert span is None or 0 <= span <= DAY


@pytest.mark.parametrize(
    ("raw", "end"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nbody\n\n", 19),
        (b"HTTP/1.1 200 OK\n\nbody\r\n\r\n", 17),
        (b"HTTP/1.1 200 OK\r\nA: b\n\r\nbody", 24),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n", -1),
    ],
)
def test_a_head_ends_at_its_first_blank_line(raw: bytes, end: int) -> None:
    assert head_end(raw) == end


def test_a_head_may_have_100_fields_and_64_kb_of_them() -> None:
    line = b"HTTP/1.1 200 OK\r\n"
    assert not is_oversized(line + b"A: b\r\n" * 100 + b"\r\n")
    assert is_oversized(line + b"A: b\r\n" * 101 + b"\r\n")
    assert not is_oversized(line + b"A" * 65_536)
    assert is_oversized(line + b"A" * 65_537)
