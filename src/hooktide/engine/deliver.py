"""The centre: one attempt of one delivery. Compose, send, judge, record."""

from collections.abc import Callable
from typing import Protocol

from hooktide.clock import wall_clock
from hooktide.domain.address import Target
from hooktide.domain.compose import Composer
from hooktide.domain.errors import NotFoundError
from hooktide.domain.model import MINUTE, Attempt, Claim, Micros, Origin
from hooktide.domain.verdict import Again, Failed, Outcome, RetryAt, Verdict, judge
from hooktide.engine.destinations import Destination, Destinations
from hooktide.store.base import Done, Store


class Sends(Protocol):
    """The way out (``outbound.Sender``)."""

    async def post(self, target: Target, head: bytes, body: bytes, timeout: float) -> Outcome:
        """Send one request; whatever the network does comes back as a value."""


class Deliverer:
    """Makes attempts. ``clock`` gives now in microseconds, ``rand`` a number from 0 to 1.

    ``wall`` is the wall clock: receivers compare a signature's timestamp with theirs.
    ``told`` hears of each attempt once it is handed to the store: the log and the metrics.
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
    ) -> None:
        self._store = store
        self._sender = sender
        self._destinations = destinations
        self._clock = clock
        self._rand = rand
        self._told = told
        self._wall = wall

    async def attempt(self, claim: Claim) -> Done | None:
        """Make one attempt, and record what became of it.

        None: the endpoint was disabled or removed meanwhile, and nothing was sent.
        """
        destination = self._destinations.ready(claim.endpoint_id)
        if destination is None:
            destination = await self._find(claim.endpoint_id)
            if destination is None:
                return None
        started_at = self._clock()
        composer, event = destination.composer, claim.event

        body = composer.body(event)
        head, shown = _heads(composer, claim, destination, body, self._wall())
        outcome = await self._send(destination, head, body)
        verdict = self._judge(outcome, claim, destination, started_at + outcome.duration)

        done = Done(claim, _attempt(claim, outcome, started_at, shown), verdict)
        self._store.record(done)
        self._told(done, destination)
        return done

    async def _find(self, endpoint_id: int) -> Destination | None:
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


def _heads(
    composer: Composer, claim: Claim, destination: Destination, body: bytes, now: Micros
) -> tuple[bytes, bytes]:
    """Return the head that goes out, and the one that the log keeps.

    They differ in the values of the customer's own headers, which may be credentials.
    """
    prefix = destination.target.prefix if destination.target else b""
    extra = destination.headers
    head = composer.compose(claim.event, prefix, destination.secrets, body, now, extra)
    if not extra:
        return head, head
    return head, head.replace(extra, destination.shown_headers)


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
