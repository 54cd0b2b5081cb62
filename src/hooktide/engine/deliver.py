"""One attempt of one delivery: compose, send, judge, record.

A chat gets many events in one message, which is one attempt for each of their deliveries.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from hooktide.domain.delivery.compose import unsigned
from hooktide.domain.delivery.rest import rest_request
from hooktide.domain.delivery.verdict import (
    Delivered,
    Failed,
    Gone,
    Outcome,
    Requeued,
    RetryAt,
    Verdict,
    judge,
)
from hooktide.domain.errors import NotFoundError
from hooktide.domain.http.address import Target
from hooktide.domain.messages.chat import PACE
from hooktide.domain.messages.mail import SCHEME, write_mail
from hooktide.domain.messages.message import Message
from hooktide.domain.model import (
    MINUTE,
    SECOND,
    Attempt,
    Claim,
    EndpointKind,
    Event,
    Micros,
    Origin,
)
from hooktide.domain.throttling.rate import Rates
from hooktide.engine.destinations import Chat, Destination, Destinations
from hooktide.engine.scheduling.lanes import NotSent, Paced
from hooktide.runtime.clock import wall_clock
from hooktide.store.base import AttemptRecord
from hooktide.store.contract import Store

log = logging.getLogger("hooktide.engine")


class Mails(Protocol):
    """Sends mail (``outbound.Mailer``)."""

    sender: str

    async def send(self, to: str, mail: bytes, timeout: float) -> Outcome:
        """Send one mail; errors are returned, not raised."""


class Sends(Protocol):
    """Sends requests (``outbound.Sender``)."""

    async def post(
        self, target: Target, head: bytes, body: bytes, timeout: float, account: int = 0
    ) -> Outcome:
        """Send one request; network errors are returned, not raised."""

    def post_now(
        self,
        target: Target,
        head: bytes,
        body: bytes,
        timeout: float,
        answered: Callable[[Outcome], None],
    ) -> Callable[[], None] | None:
        """Send one request without waiting; ``answered`` is called later. None: use ``post``
        instead.

        Calling the returned function cancels it: then ``answered`` is not called.
        """


class AttemptHook(Protocol):
    """A hook into each attempt, used for tracing."""

    def add_trace_headers(self, event_id: int, head: bytes, shown: bytes) -> tuple[bytes, bytes]:
        """Return a request's head and the one that is logged, with trace headers added to both."""

    def made(self, record: AttemptRecord, destination: Destination) -> None:
        """Note an attempt that was made."""


class Request(msgspec.Struct, frozen=True, gc=False):
    """A webhook's request, composed and signed. ``shown``: its head as logged."""

    claim: Claim
    destination: Destination
    started_at: Micros
    head: bytes
    shown: bytes
    body: bytes


class Deliverer:
    """Makes attempts. ``clock`` returns the time in microseconds, ``rand`` a number from 0 to 1.

    ``wall`` is the wall clock: receivers compare a signature's timestamp with theirs.
    ``on_attempt`` is called with each attempt that was passed to the store, for log and metrics.
    ``pace`` is the minimum interval between two messages to a chat. ``mailer``: None without a
    relay.
    """

    def __init__(
        self,
        *,
        store: Store,
        sender: Sends,
        destinations: Destinations,
        clock: Callable[[], Micros],
        rand: Callable[[], float],
        on_attempt: Callable[[AttemptRecord, Destination], None],
        wall: Callable[[], Micros] = wall_clock,
        pace: Micros = PACE,
        mailer: Mails | None = None,
    ) -> None:
        self._store = store
        self._sender = sender
        self._destinations = destinations
        self._clock = clock
        self._rand = rand
        self._on_attempt = on_attempt
        self._wall = wall
        self._pace = pace
        self._mailer = mailer
        self.hook: AttemptHook | None = None
        """A hook into each attempt, or None."""

    async def attempt(
        self, claim: Claim, rates: Rates | None = None, *, even_disabled: bool = False
    ) -> AttemptRecord | NotSent | Paced:
        """Make one attempt, and record its outcome.

        A chat's deliveries are not sent here: see ``attempt_batch``. ``rates`` are those that were
        obeyed; if the endpoint has others, nothing is sent. ``even_disabled``: also to an endpoint
        that is disabled, for a test.
        """
        destination = self._destinations.ready(claim.endpoint_id)
        if destination is None:
            destination = await self._find(claim.endpoint_id, even_disabled)
        if destination is None:
            return NotSent.RELEASED
        if destination.rates != rates:
            return Paced(destination.rates)
        if destination.chat is not None:
            return NotSent.CHAT
        return await self._make(claim, destination)

    async def _make(self, claim: Claim, destination: Destination) -> AttemptRecord:
        request = self._compose(claim, destination)
        timeout = destination.schedule_of(claim.event.type).timeout
        outcome = await self._send(destination, request.head, request.body, timeout)
        return self.conclude(request, outcome)

    def prepare(self, claim: Claim, rates: Rates | None) -> Request | None:
        """Compose a claim's request, or return None to leave it to ``attempt``.

        That is needed if the destination must be read first, is a chat, is not allowed, or has
        other rates than those that were obeyed.
        """
        destination = self._destinations.ready(claim.endpoint_id)
        if destination is None or destination.chat is not None or destination.target is None:
            return None
        if destination.rates != rates:
            return None
        return self._compose(claim, destination)

    def _compose(self, claim: Claim, destination: Destination) -> Request:
        started_at = self._clock()
        body = destination.composer.body(claim.event)
        head, shown = self._heads(claim, destination, body)
        if self.hook is not None:
            head, shown = self.hook.add_trace_headers(claim.event.id, head, shown)
        return Request(claim, destination, started_at, head, shown, body)

    def send_now(
        self, request: Request, answered: Callable[[Outcome], None]
    ) -> Callable[[], None] | None:
        """Send a request without waiting, or return None to leave it to ``attempt``, which composes
        it again with a fresh timestamp and signature.

        ``answered`` is called later with the outcome for ``conclude``. Calling the returned
        function cancels the request: then ``answered`` is not called.
        """
        destination = request.destination
        target = destination.target
        if target is None:
            return None
        timeout = destination.schedule_of(request.claim.event.type).timeout / SECOND
        return self._sender.post_now(target, request.head, request.body, timeout, answered)

    def conclude(self, request: Request, outcome: Outcome) -> AttemptRecord:
        """Judge a request's outcome, and record it."""
        claim, destination, started_at = request.claim, request.destination, request.started_at
        verdict = self._judge(outcome, claim, destination, started_at + outcome.duration)
        attempt = _attempt(claim, outcome, started_at, request.shown)
        return self._record(
            AttemptRecord(claim, attempt, verdict, rest_request(outcome)), destination
        )

    def _heads(self, claim: Claim, destination: Destination, body: bytes) -> tuple[bytes, bytes]:
        """Return the head to send, and the one to log.

        They differ in the values of the customer's own headers, which may be credentials.
        """
        prefix = destination.prefix
        secrets, extra = destination.secrets, destination.headers
        compose = destination.composer.compose
        head = compose(claim.event, prefix, secrets, body, self._wall(), extra)
        if not extra:
            return head, head
        # Whole lines, and the last match: the name of a custom header may end like one of ours.
        start, _, end = head.rpartition(b"\r\n" + extra)
        return head, b"%b\r\n%b%b" % (start, destination.shown_headers, end)

    def _record(self, record: AttemptRecord, destination: Destination) -> AttemptRecord:
        self._store.record(record)
        try:
            if self.hook is not None:
                self.hook.made(record, destination)
            self._on_attempt(record, destination)
        except Exception:  # the attempt was made, and is recorded anyway
            log.exception("could not report an attempt of delivery %016x", record.claim.delivery_id)
        return record

    async def attempt_batch(
        self,
        claims: Sequence[Claim],
        rates: Rates | None = None,
        *,
        even_disabled: bool = False,
    ) -> list[AttemptRecord] | NotSent | Paced:
        """Send a chat one message for one or more deliveries: an attempt of each.

        ``RELEASED``: the endpoint was disabled (but see ``attempt``), deleted or turned into a
        webhook meanwhile.
        ``GIVEN_UP``: no message could be made of any of them.
        """
        destination = await self._find(claims[0].endpoint_id, even_disabled)
        if destination is None:
            return NotSent.RELEASED
        if destination.rates != rates:
            return Paced(destination.rates)
        if destination.chat is None:  # sequentially this could take longer than their leases
            if len(claims) > 1:
                return NotSent.RELEASED
            return [await self._make(claims[0], destination)]
        claims = sorted(claims, key=lambda claim: claim.event.id)
        claims, messages = self._summed_up(destination.chat, claims)
        if not claims:
            return NotSent.GIVEN_UP
        started_at = self._clock()
        outcome, head = await self._tell(destination, destination.chat, messages, claims[0].event)
        reason = destination.chat.service.gone(outcome)
        records = []
        for claim in claims:
            ended_at = started_at + outcome.duration
            verdict = Gone(reason) if reason else self._judge(outcome, claim, destination, ended_at)
            attempt = _attempt(claim, outcome, started_at, head)
            records.append(AttemptRecord(claim, attempt, verdict, rest_request(outcome)))
        return [self._record(record, destination) for record in records]

    def _summed_up(self, chat: Chat, claims: Sequence[Claim]) -> tuple[list[Claim], list[Message]]:
        """Summarise each event; those that cannot be summarised are given up and do not delay the
        others."""
        summed_up: list[Claim] = []
        messages: list[Message] = []
        for claim in claims:
            try:
                message = chat.message(claim.event)
                chat.service.compose([message])
            except Exception:
                log.exception("a bug stopped delivery %016x", claim.delivery_id)
                self.give_up(claim)
            else:
                summed_up.append(claim)
                messages.append(message)
        return summed_up, messages

    async def _tell(
        self, destination: Destination, chat: Chat, messages: Sequence[Message], first: Event
    ) -> tuple[Outcome, bytes]:
        """Send a message, and again as plain text if it was rejected as malformed.

        Returns the outcome, and the head as logged.
        """
        notes = [f"in one message with {len(messages) - 1} more"] if len(messages) > 1 else []
        if destination.endpoint.kind is EndpointKind.MAIL:
            outcome, head = await self._mail(destination, messages, first.id)
        else:
            outcome, head = await self._post(destination, chat, chat.service.compose(messages))
        if refused := chat.service.refused(outcome):
            await asyncio.sleep(self._pace / SECOND)
            notes.append(f"refused at first ({refused}), then sent as plain text")
            before = outcome.duration + self._pace
            outcome, head = await self._post(destination, chat, chat.service.plain(messages))
            outcome = msgspec.structs.replace(outcome, duration=before + outcome.duration)
        if notes:
            detail = "; ".join([*([outcome.detail] if outcome.detail else []), *notes])
            outcome = msgspec.structs.replace(outcome, detail=detail)
        return outcome, head

    async def _post(
        self, destination: Destination, chat: Chat, body: bytes
    ) -> tuple[Outcome, bytes]:
        target = destination.target
        prefix = destination.prefix
        head = unsigned(prefix, body, destination.headers)
        outcome = await self._send(destination, head, body, destination.schedule.timeout)
        outcome = chat.service.judged(outcome)
        shown = unsigned(prefix, body, destination.shown_headers)
        if target:
            shown = shown.replace(target.path.encode(), chat.shown_path, 1)
        return outcome, shown

    async def _mail(
        self, destination: Destination, messages: Sequence[Message], event_id: int
    ) -> tuple[Outcome, bytes]:
        if self._mailer is None or destination.refused:
            refused = destination.refused or "this server has no mail relay"
            return Outcome(error="destination_forbidden", detail=refused), b""
        to, endpoint = destination.endpoint.url.removeprefix(SCHEME), destination.endpoint.id
        mail_id, now = f"{event_id:016x}.{endpoint:016x}", self._wall()
        head, body = write_mail(messages, self._mailer.sender, to, mail_id, now)
        outcome = await self._mailer.send(to, head + body, destination.schedule.timeout / SECOND)
        return outcome, b"MAIL %b\r\n%b" % (to.encode(), head)

    async def _find(self, endpoint_id: int, even_disabled: bool) -> Destination | None:
        ready = self._destinations.ready(endpoint_id)
        if ready is not None:
            return ready
        try:
            return await self._destinations.find(endpoint_id, even_disabled)
        except NotFoundError:
            return None

    async def _send(
        self, destination: Destination, head: bytes, body: bytes, timeout: Micros
    ) -> Outcome:
        if destination.target is None:
            return Outcome(error="destination_forbidden", detail=destination.refused)
        account = destination.endpoint.account_id
        return await self._sender.post(destination.target, head, body, timeout / SECOND, account)

    def _judge(
        self, outcome: Outcome, claim: Claim, destination: Destination, now: Micros
    ) -> Verdict:
        schedule = destination.schedule_of(claim.event.type)
        delays = () if claim.origin is Origin.TEST else schedule.delays
        return judge(outcome, attempt=claim.attempt, delays=delays, now=now, rand=self._rand())

    def give_up(self, claim: Claim, rest: Micros = MINUTE) -> None:
        """Record that an internal error stopped an attempt; it is repeated after ``rest`` and does
        not count.
        """
        now = self._clock()
        outcome = Outcome(error="local_error", local=True)
        self._store.record(
            AttemptRecord(claim, _attempt(claim, outcome, now, b""), Requeued(now + rest))
        )


def _attempt(claim: Claim, outcome: Outcome, started_at: Micros, head: bytes) -> Attempt:
    return Attempt(
        delivery_id=claim.delivery_id,
        number=claim.attempt,
        started_at=started_at,
        duration=outcome.duration,
        status=outcome.status,
        error=outcome.error,
        detail=outcome.detail,
        request_head=head,
        response_head=outcome.head,
        response_body=outcome.body,
        response_truncated=outcome.body_truncated,
    )


def name_of(verdict: Verdict) -> str:
    """Return a verdict's name for the log and the metrics."""
    return _NAMES[type(verdict)]


_NAMES: dict[type[Verdict], str] = {
    Delivered: "delivered",
    RetryAt: "retry",
    Failed: "failed",
    Gone: "gone",
    Requeued: "requeued",
}
