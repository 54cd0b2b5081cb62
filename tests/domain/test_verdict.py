"""What an outcome means for a delivery."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooktide.domain.delivery.verdict import (
    LOCAL_PAUSE,
    MAX_LOCAL_REST,
    Delivered,
    Failed,
    Gone,
    Outcome,
    Requeued,
    RetryAt,
    Verdict,
    corrected_due,
    judge,
)
from hooktide.domain.model import DAY, HOUR, MINUTE, SECOND, Micros

NOW = 1_767_268_800 * SECOND
DELAYS = (10 * SECOND, 60 * SECOND)


def verdict(outcome: Outcome, attempt: int = 1, rand: float = 0.5) -> Verdict:
    return judge(outcome, attempt=attempt, delays=DELAYS, now=NOW, rand=rand)


@pytest.mark.parametrize("status", [200, 201, 204, 226, 299])
def test_any_2xx_is_delivered(status: int) -> None:
    assert verdict(Outcome(status=status)) == Delivered()


@pytest.mark.parametrize(
    "status", [100, 101, 199, 300, 301, 304, 308, 400, 404, 409, 499, 500, 599]
)
def test_everything_else_is_tried_again(status: int) -> None:
    assert verdict(Outcome(status=status)) == RetryAt(NOW + DELAYS[0])


@pytest.mark.parametrize("error", ["timeout", "dns_error", "tls_error", "destination_forbidden"])
def test_an_attempt_without_an_answer_is_tried_again(error: str) -> None:
    assert verdict(Outcome(error=error)) == RetryAt(NOW + DELAYS[0])


def test_each_retry_waits_its_own_delay_and_after_the_last_the_delivery_has_failed() -> None:
    busy = Outcome(status=500)
    assert verdict(busy, attempt=1) == RetryAt(NOW + DELAYS[0])
    assert verdict(busy, attempt=2) == RetryAt(NOW + DELAYS[1])
    assert verdict(busy, attempt=3) == Failed()


def test_gone_is_final_on_every_attempt() -> None:
    assert verdict(Outcome(status=410), attempt=1) == Gone()
    assert verdict(Outcome(status=410), attempt=3) == Gone()


def test_a_local_error_is_no_attempt_even_after_the_last_retry() -> None:
    verdicts = {verdict(Outcome(error="local_error", local=True), n) for n in (1, 2, 3, 9)}
    assert verdicts == {Requeued(NOW + LOCAL_PAUSE)}


@pytest.mark.parametrize("status", [429, 503])
def test_a_rest_of_the_endpoint_leaves_the_delivery_its_own_schedule(status: int) -> None:
    for asked in (SECOND, HOUR, None):
        assert verdict(Outcome(status=status, retry_after=asked)) == RetryAt(NOW + DELAYS[0])


def test_a_retry_after_of_any_other_status_moves_the_retry_alone() -> None:
    assert verdict(Outcome(status=500, retry_after=HOUR)) == RetryAt(NOW + HOUR)


def test_a_receiver_cannot_ask_for_more_than_a_day() -> None:
    assert verdict(Outcome(status=500, retry_after=365 * DAY)) == RetryAt(NOW + DAY)


def test_a_receiver_cannot_ask_for_a_sooner_retry() -> None:
    assert verdict(Outcome(status=500, retry_after=1)) == RetryAt(NOW + DELAYS[0])


@given(rand=st.floats(0, 1), attempt=st.integers(1, 2))
def test_chance_moves_a_retry_by_a_tenth_at_most(rand: float, attempt: int) -> None:
    found = verdict(Outcome(status=500), attempt, rand)
    assert isinstance(found, RetryAt)
    delay = DELAYS[attempt - 1]
    assert 0.9 * delay - 1 <= found.due_at - NOW <= 1.1 * delay + 1


def test_many_that_fail_at_once_are_spread_over_a_fifth_of_the_delay() -> None:
    due = [verdict(Outcome(status=500), rand=n / 1000) for n in range(1001)]
    times = [found.due_at for found in due if isinstance(found, RetryAt)]
    assert max(times) - min(times) >= 0.199 * DELAYS[0]


LONG = (10 * SECOND, 10 * MINUTE)


@pytest.mark.parametrize(
    ("attempts", "retry_after", "ahead", "corrected"),
    [
        (0, None, MAX_LOCAL_REST, None),
        (0, None, MAX_LOCAL_REST + 1, 0),
        (1, None, MAX_LOCAL_REST, None),
        (1, None, MAX_LOCAL_REST + 1, 10 * SECOND),
        (2, None, 11 * MINUTE, None),
        (2, None, 11 * MINUTE + 1, 10 * MINUTE),
        (3, None, 11 * MINUTE + 1, 10 * MINUTE),
        (2, HOUR, HOUR, None),
        (2, HOUR, HOUR + 1, HOUR),
        (2, 365 * DAY, DAY + 1, DAY),
    ],
)
def test_a_delivery_is_due_when_its_delay_or_its_receiver_says_though_the_clock_was_set_back(
    attempts: int, retry_after: Micros | None, ahead: Micros, corrected: Micros | None
) -> None:
    found = corrected_due(
        NOW + ahead, attempts=attempts, delays=LONG, retry_after=retry_after, now=NOW
    )
    assert found == (None if corrected is None else NOW + corrected)


def test_a_delivery_without_retries_has_no_delay() -> None:
    due = NOW + MAX_LOCAL_REST + 1
    assert corrected_due(due, attempts=1, delays=(), retry_after=None, now=NOW) == NOW
