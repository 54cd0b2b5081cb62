"""One HTTP/1.1 connection: writes a request, reads one answer, and is then reused or closed.

It is closed, never reused, once anything is unclear: bytes that nobody asked for, bytes after the
end of an answer, an answer not read to its end, a request not yet written. Whether an answer is
believed is decided by its status line: once the head has come, a body that is cut, endless or late
changes nothing but ``body_truncated``.
"""

import asyncio
import select
import ssl
import time
from typing import Protocol, TypeAlias, cast

import httptools

from hooktide.domain.verdict import Outcome
from hooktide.outbound.answer import (
    BODY_KEPT,
    BODY_LIMIT,
    HEAD_KEPT,
    MAX_INTERIM,
    WIRE_LIMIT,
    head_end,
    is_framed,
    is_oversized,
    retry_after,
)
from hooktide.together import Together

Key: TypeAlias = tuple[str, str, int, str]
"""Scheme, host, port, and the vetted address: what makes two connections interchangeable."""

NEVER = float("inf")


class Owner(Protocol):
    """Who keeps the connections."""

    together: Together
    """Makes the writes of all connections."""

    def give_back(self, connection: "Connection") -> None:
        """Take a connection that can carry another request."""

    def forget(self, connection: "Connection") -> None:
        """Drop a connection that is closed."""


class Connection(asyncio.Protocol):
    """A connection to one vetted address.

    ``deadline`` (of ``time.monotonic``) is when the owner calls ``expire``: the end of the attempt
    while a request is out, the end of its keeping while it is idle.
    """

    __slots__ = (
        "_body",
        "_complete",
        "_interims",
        "_keep",
        "_lenient",
        "_owner",
        "_parser",
        "_poll",
        "_raw",
        "_received",
        "_request",
        "_size",
        "_started",
        "_status",
        "_unasked",
        "_waiting",
        "closed",
        "deadline",
        "key",
        "transport",
    )

    def __init__(self, key: Key, owner: Owner) -> None:
        self.key = key
        self.deadline = NEVER
        self.closed = False
        self._owner = owner
        self._parser = httptools.HttpResponseParser(self)
        self.transport: asyncio.Transport | None = None
        self._poll: select.poll | None = None
        self._waiting: asyncio.Future[Outcome] | None = None
        self._lenient = self._unasked = False
        self._started = 0.0
        self._status: int | None = None
        self._complete = self._keep = False
        self._reset()

    def begin(self, request: bytes, started: float, deadline: float) -> asyncio.Future[Outcome]:
        """Write a request; the future is done when its outcome is known, and never fails.

        ``started`` is when the attempt began, for its duration; ``deadline`` when it must be over.
        """
        self._waiting = waiting = asyncio.get_running_loop().create_future()
        self._reset()
        self._started = started
        self.deadline = deadline
        if self.closed or self.transport is None:
            self._fail_at_once()
        else:
            self._request = request
            self._owner.together.add(self._write)
        return waiting

    def _write(self) -> None:
        request, self._request = self._request, b""
        if self.transport is not None and self._waiting is not None:
            self.transport.write(request)

    def is_quiet(self) -> bool:
        """Whether nothing has come since the last answer, asked of the kernel and not of the loop.

        A readable idle connection holds either its end or an answer to nothing.
        """
        return not (self.closed or self._poll is None or self._poll.poll(0))

    @property
    def is_untouched(self) -> bool:
        """Whether not one byte of an answer to the last request has come."""
        return not (self._raw or self._interims) and self._status is None

    def expire(self) -> None:
        """End the attempt, or the idle time, whose deadline has come."""
        if self._waiting is None:
            self.abort()
        elif self._status is not None:
            self._finish(truncated=True)
        else:
            self._fail("timeout", "the receiver did not answer in time")

    def give_up(self) -> None:
        """End the attempt because we ourselves are stopping."""
        self._settle(
            Outcome(error="local_error", detail="the sender was stopped", local=True), reuse=False
        )

    def abort(self) -> None:
        """Close at once; an outcome nobody waits for any more is dropped."""
        self.closed = True
        self._waiting = None
        if self.transport is not None:
            self.transport.abort()

    def attach(self, transport: asyncio.Transport) -> None:
        """Use this transport from now on: the socket's own, or the TLS layer over it."""
        self.transport = transport
        self._poll = select.poll()
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport of a new connection."""
        self.attach(cast("asyncio.Transport", transport))

    def data_received(self, data: bytes) -> None:
        """Read what came of the answer."""
        if self._waiting is None:
            self._unasked = True
            self.abort()
            return
        if self._status is None:
            self._raw += data
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._keep = False
            if not self._complete:
                self._misread(str(error))
                return
        if self._complete:
            self._finish()
        else:
            self._check_limits(len(data))

    def eof_received(self) -> None:
        """End with what has come: the receiver sends no more."""
        self._end(None)
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """End with what has come, and leave the owner's books."""
        self._end(exc)
        self.closed = True
        self._owner.forget(self)

    def on_message_begin(self) -> None:
        """Notice a second answer behind the first: nobody asked for it."""
        if self._complete:
            self._keep = False

    def on_headers_complete(self) -> None:
        """Note the status of the real answer; 1xx (but 101) only announce it."""
        if self._complete:
            return
        status = self._parser.get_status_code()
        if not 100 <= status < 200 or status == 101:
            self._status = status

    def on_body(self, data: bytes) -> None:
        """Keep the start of the body, count the rest."""
        if self._complete:
            return
        self._size += len(data)
        if len(self._body) < BODY_KEPT:
            self._body += data[: BODY_KEPT - len(self._body)]

    def on_message_complete(self) -> None:
        """Note the end of the answer; anything behind it is not part of it."""
        if self._complete:
            return
        if self._status is None:
            self._skip_interim()
            return
        self._complete = True
        self._keep = self._parser.should_keep_alive()

    def _reset(self) -> None:
        self._raw = self._body = b""
        self._request = b""
        self._status = None
        self._complete = self._keep = False
        self._size = self._received = self._interims = 0

    def _skip_interim(self) -> None:
        self._interims += 1
        if self._interims <= MAX_INTERIM:
            self._raw = self._raw[head_end(self._raw) :]

    def _misread(self, reason: str) -> None:
        """Judge an answer that breaks the grammar.

        Bare line feeds, and a Content-Length beside chunks, are common mistakes of old servers:
        such a head is read again with leniency for these two, and the connection is not reused.
        """
        if self._status is not None or self._lenient:
            self._fail("invalid_response", f"the answer is not valid HTTP: {reason}")
            return
        self._lenient = True
        self._parser = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(
            lenient_chunked_length=True, lenient_optional_cr_before_lf=True
        )
        raw, self._raw = self._raw, b""
        self.data_received(raw)

    def _check_limits(self, size: int) -> None:
        self._received += size
        if self._status is not None:
            if self._size > BODY_LIMIT or self._received > WIRE_LIMIT:
                self._finish(truncated=True)
        elif is_oversized(self._raw) or self._interims > MAX_INTERIM:
            self._fail("invalid_response", "the head of the answer is too large")

    def _end(self, error: Exception | None) -> None:
        if self._waiting is None:
            return
        if self._status is not None:
            self._finish(truncated=is_framed(self._raw[: head_end(self._raw)]))
        elif isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
            self._fail("tls_error", f"TLS failed: {error.reason or 'broken record'}")
        else:
            self._fail("connection_lost", "the receiver closed the connection without an answer")

    def _finish(self, *, truncated: bool = False) -> None:
        status = self._status
        head = self._raw[: head_end(self._raw)]
        if status is None or not 100 <= status <= 599:
            self._fail("invalid_response", f"{status} is not a status of HTTP")
        elif is_oversized(head) or self._interims > MAX_INTERIM:
            self._fail("invalid_response", "the head of the answer is too large")
        else:
            outcome = Outcome(
                status=status,
                head=head[:HEAD_KEPT],
                body=self._body,
                body_truncated=truncated or self._size > BODY_KEPT,
                duration=self._elapsed(),
                retry_after=None if 200 <= status < 300 else retry_after(head, time.time()),
            )
            self._settle(outcome, reuse=self._keep and self._size <= BODY_LIMIT and not truncated)

    def _fail_at_once(self) -> None:
        if self._unasked:
            self._fail("invalid_response", "the receiver spoke before it was asked")
        else:
            self._fail("connection_lost", "the receiver closed the connection without an answer")

    def _fail(self, error: str, detail: str) -> None:
        self._settle(Outcome(error=error, detail=detail, duration=self._elapsed()), reuse=False)

    def _settle(self, outcome: Outcome, *, reuse: bool) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result(outcome)
        transport = self.transport
        if (
            reuse
            and not (self._lenient or self.closed)
            and transport is not None
            and transport.get_write_buffer_size() == 0
        ):
            self._owner.give_back(self)
        else:
            self.abort()

    def _elapsed(self) -> int:
        return int((time.monotonic() - self._started) * 1_000_000)
