"""One request and its response, between a connection and what answers it.

A handler answers with ``respond``, at once or later. A request without a handler is answered by an
ASGI application, which gets ``receive`` and ``send``.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Any, Protocol

import msgspec
from starlette.types import ASGIApp, Message, Scope

from hooktide.domain.errors import UnavailableError
from hooktide.web.http.request_head import RequestHead
from hooktide.web.problems.problems import Headers, problem_bytes

log = logging.getLogger("hooktide.web")

MAX_UNREAD = 64 * 1024
"""Bytes of a body that the application has not read; above it, reading pauses."""


class ClientConnection(Protocol):
    """What an exchange needs of its connection."""

    client: tuple[str, int] | None
    server: tuple[str, int] | None
    writable: asyncio.Event | None

    def write(self, data: bytes) -> None:
        """Write a part of the response."""

    def is_closing(self) -> bool:
        """Return whether the connection is closed or about to be."""

    def close(self) -> None:
        """Close the connection after what was written."""

    def default_head(self) -> bytes:
        """Return the header lines that each response has."""

    def stays_open_after(self, exchange: "Exchange") -> bool:
        """Return whether the connection stays open after this response."""

    def resume_reading(self) -> None:
        """Read again: the application waits for more."""

    def pause_reading(self) -> None:
        """Read nothing for now."""

    def response_completed(self, exchange: "Exchange") -> None:
        """Continue: the response is complete."""

    def run_application(self, exchange: "Exchange", application: ASGIApp | None = None) -> None:
        """Have an ASGI application answer; None: the server's."""


class ResponseState(Enum):
    """The progress of a response."""

    PENDING = "nothing has been written"
    STARTED = "its head has been written"
    COMPLETE = "all of it has been written"
    ABANDONED = "the client has disconnected, or its request was refused"


class Exchange:
    """A request, whose body may still be arriving, and its response.

    ``whole``: the request is complete. ``begun``: it is being answered. ``keep_alive``: the
    connection stays open afterwards.
    """

    __slots__ = (
        "_changed",
        "_chunked",
        "_connection",
        "_end_seen",
        "_expects_continue",
        "_left",
        "_max_unread",
        "_parts",
        "_release",
        "_size",
        "begun",
        "head",
        "keep_alive",
        "response",
        "whole",
    )

    def __init__(self, connection: ClientConnection, head: RequestHead) -> None:
        self.head = head
        self.keep_alive = head.keep_alive
        self.whole = self.begun = False
        self.response = ResponseState.PENDING
        self._connection = connection
        self._expects_continue = head.expects_continue
        self._parts: list[bytes] = []
        self._size = 0
        self._max_unread = MAX_UNREAD
        self._release: Callable[[], None] | None = None
        self._end_seen = False
        self._changed: asyncio.Event | None = None
        self._left: int | None = None
        self._chunked = False

    def arrived(self, body: bytes) -> None:
        """Take the whole body, before anything answers."""
        self._parts = [body]
        self._size = len(body)
        self.whole = True
        if self._size > self._max_unread:
            self._connection.pause_reading()

    def feed(self, part: bytes) -> None:
        """Add to the body."""
        self._parts.append(part)
        self._size += len(part)
        if self._size > self._max_unread:
            self._connection.pause_reading()
        self._wake()

    @property
    def awaited(self) -> bool:
        """Whether a handler waits for the rest of the body."""
        return self._release is not None

    def wait_for(self, size: int, release: Callable[[], None]) -> None:
        """Let a handler wait for a body of this size, whose memory is counted until ``release``."""
        self._max_unread = max(size, MAX_UNREAD)
        self._release = release
        self._connection.resume_reading()

    def waited(self) -> None:
        """Stop waiting: the body has arrived, or never will."""
        if self._release is not None:
            release, self._release = self._release, None
            release()

    def end(self) -> None:
        """Note that the request is complete."""
        self.whole = True
        self._wake()

    def abandon(self) -> None:
        """Note that the client has disconnected, or that the rest of its request is refused."""
        if self.response is not ResponseState.COMPLETE:
            self.response = ResponseState.ABANDONED
            self.waited()
            self._wake()

    def is_awaited(self) -> bool:
        """Return whether the client waits for a response of which nothing was sent yet."""
        return self.response is ResponseState.PENDING

    def is_streaming(self) -> bool:
        """Return whether a response has begun whose length is not known."""
        return self.response is ResponseState.STARTED and self._left is None

    def body(self) -> bytes:
        """Return the part of the body that has arrived and was not read yet."""
        parts = self._parts
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        self._parts, self._size = [], 0
        return body

    def peek_body(self) -> bytes:
        """Return the part of the body that has arrived and was not read yet; it stays unread."""
        if len(self._parts) != 1:
            self._parts = [b"".join(self._parts)]
        return self._parts[0]

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set()

    def respond_prepared(self, status: int, lines: bytes, body: bytes) -> None:
        """Send a complete response as ``respond`` does, with header lines that are made already."""
        if self.response is ResponseState.PENDING:
            connection = self._connection
            if not connection.stays_open_after(self):
                self.keep_alive = False
            last = b"" if self.keep_alive else b"connection: close\r\n"
            connection.write(
                b"%b%b%bcontent-length: %d\r\n%b\r\n%b"
                % (_STATUS_LINES[status], connection.default_head(), lines, len(body), last, body)
            )
            self._complete()

    def respond(self, status: int, body: bytes, headers: Headers) -> None:
        """Send a complete response; do nothing if the client has disconnected."""
        if self.response is ResponseState.PENDING:
            head = self._head(status, [*headers, (b"content-length", b"%d" % len(body))])
            self._connection.write(head if self.head.method == "HEAD" else head + body)
            self._complete()

    def pass_on(self, application: ASGIApp | None = None) -> None:
        """Leave a request that a handler took to an ASGI application; None: the server's."""
        if self.response is ResponseState.PENDING:
            self._connection.run_application(self, application)

    def fail(self, error: Exception) -> None:
        """Log a bug and respond with 500, or close where a response has started."""
        status, body, headers = problem_bytes(error)
        instance = msgspec.json.decode(body)["instance"]
        log.error("unexpected error, instance %s", instance, exc_info=error)
        self._end_with(status, body, headers)

    def _end_with(self, status: int, body: bytes, headers: Headers) -> None:
        self.keep_alive = False
        if self.response is ResponseState.PENDING:
            self.respond(status, body, headers)
        else:
            self._connection.close()

    async def run(self, application: ASGIApp) -> None:
        """Let an application answer, and respond with 500 if it does not."""
        try:
            await application(self._scope(), self.receive, self.send)
        except asyncio.CancelledError:
            self._connection.close()
            raise
        except MemoryError:
            no_memory = UnavailableError("the server has no memory left for this request")
            self._end_with(*problem_bytes(no_memory))
        except Exception as error:  # noqa: BLE001 - the client gets an answer after any error
            self.fail(error)
        else:
            if self.response in (ResponseState.PENDING, ResponseState.STARTED):
                self.fail(RuntimeError("the application has not completed its response"))

    def _scope(self) -> Scope:
        head = self.head
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": head.version,
            "server": self._connection.server,
            "client": self._connection.client,
            "scheme": "http",
            "root_path": "",
            "method": head.method,
            "path": head.path,
            "raw_path": head.raw_path,
            "query_string": head.query,
            "headers": head.headers.copy(),
        }

    async def receive(self) -> Message:
        """Return the next part of the request's body, or ``http.disconnect``."""
        connection = self._connection
        if self._expects_continue and not connection.is_closing():
            self._expects_continue = False
            connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while self.response in (ResponseState.PENDING, ResponseState.STARTED):
            if self._parts or (self.whole and not self._end_seen):
                self._end_seen = self.whole
                return {"type": "http.request", "body": self.body(), "more_body": not self.whole}
            connection.resume_reading()
            self._changed = self._changed or asyncio.Event()
            self._changed.clear()
            await self._changed.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Send the head of the response, or a part of its body.

        :raises RuntimeError: it is not the expected message, or not valid HTTP.
        """
        if self._connection.writable is not None:
            await self._connection.writable.wait()
        kind = message["type"]
        match self.response:
            case ResponseState.ABANDONED:
                return
            case ResponseState.PENDING if kind == "http.response.start":
                self._connection.write(self._head(message["status"], message.get("headers", ())))
                self.response = ResponseState.STARTED
            case ResponseState.STARTED if kind == "http.response.body":
                self._send_body(message.get("body", b""), more=message.get("more_body", False))
            case _:
                raise RuntimeError(f"{kind} where the response is {self.response.name.lower()}")

    def _head(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """Return the head of the response.

        :raises RuntimeError: a header is not HTTP's, or would be two.
        """
        length = None
        lines = []
        for raw, value in headers:
            name = raw.lower()
            if name == b"content-length":
                length = int(value)
            elif name == b"connection" and b"close" in value.lower():
                self.keep_alive = False
                continue
            elif name == b"transfer-encoding":
                continue
            lines.append(b"%b: %b\r\n" % (name, value))
        text = b"".join(lines)
        if not _LINES.fullmatch(text) or text.count(b"\n") != len(lines):
            raise RuntimeError("the application's response has a header that is not HTTP's")
        if not self._connection.stays_open_after(self):
            self.keep_alive = False
        last = b"" if self.keep_alive else b"connection: close\r\n"
        framing = self._frame(status, length)
        self._expects_continue = False
        head = self._connection.default_head()
        return b"%b%b%b%b%b\r\n" % (_STATUS_LINES[status], head, text, last, framing)

    def _frame(self, status: int, length: int | None) -> bytes:
        """Choose how the body is framed (RFC 9112, 6.3); return the header for it."""
        if self.head.method == "HEAD" or status in _WITHOUT_BODY:
            self._left = 0
        elif length is not None:
            self._left = length
        elif self.head.version == "1.1":
            self._chunked = True
            return b"transfer-encoding: chunked\r\n"
        return b""

    def _send_body(self, body: bytes, *, more: bool) -> None:
        left = self._left
        if self._chunked:
            if body:
                self._connection.write(b"%x\r\n%b\r\n" % (len(body), body))
            if not more:
                self._connection.write(b"0\r\n\r\n")
        elif left is None:  # the body ends with the connection
            self._connection.write(body)
        elif self.head.method != "HEAD":
            if len(body) > left or (len(body) < left and not more):
                raise RuntimeError("the response's body is not as long as its Content-Length")
            self._left = left - len(body)
            self._connection.write(body)
        if not more:
            self._complete()

    def _complete(self) -> None:
        self.response = ResponseState.COMPLETE
        self.waited()
        self._parts, self._size = [], 0
        self._wake()
        self._connection.response_completed(self)


def _never(_: Exchange) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Handler:
    """Answers requests of one method and path without a task.

    ``handle`` answers a complete request, at once or later. It returns False, and has changed
    nothing, to leave the request to the ASGI application. ``waits_for`` returns whether to wait
    until a request is complete, and has called ``Exchange.wait_for`` then; otherwise the
    application answers what did not arrive at once.
    """

    handle: Callable[[Exchange], bool]
    waits_for: Callable[[Exchange], bool] = _never


_WITHOUT_BODY = frozenset((204, 304))
_LINES = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9a-z-]+: [^\x00-\x08\x0a-\x1f\x7f]*\r\n)*")


def _status_line(status: int) -> bytes:
    phrase = HTTPStatus(status).phrase if status in _PHRASES else ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode("ascii")


_PHRASES = {each.value for each in HTTPStatus}
_STATUS_LINES: dict[int, bytes] = {status: _status_line(status) for status in range(100, 600)}


def problem_response(error: Exception, default_head: bytes) -> bytes:
    """Return the last response of a connection: a problem that answers no request."""
    status, body, headers = problem_bytes(error)
    lines: list[Any] = [b"%b: %b" % header for header in headers]
    lines += [b"content-length: %d" % len(body), b"connection: close", b"", body]
    return _STATUS_LINES[status] + default_head + b"\r\n".join(lines)
