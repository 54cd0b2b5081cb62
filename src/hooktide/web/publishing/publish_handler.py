"""The hot route without a task: ``POST /v1/events``, from callback to callback.

Requests that can be decided at once are answered here: the key, the project and the account are in
memory, and the request is an ordinary one. Anything else goes to the ASGI application
(``web.publishing.events``) before anything has changed, so that every error is written in one
place.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope

from hooktide.actions.publishing.publish import Publisher
from hooktide.domain.errors import HooktideError, is_lasting
from hooktide.domain.model import Micros, Scope
from hooktide.runtime.metrics import Metrics
from hooktide.runtime.yielding import MAX_TURN
from hooktide.store.base import Accepted, AddResult, NewEvent
from hooktide.web.auth import PROJECT_HEADER, Authenticator, key_digest
from hooktide.web.http.body_memory import SMALL_BODY, BodyMemory
from hooktide.web.http.exchange import Exchange
from hooktide.web.http.request_head import RequestHead
from hooktide.web.middleware.loop_guard import SENDER
from hooktide.web.middleware.mount import FORWARDED_PREFIX
from hooktide.web.problems.problems import describe, problem_bytes
from hooktide.web.publishing.events import (
    JSON_HEADERS,
    accepted_body,
    batch_answer,
    batch_body,
    is_batch,
    may_publish,
    read_event,
    read_small_batch,
    result_text,
    send_answer,
)
from hooktide.wire.events import EventIn

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
MAX_SIZE = 256 * 1024
"""The largest body, in bytes, that this handler waits for."""
_JSON = b"application/json"
_HEADER_LINES = b"".join(b"%b: %b\r\n" % header for header in JSON_HEADERS)


class PublishHandler:
    """Answers ``POST /v1/events``, an event or a small batch, for a ``web.http.exchange.Handler``.

    Bodies, including those still being received, are counted in ``memory`` until their events are
    stored.
    """

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
        self._intake = publisher.intake

    def waits_for(self, exchange: Exchange) -> bool:
        """Wait for the body if the request's head is one that this handler takes."""
        head, memory = self._head(exchange), self._memory
        if head is None or not self._has_room(head.size):
            return False
        memory.take(head.size)
        exchange.wait_for(head.size, partial(memory.release, head.size))
        return True

    def handle(self, exchange: Exchange) -> bool:
        """Store the events; the response follows the commit."""
        began = time.perf_counter()
        head = self._head(exchange)
        if head is None or not self._has_room(head.size):
            return False
        if self._intake.open:
            return self._publish(exchange, head, began)
        self._memory.take(head.size)
        self._intake.wait(partial(self._publish_late, exchange, head, began))
        return True

    def _publish_late(self, exchange: Exchange, head: "_Head", began: float) -> None:
        """Store events that had to wait for the intake."""
        self._memory.release(head.size)
        try:
            if not self._publish(exchange, head, began):
                exchange.pass_on()
        except Exception as error:  # noqa: BLE001 - the client gets an answer after any error
            exchange.fail(error)

    def _publish(self, exchange: Exchange, head: "_Head", began: float) -> bool:
        try:
            pending = self._pending(exchange, head, began)
            if pending is None:
                return False
            self._publisher.submit(pending.checked, pending.now, pending)
        except HooktideError:
            return False
        pending.entered = self._intake.enter(len(pending.checked))
        self._memory.take(pending.size)
        return True

    def _head(self, exchange: Exchange) -> "_Head | None":
        """Return the relevant parts of the request's head; None: it is not for this handler."""
        note = exchange.head.note
        if note is None:
            note = exchange.head.note = _read_head(exchange.head) or _NOT_OURS
        if note is _NOT_OURS:
            return None
        credential = self._auth.cached_by(note.key_digest)
        if credential is None or not may_publish(credential):
            return None
        return _Head(credential.scope, note.idempotency_key, note.size)

    def _has_room(self, size: int) -> bool:
        memory = self._memory
        return memory.held < (memory.limit if size <= SMALL_BODY else memory.large_limit)

    def _pending(self, exchange: Exchange, head: "_Head", began: float) -> "_Pending | None":
        """Read and check; None: the ASGI application has to do that.

        :raises HooktideError: something is wrong, which the application will find, too.
        """
        body = exchange.peek_body()
        batch = is_batch(body)
        if not batch:
            events: list[EventIn] | None = [read_event(body, head.key)]
        else:
            events = None if head.key else read_small_batch(body)
        checked = [] if events is None else self._check(head.scope, events)
        if not (events and checked):
            return None
        kind = _PendingBatch if batch else _Pending
        return kind(self, exchange, head.scope, events, checked, self._clock(), len(body), began)

    def _check(self, scope: Scope, events: Sequence[EventIn]) -> list[NewEvent] | None:
        """Check events for at most ``MAX_TURN``; None if a check has to wait or takes longer."""
        checked: list[NewEvent] = []
        began = time.perf_counter()
        for event in events:
            if checked and time.perf_counter() - began > MAX_TURN:
                return None
            new = self._publisher.check_now(scope, event)
            if new is None:
                return None
            checked.append(new)
        return checked

    def stored(self, pending: "_Pending", result: AddResult) -> None:
        """Answer that the event was accepted; if it was not, the ASGI application says why."""
        accepted = self._publisher.stored(pending.checked[0], result, pending.now)
        if accepted is None:
            pending.exchange.pass_on()
            return
        self._metrics.accepted.add()
        self._respond(pending, accepted_body(accepted))

    def stored_batch(self, pending: "_Pending", results: Sequence[AddResult]) -> None:
        """Answer that the events were accepted, or what became of each.

        If the client has disconnected, those that were accepted are counted all the same.
        """
        refused = any([type(result) is not Accepted for result in results])
        if refused and pending.exchange.is_awaited():
            pending.exchange.pass_on(partial(self._settle, pending, results))
            return
        accepted = self._publisher.stored_batch(pending.checked, results, pending.now)
        self._metrics.accepted.add(len(accepted))
        self._respond(pending, batch_body([result_text(each) for each in accepted]))

    async def _settle(
        self,
        pending: "_Pending",
        results: Sequence[AddResult],
        scope: AsgiScope,
        receive: Receive,
        send: Send,
    ) -> None:
        """Answer a batch of which some events were not stored."""
        await send_answer(send, self._settled(pending, results), self._metrics)
        self._metrics.accept_seconds.add(time.perf_counter() - pending.began)

    async def _settled(
        self, pending: "_Pending", results: Sequence[AddResult]
    ) -> tuple[int, bytes]:
        answers = await self._publisher.batch_results(
            pending.scope, pending.events, pending.checked, results, pending.now
        )
        return await batch_answer(answers, self._metrics)

    def _respond(self, pending: "_Pending", body: bytes) -> None:
        pending.exchange.respond_prepared(202, _HEADER_LINES, body)
        self._metrics.accept_seconds.add(time.perf_counter() - pending.began)

    def refused(self, pending: "_Pending", error: Exception) -> None:
        """Answer that the database did not take the events; they may have been stored."""
        if not isinstance(error, HooktideError):
            pending.exchange.fail(error)
            return
        self._metrics.refused.add(1, describe(error).code)
        pending.exchange.respond(*problem_bytes(error))
        self._metrics.accept_seconds.add(time.perf_counter() - pending.began)

    def refused_batch(self, pending: "_Pending", error: Exception) -> None:
        """If an event cannot be written, let the application store the others."""
        if is_lasting(error):
            pending.exchange.pass_on()
        else:
            self.refused(pending, error)

    def ended(
        self, pending: "_Pending", results: Sequence[AddResult], answer: Callable[[], None]
    ) -> None:
        """Release the memory and the intake for others, and respond."""
        self._memory.release(pending.size)
        self._intake.leave(pending.entered, results)
        try:
            answer()
        except Exception as error:  # noqa: BLE001 - the client gets an answer after any error
            pending.exchange.fail(error)


class _Head(NamedTuple):
    scope: Scope
    key: str
    size: int


class _Note(NamedTuple):
    """What a head says by itself: it is read once, however often a client repeats it."""

    key_digest: bytes
    idempotency_key: str
    size: int


_NOT_OURS = _Note(b"", "", 0)


def _read_head(head: RequestHead) -> _Note | None:
    headers = dict(head.headers)
    if len(headers) < len(head.headers) or not _RARE.isdisjoint(headers):
        return None
    length, key = headers.get(b"content-length", b""), headers.get(b"idempotency-key", b"")
    is_small = length.isdigit() and len(length) <= _MAX_DIGITS and int(length) <= MAX_SIZE
    if not (is_small and key.isascii()) or head.query:
        return None
    if headers.get(b"content-type", _JSON) != _JSON:
        return None
    digest = key_digest(headers.get(b"authorization", b""))
    return _Note(digest, key.decode("ascii"), int(length)) if digest else None


class _Pending:
    """Events that are being stored, and the request that waits (``store.base.Waiter``)."""

    __slots__ = (
        "began",
        "checked",
        "entered",
        "events",
        "exchange",
        "handler",
        "now",
        "scope",
        "size",
    )

    def __init__(
        self,
        handler: PublishHandler,
        exchange: Exchange,
        scope: Scope,
        events: Sequence[EventIn],
        checked: Sequence[NewEvent],
        now: Micros,
        size: int,
        began: float,
    ) -> None:
        self.handler = handler
        self.exchange = exchange
        self.scope = scope
        self.events = events
        self.checked = checked
        self.now = now
        self.size = size
        self.began = began
        self.entered = 0.0

    def done(self) -> bool:
        """Return False even if the client has disconnected: stored events must be counted."""
        return False

    def set_result(self, results: list[AddResult]) -> None:
        """Receive the result of the event."""
        self.handler.ended(self, results, partial(self.handler.stored, self, results[0]))

    def set_exception(self, error: Exception) -> None:
        """Receive the error that leaves the result unknown."""
        self.handler.ended(self, (), partial(self.handler.refused, self, error))


class _PendingBatch(_Pending):
    """A batch that is being stored."""

    __slots__ = ()

    def set_result(self, results: list[AddResult]) -> None:
        """Receive the results of the events."""
        self.handler.ended(self, results, partial(self.handler.stored_batch, self, results))

    def set_exception(self, error: Exception) -> None:
        """Receive the error that leaves the results unknown."""
        self.handler.ended(self, (), partial(self.handler.refused_batch, self, error))
