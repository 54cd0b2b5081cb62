"""The response reader, without a socket: what it accepts, rejects and where it stops.

Short responses are read whole, split at each byte, and byte by byte. Malformed heads are in
``test_odd_answers``.
"""

import gzip
import tracemalloc
from itertools import chain, repeat

import pytest
from readerkit import CHUNKED, LATE, LOST, NOW, OK, TWO, cuts, read, split

from hooktide.domain.model import SECOND
from hooktide.outbound.answer import BODY_LIMIT, WIRE_LIMIT
from hooktide.outbound.response_reader import ResponseReader

NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
ANSWER = OK + TWO + b"\r\nok"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"\x00\x01\x02garbage\r\n\r\n", id="garbage"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", id="ssh"),
        pytest.param(b"<html>hello</html>", id="http09"),
        pytest.param(CHUNKED + b"zz\r\nno chunk\r\n", id="badchunk"),
        pytest.param(
            b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nraw", id="s101"
        ),
        pytest.param(b"HTTP/1.1 101 Switching\r\n\r\n", id="s101 that names no protocol"),
        pytest.param(b"HTTP/1.1 000 Zero\r\nContent-Length: 0\r\n\r\n", id="s000"),
        pytest.param(b"HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n", id="s099"),
        pytest.param(b"HTTP/1.1 600 High\r\nContent-Length: 0\r\n\r\n", id="s600"),
        pytest.param(b"HTTP/1.1 999 High\r\nContent-Length: 0\r\n\r\n", id="s999"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" * 17 + NO_CONTENT, id="flood1xx"),
        pytest.param(b"HTTP/1.1 200 " + b"a" * 300_000, id="endless status line"),
    ],
)
def test_what_is_not_http_is_an_invalid_response_wherever_it_is_cut(answer: bytes) -> None:
    for pieces in cuts(answer):
        answered = read(pieces, "closed")
        outcome = answered.outcome
        assert (outcome.status, outcome.error) == (None, "invalid_response")
        assert outcome.detail
        assert not answered.is_reusable


@pytest.mark.parametrize(
    ("answer", "status", "body", "truncated"),
    [
        pytest.param(NO_CONTENT, 204, b"", False, id="204"),
        pytest.param(
            b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok",
            204,
            b"",
            False,
            id="s204body",
        ),
        pytest.param(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: a\r\n\r\n" + NO_CONTENT,
            204,
            b"",
            False,
            id="1xx, then the answer",
        ),
        pytest.param(
            OK + b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            200,
            b"ok",
            False,
            id="clte",
        ),
        pytest.param(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", 200, b"ok", False, id="barelf"),
        pytest.param(
            OK + b"Content-Encoding: snappy\r\nContent-Length: 2\r\n\r\n\xff\xfe",
            200,
            b"\xff\xfe",
            False,
            id="unkenc",
        ),
        pytest.param(
            OK + b"X-A: \xff\xfe\r\nContent-Length: 0\r\n\r\n", 200, b"", False, id="latin header"
        ),
        pytest.param(
            OK + b"Set-Cookie: a=b\r\n" * 90 + b"Content-Length: 0\r\n\r\n",
            200,
            b"",
            False,
            id="cookiebomb",
        ),
        pytest.param(
            b"HTTP/1.1 200 " + b"a" * 100_000 + b"\r\nContent-Length: 0\r\n\r\n",
            200,
            b"",
            False,
            id="hugestatus",
        ),
        pytest.param(OK + b"\r\nuntil the end", 200, b"until the end", False, id="until close"),
        pytest.param(OK + b"Content-Length: 9\r\n\r\nshort", 200, b"short", True, id="shortbody"),
        pytest.param(CHUNKED + b"5\r\nshort\r\n", 200, b"short", True, id="chunks without an end"),
        pytest.param(
            b"HTTP/1.1 500 Oh\r\nContent-Length: 9\r\n\r\nshort",
            500,
            b"short",
            True,
            id="short 500",
        ),
        pytest.param(
            OK + b"Content-Length: 5000\r\n\r\n" + b"a" * 5000, 200, b"a" * 4096, True, id="5 KB"
        ),
    ],
)
def test_the_status_line_decides_whatever_becomes_of_the_body(
    answer: bytes, status: int, body: bytes, truncated: bool
) -> None:
    for pieces in cuts(answer):
        outcome = read(pieces, "closed").outcome
        assert (outcome.status, outcome.error) == (status, "")
        assert (outcome.body, outcome.body_truncated) == (body, truncated)


def test_the_head_is_kept_as_it_came_up_to_16_kb() -> None:
    head = OK + b"X-Mixed:  Case \r\nX-B: \xe9\r\nContent-Length: 2\r\n\r\n"
    for pieces in cuts(b"HTTP/1.1 102 P\r\n\r\n" + head + b"ok"):
        assert read(pieces).outcome.head == head
    long = OK + b"X-A: " + b"a" * 20_000 + b"\r\nContent-Length: 0\r\n\r\n"
    assert read([long]).outcome.head == long[: 16 * 1024]


def test_switching_protocols_is_refused_with_its_reason() -> None:
    answer = b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nraw"
    detail = "the receiver switched protocols without a request to do so"
    assert read([answer]).outcome.detail == detail


@pytest.mark.parametrize(
    ("answer", "reusable"),
    [
        pytest.param(ANSWER, True, id="length"),
        pytest.param(NO_CONTENT, True, id="204"),
        pytest.param(CHUNKED + b"2\r\nok\r\n0\r\n\r\n", True, id="chunks"),
        pytest.param(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", True, id="an error"),
        pytest.param(b"HTTP/1.1 100 Go\r\n\r\n" + NO_CONTENT, True, id="behind an interim"),
        pytest.param(b"HTTP/1.1 204 No\r\nConnection: close\r\n\r\n", False, id="says close"),
        pytest.param(b"HTTP/1.0 204 No\r\n\r\n", False, id="HTTP/1.0"),
        pytest.param(NO_CONTENT + ANSWER, False, id="a second answer"),
        pytest.param(NO_CONTENT + b"x", False, id="a stray byte"),
        pytest.param(ANSWER + b"\x00", False, id="a stray byte behind a body"),
        pytest.param(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", False, id="read with leniency"),
        pytest.param(
            OK + b"Content-Length: %d\r\n\r\n" % BODY_LIMIT + b"a" * BODY_LIMIT,
            True,
            id="the longest body",
        ),
        pytest.param(
            OK + b"Content-Length: %d\r\n\r\n" % (BODY_LIMIT + 1) + b"a" * (BODY_LIMIT + 1),
            False,
            id="a body beyond the limit",
        ),
    ],
)
def test_a_connection_is_reusable_only_where_nothing_is_unclear(
    answer: bytes, reusable: bool
) -> None:
    answered = read([answer])
    assert answered.outcome.status in (200, 204, 503)
    assert answered.is_reusable == reusable


def test_one_reader_reads_one_answer_after_the_other() -> None:
    reader = ResponseReader()
    for answer, body in ((ANSWER, b"ok"), (NO_CONTENT, b""), (ANSWER, b"ok")) * 2:
        reader.begin()
        assert reader.is_untouched
        assert [reader.feed(piece) for piece in split(answer, 1)] == [
            *[False] * (len(answer) - 1),
            True,
        ]
        assert not reader.is_untouched
        assert reader.outcome(0, NOW).body == body
        assert reader.is_reusable


def test_a_second_answer_is_noticed_by_the_reader_of_the_next_request_too() -> None:
    reader = ResponseReader()
    assert reader.feed(ANSWER)
    reader.begin()
    assert reader.feed(NO_CONTENT + ANSWER)
    assert (reader.outcome(0, NOW).status, reader.is_reusable) == (204, False)


REPEATED = [
    NO_CONTENT,
    ANSWER,
    ANSWER + b"x",
    b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nno",
    b"HTTP/1.1 429 Slow\r\nRetry-After: Sun, 06 Nov 1994 08:49:57 GMT\r\nContent-Length: 0\r\n\r\n",
    CHUNKED + b"2\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" + NO_CONTENT,
    b"\r\n" + NO_CONTENT,
    OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nok",
    OK + b"X: " + b"x" * 2000 + b"\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
]


@pytest.mark.parametrize("answer", REPEATED)
@pytest.mark.parametrize("other", REPEATED)
def test_an_answer_means_the_same_when_it_comes_again(answer: bytes, other: bytes) -> None:
    reader = ResponseReader()
    for each in (answer, answer, other, answer, answer):
        reader.begin()
        assert reader.is_untouched
        assert reader.feed(each)
        assert not reader.is_untouched
        alone = read([each])
        assert reader.outcome(7, NOW) == alone.outcome
        assert reader.is_reusable == alone.is_reusable
        if not reader.is_reusable:
            break


def test_the_end_of_an_answer_is_no_answer_when_it_comes_again() -> None:
    reader = ResponseReader()
    for _ in range(2):
        assert not reader.feed(NO_CONTENT[:9])
        assert reader.feed(NO_CONTENT[9:])
        assert reader.is_reusable
        reader.begin()
    assert reader.feed(NO_CONTENT[9:])
    assert reader.outcome(0, NOW).error == "invalid_response"


def test_an_answer_that_begins_like_the_last_one_is_read_to_its_own_end() -> None:
    reader = ResponseReader()
    longer = ANSWER.replace(TWO, b"Content-Length: 4\r\n")
    assert reader.feed(NO_CONTENT)
    reader.begin()
    assert not reader.feed(NO_CONTENT[:9])
    assert reader.feed(NO_CONTENT[9:])
    reader.begin()
    assert not reader.feed(longer)
    assert reader.feed(b"!!")
    assert reader.outcome(0, NOW).body == b"ok!!"


@pytest.mark.parametrize(
    ("came", "closed", "reset", "late"),
    [
        (b"", None, None, None),
        (b"HTTP/1.1 20", None, None, None),
        (OK, 200, None, None),
        (OK + b"X-A: a", None, None, None),
        (OK + b"X-A: a\r\n", 200, None, None),
        (OK + b"X A: a\r\n", 200, 200, 200),
        (b"HTTP/1.1 100 Go\r\n\r\n", None, None, None),
        (OK + b"Content-Length: 9\r\n\r\nshort", 200, 200, 200),
        (OK + b"\r\nuntil the end", 200, 200, 200),
    ],
)
def test_what_has_come_decides_however_an_answer_ends(
    came: bytes, closed: int | None, reset: int | None, late: int | None
) -> None:
    pieces = [came] if came else []
    for end, status in (("closed", closed), ("reset", reset), ("late", late)):
        outcome = read(pieces, end).outcome
        assert outcome.status == status
        error, detail = ("", "") if status else LATE if end == "late" else LOST
        assert (outcome.error, outcome.detail, outcome.duration) == (error, detail, 7)


def test_a_retry_after_that_is_a_date_is_compared_with_the_given_time() -> None:
    date = b"Retry-After: Sun, 06 Nov 1994 08:50:37 GMT\r\nContent-Length: 0\r\n\r\n"
    assert read([b"HTTP/1.1 503 Busy\r\n" + date]).outcome.retry_after == 60 * SECOND
    assert read([OK + date]).outcome.retry_after is None


BOMB = gzip.compress(bytes(20_000_000))


@pytest.mark.parametrize(
    ("start", "piece", "limit"),
    [
        pytest.param(OK + b"\r\n", b"a" * 65_536, 2 * BODY_LIMIT, id="endlessbody"),
        pytest.param(
            OK + b"Content-Length: 10000000000\r\n\r\n", b"a" * 65_536, 2 * BODY_LIMIT, id="cl10g"
        ),
        pytest.param(
            OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB),
            BOMB,
            BODY_LIMIT + len(BOMB),
            id="bomb",
        ),
        pytest.param(CHUNKED, b"1\r\na\r\n" * 10_000, WIRE_LIMIT, id="tinychunks"),
        pytest.param(CHUNKED, b"1;" + b"x" * 65_536, WIRE_LIMIT, id="endless chunk extension"),
        pytest.param(CHUNKED + b"0\r\n", b"X-T: a\r\n" * 9_000, WIRE_LIMIT, id="trailers"),
    ],
)
def test_a_flood_is_cut_soon_and_costs_little(start: bytes, piece: bytes, limit: int) -> None:
    tracemalloc.start()
    try:
        answered = read(chain([start], repeat(piece)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (answered.outcome.status, answered.outcome.error) == (200, "")
    assert answered.outcome.body_truncated
    assert len(answered.outcome.body) <= 4096
    assert answered.fed <= limit + 2 * len(piece)
    assert peak < 1_000_000


@pytest.mark.parametrize(
    ("start", "piece", "status", "error"),
    [
        pytest.param(OK, b"X-A: b\r\n" * 1000, 200, "", id="endlesshdr"),
        pytest.param(OK, b"x" * 65_536, 200, "", id="one endless header"),
        pytest.param(OK + b" folded\r\n", b" x\r\n" * 1000, 200, "", id="endless fold"),
        pytest.param(
            b"HTTP/1.1 100 Go\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n" * 2000,
            None,
            "invalid_response",
            id="endless 1xx",
        ),
        pytest.param(
            b"HTTP/1.1 100 Go\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\nA B: c\r\n\r\n" * 2000,
            None,
            "invalid_response",
            id="endless malformed 1xx",
        ),
    ],
)
def test_an_endless_head_is_cut_soon_and_costs_little(
    start: bytes, piece: bytes, status: int | None, error: str
) -> None:
    answered = read(chain([start], repeat(piece)))
    assert (answered.outcome.status, answered.outcome.error) == (status, error)
    assert answered.fed < 200_000
    assert not answered.is_reusable
