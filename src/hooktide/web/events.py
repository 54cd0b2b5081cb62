"""The hot door: ``POST /v1/events``, one event or a batch, as a bare ASGI application.

Everything else goes through the routed, documented layer of ``web.api``; this one request is most
of what a server does, so nothing stands between it and ``actions.publish``.
"""

import json
import time
from collections.abc import Callable
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from hooktide.actions.publish import MOST_IN_BATCH, EventIn, Publisher, Result
from hooktide.domain.errors import HooktideError, InvalidError, RefusedError
from hooktide.domain.model import KeyScope
from hooktide.metrics import Metrics
from hooktide.store.base import Accepted
from hooktide.web.auth import Authenticator, Credential
from hooktide.web.problems import describe, problem_bytes, problem_of
from hooktide.web.reading import no_member_twice

BODY_LIMIT = 10 * 1024 * 1024

_decode_one = msgspec.json.Decoder(EventIn).decode
_decode_batch = msgspec.json.Decoder(list[msgspec.Raw]).decode
_JSON_HEADERS = [(b"content-type", b"application/json")]


class PublishDoor:
    """The ASGI application for ``POST /v1/events``."""

    def __init__(self, publisher: Publisher, auth: Authenticator, metrics: Metrics) -> None:
        self._publisher = publisher
        self._auth = auth
        self._metrics = metrics
        self._accepted = metrics.accepted.add
        self._seconds = metrics.accept_seconds.add

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        began = time.perf_counter()
        try:
            status, body = await self._answer(scope, receive)
            headers = _JSON_HEADERS
        except HooktideError as error:
            self._metrics.refused.add(1, describe(error).type.rpartition("/")[2])
            status, body, headers = problem_bytes(error)
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [*headers, (b"content-length", b"%d" % len(body))],
            }
        )
        await send({"type": "http.response.body", "body": body})
        self._seconds(time.perf_counter() - began)

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, bytes]:
        credential = await self._credential(scope)
        body = await _read(scope, receive)
        if body.lstrip(b" \t\r\n")[:1] == b"[":
            _check_no_key(scope)
            return await self._batch(credential, body)
        event = read_event(body, _header(scope, b"idempotency-key"))
        added = await self._publisher.publish(credential.scope, event)
        self._accepted()
        return 202, b'{"id":"evt_%016x","deliveries":%d}' % (added.event_id, added.deliveries)

    async def _credential(self, scope: Scope) -> Credential:
        found = [value for name, value in scope["headers"] if name == b"authorization"]
        credential = self._auth.cached(found[0]) if len(found) == 1 else None
        if credential is None:
            credential = await self._auth.authenticate(scope)
        if credential.key.scope is KeyScope.ACCOUNT:
            raise RefusedError(
                "forbidden", "an account's key cannot publish events; use a project's", status=403
            )
        return credential

    async def _batch(self, credential: Credential, body: bytes) -> tuple[int, bytes]:
        items = _read_batch(body)
        results: list[Result | None] = []
        events: list[EventIn] = []
        for item in items:
            try:
                events.append(read_event(bytes(item)))
                results.append(None)
            except InvalidError as error:
                results.append(error)
        published = iter(await self._publisher.publish_batch(credential.scope, events))
        answers = [next(published) if found is None else found for found in results]
        good = sum(type(answer) is Accepted for answer in answers)
        self._accepted(good)
        text = b",".join([_answer_of(answer) for answer in answers])
        return (202 if good == len(answers) else 207), b'{"results":[%b]}' % text


def _answer_of(answer: Result) -> bytes:
    if isinstance(answer, Accepted):
        return b'{"status":202,"id":"evt_%016x","deliveries":%d}' % (
            answer.event_id,
            answer.deliveries,
        )
    problem = problem_of(answer)
    return msgspec.json.encode({"status": problem["status"], "problem": problem})


def read_event(body: bytes, key: str = "") -> EventIn:
    """Read one event; its payload stays the bytes that came in.

    :raises InvalidError: it is not an event; says where and why.
    """
    event: EventIn = _decode(_decode_one, body)
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


def _read_batch(body: bytes) -> list[msgspec.Raw]:
    items: list[msgspec.Raw] = _decode(_decode_batch, body)
    if not 1 <= len(items) <= MOST_IN_BATCH:
        raise InvalidError(
            "invalid_batch", f"a batch has 1 to {MOST_IN_BATCH} events, not {len(items)}"
        )
    return items


def _decode(decode: Callable[[bytes], Any], body: bytes) -> Any:
    try:
        return decode(body)
    except msgspec.ValidationError as error:
        detail, _, path = str(error).partition(" - at `$")
        raise InvalidError("invalid_event", detail, pointer=_pointer(path)) from None
    except RecursionError:
        raise InvalidError(
            "too_deep", "the payload is nested too deeply; 64 levels at most"
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidError("invalid_json", f"the body is not JSON: {error}", status=400) from None


def _pointer(path: str) -> str:
    return path.rstrip("`").replace(".", "/").replace("[", "/").replace("]", "")


def _check_duplicates(body: bytes, event: EventIn) -> None:
    """Refuse a member that is there twice: we and a proxy before us might see different ones.

    Counting quotation marks outside the payload finds that cheaply; only where the count is not
    what the members account for is the envelope read again, slowly.
    """
    envelope = _around(body, bytes(event.payload))
    members = 6 + 2 * (bool(event.transition) + bool(event.idempotency_key) + event.test)
    strings = 4 + 2 * (bool(event.transition) + bool(event.idempotency_key))
    if event.occurred_at is not None:
        members, strings = members + 2, strings + 2
    if envelope.count(b'"') != members + strings:
        json.loads(envelope, object_pairs_hook=no_member_twice)


def _around(body: bytes, payload: bytes) -> bytes:
    """Return the envelope with a 0 for its payload."""
    start = body.find(payload[:48])  # a long needle costs more than it finds
    if body[start : start + len(payload)] != payload:
        start = body.find(payload)
    return body[:start] + b"0" + body[start + len(payload) :]


def _check_no_key(scope: Scope) -> None:
    if _header(scope, b"idempotency-key"):
        raise InvalidError(
            "idempotency_key_of_batch",
            "the Idempotency-Key header is for one event; give each event of an array its own "
            "idempotency_key",
        )


def _header(scope: Scope, wanted: bytes) -> str:
    for name, value in scope["headers"]:
        if name == wanted:
            return str(value, "latin-1")
    return ""


async def _read(scope: Scope, receive: Receive) -> bytes:
    _check_headers(scope)
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
        if size > BODY_LIMIT:
            break
    return _within_limit(b"".join(parts))


def _check_connected(message: Message) -> None:
    """What came before the caller went away is not the event that it meant."""
    if message["type"] == "http.disconnect":
        raise ClientDisconnect


def _within_limit(body: bytes) -> bytes:
    if len(body) > BODY_LIMIT:
        raise InvalidError(
            "body_too_large", f"{BODY_LIMIT} bytes at most; send fewer events", status=413
        )
    return body


def _check_headers(scope: Scope) -> None:
    for name, value in scope["headers"]:
        if name == b"content-type":
            kind, _, parameter = value.lower().partition(b";")
            charset = parameter.strip()
            if kind.strip() != b"application/json" or charset not in (b"", b"charset=utf-8"):
                raise InvalidError(
                    "unsupported_media_type", "send application/json in UTF-8", status=415
                )
        elif name == b"content-encoding" and value.lower() != b"identity":
            raise InvalidError(
                "unsupported_encoding", "send the body without a Content-Encoding", status=415
            )
        elif name == b"content-length" and int(value) > BODY_LIMIT:
            raise InvalidError(
                "body_too_large", f"{BODY_LIMIT} bytes at most; send fewer events", status=413
            )
