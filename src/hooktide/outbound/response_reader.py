"""Reads the response to one request: bytes in, ``Outcome`` out; no transport, clock or asyncio.

The status line alone decides: neither malformed header fields nor a body that is cut off, endless
or late changes anything but ``body_truncated``. See decision 0005.
"""

import httptools

from hooktide.domain.delivery.verdict import Outcome
from hooktide.domain.model import Micros
from hooktide.outbound.answer import (
    BODY_LIMIT,
    MAX_INTERIM,
    MAX_KEPT_HEAD,
    MAX_KEPT_RESPONSE,
    WIRE_LIMIT,
    first_head,
    framing,
    head_end,
    is_framed,
    is_oversized,
    may_become_status_line,
    read_status,
    retry_after,
)

MAX_REPEATED = 1024
"""Bytes of a response that is remembered, in case that the next one is the same."""


class ResponseReader:
    """Reads the responses of one connection, one after the other.

    For each request: call ``begin``, then ``feed`` with received bytes until it returns True; call
    ``end`` or ``expire`` if no more will come. Then ``outcome`` returns the result, and
    ``is_reusable`` whether the connection can carry another request.
    """

    __slots__ = (
        "_body",
        "_complete",
        "_detail",
        "_error",
        "_head",
        "_interims",
        "_keep",
        "_last",
        "_last_body",
        "_last_head",
        "_last_status",
        "_lenient",
        "_over",
        "_parser",
        "_raw",
        "_received",
        "_size",
        "_status",
        "_truncated",
        "is_reusable",
    )

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._lenient = False
        self._last = self._last_head = self._last_body = b""
        self._last_status: int | None = None
        self.begin()

    def begin(self) -> None:
        """Expect the response to a new request."""
        self._raw = self._head = self._body = b""
        self._error = self._detail = ""
        self._status: int | None = None
        self._complete = self._keep = self._over = self._truncated = self.is_reusable = False
        self._size = self._received = self._interims = 0

    @property
    def is_untouched(self) -> bool:
        """Whether no byte of the response has been received."""
        return not (self._raw or self._interims) and self._status is None

    def feed(self, data: bytes) -> bool:
        """Read received bytes; return True if the response is complete. Do not feed any more after
        that."""
        if self._status is None:
            if data == self._last and not (self._raw or self._interims):
                self._take_again(data)
                return True
            self._raw += data
            if self._lenient:
                self._read_malformed(len(data))
                return self._over
        self._parse(data)
        if self.is_reusable and self._raw == data and len(data) <= MAX_REPEATED:
            self._last, self._last_status = data, self._status
            self._last_head, self._last_body = self._head, self._body
        return self._over

    def _take_again(self, data: bytes) -> None:
        """Take a response that is byte for byte the last one of this connection: it means the
        same.

        A receiver's responses differ by little more than their date, once a second.
        """
        self._raw, self._status = data, self._last_status
        self._head, self._body = self._last_head, self._last_body
        self._size = len(self._body)
        self._complete = self._keep = self._over = self.is_reusable = True

    def end(self, error: str, detail: str, *, cleanly: bool = True) -> None:
        """End the response: the connection has ended, ``cleanly`` or by a failure.

        ``error`` and ``detail`` are the outcome if the response is invalid.
        """
        # A head cut off by the end of the connection lacks its blank line, not its status.
        whole = self._lenient or (cleanly and self._raw.endswith(b"\n"))
        if self._status is not None:
            self._finish(truncated=is_framed(first_head(self._raw)))
        elif whole and self._believe_status_line():
            self._finish(truncated=True)
        else:
            self._fail(error, detail)

    def expire(self, error: str, detail: str) -> None:
        """End the response at the deadline. The arguments are as for ``end``."""
        if self._status is not None or (self._lenient and self._believe_status_line()):
            self._finish(truncated=True)
        else:
            self._fail(error, detail)

    def outcome(self, duration: Micros, now: float) -> Outcome:
        """Return the outcome of the request, once its response has ended.

        ``duration`` is how long the attempt took. A date in Retry-After is compared with ``now``,
        in seconds since 1970.
        """
        status = self._status
        if self._error or status is None:
            return Outcome(error=self._error, detail=self._detail, duration=duration)
        return Outcome(
            status=status,
            head=self._head[:MAX_KEPT_HEAD],
            body=self._body,
            body_truncated=self._truncated or self._size > MAX_KEPT_RESPONSE,
            duration=duration,
            retry_after=None if 200 <= status < 300 else retry_after(self._head, now),
        )

    def on_message_begin(self) -> None:
        """Detect an unsolicited second response after the first."""
        if self._complete:
            self._keep = False

    def on_headers_complete(self) -> None:
        """Note the status of the final response; 1xx (except 101) only precede it."""
        if self._complete:
            return
        status = self._parser.get_status_code()
        if not _is_interim(status):
            self._status = status

    def on_body(self, data: bytes) -> None:
        """Keep the start of the body, count the rest."""
        if self._complete:
            return
        self._size += len(data)
        if len(self._body) < MAX_KEPT_RESPONSE:
            self._body += data[: MAX_KEPT_RESPONSE - len(self._body)]

    def on_message_complete(self) -> None:
        """Note the end of the response; anything after it is not part of it."""
        if self._complete:
            return
        if self._status is None:
            self._skip_interim()
            return
        self._complete = True
        self._keep = self._parser.should_keep_alive()

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._keep = False
        except httptools.HttpParserError as error:
            self._keep = False
            if not self._complete:
                self._misread(str(error), len(data))
                return
        if self._complete:
            self._finish()
        else:
            self._check_limits(len(data))

    def _skip_interim(self) -> None:
        self._interims += 1
        if self._interims <= MAX_INTERIM:
            raw = self._raw.lstrip(b"\r\n")
            self._raw = raw[head_end(raw) :]

    def _misread(self, reason: str, size: int) -> None:
        """Handle a response that violates the grammar.

        A malformed head is parsed again, leniently. A malformed chunk after a well-formed head
        means that the body was corrupted. After a malformed head, whose framing is our guess, it
        proves nothing, and neither does a malformed trailer after the last chunk.
        """
        if self._status is None:
            self._lenient = True
            self._read_malformed(size)
        elif "chunk" in reason.lower() and not self._lenient:
            self._fail("invalid_response", f"the response is not valid HTTP: {reason}")
        else:
            self._finish(truncated=True)

    def _read_malformed(self, size: int) -> None:
        """Read a response whose head llhttp refused; llhttp still parses its body."""
        self._raw = self._raw.lstrip(b"\r\n")
        while (end := head_end(self._raw)) >= 0 and self._interims <= MAX_INTERIM:
            if not _is_interim(read_status(self._raw[:end])):
                break
            self._skip_interim()
        status = read_status(self._raw)
        if status is None and not may_become_status_line(self._raw):
            self._fail("invalid_response", "the response does not begin with an HTTP status line")
        elif status is None or end < 0 or _is_interim(status):
            self._check_limits(size)
        else:
            self._read_body_of_malformed(status, self._raw[:end], self._raw[end:])

    def _read_body_of_malformed(self, status: int, head: bytes, rest: bytes) -> None:
        where = framing(head)
        if where is None:
            self._status, self._body, self._size = status, rest[:MAX_KEPT_RESPONSE], len(rest)
            self._finish(truncated=True)
            return
        self._raw = head
        self._parser = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(lenient_optional_cr_before_lf=True)
        self._parse(b"HTTP/1.1 %d -\r\n%b\r\n%b" % (status, where, rest))

    def _believe_status_line(self) -> bool:
        """Take the status from the status line alone; return whether it is a final one."""
        status = read_status(self._raw.lstrip(b"\r\n"))
        if status is None or _is_interim(status):
            return False
        self._status = status
        return True

    def _check_limits(self, size: int) -> None:
        self._received += size
        if self._status is not None:
            if self._size > BODY_LIMIT or self._received > WIRE_LIMIT:
                self._finish(truncated=True)
        elif self._interims > MAX_INTERIM or is_oversized(self._raw):
            if self._interims <= MAX_INTERIM and self._believe_status_line():
                self._finish(truncated=True)
            else:
                self._fail("invalid_response", "the head of the response is too large")

    def _finish(self, *, truncated: bool = False) -> None:
        """End a response whose status is known: accept it, unless the status is unexpected."""
        status = self._status
        if status == 101:
            self._fail(
                "invalid_response", "the receiver switched protocols without a request to do so"
            )
        elif status is None or not 200 <= status <= 599:
            self._fail("invalid_response", f"{status} is not an HTTP status")
        elif self._interims > MAX_INTERIM:
            self._fail("invalid_response", "the head of the response is too large")
        else:
            self._over = True
            self._truncated = truncated
            self._head = first_head(self._raw.lstrip(b"\r\n"))
            unclear = truncated or self._size > BODY_LIMIT or is_oversized(self._head)
            self.is_reusable = self._keep and not (unclear or self._lenient)

    def _fail(self, error: str, detail: str) -> None:
        self._over = True
        self._error, self._detail = error, detail


def _is_interim(status: int | None) -> bool:
    """Whether a response with this status only precedes the final one."""
    return status is not None and 100 <= status < 200 and status != 101
