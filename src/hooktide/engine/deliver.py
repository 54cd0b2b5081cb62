"""The centre: one attempt of one delivery. Compose, send, judge, record.

A chat is told of many events in one message; then it is one attempt of each of their deliveries.
"""

import asyncio
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Literal, Protocol, TypeAlias

import msgspec

from hooktide.clock import wall_clock
from hooktide.domain.address import Target
from hooktide.domain.chat import PACE
from hooktide.domain.compose import unsigned
from hooktide.domain.errors import NotFoundError
from hooktide.domain.mail import SCHEME, write_mail
from hooktide.domain.message import Message
from hooktide.domain.model import (
    MINUTE,
    SECOND,
    Attempt,
    Claim,
    EndpointKind,
    Micros,
    Origin,
)
from hooktide.domain.verdict import Again, Failed, Gone, Outcome, RetryAt, Verdict, judge
from hooktide.engine.destinations import Chat, Destination, Destinations
from hooktide.store.base import Done, Store


class Mails(Protocol):
    """The way out for mail (``outbound.Mailer``)."""

    sender: str

    async def send(self, to: str, mail: bytes, timeout: float) -> Outcome:
        """Hand in one mail; whatever becomes of it comes back as a value."""


class Special(Enum):
    """What came of no attempt."""

    TOGETHER = "together"


Together: TypeAlias = Literal[Special.TOGETHER]
TOGETHER: Together = Special.TOGETHER
"""Nothing was sent: the endpoint is a chat's, and its deliveries go out together."""


class Sends(Protocol):
    """The way out (``outbound.Sender``)."""

    async def post(self, target: Target, head: bytes, body: bytes, timeout: float) -> Outcome:
        """Send one request; whatever the network does comes back as a value."""


class Deliverer:
    """Makes attempts. ``clock`` gives now in microseconds, ``rand`` a number from 0 to 1.

    ``wall`` is the wall clock: receivers compare a signature's timestamp with theirs.
    ``told`` hears of each attempt once it is handed to the store: the log and the metrics.
    ``pace`` lies between two messages to a chat at least. ``mailer``: None where there is no relay.
    """

    def __init__(
        self,
        *,
        store: Store,
        sender: Sends,
        destinations: Destinations,
        clock: Callable[[], Micros],
        rand: Callable[[], float],
        told: Callable[[Done, Destination], None],
        wall: Callable[[], Micros] = wall_clock,
        pace: Micros = PACE,
        mailer: Mails | None = None,
    ) -> None:
        self._store = store
        self._sender = sender
        self._destinations = destinations
        self._clock = clock
        self._rand = rand
        self._told = told
        self._wall = wall
        self._pace = pace
        self._mailer = mailer

    async def attempt(self, claim: Claim) -> Done | Together | None:
        """Make one attempt, and record what became of it.

        None: the endpoint was disabled or removed meanwhile, and nothing was sent.
        """
        destination = self._destinations.ready(claim.endpoint_id)
        if destination is None:
            destination = await self._find(claim.endpoint_id)
        if destination is None:
            return None
        if destination.chat is not None:
            return TOGETHER
        return await self._make(claim, destination)

    async def _make(self, claim: Claim, destination: Destination) -> Done:
        started_at = self._clock()

        body = destination.composer.body(claim.event)
        head, shown = self._heads(claim, destination, body)
        outcome = await self._send(destination, head, body)
        verdict = self._judge(outcome, claim, destination, started_at + outcome.duration)

        return self._record(
            Done(claim, _attempt(claim, outcome, started_at, shown), verdict), destination
        )

    def _heads(self, claim: Claim, destination: Destination, body: bytes) -> tuple[bytes, bytes]:
        """Return the head that goes out, and the one that the log keeps.

        They differ in the values of the customer's own headers, which may be credentials.
        """
        prefix = destination.target.prefix if destination.target else b""
        secrets, extra = destination.secrets, destination.headers
        compose = destination.composer.compose
        head = compose(claim.event, prefix, secrets, body, self._wall(), extra)
        if not extra:
            return head, head
        return head, head.replace(extra, destination.shown_headers)

    def _record(self, done: Done, destination: Destination) -> Done:
        self._store.record(done)
        self._told(done, destination)
        return done

    # -- many in one message -------------------------------------------------------------------

    async def attempt_together(self, claims: Sequence[Claim]) -> list[Done] | None:
        """Tell a chat of one or more events (of one endpoint) in a message: an attempt of each.

        None: nothing was sent, for the endpoint was disabled, removed or made a webhook meanwhile.
        """
        destination = await self._find(claims[0].endpoint_id)
        if destination is None:
            return None
        if destination.chat is None:  # one after the other could take longer than their leases
            return [await self._make(claims[0], destination)] if len(claims) == 1 else None
        claims = sorted(claims, key=lambda claim: claim.event.id)
        started_at = self._clock()
        outcome, head = await self._tell(destination, destination.chat, claims)
        reason = destination.chat.service.gone(outcome)
        dones = []
        for claim in claims:
            ended_at = started_at + outcome.duration
            verdict = Gone(reason) if reason else self._judge(outcome, claim, destination, ended_at)
            dones.append(Done(claim, _attempt(claim, outcome, started_at, head), verdict))
        return [self._record(done, destination) for done in dones]

    async def _tell(
        self, destination: Destination, chat: Chat, claims: Sequence[Claim]
    ) -> tuple[Outcome, bytes]:
        """Send a message, and once more as plain text if it was not understood.

        Returns what came of it, and the head as the log keeps it.
        """
        messages = [chat.message(claim.event) for claim in claims]
        notes = [f"in one message with {len(claims) - 1} more"] if len(claims) > 1 else []
        if destination.endpoint.kind is EndpointKind.MAIL:
            outcome, head = await self._mail(destination, messages, claims[0].event.id)
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
        prefix = target.prefix if target else b""
        outcome = await self._send(destination, unsigned(prefix, body, destination.headers), body)
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
        outcome = await self._mailer.send(to, head + body, destination.timeout)
        return outcome, b"MAIL %b\r\n%b" % (to.encode(), head)

    # ------------------------------------------------------------------------------------------

    async def _find(self, endpoint_id: int) -> Destination | None:
        ready = self._destinations.ready(endpoint_id)
        if ready is not None:
            return ready
        try:
            return await self._destinations.find(endpoint_id)
        except NotFoundError:
            return None

    async def _send(self, destination: Destination, head: bytes, body: bytes) -> Outcome:
        if destination.target is None:
            return Outcome(error="destination_forbidden", detail=destination.refused)
        return await self._sender.post(destination.target, head, body, destination.timeout)

    def _judge(
        self, outcome: Outcome, claim: Claim, destination: Destination, now: Micros
    ) -> Verdict:
        delays = () if claim.origin is Origin.TEST else destination.delays
        return judge(outcome, attempt=claim.attempt, delays=delays, now=now, rand=self._rand())

    def give_up(self, claim: Claim, rest: Micros = MINUTE) -> None:
        """Our own trouble or a bug stopped an attempt: it is made again after ``rest``.

        It never counted.
        """
        now = self._clock()
        outcome = Outcome(error="local_error", local=True)
        self._store.record(Done(claim, _attempt(claim, outcome, now, b""), Again(now + rest)))


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
    """Name a verdict for the log and the metrics."""
    match verdict:
        case RetryAt():
            return "retry"
        case Again():
            return "again"
        case Failed():
            return "failed"
        case _:
            return type(verdict).__name__.lower()
