"""uvicorn's HTTP protocol, with each answer written in one piece and with bounds on what comes in.

uvicorn writes an answer's head and its body one after the other, and each write is a system call
that wakes the client: for short answers like that of ``POST /v1/events`` the dearest part of all.
And it waits for a request for ever: here one that is too slow or whose head is too large is ended,
and what is no HTTP is refused with a problem like everything else. While the server ends, each
answer is its connection's last (``web.server`` says when that is).
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from hooktide.domain.errors import HooktideError, InvalidError, UnavailableError
from hooktide.together import Together
from hooktide.web.problems import problem_bytes

MOST_HEAD_BYTES = 64 * 1024
READ_WITHIN = 10.0
READ_RATE = 50_000
"""A request has 10 seconds to come in whole, and one more for each 50 KB that came."""
LINGER = 1.0
"""Seconds that a refused caller has to read why: closing while it still sends would reset that."""


class OnePiece:
    """A transport whose writes within one turn of the event loop go out together."""

    def __init__(self, transport: asyncio.Transport, together: Together) -> None:
        self._transport = transport
        self._together = together
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Write, a moment later."""
        if not self._parts:
            self._together.add(self._flush)
        self._parts.append(data)

    def close(self) -> None:
        """Write what is to be written, then close."""
        self._flush()
        self._transport.close()

    def write_eof(self) -> None:
        """Write what is to be written, and say that it was the last."""
        self._flush()
        self._transport.write_eof()

    def _flush(self) -> None:
        if self._parts:
            data, self._parts = b"".join(self._parts), []
            self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class HeadTooLargeError(Exception):
    """A request's head is larger than we read; raised inside the parser."""


class Protocol(HttpToolsProtocol):
    """The protocol that ``app`` gives to uvicorn.

    ``_came`` counts the bytes of the request that is coming in. A request that came in one piece
    starts no timer: ``_watch`` is for those that did not.
    """

    _together = Together()
    _in_head = False
    _coming = False
    _deaf = False
    _came = 0
    _since = 0.0
    _timer: asyncio.TimerHandle | None = None
    _last: Any = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Put ``OnePiece`` between uvicorn and the connection."""
        super().connection_made(OnePiece(transport, self._together))  # type: ignore[arg-type]
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._rest()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, and see to it that what began comes to its end."""
        if self._deaf:
            return
        self._came += len(data)
        super().data_received(data)
        if self._deaf:
            return
        if self.server_state.ending:  # type: ignore[attr-defined]  # it is a web.server.State
            self.end_soon()
        if self._in_head and self._came > MOST_HEAD_BYTES:
            self._refuse_head()
        elif self._timer is None and (self._coming or self.cycle.response_complete):
            self._watch()

    # -- what the parser tells -----------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Note that a request is coming."""
        self._in_head = self._coming = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Refuse a head that is too large, however it came."""
        if self._came > MOST_HEAD_BYTES and self._head_size() > MOST_HEAD_BYTES:
            raise HeadTooLargeError
        super().on_headers_complete()
        self._in_head = False

    def on_message_complete(self) -> None:
        """Note that it is here."""
        self._coming = False
        self._came = 0
        self._rest()
        super().on_message_complete()

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    # -- what is too slow ------------------------------------------------------------------------

    def _watch(self) -> None:
        self._since = self.loop.time()
        self._timer = self.loop.call_later(READ_WITHIN, self._overdue)

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _overdue(self) -> None:
        left = self._since + READ_WITHIN + self._came / READ_RATE - self.loop.time()
        if left > 0 or self.flow.read_paused:  # it is we who do not read on
            self._timer = self.loop.call_later(max(left, 1.0), self._overdue)
            return
        self._timer = None
        if self._coming:
            self._refuse(InvalidError("request_timeout", "it came in too slowly", status=408))
        else:
            self.transport.close()

    # -- the end -----------------------------------------------------------------------------------

    def end_soon(self) -> None:
        """Close the connection with the answer to what was asked last; it says so."""
        asked: Any = self.cycle
        if asked is None or asked is self._last or asked.response_started:
            return
        if self._last is not None and not self._last.response_started:
            self._last.keep_alive = True  # another request came behind it
        self._last = asked if asked.keep_alive else None
        asked.keep_alive = False

    def end_if_silent(self, seconds: float) -> None:
        """Close the connection if nothing is being asked, nor was for so long."""
        asked: Any = self.cycle
        busy = self._coming or self._deaf or not (asked is None or asked.response_complete)
        if not busy and self.loop.time() - self._silent_since() >= seconds:
            self.transport.close()

    def _silent_since(self) -> float:
        waiting = self.timeout_keep_alive_task
        return self._since if waiting is None else waiting.when() - self.timeout_keep_alive

    def shutdown(self) -> None:
        """Wait for no request that is not here yet: the server is closing its doors."""
        if self._deaf:
            self.transport.close()
        elif self._coming:
            self._refuse(UnavailableError("the server is stopping"))
        else:
            super().shutdown()

    # -- what is refused before it is a request ----------------------------------------------------

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser did not take (``msg`` is uvicorn's, and says less)."""
        if self._came > MOST_HEAD_BYTES and self._head_size() > MOST_HEAD_BYTES:
            self._refuse_head()
        else:
            self._refuse(InvalidError("bad_request", "this is not HTTP/1.1", status=400))

    def _refuse_head(self) -> None:
        detail = f"{MOST_HEAD_BYTES} bytes of headers and URL at most"
        self._refuse(InvalidError("head_too_large", detail, status=431))

    def _refuse(self, error: HooktideError) -> None:
        """Answer with a problem and close, where that cannot be taken for another answer."""
        in_body, self._coming, self._deaf = self._coming and not self._in_head, False, True
        self._rest()
        cycle: Any = self.cycle
        answering = cycle is not None and (bool(self.pipeline) or not cycle.response_complete)
        if answering and not in_body:
            cycle.keep_alive = False  # what was asked before is answered first
        elif answering == in_body and not (in_body and (self.pipeline or cycle.response_started)):
            if in_body:
                cycle.disconnected = True
                cycle.message_event.set()
            self.transport.write(_raw(error))
            self.transport.write_eof()
            self._timer = self.loop.call_later(LINGER, self.transport.close)
        else:
            self.transport.close()


def _raw(error: HooktideError) -> bytes:
    status, body, headers = problem_bytes(error)
    lines = [b"%b: %b" % header for header in headers]
    lines += [b"content-length: %d" % len(body), b"connection: close", b"", body]
    return STATUS_LINE[status] + b"\r\n".join(lines)
