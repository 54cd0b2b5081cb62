"""Malformed responses: the status line decides, and whatever can be read is kept.

Each is read whole, split at each byte, and byte by byte.
"""

import pytest
from readerkit import OK, TWO, cuts, read

from hooktide.domain.http.head import read_fields

ODD = {
    "folded": (OK + b"X-A: a\r\n b\r\n" + TWO + b"\r\nok", {"x-a": "a b"}),
    "folded with a tab": (OK + b"X-A: a\r\n\tb\r\n" + TWO + b"\r\nok", {"x-a": "a b"}),
    "folded first": (OK + b" b\r\n" + TWO + b"\r\nok", {"content-length": "2"}),
    "folded length": (OK + b"Content-Length:\r\n 2\r\n\r\nok", {"content-length": "2"}),
    "bare line feeds": (b"HTTP/1.1 200 OK\nX-A: a\nContent-Length: 2\n\nok", {"x-a": "a"}),
    "mixed line ends": (b"HTTP/1.1 200 OK\r\nX-A: a\nContent-Length: 2\r\n\nok", {"x-a": "a"}),
    "two returns": (b"HTTP/1.1 200 OK\r\r\nX-A: a\r\r\n" + TWO + b"\r\nok", {"x-a": "a"}),
    "space in a name": (OK + b"X A: a\r\n" + TWO + b"\r\nok", {"x a": "a"}),
    "space before the colon": (OK + b"X-A : a\r\n" + TWO + b"\r\nok", {"x-a": "a"}),
    "empty name": (OK + b": a\r\n" + TWO + b"\r\nok", {"": "a"}),
    "no colon": (OK + b"nonsense\r\n" + TWO + b"\r\nok", {"content-length": "2"}),
    "name of other bytes": (OK + b"X-\xe9(): a\r\n" + TWO + b"\r\nok", {"x-é()": "a"}),
    "NUL in a name": (OK + b"X\x00A: a\r\n" + TWO + b"\r\nok", {"x\x00a": "a"}),
    "NUL in a value": (OK + b"X-A: a\x00b\r\n" + TWO + b"\r\nok", {"x-a": "a\x00b"}),
    "control in a value": (OK + b"X-A: a\x01\x7fb\r\n" + TWO + b"\r\nok", {"x-a": "a\x01\x7fb"}),
    "return in a value": (OK + b"X-A: a\rb\r\n" + TWO + b"\r\nok", {"x-a": "a\rb"}),
    "length twice": (OK + TWO + TWO + b"\r\nok", {"content-length": "2"}),
    "length in a list": (OK + b"Content-Length: 2, 2\r\n\r\nok", {"content-length": "2, 2"}),
    "length beside chunks": (
        OK + b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        {"content-length": "9"},
    ),
    "chunks before length": (
        OK + b"Transfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        {"content-length": "9"},
    ),
    "chunked in other case": (
        OK + b"X A: b\r\nTransfer-Encoding: gzip, CHUNKED\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        {"transfer-encoding": "gzip, CHUNKED"},
    ),
    "identity beside a length": (
        OK + b"Transfer-Encoding: identity\r\n" + TWO + b"\r\nok",
        {"transfer-encoding": "identity"},
    ),
    "unknown coding beside a length": (
        OK + b"Transfer-Encoding: \x0bchunked\r\n" + TWO + b"\r\nok",
        {"content-length": "2"},
    ),
    "interim that is malformed": (
        b"HTTP/1.1 103 Early\r\nX A: a\r\n\r\n" + OK + b"X-B: b\r\n" + TWO + b"\r\nok",
        {"x-b": "b"},
    ),
    "malformed behind an interim": (
        b"HTTP/1.1 100 Go\r\n\r\n" + OK + b"X B: b\r\n" + TWO + b"\r\nok",
        {"x b": "b"},
    ),
    "no words in the status line": (b"HTTP/1.1 200\r\nX A: a\r\n" + TWO + b"\r\nok", {"x a": "a"}),
    "two spaces in the status line": (b"HTTP/1.1  200  OK\r\n" + TWO + b"\r\nok", {}),
    "no such version": (b"HTTP/1.7 200 OK\r\n" + TWO + b"\r\nok", {"content-length": "2"}),
    "version 2": (b"HTTP/2 200\r\n" + TWO + b"\r\nok", {"content-length": "2"}),
    "blank lines first": (b"\r\n\r\n" + OK + b"X A: a\r\n" + TWO + b"\r\nok", {"x a": "a"}),
    "101 fields": (OK + b"X-A: a\r\n" * 100 + TWO + b"\r\nok", {"x-a": "a"}),
    "malformed trailer": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX A: a\r\n\r\n",
        {"transfer-encoding": "chunked"},
    ),
}
"""An answer whose body is ``ok``, and what has to be read of its fields."""

UNFRAMED = {
    "lengths that differ": OK + b"X-A: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    "negative length": OK + b"X-A: a\r\nContent-Length: -1\r\n\r\nok",
    "length with a sign": OK + b"X-A: a\r\nContent-Length: +2\r\n\r\nok",
    "length that is no number": OK + b"X-A: a\r\nContent-Length: two\r\n\r\nok",
    "length of other digits": OK + b"X-A: a\r\nContent-Length: \xb2\r\n\r\nok",
    "chunks between bare line feeds": (
        b"HTTP/1.1 200 OK\nX-A: a\nTransfer-Encoding: chunked\n\n2\nok\n0\n\n"
    ),
    "no chunks though it says so": OK + b"X-A: a\r\nX A: b\r\nTransfer-Encoding: chunked\r\n\r\nok",
    "endless length": OK + b"X-A: a\r\nContent-Length: " + b"9" * 400 + b"\r\n\r\nok",
}
"""Answers of which nobody can tell where they end."""


@pytest.mark.parametrize(("answer", "fields"), ODD.values(), ids=ODD)
def test_a_malformed_head_changes_neither_status_nor_body_wherever_it_is_cut(
    answer: bytes, fields: dict[str, str]
) -> None:
    for pieces in cuts(answer):
        outcome = read(pieces).outcome
        assert (outcome.status, outcome.error, outcome.body) == (200, "", b"ok")
        came = dict(read_fields(outcome.head))
        assert {name: came.get(name) for name in fields} == fields


@pytest.mark.parametrize("answer", UNFRAMED.values(), ids=UNFRAMED)
def test_an_answer_without_a_readable_end_is_over_with_its_head(answer: bytes) -> None:
    for pieces in cuts(answer):
        answered = read(pieces)
        outcome = answered.outcome
        assert (outcome.status, outcome.error, outcome.body_truncated) == (200, "", True)
        assert b"ok".startswith(outcome.body)
        assert ("x-a", "a") in read_fields(outcome.head)
        assert not answered.is_reusable


@pytest.mark.parametrize("name", ODD)
def test_a_connection_is_not_used_again_after_a_malformed_answer(name: str) -> None:
    assert not read([ODD[name][0]]).is_reusable


def test_a_connection_is_used_again_after_a_well_formed_answer() -> None:
    assert read([OK + TWO + b"\r\nok"]).is_reusable


@pytest.mark.parametrize(
    "status", [b"204 No Content", b"302 Found", b"410 Gone", b"429 Slow", b"500 Oh", b"503 Busy"]
)
def test_any_status_stands_with_a_malformed_head(status: bytes) -> None:
    answer = (
        b"HTTP/1.1 " + status + b"\r\nX A: b\r\nRetry-After:\r\n 7\r\nContent-Length: 0\r\n\r\n"
    )
    for pieces in cuts(answer):
        outcome = read(pieces).outcome
        assert outcome.status == int(status[:3])
        assert outcome.retry_after == (None if status.startswith(b"2") else 7_000_000)


def test_fields_of_64_kb_and_more_leave_the_status() -> None:
    for size in (65_536, 70_000, 200_000):
        answered = read([OK, b"X-A: " + b"a" * size, b"\r\n" + TWO + b"\r\nok"])
        outcome = answered.outcome
        assert (outcome.status, outcome.error) == (200, "")
        assert outcome.head.startswith(OK + b"X-A: aaa")
        assert not answered.is_reusable


def test_a_head_that_ends_with_the_connection_leaves_the_status() -> None:
    for answer in (OK, OK + b"X-A: a\r\n", b"HTTP/1.1 200 OK\nX-A: a\n"):
        outcome = read([answer], "closed").outcome
        assert (outcome.status, outcome.error) == (200, "")


def test_a_head_that_is_cut_within_a_line_is_no_answer() -> None:
    for answer in (b"HTTP/1.1 20", OK[:-2], OK + b"X-A: a", b"HTTP/1.1 100 Go\r\n"):
        outcome = read([answer], "closed").outcome
        assert (outcome.status, outcome.error) == (None, "connection_lost")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2OO OK\r\n\r\n",
        b"HTTP/1.1 600 OK\r\nX A: b\r\n\r\n",
        b"HTTPS 200 OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"X-A: HTTP/1.1 200 OK\r\n\r\n",
        b"POST / HTTP/1.1\r\n\r\n",
    ],
)
def test_what_has_no_status_line_is_no_answer(answer: bytes) -> None:
    for pieces in cuts(answer):
        outcome = read(pieces).outcome
        assert (outcome.status, outcome.error) == (None, "invalid_response")


def test_a_malformed_answer_that_says_no_end_is_read_until_the_end() -> None:
    answer = OK + b"X A: b\r\n\r\nuntil the end"
    for pieces in cuts(answer):
        for end, truncated in (("closed", False), ("late", True)):
            outcome = read(pieces, end).outcome
            assert (outcome.status, outcome.body) == (200, b"until the end")
            assert outcome.body_truncated == truncated
