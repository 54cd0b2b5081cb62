"""Checks what a process sends and when, at each outgoing request and each judged response."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Sequence

from simulation.ledger import Flight, Tracked
from simulation.truth import AFTER_SETTING, LEASE_AT_LEAST, MARKER, SKEW, Truth

from hooktide.domain.delivery.verdict import Delivered, Requeued, RetryAt
from hooktide.domain.ids import show
from hooktide.domain.model import DAY, MINUTE, SECOND, Claim, Micros, Origin
from hooktide.engine.destinations import Destination
from hooktide.store.base import LEASE, AttemptRecord

JITTER = 0.1
LEASE_AT_MOST = LEASE * 3 // 4
"""No request is sent that could outlive its lease, but by a process that stalled meanwhile."""

KNOWN_TIMEOUT: Micros = MINUTE
"""How long after a change every process knows of it, also where it missed being told."""

RATE_SPAN: Micros = 10 * SECOND
RATE_SLACK: Micros = SECOND
"""By how much a request may be later than its slot, with the way of the slot to its process."""


class AttemptChecks:
    """Tracks the attempts that processes make, and checks them.

    ``on_left`` is called when a request is sent.
    """

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self._ledger = truth.ledger
        self._bodies: dict[int, bytes] = {}
        self._rests: dict[tuple[object, int], tuple[Micros, Micros, Micros]] = {}
        self.on_left: Callable[[Flight], None] = lambda _: None

    def began(self, process: object, claim: Claim) -> Flight:
        """A process begins an attempt for a claim."""
        tracked = self._ledger.deliveries[claim.delivery_id]
        flight = Flight(claim, process, self._truth.now(), tracked.claims.get(claim.token, -DAY))
        tracked.flights.append(flight)
        return flight

    def left(self, flights: Sequence[Flight], head: bytes, body: bytes, wall: Micros) -> None:
        """A request is sent for one or more deliveries. ``wall`` is the process's own clock."""
        for flight in flights:
            self._leaves(flight)
        if b"\r\nwebhook-signature: " in head.lower():
            tracked = self._ledger.deliveries[flights[0].claim.delivery_id]
            self._check_request(tracked, flights[0], head, body, wall)
        else:
            self._check_message(flights, body)
        self._check_rate(flights[0])
        for flight in flights:
            self.on_left(flight)

    def _leaves(self, flight: Flight) -> None:
        self._ledger.attempts += 1
        tracked = self._ledger.deliveries[flight.claim.delivery_id]
        flight.left, flight.ended = self._truth.now(), None
        words = f"{tracked.name} attempt {flight.claim.attempt} goes out"
        self._ledger.note(str(flight.process), words, tracked.id)
        late = flight.left - flight.claimed > LEASE_AT_MOST
        if late and flight.process.woke < flight.claimed:
            self._ledger.broken(4, "is sent at the end of its lease, or after it", tracked.id)
        for other in tracked.flights:
            if other is not flight:
                self._check_alone(tracked, flight, other)
        self._check_kept(tracked, flight)
        self._check_told(tracked, flight)
        self._check_rest(tracked, flight)
        self._check_gap(tracked, flight)

    def _check_message(self, flights: Sequence[Flight], body: bytes) -> None:
        """A chat message covers exactly these deliveries."""
        deliveries = [self._ledger.deliveries[each.claim.delivery_id] for each in flights]
        told = sorted(set(MARKER.findall(body)))
        wanted = sorted({self._truth.markers[each.event_id] for each in deliveries})
        if told != wanted:
            words = f"goes out in a message that tells of {told}, not of {wanted}"
            self._ledger.broken(8, words, deliveries[0].id)
        if (
            len({each.id for each in deliveries}) < len(deliveries)
            or len({each.endpoint_id for each in deliveries}) > 1
        ):
            words = "goes out in a message twice, or with those of another endpoint"
            self._ledger.broken(8, words, deliveries[0].id)

    def check_judged(self, flights: Sequence[Flight]) -> None:
        """All deliveries of one chat message have the same outcome."""
        for flight in flights:
            if flight.is_out or flight.judged > 1:
                words = f"went out in a message and has {flight.judged} outcomes"
                self._ledger.broken(2, words, flight.claim.delivery_id)

    def _check_alone(self, tracked: Tracked, flight: Flight, other: Flight) -> None:
        """No attempt is made twice, unless a lease was lost."""
        claimed = min(other.claimed, flight.claimed)
        lost = (
            other.process.dead
            or self._truth.now() - claimed >= LEASE_AT_LEAST
            or not tracked.given_back.keys().isdisjoint({flight.claim.token, other.claim.token})
        )
        if other.is_out and not lost:
            self._ledger.broken(2, "is attempted while another attempt of it is out", tracked.id)
        made = other.record is not None and not isinstance(other.record.verdict, Requeued)
        if made and other.claim.attempt == flight.claim.attempt and not lost:
            words = f"attempt {flight.claim.attempt} is made again without a reason"
            self._ledger.broken(2, words, tracked.id)
        good = other.record is not None and isinstance(other.record.verdict, Delivered)
        if good and not lost:
            self._ledger.broken(3, "is attempted after a 2xx", tracked.id)

    def _check_kept(self, tracked: Tracked, flight: Flight) -> None:
        """A process that was presumed dead starts no attempt for its old claims when it is back."""
        given_back = tracked.given_back.get(flight.claim.token, flight.began)
        if given_back < flight.process.store.node.held_since < flight.began:
            self._ledger.broken(4, "is sent although its claim was released", tracked.id)

    def _check_told(self, tracked: Tracked, flight: Flight) -> None:
        receiver = self._ledger.receivers[tracked.endpoint_id]
        told = flight.process.told_at.get(("endpoint", receiver.id), -1)
        if not receiver.takes(tracked.origin) and receiver.off_since <= told < flight.began:
            self._ledger.broken(4, "is sent to an endpoint that is known to be off", tracked.id)

    def _check_rest(self, tracked: Tracked, flight: Flight) -> None:
        """A process that received a Retry-After sends the receiver nothing in that time."""
        receiver = self._ledger.receivers[tracked.endpoint_id]
        until, heard, began = self._rests.get((flight.process, receiver.id), (0, 0, 0))
        urgent = flight.claim.origin is Origin.TEST or (
            flight.claim.origin is Origin.RESEND and flight.claim.attempt == 1
        )
        rests = until - self._truth.wall() > SKEW and heard < flight.began
        lifted = receiver.lifted_since >= began
        if rests and not (urgent or lifted or self._truth.clock_set_at >= heard):
            self._ledger.broken(6, "is sent to an endpoint that asked for rest", tracked.id)

    def _check_rate(self, flight: Flight) -> None:
        """Within any span all processes send no more than the rate allows, and never in a heap."""
        receiver = self._ledger.receivers[
            self._ledger.deliveries[flight.claim.delivery_id].endpoint_id
        ]
        now = self._truth.now()
        receiver.sent = [at for at in receiver.sent if now - at < RATE_SPAN] + [now]
        calm = max(receiver.rate_since, self._truth.calm_since(), flight.process.woke)
        if receiver.rate is None or now - calm < KNOWN_TIMEOUT + RATE_SPAN:
            return
        rate, burst = receiver.rate
        spans = [now - at for at in receiver.sent]
        allowed = [burst + 1 + (span + RATE_SLACK) * rate / SECOND for span in spans]
        if len(spans) > 1.1 * (10 * rate + burst) or any(
            len(spans) - n > most for n, most in enumerate(allowed)
        ):
            words = f"is sent although its endpoint gets {rate} a second, {burst} at once"
            self._ledger.broken(12, words, flight.claim.delivery_id)

    def _check_gap(self, tracked: Tracked, flight: Flight) -> None:
        """A retry is sent no earlier than its schedule less a tenth, and respects Retry-After."""
        made = [each for each in tracked.flights if each.recorded and each is not flight]
        last = max(made, key=lambda each: each.ended or 0, default=None)
        if last is None or last.record is None or not isinstance(last.record.verdict, RetryAt):
            return
        if last.claim.attempt >= flight.claim.attempt:
            return
        due_at, ended_at = last.record.verdict.due_at, last.record.attempt.ended_at
        passed = self._truth.now() - (last.ended or 0)
        on_time = self._truth.wall() >= due_at - SKEW or self._asked_before_the_setting(tracked)
        if not on_time and passed < (due_at - ended_at) * (1 - JITTER) - SKEW:
            words = f"is tried again after {passed / SECOND:.3f} s"
            wanted = (due_at - ended_at) / SECOND
            self._ledger.broken(6, f"{words}, not after {wanted:.3f} s", tracked.id)

    def _asked_before_the_setting(self, tracked: Tracked) -> bool:
        """Whether a claim may have been asked for by a process that stalled, and the clock was set
        before it woke.
        """
        for token, claimed in tracked.claims.items():
            process = tracked.holders[token]
            stalled = process.stalled_at <= self._truth.clock_set_at <= process.woke
            if stalled and 0 <= claimed - process.woke < AFTER_SETTING:
                return True
        return False

    def _check_request(
        self, tracked: Tracked, flight: Flight, head: bytes, body: bytes, wall: Micros
    ) -> None:
        """Attempts have the same body and id, a new timestamp, and exactly the active secrets."""
        fields = dict(
            line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line
        )
        lines = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
        if self._bodies.setdefault(tracked.event_id, body) != body:
            self._ledger.broken(8, "has another body than before", tracked.id)
        if fields[b"webhook-id"] != show("evt", tracked.event_id).encode():
            self._ledger.broken(8, f"has the id {fields[b'webhook-id']!r}", tracked.id)
        stamp = fields[b"webhook-timestamp"]
        if abs(int(stamp) - wall // SECOND) > 1:
            self._ledger.broken(8, f"has the timestamp {stamp!r}", tracked.id)
        receiver = self._ledger.receivers[tracked.endpoint_id]
        told = flight.process.told_at.get(("endpoint", receiver.id), -1)
        late = max(receiver.secrets_since, flight.process.woke, self._truth.calm_since())
        if not (
            receiver.secrets_since <= told < flight.began or flight.began - late > KNOWN_TIMEOUT
        ):
            return  # it may not know the current secrets yet
        signed = b".".join([lines[b"webhook-id"], stamp, body])
        wanted = sorted(_signature(key, signed) for key in receiver.secrets)
        if sorted(lines[b"webhook-signature"].split(b" ")) != wanted:
            self._ledger.broken(8, "is not signed with the secrets in force", tracked.id)

    def judged(self, flight: Flight, record: AttemptRecord, destination: Destination) -> None:
        """A process has judged a response, and submitted the attempt to be recorded."""
        tracked = self._ledger.deliveries[flight.claim.delivery_id]
        flight.record, flight.ended = record, self._truth.now()
        flight.judged += 1
        verdict, made = record.verdict, record.attempt
        words = f"{tracked.name} attempt {made.number}: {made.status or made.error}"
        self._ledger.note(str(flight.process), f"{words}, so {type(verdict).__name__}", tracked.id)
        if not isinstance(verdict, Requeued):
            self._truth.unrecorded[tracked.id, flight.claim.token] = flight
        if record.rest is not None:
            until = made.ended_at + (record.rest.span or SECOND)
            place = flight.process, tracked.endpoint_id
            self._rests[place] = (until, self._truth.now(), flight.began)
        if isinstance(verdict, RetryAt):
            self._check_schedule(tracked, record, destination)

    def _check_schedule(
        self, tracked: Tracked, record: AttemptRecord, destination: Destination
    ) -> None:
        assert isinstance(record.verdict, RetryAt)
        delay = record.verdict.due_at - record.attempt.ended_at
        delays = destination.schedule_of(record.claim.event.type).delays
        wanted = delays[record.claim.attempt - 1]
        if delay < wanted * (1 - JITTER) - 1:
            words = f"is to be tried again in {delay / SECOND:.1f} s, not {wanted / SECOND:.1f} s"
            self._ledger.broken(6, words, tracked.id)

    def not_sent(self, flight: Flight) -> None:
        """An attempt was not sent, because the endpoint was disabled or the process was cut off."""
        if flight.record is None:
            flight.ended = self._truth.now()


def _signature(key: bytes, signed: bytes) -> bytes:
    return b"v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256))
