"""Connections to PostgreSQL are cut at every point of every operation."""

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

import asyncpg
import pytest
from auditlogkit import (
    ALONE,
    ANN,
    Change,
    disable_endpoint,
    edit_project,
    entries,
    rotate_secret,
    stored,
    update_endpoint,
)
from chaos import Message, Proxy, Where, proxied
from storekit import LEASE, NOON, Given, Place, at_last, until

from hooktide.domain.delivery.verdict import Delivered, Failed, RetryAt, Verdict
from hooktide.domain.errors import UnavailableError
from hooktide.domain.model import Scope
from hooktide.store.postgres import PostgresStore
from hooktide.store.postgres.connection.notifier import CHANGED

MAX_MESSAGES = 100
LEAST_MESSAGES = {Where.BEFORE: 3, Where.AFTER: 3, Where.UNANSWERED: 1}
"""How many there are at least: a statement is bound, executed and, at its sync, committed."""


@pytest.fixture
def kind() -> str:
    return "postgres"


@pytest.fixture
async def proxy(place: Place) -> AsyncIterator[Proxy]:
    async with proxied(place.url) as proxy:
        yield proxy


@pytest.fixture
async def given(proxy: Proxy) -> AsyncIterator[Given]:
    """All connections go through the proxy."""
    given = Given(Place(proxy.url))
    await given.open()
    await given.begin()
    yield given
    await given.close()


BESIDE = ("pg_notify", "LISTEN", "hooktide.nodes", "pg_advisory_lock")
"""What is in the statements that no caller waits for: what processes tell each other."""


@dataclass
class Nth:
    """Matches the nth message (from 0) that can be cut there, except background statements."""

    n: int
    where: Where
    seen: int = 0

    def __call__(self, message: Message) -> bool:
        if any(each in message.sql for each in BESIDE):
            return False
        self.seen += message.answered or self.where is not Where.UNANSWERED
        return self.seen == self.n + 1


@pytest.mark.parametrize("per_hour", [None, 1000])
@pytest.mark.parametrize("where", Where)
async def test_an_event_whose_caller_asks_again_is_there_once_wherever_it_was_cut(
    given: Given, proxy: Proxy, where: Where, per_hour: int | None
) -> None:
    await given.set_plan(deliveries_per_hour=per_hour)
    for n in range(MAX_MESSAGES):
        event = given.event(idempotency_key=f"k{n}", digest=b"d")
        cut = proxy.cut(Nth(n, where), where)
        await at_last(lambda: given.publish(event))  # noqa: B023 - awaited at once
        nothing_left_to_cut = proxy.spare(cut)
        counts = await given.store.counts()
        assert (counts.pending, counts.held) == (n + 1, 0)
        if nothing_left_to_cut:
            break
    assert n >= LEAST_MESSAGES[where]


EMIT = """INSERT INTO hooktide.emitted (project, account, type, payload)
VALUES ('p', 'a', 'invoice.paid', '{}')"""
WAITING = "SELECT count(*) FROM hooktide.emitted"


@pytest.mark.parametrize("where", Where)
async def test_an_emitted_event_is_there_once_wherever_its_taking_over_was_cut(
    given: Given, proxy: Proxy, place: Place, where: Where
) -> None:
    app = await asyncpg.connect(place.url)

    async def take_over() -> None:
        rows = await given.store.emitted(10)
        await given.store.accept_emitted(
            {row.id: given.event() for row in rows}, {}, (), lambda _: ""
        )

    for n in range(MAX_MESSAGES):
        await app.execute(EMIT)
        cut = proxy.cut(Nth(n, where), where)
        await at_last(take_over)
        nothing_left_to_cut = proxy.spare(cut)
        await at_last(take_over)
        events = (await given.store.list_events(Scope(), None, MAX_MESSAGES)).items
        assert (len(events), await app.fetchval(WAITING)) == (n + 1, 0)
        if nothing_left_to_cut:
            break
    await app.close()
    assert n >= LEAST_MESSAGES[where]


@pytest.mark.parametrize("verdict", [Delivered(), Failed(), RetryAt(NOON + LEASE)])
@pytest.mark.parametrize("where", [Where.BEFORE, Where.UNANSWERED])
async def test_an_attempt_is_recorded_once_wherever_its_record_was_cut(
    given: Given, proxy: Proxy, where: Where, verdict: Verdict
) -> None:
    await given.set_plan(disable_after=1000)
    for n in range(MAX_MESSAGES):
        await given.publish()
        [claim] = await given.claim()
        cut = proxy.cut(Nth(n, where), where)
        await given.record(claim, verdict)
        nothing_left_to_cut = proxy.spare(cut)
        attempts = await given.store.list_attempts(Scope(), claim.delivery_id)
        assert [attempt.number for attempt in attempts] == [1]
        if nothing_left_to_cut:
            break
    assert n >= LEAST_MESSAGES[where]
    failing = (await given.store.get_endpoint(Scope(), given.endpoint.id)).consecutive_failures
    assert failing == (n + 1 if isinstance(verdict, Failed) else 0)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        *((each, Where.UNANSWERED) for each in ALONE),
        *((edit_project, where) for where in (Where.BEFORE, Where.AFTER)),
    ],
    ids=lambda each: getattr(each, "__name__", each),
)
async def test_a_change_and_its_audit_entry_are_there_together_wherever_it_was_cut(
    given: Given, proxy: Proxy, place: Place, where: Where, change: Change
) -> None:
    """Every operation is cut after each of its statements, and one of them in every way."""
    changed = False
    for n in range(MAX_MESSAGES):
        before, told = await stored(place), await entries(given)
        cut = proxy.cut(Nth(n, where), where)
        with suppress(UnavailableError):
            await change(given, ANN.does("thing.change"))
        nothing_left_to_cut = proxy.spare(cut)
        changed = await stored(place) != before
        written = len(await at_last(lambda: entries(given))) - len(told)
        assert written == changed, f"cut at message {n}"
        if changed or nothing_left_to_cut:
            break
    assert changed


@pytest.mark.parametrize("change", [update_endpoint, disable_endpoint, rotate_secret, edit_project])
async def test_a_change_that_is_stored_although_its_answer_was_lost_is_dropped_from_memory(
    given: Given, proxy: Proxy, change: Change
) -> None:
    given.hand.changes.clear()
    proxy.cut(lambda message: message.sql == "COMMIT", Where.UNANSWERED)
    with pytest.raises(UnavailableError):
        await change(given, ANN.does("thing.change"))
    cut_off = set(given.hand.changes)
    given.hand.changes.clear()
    await change(given, ANN.does("thing.change"))
    assert cut_off
    assert cut_off >= set(given.hand.changes)


async def test_a_change_that_is_committed_after_its_caller_gave_up_is_dropped_again(
    given: Given, place: Place
) -> None:
    assert isinstance(given.store, PostgresStore)
    signals, heard = given.store._notifier, given.hand.changes
    signals.unconfirmed([("endpoint", 7)])
    other = await asyncpg.connect(place.url)
    for name in ("endpoint:8", "endpoint:7", "endpoint:7"):
        await other.execute("SELECT pg_notify($1, $2)", CHANGED, f"{signals._me} {name}")
    await other.close()
    await until(lambda: heard.count(("endpoint", 7)) == 3)
    assert ("endpoint", 8) not in heard
