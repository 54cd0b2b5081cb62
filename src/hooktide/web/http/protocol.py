"""One connection to the server: has its requests answered in order.

uvicorn creates this ``asyncio.Protocol`` for each connection that it accepts. Everything that
arrives is limited in bytes and in seconds, and what is not HTTP is refused with a problem (RFC
9457). While the server stops (``web.http.server``), each connection ends with its next response.
"""

import asyncio
from collections import deque
from typing import Any, cast

from starlette.types import ASGIApp

from hooktide.domain.errors import HooktideError, InvalidError, UnavailableError
from hooktide.runtime.background import start_in
from hooktide.web.http.exchange import Exchange, Handler, ResponseState, problem_response
from hooktide.web.http.request_head import RequestHead
from hooktide.web.http.request_reader import Reading, RequestReader
from hooktide.web.http.state import State
from hooktide.web.http.transport import CoalescingTransport
from hooktide.web.problems.problems import problem_bytes

READ_TIMEOUT = 10.0
READ_RATE = 50_000
"""A request has 10 seconds to arrive, and one more for each 50 KB of it."""
KEEP_ALIVE_TIMEOUT = 65.0
MAX_PIPELINED = 64
"""Requests that wait for the one before them; the bytes of further ones are kept unparsed."""
WRITE_TIMEOUT = 30.0
MIN_WRITE_PROGRESS = 32 * 1024
"""A client has 30 seconds to read each 32 KB of its responses; then it is disconnected."""
LINGER = 1.0
"""Seconds for a client that is still sending to read the last response: closing at once would reset
the connection, and the response could be lost."""
_NOT_IN_TIME = (
    "the server is stopping and could not finish this request in time; it may have taken effect"
)
_IDLE, _HEAD, _BODY, _UNWANTED_BODY, _ENDED = Reading


class HttpProtocol(asyncio.Protocol):
    """A connection. ``_exchanges`` are unanswered; the first of them is being answered.

    ``_began`` is when a request arrived that is still incomplete, or None. The parameters are
    uvicorn's.
    """

    def __init__(
        self,
        config: object,
        server_state: State,
        app_state: object,
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._state = server_state
        self._loop = _loop or asyncio.get_running_loop()
        self._reader = RequestReader(self)
        self._exchanges: deque[Exchange] = deque()
        self._began: float | None = None
        self._idle_since = self._linger_until = self._timer_at = 0.0
        self._idle_timeout = READ_TIMEOUT
        self._timer: asyncio.TimerHandle | None = None
        self._reading_paused = self._beginning = False
        self._taken = 0
        self._stuck_since: float | None = None
        self.writable: asyncio.Event | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to wait for a request."""
        self._transport = CoalescingTransport(
            cast("asyncio.Transport", transport), self._state.coalescer
        )
        self.write = self._transport.write
        self.is_closing = self._transport.is_closing
        self.close = self._transport.close
        self.client = _address(transport, "peername")
        self.server = _address(transport, "sockname")
        self._state.connections.add(cast("Any", self))
        self._idle_since = self._loop.time()
        self._set_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let applications know that the client has disconnected."""
        self._state.connections.discard(cast("Any", self))
        self._reader.stop()
        if self._timer is not None:
            self._timer.cancel()
        for exchange in self._exchanges:
            exchange.abandon()
        self._exchanges.clear()
        self.resume_writing()

    def data_received(self, data: bytes) -> None:
        """Parse, and limit the time that an incomplete request may take."""
        if self._reader.state is not _ENDED:
            self._after_parsing(self._reader.feed(data))

    def eof_received(self) -> bool:
        """Answer what has arrived whole, then close; return whether the connection is kept so long.

        A stream ends at once: else one whose client has gone would last until its next write.
        """
        reading, exchanges = self._reader.state, self._exchanges
        self._reader.stop()
        if reading is _BODY:
            exchanges.pop().abandon()
        if self._linger_until or not exchanges or exchanges[0].is_streaming():
            self._transport.flush()  # a response may have been completed in this turn
            return False
        exchanges[-1].keep_alive = False
        return True

    def _after_parsing(self, problem: HooktideError | None) -> None:
        reader, exchanges = self._reader, self._exchanges
        if problem is not None:
            self._refuse(problem)
        elif reader.state is _IDLE:
            if reader.received and not exchanges:
                self._note_stray_bytes()
        elif reader.state is not _ENDED and self._began is None:
            self._began = self._loop.time()
            self._set_timer()
        # Only now: which response is the last depends on what arrived together with its request.
        if exchanges and not exchanges[0].begun:
            self._begin_next()

    def request_begun(self, head: RequestHead) -> None:
        """Queue a request."""
        exchange = Exchange(self, head)
        if self._exchanges:
            self.pause_reading()
            self._reader.held = len(self._exchanges) >= MAX_PIPELINED
        self._exchanges.append(exchange)

    def request_arrived(self, head: RequestHead, body: bytes) -> None:
        """Queue a whole request."""
        self.request_begun(head)
        self._exchanges[-1].arrived(body)

    def body_received(self, part: bytes) -> None:
        """Add to the body of the last request."""
        self._exchanges[-1].feed(part)

    def request_ended(self, *, unwanted: bool) -> None:
        """Note that the last request is complete; an unwanted one was answered before."""
        self._began = None
        if not unwanted:
            self._exchanges[-1].end()

    def _begin(self, exchange: Exchange) -> None:
        """Start to answer, unless a handler waits until the request is complete."""
        handler = self._state.handlers.get((exchange.head.method, exchange.head.path))
        if handler is not None and not exchange.whole and _waits(handler, exchange):
            return
        exchange.waited()
        exchange.begun = True
        if handler is not None and exchange.whole and self._handled(exchange, handler):
            return
        self.run_application(exchange)

    def _handled(self, exchange: Exchange, handler: Handler) -> bool:
        try:
            return handler.handle(exchange)
        except Exception as error:  # noqa: BLE001 - the client gets an answer after any error
            exchange.fail(error)
            return True

    def run_application(self, exchange: Exchange, application: ASGIApp | None = None) -> None:
        """Have an ASGI application answer, in a task; None: the server's."""
        run = exchange.run(application or self._state.application)
        start_in(self._state.tasks, run, "answer a request")

    def default_head(self) -> bytes:
        """Return the header lines that every response has."""
        return self._state.default_head

    def stays_open_after(self, exchange: Exchange) -> bool:
        """Return whether the connection stays open after this response."""
        ending = self._state.ending
        return not ending or self._reader.held or exchange is not self._exchanges[-1]

    def response_completed(self, exchange: Exchange) -> None:
        """Continue with the next request, or wait for one."""
        exchanges = self._exchanges
        exchanges.popleft()
        self._state.total_requests += 1
        if self.is_closing():
            return
        if not exchange.keep_alive:
            self._end(linger=not exchange.whole)
            return
        if not exchange.whole:
            self._reader.drop_body()
        if self._reading_paused and len(exchanges) < 2:
            if self._reader.held:
                self._loop.call_soon(self._parse_held_bytes)
            else:
                self.resume_reading()
        self._idle_since = self._loop.time()
        self._idle_timeout = KEEP_ALIVE_TIMEOUT
        if not exchanges:
            if self._timer is None:
                self._set_timer()
        elif not self._beginning:
            self._begin_next()

    def _begin_next(self) -> None:
        """Start the next request, and further ones as long as they are answered at once.

        None is started for a client that does not read its responses: they would fill the memory.
        """
        exchanges = self._exchanges
        self._beginning = True
        while self.writable is None and exchanges and not (exchanges[0].begun or self.is_closing()):
            first = exchanges[0]
            self._begin(first)
            if not first.begun:
                break
        self._beginning = False

    def _parse_held_bytes(self) -> None:
        """Parse what was kept because too many requests waited."""
        self._reader.held = False
        self._after_parsing(self._reader.parse_held())
        if len(self._exchanges) < 2:
            self.resume_reading()

    def _end(self, *, linger: bool) -> None:
        """Close after what was written; ``linger`` where the client is still sending."""
        self._reader.stop()
        if linger:
            self._transport.write_eof()
            self.resume_reading()
            self._linger_until = self._loop.time() + LINGER
            self._set_timer()
        else:
            self._transport.close()

    def _refuse(self, error: HooktideError) -> None:
        """Respond with a problem and close, unless that could be taken for another response."""
        reading, exchanges = self._reader.state, self._exchanges
        self._reader.stop()
        if reading is _UNWANTED_BODY:
            self._transport.close()
            return
        if reading is _BODY:
            broken = exchanges.pop()
            started = broken.response is ResponseState.STARTED
            broken.abandon()
            if started:
                self._transport.close()
                return
        if exchanges:
            exchanges[-1].keep_alive = False  # earlier requests are answered first
        else:
            self.write(problem_response(error, self._state.default_head))
            self._end(linger=True)

    def _deadline(self) -> float | None:
        """Return when the client will be too slow; None while the server is busy."""
        if self._reader.state is _ENDED:
            return self._linger_until or None
        if self._reader.state is not _IDLE:
            began = self._loop.time() if self._began is None else self._began
            return began + READ_TIMEOUT + self._reader.received / READ_RATE
        return None if self._exchanges else self._idle_since + self._idle_timeout

    def _set_timer(self) -> None:
        """Make sure that the timer fires at the deadline or before it."""
        due = self._deadline()
        if due is None or (self._timer is not None and self._timer_at <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._check_at(due)

    def _check_deadline(self) -> None:
        """Disconnect a client that is too slow, or set the timer again.

        A timer that is only moved when it fires costs less than one for each request.
        """
        self._timer = None
        due, now = self._deadline(), self._loop.time()
        if due is None:
            return
        if due > now:
            self._check_at(due)
        elif self._reader.state in (_IDLE, _ENDED):
            self._transport.close()
        elif self._reading_paused:  # the server is slow, not the client
            self._check_at(now + 1.0)
        else:
            self._refuse(
                InvalidError("request_timeout", "the request arrived too slowly", status=408)
            )

    def _check_at(self, when: float) -> None:
        self._timer, self._timer_at = self._loop.call_at(when, self._check_deadline), when

    def _note_stray_bytes(self) -> None:
        """Do not let bytes that begin no request (line ends) keep a connection open."""
        self._reader.received = 0
        if self._idle_timeout != READ_TIMEOUT:
            self._idle_since = self._loop.time()
            self._idle_timeout = READ_TIMEOUT
            self._set_timer()

    def abort_if_stuck(self, now: float) -> None:
        """Disconnect a client that has stopped reading its responses, or hardly reads.

        Call this every few seconds: within ``WRITE_TIMEOUT`` the client must read everything, or
        ``MIN_WRITE_PROGRESS`` bytes.
        """
        unsent = self._transport.unsent()
        taken = self._transport.written - unsent
        if not unsent:
            self._stuck_since = None
        elif self._stuck_since is None or taken - self._taken >= MIN_WRITE_PROGRESS:
            self._stuck_since, self._taken = now, taken
        elif now - self._stuck_since >= WRITE_TIMEOUT:
            self._transport.abort()

    def pause_reading(self) -> None:
        """Read nothing for now."""
        if not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        if self._reading_paused and not (self._reader.held or self.is_closing()):
            self._reading_paused = False
            self._transport.resume_reading()

    def pause_writing(self) -> None:
        """Let the application wait for a client that does not keep up."""
        self.writable = asyncio.Event()

    def resume_writing(self) -> None:
        """Let the application write again."""
        if self.writable is not None:
            self.writable.set()
            self.writable = None
            if not self._beginning:
                self._begin_next()

    def close_if_idle(self, seconds: float) -> None:
        """Close the connection if it has been idle for so long."""
        silent = self._reader.state is _IDLE and not self._exchanges
        if silent and self._loop.time() - self._idle_since >= seconds:
            self._transport.close()

    def shutdown(self) -> None:
        """Close as soon as what has arrived is answered; for a server that stops."""
        if self._reader.state not in (_IDLE, _ENDED):
            self._refuse(UnavailableError("the server is stopping"))
        elif self._exchanges:
            self._exchanges[-1].keep_alive = False
        else:
            self._transport.close()

    def end_now(self) -> None:
        """Close, after a 503 for a request whose response has not begun."""
        exchanges = self._exchanges
        if exchanges and exchanges[0].response is ResponseState.PENDING:
            exchanges[0].keep_alive = False
            exchanges[0].respond(*problem_bytes(UnavailableError(_NOT_IN_TIME)))
        else:
            self._transport.close()


def _waits(handler: Handler, exchange: Exchange) -> bool:
    return exchange.awaited or handler.waits_for(exchange)


def _address(transport: asyncio.BaseTransport, kind: str) -> tuple[str, int] | None:
    try:
        found = transport.get_extra_info(kind)
    except OSError:  # it has been reset already
        return None
    return (str(found[0]), int(found[1])) if isinstance(found, tuple) else None
