"""OpenTelemetry traces: an event's acceptance and its attempts, from any process at any time.

Each event has its own trace, whose ids are derived from the event's: nothing is stored, and every
process can continue it (docs/decisions/0017). A publisher's own trace and the event's are linked,
both ways. This is imported only if tracing is on; otherwise it costs nothing.
"""

import os
import re
import threading
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from starlette.types import ASGIApp, Receive, Scope, Send

from hooktide import __version__
from hooktide.domain import ids
from hooktide.domain.delivery.verdict import Delivered
from hooktide.domain.model import Micros
from hooktide.engine.deliver import name_of
from hooktide.engine.destinations import Destination
from hooktide.store.base import Accepted, AttemptRecord

_REMEMBERED = 4096
_TRACEPARENT = re.compile(rb"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_SENT = re.compile(rb"\r\ntraceparent: 00-[0-9a-f]{32}-([0-9a-f]{16})-[0-9a-f]{2}\r\n")
_OWN = re.compile(rb"\r\ntraceparent:", re.IGNORECASE)


@dataclass(slots=True)
class _Request:
    """A publish request in progress; ``span`` is its part of the publisher's trace."""

    began: Micros
    span: Span | None


_request: ContextVar[_Request | None] = ContextVar("hooktide_publish_request", default=None)


class Tracing:
    """Creates spans and exports them as configured by OpenTelemetry's own environment variables.

    It wraps what accepts events (``traced``, ``accepted``) and is a hook of what delivers them.
    ``key`` makes trace ids unique to this installation; ``clock`` returns the time in microseconds.
    """

    def __init__(self, key: bytes, clock: Callable[[], Micros]) -> None:
        self._key = blake2b(key, person=b"hooktide traces").digest()
        self._clock = clock
        self._ids = _Ids()
        self._provider = TracerProvider(
            resource=_resource(), id_generator=self._ids, shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("hooktide", __version__)
        self.event = lru_cache(_REMEMBERED)(self._event)
        """Return the root of an event's trace: the same in every process, at any time."""

    def close(self, within: float) -> None:
        """Send what is left, for so many seconds at most; blocks."""
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(within)

    def _event(self, event_id: int) -> SpanContext:
        digest = blake2b(event_id.to_bytes(8, "big"), key=self._key, digest_size=24).digest()
        trace_id = int.from_bytes(digest[:16], "big")
        sampled = self._provider.sampler.should_sample(Context(), trace_id, "accept event")
        keep = sampled.decision is Decision.RECORD_AND_SAMPLE
        flags = TraceFlags.SAMPLED if keep else TraceFlags.DEFAULT
        span_id = int.from_bytes(digest[16:], "big")
        return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))

    def traced(self, application: ASGIApp) -> ASGIApp:
        """Return the publishing application with each request in the trace of its client."""

        async def run(scope: Scope, receive: Receive, send: Send) -> None:
            began = self._clock()
            request = _Request(began, self._answering(scope, began))
            token = _request.set(request)
            try:
                await application(scope, receive, send)
            finally:
                _request.reset(token)
                if request.span is not None:
                    request.span.end(self._clock() * 1000)

        return run

    def _answering(self, scope: Scope, began: Micros) -> Span | None:
        """Begin a span in the publisher's trace, if it has one."""
        parent = publishers_context(scope)
        if parent is None:
            return None
        return self._tracer.start_span(
            "POST /v1/events",
            context=_in(parent),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": "POST", "http.route": "/v1/events"},
            start_time=began * 1000,
        )

    def accepted(
        self, on_accepted: Callable[[int, Accepted, Micros], None]
    ) -> Callable[[int, Accepted, Micros], None]:
        """Return a callback that calls ``on_accepted`` and starts the event's trace."""

        def traced(project_id: int, accepted: Accepted, now: Micros) -> None:
            on_accepted(project_id, accepted, now)
            if not accepted.replayed:
                self._begin(accepted, _request.get() or _Request(now, None))

        return traced

    def _begin(self, accepted: Accepted, request: _Request) -> None:
        own = self.event(accepted.event_id)
        if not own.trace_flags.sampled:
            return
        links = [] if request.span is None else [Link(request.span.get_span_context())]
        self._ids.next = own.trace_id, own.span_id
        span = self._tracer.start_span(
            "accept event",
            context=Context(),
            kind=SpanKind.PRODUCER,
            attributes={
                "hooktide.event": ids.show("evt", accepted.event_id),
                "hooktide.deliveries": accepted.deliveries,
            },
            links=links,
            start_time=request.began * 1000,
        )
        self._ids.next = None
        span.end(self._clock() * 1000)
        if request.span is not None:
            request.span.add_link(own)

    def add_trace_headers(self, event_id: int, head: bytes, shown: bytes) -> tuple[bytes, bytes]:
        """Pass the event's trace on to a receiver, in the attempt's own span."""
        if _OWN.search(head):  # the endpoint already has a header of this name
            return head, shown
        own = self.event(event_id)
        span_id = self._ids.generate_span_id()
        line = b"traceparent: 00-%032x-%016x-%02x\r\n" % (own.trace_id, span_id, own.trace_flags)
        return head[:-2] + line + b"\r\n", shown[:-2] + line + b"\r\n"

    def made(self, record: AttemptRecord, destination: Destination) -> None:
        """Make an attempt's span; it has the id that its receiver was given."""
        claim, made = record.claim, record.attempt
        own = self.event(claim.event.id)
        if not own.trace_flags.sampled:
            return
        sent = _SENT.search(made.request_head)
        self._ids.next = None if sent is None else (own.trace_id, int(sent[1], 16))
        span = self._tracer.start_span(
            f"deliver {claim.event.type}",
            context=_in(own),
            kind=SpanKind.CLIENT,
            attributes=_attributes(record, destination),
            start_time=made.started_at * 1000,
        )
        self._ids.next = None
        if type(record.verdict) is not Delivered:
            span.set_status(Status(StatusCode.ERROR, made.error or None))
        span.end(made.ended_at * 1000)


class _Ids(RandomIdGenerator):
    """Random ids, except for a span whose ids are set: ``next``."""

    next: tuple[int, int] | None = None

    def generate_trace_id(self) -> int:
        """Return a new trace's id."""
        return super().generate_trace_id() if self.next is None else self.next[0]

    def generate_span_id(self) -> int:
        """Return a new span's id."""
        return super().generate_span_id() if self.next is None else self.next[1]


def _resource() -> Resource:
    named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    own = {} if named else {"service.name": "hooktide"}
    return Resource.create({**own, "service.version": __version__})


def _in(parent: SpanContext) -> Context:
    return set_span_in_context(NonRecordingSpan(parent), Context())


def publishers_context(scope: Scope) -> SpanContext | None:
    """Read the one ``traceparent`` of a request (W3C Trace Context, version 00)."""
    given = [value for name, value in scope["headers"] if name == b"traceparent"]
    found = _TRACEPARENT.fullmatch(given[0]) if len(given) == 1 else None
    if found is None:
        return None
    trace_id, span_id, flags = (int(part, 16) for part in found.groups())
    parent = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags & 1))
    return parent if parent.is_valid else None


def _attributes(record: AttemptRecord, destination: Destination) -> dict[str, str | int]:
    """Return an attempt's span attributes; never its URL, which may be a secret."""
    claim, made, target = record.claim, record.attempt, destination.target
    found: dict[str, str | int] = {
        "http.request.method": "POST",
        "hooktide.project": destination.project_name,
        "hooktide.account": ids.show("acc", claim.event.account_id),
        "hooktide.endpoint": ids.show("ep", claim.endpoint_id),
        "hooktide.event": ids.show("evt", claim.event.id),
        "hooktide.event_type": claim.event.type,
        "hooktide.delivery": ids.show("dlv", claim.delivery_id),
        "hooktide.attempt": claim.attempt,
        "hooktide.verdict": name_of(record.verdict),
    }
    if target is not None:
        found |= {"server.address": target.host, "server.port": target.port}
    if made.status is not None:
        found["http.response.status_code"] = made.status
    if made.error:
        found["error.type"] = made.error
    return found
