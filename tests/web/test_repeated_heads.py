"""A request head that a client repeats is parsed once, with the same result."""

import gc
from dataclasses import dataclass, field

import pytest
from httpcorpus import CORPUS, EXPECT, H2C, SHORT, get, post

from hooktide.web.http.request_head import RequestHead
from hooktide.web.http.request_reader import RequestReader

ORDINARY = post(b"/a%2Fb?c=d", b"0123456789", b"X-A: b\r\n")


@dataclass
class Heard:
    """What a reader parsed: the head, the body and the end of each request."""

    heads: list[RequestHead] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    ends: list[bool] = field(default_factory=list)
    problem: str = ""

    def request_begun(self, head: RequestHead) -> None:
        self.heads.append(head)
        self.bodies.append(b"")

    def request_arrived(self, head: RequestHead, body: bytes) -> None:
        self.request_begun(head)
        self.body_received(body)
        self.request_ended(unwanted=False)

    def body_received(self, part: bytes) -> None:
        self.bodies[-1] += part

    def request_ended(self, *, unwanted: bool) -> None:
        self.ends.append(unwanted)

    def shown(self) -> object:
        seen = [[getattr(each, name) for name in SHOWN] for each in self.heads]
        return seen, self.bodies, self.ends, self.problem


SHOWN = [name for name in RequestHead.__slots__ if name != "note"]


def heard(*pieces: bytes) -> Heard:
    found = Heard()
    reader = RequestReader(found)
    for piece in pieces:
        problem = reader.feed(piece)
        if problem is not None:
            found.problem = str(problem)
            break
    return found


def one_by_one(*pieces: bytes) -> Heard:
    return heard(*[bytes([each]) for each in b"".join(pieces)])


@pytest.mark.parametrize("name", [name for name, data in CORPUS.items() if len(data) < SHORT])
def test_a_request_means_the_same_whichever_came_before_it(name: str) -> None:
    data = CORPUS[name]
    for pieces in ((data,) * 3, (ORDINARY, ORDINARY, data, ORDINARY), (data, ORDINARY, data)):
        assert heard(*pieces).shown() == one_by_one(*pieces).shown()


@pytest.mark.parametrize(
    "other",
    [
        ORDINARY.replace(b": 10", b": 9"),
        ORDINARY.replace(b": 10", b": 11"),
        ORDINARY.replace(b": 10", b": 010"),
        ORDINARY.replace(b": 10", b": +10"),
        ORDINARY.replace(b": 10", b": 1_0"),
        ORDINARY.replace(b": 10", b": 10 "),
        ORDINARY.replace(b": 10", b": \xb2"),
        ORDINARY.replace(b": 10", b": 10\r\ncontent-length: 10"),
        ORDINARY.replace(b": 10", b": 10\n"),
        ORDINARY.replace(b": 10", b": "),
        ORDINARY.replace(b": 10", b": 99999999999999999999"),
        ORDINARY.replace(b": 10\r\n", b": 10\r\n 0\r\n"),
        ORDINARY.replace(b"X-A", b"X-B"),
        ORDINARY + ORDINARY,
        ORDINARY + b"\r\n",
        b"\r\n" + ORDINARY,
        ORDINARY[:-1],
        post(b"/a%2Fb?c=d", b"x" * 200_000, b"X-A: b\r\n"),
        post(b"/a%2Fb?c=d", b"", b"X-A: b\r\n"),
    ],
)
def test_a_head_that_differs_is_parsed(other: bytes) -> None:
    pieces = (ORDINARY, ORDINARY, other, ORDINARY)
    assert heard(*pieces).shown() == one_by_one(*pieces).shown()


def test_a_repeated_head_is_shared_and_one_with_another_length_is_not() -> None:
    longer = ORDINARY.replace(b": 10", b": 11") + b"x"
    first, again, other, third = heard(ORDINARY, ORDINARY, longer, ORDINARY).heads
    assert first is again is third
    assert other is not first
    assert dict(other.headers)[b"content-length"] == b"11"


@pytest.mark.parametrize("more", [EXPECT, H2C])
def test_a_head_that_changes_what_follows_is_not_shared(more: bytes) -> None:
    first, again = heard(post(b"/", b"abc", more), post(b"/", b"abc", more)).heads
    assert first is not again


def test_a_note_belongs_to_one_length() -> None:
    found = heard(ORDINARY, ORDINARY)
    found.heads[0].note = "ten bytes"
    reader = RequestReader(found)
    for body in (b"0123456789", b"0123456789", b"x"):
        reader.feed(post(b"/", body))
        found.heads[-1].note = len(body)
    assert [each.note for each in found.heads[2:]] == [10, 10, 1]


def test_clients_whose_heads_differ_each_time_cost_no_more_memory() -> None:
    found = Heard()
    reader = RequestReader(found)
    for number in range(50):
        reader.feed(post(b"/", b"abc", b"idempotency-key: %d\r\n" % number))
    reader.feed(get())
    assert len({id(each) for each in found.heads}) == 51


def test_a_client_whose_lengths_differ_each_time_costs_little_memory() -> None:
    found = Heard()
    reader = RequestReader(found)
    for size in range(1, 200):
        reader.feed(post(b"/", b"x" * size))
    assert [dict(each.headers)[b"content-length"] for each in found.heads] == [
        b"%d" % size for size in range(1, 200)
    ]
    found.heads.clear()
    found.bodies.clear()
    gc.collect()
    assert sum(isinstance(each, RequestHead) for each in gc.get_objects()) < KEPT


KEPT = 20
