"""How long an endpoint rests: as long as its receiver asked, or a second and then longer."""

import pytest

from hooktide.domain.delivery.rest import (
    MAX_REST,
    MIN_REST,
    NO_REST,
    Rest,
    RestRequest,
    asked,
    ignores_rest,
    lifted,
    rest_request,
    succeeded,
)
from hooktide.domain.delivery.verdict import Outcome
from hooktide.domain.model import DAY, HOUR, SECOND, Claim, Event, Micros, Origin

NOW: Micros = 1_000_000 * SECOND
TOOK: Micros = 100


def answered(rest: Rest, at: Micros, span: Micros = 0, status: int = 429) -> Rest:
    """Return the rest after an attempt that began at ``at``."""
    return asked(rest, RestRequest(status, span), at, at + TOOK)


@pytest.mark.parametrize(
    ("outcome", "request_"),
    [
        (Outcome(status=429), RestRequest(429)),
        (Outcome(status=429, retry_after=0), RestRequest(429)),
        (Outcome(status=429, retry_after=1), RestRequest(429, 1)),
        (Outcome(status=429, retry_after=DAY), RestRequest(429, DAY)),
        (Outcome(status=429, retry_after=DAY + 1), RestRequest(429, DAY)),
        (Outcome(status=503, retry_after=HOUR), RestRequest(503, HOUR)),
        (Outcome(status=503), None),
        (Outcome(status=503, retry_after=0), None),
        (Outcome(status=500, retry_after=HOUR), None),
        (Outcome(status=200, retry_after=HOUR), None),
        (Outcome(error="timeout"), None),
    ],
)
def test_a_429_asks_for_rest_and_a_503_that_says_for_how_long(
    outcome: Outcome, request_: RestRequest | None
) -> None:
    assert rest_request(outcome) == request_


def test_an_endpoint_rests_as_long_as_its_receiver_asked_and_says_why() -> None:
    rest = answered(NO_REST, NOW, HOUR, 503)
    assert rest.until == NOW + TOOK + HOUR
    assert rest.reason == "the receiver answered 503 with Retry-After"
    assert rest.began_at == NOW + TOOK


def test_429s_that_do_not_say_rest_a_second_and_twice_as_long_each_up_to_a_minute() -> None:
    rest, spans = NO_REST, []
    for _ in range(8):
        at = rest.until or NOW
        rest = answered(rest, at)
        spans.append((rest.until - at - TOOK) // SECOND)
    assert spans == [1, 2, 4, 8, 16, 32, 60, 60]
    assert rest.reason == "the receiver answered 429"
    assert (MIN_REST, MAX_REST) == (SECOND, 60 * SECOND)


def test_requests_that_were_out_together_double_nothing() -> None:
    rest = answered(NO_REST, NOW)
    for _ in range(9):
        rest = answered(rest, NOW)
    assert rest.until == NOW + TOOK + MIN_REST
    before = answered(rest, rest.until - 1)
    assert before.until == rest.until - 1 + TOOK + MIN_REST


def test_the_doubling_ends_with_a_success_that_was_made_after_the_rest() -> None:
    rest = answered(answered(NO_REST, NOW), NOW + HOUR)
    assert rest.span == 2 * SECOND
    early = succeeded(rest, Origin.EVENT, rest.until - 1, rest.until + HOUR)
    assert early == rest
    over = succeeded(rest, Origin.EVENT, rest.until, rest.until + 1)
    assert over == NO_REST
    again = answered(over, rest.until + HOUR)
    assert again.until == rest.until + HOUR + TOOK + MIN_REST


def test_the_later_end_wins() -> None:
    long = answered(NO_REST, NOW, HOUR)
    assert answered(long, NOW + 1, SECOND) == long
    assert answered(long, NOW + 1, HOUR).until == NOW + 1 + TOOK + HOUR
    short = answered(long, NOW + 1)
    assert (short.until, short.reason) == (long.until, long.reason)
    assert short.span == MIN_REST


def test_a_request_that_ends_a_rest_at_the_same_time_leaves_it_as_it_was() -> None:
    rest = answered(NO_REST, NOW, HOUR, 503)
    assert answered(rest, NOW + HOUR - MIN_REST).reason == rest.reason
    assert answered(rest, NOW + HOUR - MIN_REST).began_at == rest.began_at


def test_a_good_test_lifts_a_rest_but_not_one_that_began_before_it() -> None:
    rest = answered(NO_REST, NOW, HOUR)
    assert succeeded(rest, Origin.TEST, rest.began_at - 1, NOW + HOUR) == rest
    lifted_ = succeeded(rest, Origin.TEST, rest.began_at, NOW + SECOND)
    assert lifted_ == Rest(lifted_at=NOW + SECOND)


@pytest.mark.parametrize("origin", [Origin.EVENT, Origin.RESEND, Origin.REPLAY])
def test_no_other_success_lifts_a_rest(origin: Origin) -> None:
    rest = answered(NO_REST, NOW, HOUR)
    assert succeeded(rest, origin, rest.until - 1, rest.until) == rest


def test_an_attempt_that_began_before_a_rest_was_lifted_asks_for_none() -> None:
    rest = lifted(NOW)
    assert answered(rest, NOW - 1, HOUR) == rest
    assert answered(rest, NOW, HOUR).until == NOW + TOOK + HOUR


def test_only_tests_and_the_first_attempt_of_a_resend_ignore_a_rest() -> None:
    event = Event(id=1, account_id=1, type="t", payload=b"{}", occurred_at=0)

    def claim(origin: Origin, attempt: int) -> Claim:
        return Claim(
            delivery_id=1,
            endpoint_id=1,
            event=event,
            attempt=attempt,
            token=1,
            due_at=0,
            lease_ends_at=1,
            origin=origin,
        )

    kinds = [(origin, attempt) for origin in Origin for attempt in (1, 2)]
    assert [kind for kind in kinds if ignores_rest(claim(*kind))] == [
        kind for kind in kinds if kind[0] is Origin.TEST or kind == (Origin.RESEND, 1)
    ]
