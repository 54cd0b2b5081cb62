"""Responses for the tests of the response reader, fed in pieces and without a socket."""

from collections.abc import Iterable
from dataclasses import dataclass

from hooktide.domain.delivery.verdict import Outcome
from hooktide.outbound.response_reader import ResponseReader

OK = b"HTTP/1.1 200 OK\r\n"
TWO = b"Content-Length: 2\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
NOW = 784_111_777.0
"""The time of all of these: Sun, 06 Nov 1994 08:49:37 GMT."""
LOST = ("connection_lost", "closed without an answer")
LATE = ("timeout", "not in time")


@dataclass(frozen=True, slots=True)
class Answer:
    """The parsed response, its size in bytes, and whether the connection can be reused."""

    outcome: Outcome
    fed: int
    is_reusable: bool


def read(pieces: Iterable[bytes], end: str = "") -> Answer:
    """Read a response piece by piece until it is complete.

    ``end`` is what happens if the pieces do not complete it: ``closed``, ``reset`` or ``late``.
    Without ``end``, the response has to be complete.
    """
    reader = ResponseReader()
    fed = 0
    for piece in pieces:
        fed += len(piece)
        if reader.feed(piece):
            break
    else:
        if end == "late":
            reader.expire(*LATE)
        else:
            assert end, "the answer does not end"
            reader.end(*LOST, cleanly=end == "closed")
    return Answer(reader.outcome(7, NOW), fed, reader.is_reusable)


def cuts(answer: bytes) -> list[list[bytes]]:
    """Return a response whole, split at each byte, and byte by byte.

    Long ones are split less often.
    """
    if len(answer) > 1000:
        return [[answer], split(answer, 997), split(answer, 65_536)]
    halves = [[answer[:at], answer[at:]] for at in range(1, len(answer))]
    return [[answer], *halves, split(answer, 1)]


def split(answer: bytes, size: int) -> list[bytes]:
    """Return a response in pieces of this size."""
    return [answer[at : at + size] for at in range(0, len(answer), size)]
