"""The hot route without a task: one event of ``POST /v1/events``, from callback to callback.

What can be decided at once is: the key, the project and the account are in memory, and the request
is as clients send it. Anything else goes to the ASGI application (``web.publishing.events``) before
something was changed, so that every error is written in one place.
"""

import time
from collections.abc import Callable

from hooktide.actions.publishing.publish import Publisher
from hooktide.domain.errors import HooktideError
from hooktide.domain.model import Micros
from hooktide.runtime.metrics import Metrics
from hooktide.store.base import AddResult, NewEvent
from hooktide.web.auth import PROJECT_HEADER, Authenticator, Credential
from hooktide.web.http.body_memory import SMALL_BODY, BodyMemory
from hooktide.web.http.exchange import Exchange
from hooktide.web.middleware.loop_guard import SENDER
from hooktide.web.middleware.mount import FORWARDED_PREFIX
from hooktide.web.problems.problems import describe, problem_bytes
from hooktide.web.publishing.events import JSON_HEADERS, accepted_body, may_publish, read_event

_RARE = frozenset(
    (
        b"content-encoding",
        b"expect",
        b"transfer-encoding",
        FORWARDED_PREFIX,
        PROJECT_HEADER.lower().encode(),
        SENDER,
    )
)
"""Headers with which a request goes to the ASGI application."""
_MAX_DIGITS = 6
"""Of a Content-Length; more are for the ASGI application to judge."""
_JSON = b"application/json"
_HEADER_LINES = b"".join(b"%b: %b\r\n" % header for header in JSON_HEADERS)


class PublishHandler:
    """Answers ``POST /v1/events`` with one event, for a ``web.http.exchange.Handler``."""

    def __init__(
        self,
        publisher: Publisher,
        auth: Authenticator,
        metrics: Metrics,
        memory: BodyMemory,
        clock: Callable[[], Micros],
    ) -> None:
        self._publisher = publisher
        self._auth = auth
        self._metrics = metrics
        self._memory = memory
        self._clock = clock

    def waits_for(self, exchange: Exchange) -> bool:
        """Return whether the request will be taken as far as its head says."""
        return self._head(exchange) is not None

    def handle(self, exchange: Exchange) -> bool:
        """Have the event stored; the response follows the commit."""
        began = time.perf_counter()
        head, memory = self._head(exchange), self._memory
        if head is None or memory.held >= memory.limit:
            return False
        credential, key = head
        body = exchange.peek_body()
        try:
            event = read_event(body, key)  # a batch is no event
            checked = self._publisher.check_now(credential.scope, event)
            if checked is None:
                return False
            pending = _Pending(self, exchange, checked, self._clock(), len(body), began)
            self._publisher.submit(checked, pending.now, pending)
        except HooktideError:
            return False
        memory.take(len(body))
        return True

    def _head(self, exchange: Exchange) -> tuple[Credential, str] | None:
        """Return the request's credential and idempotency key; None: it is not for this handler."""
        headers = dict(exchange.headers)
        if len(headers) < len(exchange.headers) or not _RARE.isdisjoint(headers):
            return None
        length, key = headers.get(b"content-length", b""), headers.get(b"idempotency-key", b"")
        is_small = length.isdigit() and len(length) <= _MAX_DIGITS and int(length) <= SMALL_BODY
        if not (is_small and key.isascii()) or exchange.query:
            return None
        if headers.get(b"content-type", _JSON) != _JSON:
            return None
        credential = self._auth.cached(headers.get(b"authorization", b""))
        if credential is None or not may_publish(credential):
            return None
        return credential, key.decode("ascii")

    def stored(self, pending: "_Pending", result: AddResult) -> None:
        """Answer that the event was accepted; if it was not, the ASGI application says why."""
        exchange = pending.exchange
        self._memory.release(pending.size)
        try:
            accepted = self._publisher.stored(pending.checked, result, pending.now)
            if accepted is None:
                exchange.pass_on()
                return
            self._metrics.accepted.add()
            exchange.respond_prepared(202, _HEADER_LINES, accepted_body(accepted))
            self._metrics.accept_seconds.add(time.perf_counter() - pending.began)
        except Exception as error:  # noqa: BLE001 - the client gets an answer after any error
            exchange.fail(error)

    def refused(self, pending: "_Pending", error: Exception) -> None:
        """Answer that the database did not take the event; it may have been stored."""
        self._memory.release(pending.size)
        if not isinstance(error, HooktideError):
            pending.exchange.fail(error)
            return
        self._metrics.refused.add(1, describe(error).code)
        pending.exchange.respond(*problem_bytes(error))
        self._metrics.accept_seconds.add(time.perf_counter() - pending.began)


class _Pending:
    """An event that is being stored, and the request that waits for it (``store.base.Waiter``)."""

    __slots__ = ("_handler", "began", "checked", "exchange", "now", "size")

    def __init__(
        self,
        handler: PublishHandler,
        exchange: Exchange,
        checked: NewEvent,
        now: Micros,
        size: int,
        began: float,
    ) -> None:
        self._handler = handler
        self.exchange = exchange
        self.checked = checked
        self.now = now
        self.size = size
        self.began = began

    def done(self) -> bool:
        """Wait on, even if the client has disconnected: what was stored is counted."""
        return False

    def set_result(self, results: list[AddResult]) -> None:
        """Take what became of the event."""
        self._handler.stored(self, results[0])

    def set_exception(self, error: Exception) -> None:
        """Take why nothing is known of it."""
        self._handler.refused(self, error)
