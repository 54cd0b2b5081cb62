"""Reads requests from the bytes of a connection, and refuses what is not HTTP.

It has no socket and no clock and writes nothing: it calls a ``Listener`` with what it finds.
"""

import re
from enum import Enum
from typing import Any, Protocol

import httptools

from hooktide.domain.errors import HooktideError, UnavailableError
from hooktide.web.http.request_head import (
    MAX_HEAD_BYTES,
    HeadRefusedError,
    RequestHead,
    bad_request,
    check_head,
    head_too_large,
    trailers_too_large,
)
from hooktide.web.problems.problems import Headers

MAX_PIECE = 16 * 1024
"""Bytes that are parsed at once, before ``held`` is checked: a few hundred requests at most."""
_FRAMING = frozenset((b"content-length", b"transfer-encoding"))


class Listener(Protocol):
    """Receives the requests that are found."""

    def request_begun(self, head: RequestHead) -> None:
        """Handle a request's head."""

    def request_arrived(self, head: RequestHead, body: bytes) -> None:
        """Handle a whole request, as if it had begun, its body had come, and it had ended."""

    def body_received(self, part: bytes) -> None:
        """Handle a part of the body of the request that began last."""

    def request_ended(self, *, unwanted: bool) -> None:
        """Handle the end of the request that began last; ``unwanted``: its body was skipped."""


class Reading(Enum):
    """What a connection is reading."""

    IDLE = "nothing: no request has begun"
    HEAD = "a request's head"
    BODY = "the body of the request that began last"
    UNWANTED_BODY = "the rest of a request that has already been answered"
    ENDED = "nothing: further bytes are dropped"


_IDLE, _HEAD, _BODY, _UNWANTED_BODY, _ENDED = Reading
_IN_BODY = (_BODY, _UNWANTED_BODY)


class _RepeatedHead:
    """The head that the requests of a connection have in common, so that it is parsed once.

    A client sends the same bytes each time, but for the digits of the Content-Length. They mean the
    same each time, as the parser remembers nothing of the request before.
    """

    __slots__ = ("_by_length", "_first", "_rest", "_start", "_tries")

    def __init__(self) -> None:
        self._start = self._rest = b""
        self._by_length: dict[bytes, RequestHead] = {}
        self._tries = MAX_TRIES

    def split(self, data: bytes) -> tuple[RequestHead, bytes] | None:
        """Return the head and the body, if the data is one whole request with this head."""
        if not self._start or not data.startswith(self._start):
            return None
        at = len(self._start)
        end = data.find(b"\r", at, at + MAX_DIGITS + 1)
        digits = data[at:end]
        if not (digits.isdigit() and data.startswith(self._rest, end)):
            return None
        body = data[end + len(self._rest) :]
        if not body or len(body) != int(digits):
            return None
        head = self._by_length.get(digits)
        if head is None:
            if len(self._by_length) >= MAX_LENGTHS:
                del self._by_length[next(iter(self._by_length))]
            head = self._by_length[digits] = self._first.with_length(digits)
        self._tries = MAX_TRIES
        return head, body

    def stop(self) -> None:
        """Have everything parsed: what follows the last request of a connection is special."""
        self._start = b""
        self._tries = 0

    def learn(self, data: bytes, head: RequestHead) -> None:
        """Remember the head of a request that the data was, whole and nothing else."""
        if not self._tries or not head.is_repeatable:
            return
        self._tries -= 1  # each request may have a head of its own
        end = data.find(b"\r\n\r\n") + 4
        found = _LENGTH.search(data, 0, end)
        if found is not None and MIN_HEAD < end <= MAX_REPEATED_HEAD:
            self._start, self._rest = data[: found.start(1)], data[found.end(1) : end]
            self._by_length = {found[1]: head}
            self._first = head


MAX_TRIES = 4
"""Heads in a row that are remembered although none came again."""
MAX_LENGTHS = 8
"""Content-Lengths with which a head is kept: some 5 KB for each connection."""
MAX_DIGITS = 6
MIN_HEAD = 4
MAX_REPEATED_HEAD = 4096
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,6})\r\n", re.IGNORECASE)


class RequestReader:
    """Reads the requests of a connection, over httptools' parser.

    ``received`` counts the bytes of the current request, without those that arrived together with
    the end of the previous one; ``_received_at_most`` is an upper bound that includes both.
    ``_beside_body`` counts the bytes since the last part of a body: of trailers and chunk
    extensions, which the parser collects. While ``held`` is set, bytes are kept and not parsed.
    """

    def __init__(self, listener: Listener) -> None:
        self.state = _IDLE
        self.received = 0
        self.held = False
        self._received_at_most = 0
        self._beside_body = 0
        self._listener = listener
        self._parser = self._make_parser()
        self._unparsed: list[bytes | memoryview] = []
        self._url = b""
        self._headers: Headers = []
        self._upgrade_framing = b""
        self._heads = 0
        self._last_head: RequestHead | None = None
        self._repeated = _RepeatedHead()

    def _make_parser(self) -> Any:
        parser = httptools.HttpRequestParser(self)
        # Bytes behind a request with "Connection: close" must not invalidate that request.
        parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return parser

    def feed(self, data: bytes) -> HooktideError | None:
        """Parse bytes; return why they are refused, or None."""
        begins = self.state is _IDLE and not (self.received or self._unparsed or self.held)
        if begins and (again := self._repeated.split(data)) is not None:
            return self._pass_on(*again)
        self.received += len(data)
        self._received_at_most += len(data)
        self._unparsed.insert(0, data)
        heads = self._heads
        problem = self.parse_held()
        if begins and self.state is _IDLE and self._heads == heads + 1 and self._last_head:
            self._repeated.learn(data, self._last_head)
        return problem

    def _pass_on(self, head: RequestHead, body: bytes) -> HooktideError | None:
        """Pass on a whole request."""
        try:
            self._listener.request_arrived(head, body)
        except MemoryError:
            return _no_memory()
        return None

    def parse_held(self) -> HooktideError | None:
        """Parse the bytes that are kept; return why they are refused, or None."""
        unparsed = self._unparsed
        while unparsed and not self.held:
            piece = unparsed.pop()
            if len(piece) > MAX_PIECE:
                unparsed.append(memoryview(piece)[MAX_PIECE:])
                piece = memoryview(piece)[:MAX_PIECE]
            self._beside_body += len(piece)
            try:
                self._parser.feed_data(piece)
            except httptools.HttpParserUpgrade as upgrade:
                unparsed.append(memoryview(piece)[upgrade.args[0] :])
                unparsed.append(self._ignore_upgrade())
            except httptools.HttpParserError as error:
                return self._reason(error)
            if self._beside_body > MAX_HEAD_BYTES and self.state in _IN_BODY:
                return trailers_too_large()
        if self.state is _IDLE:
            self._received_at_most = 0
        elif self.state is _HEAD and self.received > MAX_HEAD_BYTES:
            return head_too_large()
        return None

    def drop_body(self) -> None:
        """Skip the rest of the request that began last."""
        self.state = _UNWANTED_BODY

    def stop(self) -> None:
        """Drop all further bytes."""
        self.state = _ENDED
        self.held = False
        self._unparsed.clear()

    def _ignore_upgrade(self) -> bytes:
        """Continue as if no upgrade had been requested (RFC 9110, 7.8); return what to parse next.

        The parser takes the request's head for its end. A new parser that is given a head with the
        same framing finds the end of the body.
        """
        self._parser = self._make_parser()
        framing, self._upgrade_framing = self._upgrade_framing, b""
        return b"POST / HTTP/1.1\r\nhost: a\r\n%b\r\n" % framing if framing else b""

    def _reason(self, error: Exception) -> HooktideError:
        """Return why the parser stopped."""
        cause = error.__context__
        if isinstance(cause, HeadRefusedError):
            return cause.problem
        if isinstance(cause, MemoryError):
            return _no_memory()
        if self.received > MAX_HEAD_BYTES and self._head_size() > MAX_HEAD_BYTES:
            return head_too_large()
        return bad_request("this is not HTTP/1.1")

    def _head_size(self) -> int:
        return len(self._url) + sum(len(name) + len(value) + 4 for name, value in self._headers)

    def on_message_begin(self) -> None:
        """Start collecting a request's head."""
        if self.state is _IDLE:
            self.state = _HEAD
            self._url = b""
            self._headers = []

    def on_url(self, url: bytes) -> None:
        """Collect a part of the request's target."""
        if self.state is _HEAD:
            self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header. After the body it is a trailer, which is ignored (RFC 9110, 6.5.1)."""
        if self.state is _HEAD:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Pass on the request's head.

        :raises HeadRefusedError: it is too large, or two servers could read it differently.
        """
        if self.state is not _HEAD:
            return
        if self._received_at_most > MAX_HEAD_BYTES and self._head_size() > MAX_HEAD_BYTES:
            raise HeadRefusedError(head_too_large())
        parser, headers = self._parser, self._headers
        version = parser.get_http_version()
        method = parser.get_method().decode("ascii")
        expects_continue = check_head(version, headers)
        keep_alive = version == "1.1" and parser.should_keep_alive()
        if parser.should_upgrade():
            self._upgrade_framing = b"".join(
                b"%b: %b\r\n" % header for header in headers if header[0] in _FRAMING
            )
            keep_alive = keep_alive and method != "CONNECT"
        head = RequestHead(
            method,
            self._url,
            version,
            headers,
            keep_alive=keep_alive,
            expects_continue=expects_continue,
        )
        self._listener.request_begun(head)
        self._heads += 1
        self._last_head = head
        if not keep_alive:
            self._repeated.stop()
        self.state = _BODY
        self._beside_body = 0

    def on_body(self, body: bytes) -> None:
        """Pass on a part of the request's body."""
        self._beside_body = 0
        if self.state is _BODY:
            self._listener.body_received(body)

    def on_message_complete(self) -> None:
        """Pass on that the request is complete."""
        if self._upgrade_framing or self.state is _ENDED:
            return
        unwanted = self.state is _UNWANTED_BODY
        self.state = _IDLE
        self.received = 0
        self._listener.request_ended(unwanted=unwanted)


def _no_memory() -> HooktideError:
    return UnavailableError("the server has no memory left for this request")
