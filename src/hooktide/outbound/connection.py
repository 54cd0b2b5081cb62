"""One HTTP/1.1 connection: writes a request, reads the response, and is then reused or closed.

It is closed, never reused, once its state is uncertain: unsolicited bytes, bytes after the end of a
response, a response not read to its end, a request not fully written. Its ``ResponseReader``
interprets the response.
"""

import asyncio
import ssl
import time
from collections.abc import Callable
from typing import Protocol, TypeAlias, cast

from hooktide.domain.delivery.verdict import Outcome
from hooktide.outbound.response_reader import ResponseReader
from hooktide.outbound.tls import tls_reason
from hooktide.runtime.write_coalescer import WriteCoalescer

Key: TypeAlias = tuple[str, str, int, str]
"""Scheme, host, port and vetted address: connections with the same key are interchangeable."""

Answered: TypeAlias = Callable[[Outcome], None]
"""Called once with a request's outcome; its connection is back with the owner or closed."""

NEVER = float("inf")
_CLOSED = ("connection_lost", "the receiver closed the connection without a response")


class Owner(Protocol):
    """The owner of the connections."""

    coalescer: WriteCoalescer
    """Batches the writes of all connections."""

    def release(self, connection: "Connection") -> None:
        """Take back a connection that can carry another request."""

    def forget(self, connection: "Connection") -> None:
        """Drop a connection that is closed."""


class Connection(asyncio.Protocol):
    """A connection to one vetted address.

    ``deadline`` (of ``time.monotonic``) is when the owner calls ``expire``: the attempt's deadline
    while a request is in flight, the idle timeout otherwise.
    """

    __slots__ = (
        "_answered",
        "_owner",
        "_reader",
        "_request",
        "_started",
        "_unasked",
        "closed",
        "deadline",
        "fileno",
        "key",
        "transport",
    )

    def __init__(self, key: Key, owner: Owner) -> None:
        self.key = key
        self.deadline = NEVER
        self.closed = False
        self.transport: asyncio.Transport | None = None
        self.fileno = -1
        self._owner = owner
        self._reader = ResponseReader()
        self._request = b""
        self._started = 0.0
        self._unasked = False
        self._answered: Answered | None = None

    def begin(self, request: bytes, started: float, deadline: float, answered: Answered) -> None:
        """Write a request at the end of the loop's turn.

        ``answered`` is called afterwards, unless ``abort`` is. ``started`` is when the attempt
        began, for its duration; ``deadline`` when it must be over.
        """
        self._answered = answered
        self._reader.begin()
        self._started = started
        self.deadline = deadline
        self._request = request
        self._owner.coalescer.add(self._write)

    def _write(self) -> None:
        request, self._request = self._request, b""
        if self._answered is None:
            return
        if self._unasked:
            self._fail("invalid_response", "the receiver sent data before the request")
        elif self.closed or self.transport is None:
            self._fail(*_CLOSED)
        else:
            self.transport.write(request)

    @property
    def is_untouched(self) -> bool:
        """Whether no byte of a response to the last request has been received."""
        return self._reader.is_untouched

    def expire(self) -> None:
        """End the attempt, or the idle time, at its deadline."""
        if self._answered is None:
            self.abort()
        else:
            self._reader.expire("timeout", "the receiver did not respond in time")
            self._settle_answer()

    def give_up(self) -> None:
        """End the attempt because we ourselves are stopping."""
        self._settle(
            Outcome(error="local_error", detail="the sender was stopped", local=True), reuse=False
        )

    def abort(self) -> None:
        """Close immediately; a pending outcome is dropped."""
        self._answered = None
        self.close()

    def close(self) -> None:
        """Close immediately; a request that is not yet written fails."""
        self.closed = True
        if self.transport is not None:
            self.transport.abort()

    def attach(self, transport: asyncio.Transport) -> None:
        """Switch to this transport: the socket's own, or the TLS layer over it."""
        self.transport = transport
        self.fileno = transport.get_extra_info("socket").fileno()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport of a new connection."""
        self.attach(cast("asyncio.Transport", transport))

    def data_received(self, data: bytes) -> None:
        """Feed received bytes to the response reader."""
        if self._answered is None or self._request:
            self._unasked = True
            self.close()
        elif self._reader.feed(data):
            self._settle_answer()

    def eof_received(self) -> None:
        """End the response: the receiver sends no more."""
        self.closed = True
        self._end(None)
        self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the response, and leave the pool."""
        self.closed = True
        self._end(exc)
        self._owner.forget(self)

    def _end(self, error: Exception | None) -> None:
        if self._answered is None:
            return
        failure = _CLOSED
        if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
            failure = ("tls_error", tls_reason(error))
        self._reader.end(*failure, cleanly=error is None)
        self._settle_answer()

    def _fail(self, error: str, detail: str) -> None:
        outcome = Outcome(error=error, detail=detail, duration=self._elapsed())
        self._settle(outcome, reuse=False)

    def _settle_answer(self) -> None:
        reader = self._reader
        outcome = reader.outcome(self._elapsed(), time.time())
        self._settle(outcome, reuse=reader.is_reusable)

    def _settle(self, outcome: Outcome, *, reuse: bool) -> None:
        answered, self._answered = self._answered, None
        transport = self.transport
        if (
            reuse
            and not self.closed
            and transport is not None
            and transport.get_write_buffer_size() == 0
        ):
            self._owner.release(self)
        else:
            self.close()
        if answered is not None:
            answered(outcome)

    def _elapsed(self) -> int:
        return int((time.monotonic() - self._started) * 1_000_000)
