"""The hot path, ``POST /v1/events``, one event or a batch, as a bare ASGI application.

Everything else goes through the routed, documented layer of ``web.api``; this one request is most
of what a server does, so nothing stands between it and ``actions.publishing.publish``.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Iterable, Sequence
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from hooktide.actions.publishing.publish import MAX_BATCH_SIZE, Checked, Publisher, Result, Unknown
from hooktide.domain.errors import HooktideError, InvalidError, RefusedError
from hooktide.domain.http.head import content_length
from hooktide.domain.json.payload import MAX_BYTES
from hooktide.domain.model import KeyScope
from hooktide.runtime.metrics import Metrics
from hooktide.runtime.yielding import Yielding
from hooktide.store.base import Accepted
from hooktide.web.auth import PROJECT_HEADER, Authenticator, Credential
from hooktide.web.http.batch_turns import BatchTurns
from hooktide.web.http.body_memory import MAX_BODY, SMALL_BODY, BodyMemory, CountedBody
from hooktide.web.problems.problems import describe, problem_bytes, problem_of
from hooktide.web.reading import broken_rule, no_member_twice, why_not_json
from hooktide.wire.events import EventIn

MAX_EVENT_SIZE = MAX_BYTES + 64 * 1024
"""Bytes of one event, all in all."""

MAX_BATCH_OPENINGS = 1_000_000
"""``[`` and ``{`` in a batch: finding where its events end takes about 10 ns for each."""

MAX_SMALL_BATCH = 128
"""Events of a batch that is read at once: the event loop is held for two milliseconds at most."""

_small_batch = msgspec.json.Decoder(list[EventIn])
_one = msgspec.json.Decoder(EventIn)
# Decoding refuses the first event too many, and makes no list of the millions that may follow it.
_batch = msgspec.json.Decoder(
    msgspec.defstruct(
        "Batch",
        [(f"event_{index}", msgspec.Raw, msgspec.UNSET) for index in range(MAX_BATCH_SIZE)],
        array_like=True,
        forbid_unknown_fields=True,
    )
)
_WHO = {b"authorization", PROJECT_HEADER.lower().encode()}
JSON_HEADERS = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]


class PublishApplication:
    """The ASGI application for ``POST /v1/events``."""

    def __init__(
        self, publisher: Publisher, auth: Authenticator, metrics: Metrics, memory: BodyMemory
    ) -> None:
        self._publisher = publisher
        self._auth = auth
        self._metrics = metrics
        self._memory = memory
        self._turns = BatchTurns()
        self._accepted = metrics.accepted.add
        self._seconds = metrics.accept_seconds.add

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        began = time.perf_counter()
        await send_answer(send, self._answer(scope, receive), self._metrics)
        self._seconds(time.perf_counter() - began)

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, bytes]:
        credential = await self._credential(scope)
        declared = _check_headers(scope)
        memory = self._memory
        if declared is not None and declared <= SMALL_BODY and memory.held < memory.limit:
            memory.take(declared)
            try:
                return await self._published(scope, credential, await _read(receive), receive)
            finally:
                memory.release(declared)
        body = CountedBody(memory, receive, declared)
        try:
            return await self._published(scope, credential, await _read(body), receive)
        finally:
            body.release()

    async def _published(
        self, scope: Scope, credential: Credential, body: bytes, receive: Receive
    ) -> tuple[int, bytes]:
        if is_batch(body):
            _check_no_key(scope)
            async with self._turns.taken(receive):
                events, results = await _read_batch(body)
                del body  # its events are copies
                checked = await self._publisher.check_batch(credential.scope, events)
            return await self._batch(credential, events, checked, results)
        event = read_event(body, _idempotency_key(scope))
        added = await self._publisher.publish(credential.scope, event)
        if isinstance(added, Unknown):
            return 202, b'{"deliveries":0,"account":"unknown"}'
        self._accepted()
        return 202, accepted_body(added)

    async def _credential(self, scope: Scope) -> Credential:
        # The usual way has one of these headers; all others are the authenticator's.
        found = [(name, value) for name, value in scope["headers"] if name in _WHO]
        credential = None
        if len(found) == 1 and found[0][0] == b"authorization" and not scope["query_string"]:
            credential = self._auth.cached(found[0][1])
        if credential is None:
            credential = await self._auth.authenticate(scope)
        if not may_publish(credential):
            raise RefusedError(
                "forbidden", "an account's key cannot publish events; use a project's", status=403
            )
        return credential

    async def _batch(
        self,
        credential: Credential,
        events: list[EventIn],
        checked: list[Checked],
        results: list[Result | None],
    ) -> tuple[int, bytes]:
        scope = credential.scope
        published = iter(await self._publisher.publish_checked(scope, events, checked))
        answers = [next(published) if found is None else found for found in results]
        return await batch_answer(answers, self._metrics)


async def send_answer(send: Send, answer: Awaitable[tuple[int, bytes]], metrics: Metrics) -> None:
    """Send a status and a JSON body, or the problem that keeps them from being there."""
    try:
        status, body = await answer
        headers = JSON_HEADERS
    except HooktideError as error:
        metrics.refused.add(1, describe(error).code)
        status, body, headers = problem_bytes(error)
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [*headers, (b"content-length", b"%d" % len(body))],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def batch_answer(results: Sequence[Result], metrics: Metrics) -> tuple[int, bytes]:
    """Return the answer to a batch, and count what was accepted."""
    metrics.accepted.add(sum(type(each) is Accepted for each in results))
    texts, yielding = [], Yielding()
    for each in results:
        await yielding.turn()
        texts.append(result_text(each))
    refused = any(isinstance(each, HooktideError) for each in results)
    return (207 if refused else 202), batch_body(texts)


def batch_body(results: Sequence[bytes]) -> bytes:
    """Return the body of the response to a batch."""
    return b'{"results":[%b]}' % b",".join(results)


def may_publish(credential: Credential) -> bool:
    """Return whether a key may publish events."""
    return credential.key.scope is not KeyScope.ACCOUNT


def is_batch(body: bytes) -> bool:
    """Return whether a body begins as an array does."""
    return body.lstrip(b" \t\r\n")[:1] == b"["


def accepted_body(accepted: Accepted) -> bytes:
    """Return the body of the response to an event that was accepted."""
    return b'{"id":"evt_%016x","deliveries":%d}' % (accepted.event_id, accepted.deliveries)


def result_text(answer: Result) -> bytes:
    """Return the result of one event of a batch."""
    if isinstance(answer, Accepted):
        return b'{"status":202,"id":"evt_%016x","deliveries":%d}' % (
            answer.event_id,
            answer.deliveries,
        )
    if isinstance(answer, Unknown):
        return b'{"status":202,"deliveries":0,"account":"unknown"}'
    problem = problem_of(answer)
    return msgspec.json.encode({"status": problem["status"], "problem": problem})


def read_event(body: bytes, key: str = "") -> EventIn:
    """Read one event; its payload stays the bytes that came in.

    :raises InvalidError: it is not an event; says where and why.
    """
    if len(body) > MAX_EVENT_SIZE:
        raise InvalidError(
            "body_too_large",
            f"an event has {MAX_EVENT_SIZE} bytes at most, its payload {MAX_BYTES} of them",
            status=413,
        )
    event: EventIn = _decode(_one, body)
    _check_duplicates(body, event)
    if key:
        if event.idempotency_key not in ("", key):
            raise InvalidError(
                "idempotency_key_twice",
                "the Idempotency-Key header and idempotency_key differ; send one of them",
                pointer="/idempotency_key",
            )
        event = msgspec.structs.replace(event, idempotency_key=key)
    return event


def read_small_batch(body: bytes) -> list[EventIn] | None:
    """Read a batch as a whole; None: ``MAX_SMALL_BATCH`` is not enough, or a member is twice.

    :raises InvalidError: it is not a batch of events, or one of them is wrong.
    """
    events: list[EventIn] = _decode(_small_batch, body)
    expected = sum([quotation_marks(event) for event in events])
    marks = _marks_around(body, [bytes(event.payload) for event in events])
    if len(events) > MAX_SMALL_BATCH or marks != expected:
        return None
    return events


async def _read_batch(body: bytes) -> tuple[list[EventIn], list[Result | None]]:
    """Read a batch: its events, and for each item its error or None."""
    if len(body) > MAX_BATCH_OPENINGS:  # it may have as many
        await asyncio.sleep(0)
        _check_openings(body)
        await asyncio.sleep(0)
    yielding = Yielding()
    results: list[Result | None] = []
    events: list[EventIn] = []
    for item in _items_of(body):
        await yielding.turn()
        try:
            events.append(read_event(bytes(item)))
            results.append(None)
        except InvalidError as error:
            results.append(error.as_value())
    return events, results


def _check_openings(body: bytes) -> None:
    """Check that a batch is read in a short time.

    :raises InvalidError: it has more than ``MAX_BATCH_OPENINGS``.
    """
    openings = body.count(b"[") + body.count(b"{")
    if openings > MAX_BATCH_OPENINGS:
        raise InvalidError(
            "invalid_batch",
            f"the batch has {openings:,} opening brackets and braces; {MAX_BATCH_OPENINGS:,} at "
            "most: send fewer events at once",
        )


def _items_of(body: bytes) -> list[msgspec.Raw]:
    wrong = InvalidError("invalid_batch", f"a batch has 1 to {MAX_BATCH_SIZE} events")
    try:
        batch = _decode(_batch, body)
    except InvalidError as error:
        # It is an array: what breaks its type is its length.
        raise wrong if error.code == "invalid_event" else error from None
    items = [each for each in msgspec.structs.astuple(batch) if each is not msgspec.UNSET]
    if not items:
        raise wrong
    return items


def _decode(decoder: msgspec.json.Decoder[Any], body: bytes) -> Any:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise broken_rule(error, "invalid_event", decoder.type) from None
    except RecursionError:
        raise InvalidError(
            "too_deep", "the payload is nested too deeply; 64 levels at most"
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidError("invalid_json", why_not_json(error, body), status=400) from None


def _check_duplicates(body: bytes, event: EventIn) -> None:
    """Refuse a member that is there twice: we and a proxy before us might see different ones.

    Counting quotation marks outside the payload finds that cheaply; only where the count is not
    what the members account for is the envelope read again, slowly.
    """
    payload = bytes(event.payload)
    start = _find(body, payload, 0)
    marks = body.count(b'"', 0, start) + body.count(b'"', start + len(payload))
    if marks != quotation_marks(event):
        json.loads(_around(body, payload), object_pairs_hook=no_member_twice)


def _marks_around(body: bytes, payloads: Iterable[bytes]) -> int:
    """Count the quotation marks outside of payloads, which most of the bytes are in."""
    marks = end = 0
    for payload in payloads:
        start = _find(body, payload, end)
        marks += body.count(b'"', end, start)
        end = start + len(payload)
    return marks + body.count(b'"', end)


def _find(body: bytes, payload: bytes, at: int) -> int:
    start = body.find(payload[:48], at)  # a long needle costs more than it finds
    return start if body.startswith(payload, start) else body.find(payload, at)


def quotation_marks(event: EventIn) -> int:
    """Return how many an event has around its payload, if no member is there twice."""
    members = 6 + 2 * (bool(event.transition) + bool(event.idempotency_key) + event.test)
    strings = 4 + 2 * (bool(event.transition) + bool(event.idempotency_key))
    if event.channels or event.tags:
        strings += 2 * (bool(event.channels) + bool(event.tags))
        strings += 2 * (len(event.channels) + len(event.tags))
    members += 2 * (event.retention_days is not None)
    return members + strings + 4 * (event.occurred_at is not None)


def _around(body: bytes, payload: bytes) -> bytes:
    """Return the envelope with a 0 for its payload."""
    start = _find(body, payload, 0)
    return body[:start] + b"0" + body[start + len(payload) :]


def _check_no_key(scope: Scope) -> None:
    if _idempotency_key(scope):
        raise InvalidError(
            "idempotency_key_of_batch",
            "the Idempotency-Key header is for one event; give each event of an array its own "
            "idempotency_key",
        )


def _idempotency_key(scope: Scope) -> str:
    values = [value for name, value in scope["headers"] if name == b"idempotency-key"]
    if not values:
        return ""
    if len(values) > 1:
        raise InvalidError("invalid_idempotency_key", "send one Idempotency-Key header")
    try:
        return str(values[0], "utf-8")
    except UnicodeDecodeError:
        raise InvalidError(
            "invalid_idempotency_key", "send the Idempotency-Key header in UTF-8"
        ) from None


async def _read(receive: Receive) -> bytes:
    message: Message = await receive()
    _check_connected(message)
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return _within_limit(body)
    parts, size = [body], len(body)
    while message.get("more_body"):
        message = await receive()
        _check_connected(message)
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY:
            break
    return _within_limit(b"".join(parts))


def _check_connected(message: Message) -> None:
    """Raise if the client has disconnected: a body that was cut short must not be published."""
    if message["type"] == "http.disconnect":
        raise ClientDisconnect


def _within_limit(body: bytes) -> bytes:
    if len(body) > MAX_BODY:
        raise InvalidError(
            "body_too_large", f"{MAX_BODY} bytes at most; send fewer events", status=413
        )
    return body


def _check_headers(scope: Scope) -> int | None:
    """Return the Content-Length.

    :raises InvalidError: the body is of another kind (415) or too large (413).
    """
    declared = None
    for name, value in scope["headers"]:
        if name == b"content-type":
            kind, _, parameter = value.lower().partition(b";")
            charset = parameter.replace(b'"', b"").strip()
            if kind.strip() != b"application/json" or charset not in (b"", b"charset=utf-8"):
                raise InvalidError(
                    "unsupported_media_type", "send application/json in UTF-8", status=415
                )
        elif name == b"content-encoding" and value.lower() != b"identity":
            raise InvalidError(
                "unsupported_encoding", "send the body without a Content-Encoding", status=415
            )
        elif name == b"content-length":
            declared = content_length(value)
            if declared > MAX_BODY:
                raise InvalidError(
                    "body_too_large", f"{MAX_BODY} bytes at most; send fewer events", status=413
                )
    return declared
