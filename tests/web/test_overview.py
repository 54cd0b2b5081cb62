"""The overview shows whether events are delivered, and what prevents it."""

import pytest
from storekit import NOON

from hooktide.actions.deliveries.queue_counts import Waiting
from hooktide.domain.model import HOUR, MINUTE, Micros
from hooktide.domain.stats import Backlog, ChartPoint, EndpointBacklog, Oldest
from hooktide.web.pages.dashboard.overview import status

BUSY = [ChartPoint(at=NOON, attempts=9, failed_attempts=2)]
QUIET: list[ChartPoint] = []


def waiting(*of_each: int, due_at: Micros = NOON + HOUR, endpoints: int = 0) -> Waiting:
    backlog = Backlog(
        waiting=sum(of_each),
        retries=0,
        held=0,
        endpoints=endpoints or len(of_each),
        in_flight=0,
        largest=[EndpointBacklog(n, 1, 1, count, 0, 0) for n, count in enumerate(of_each)],
    )
    oldest = Oldest(NOON - 6 * HOUR, due_at) if of_each else Oldest(None, None)
    return Waiting(backlog, oldest)


def said(waits: Waiting, recent: list[ChartPoint]) -> tuple[str, str]:
    found = status(waits, recent, NOON)
    return found.tone, f"{found.word} {found.text}".strip()


def test_it_delivers_and_a_few_endpoints_hold_most_of_what_waits() -> None:
    waits = waiting(3000, 1000, 800, 400, 988)
    assert said(waits, BUSY) == (
        "heed",
        "Delivering. 4 endpoints hold 84 % of 6,188 waiting; the oldest for 6 h.",
    )


def test_one_endpoint_may_hold_all_of_it() -> None:
    assert said(waiting(7), BUSY)[1] == (
        "Delivering. 1 endpoint holds all of 7 waiting; the oldest for 6 h."
    )


def test_what_is_spread_out_is_not_blamed_on_anybody() -> None:
    waits = waiting(1, 1, endpoints=2)
    backlog = Backlog(900, 0, 0, 450, 0, waits.backlog.largest)
    assert said(Waiting(backlog, waits.oldest), BUSY)[1] == (
        "Delivering. 900 deliveries to 450 endpoints wait; the oldest for 6 h."
    )


@pytest.mark.parametrize(
    ("waits", "recent", "tone", "begins"),
    [
        (waiting(), BUSY, "good", "Delivering."),
        (waiting(), QUIET, "good", "Idle. Nothing waits."),
        (waiting(5), QUIET, "good", "Idle. 1 endpoint holds"),
        (
            waiting(5, due_at=NOON - 2 * MINUTE),
            QUIET,
            "bad",
            "Not delivering. Nothing was attempted for 5 minutes. 1 endpoint holds",
        ),
        (
            waiting(5),
            [ChartPoint(at=NOON, attempts=9, failed_attempts=9)],
            "bad",
            "Failing. All 9 attempts of the last 5 minutes failed. 1 endpoint",
        ),
    ],
)
def test_whether_it_delivers(
    waits: Waiting, recent: list[ChartPoint], tone: str, begins: str
) -> None:
    found = said(waits, recent)
    assert found[0] == tone
    assert found[1].startswith(begins)
