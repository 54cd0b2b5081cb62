"""Connections to PostgreSQL that are cut at every point of what they are used for."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg
import pytest
from chaos import Message, Proxy, Where, proxied
from storekit import LEASE, NOON, Given, Place, at_last

from hooktide.domain.model import Scope
from hooktide.domain.verdict import Delivered, Failed, RetryAt, Verdict

MOST_MESSAGES = 100
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
    """Everything goes through the proxy."""
    given = Given(Place(proxy.url))
    await given.open()
    await given.begin()
    yield given
    await given.close()


@dataclass
class Nth:
    """True of the nth message (from 0) that can be cut there; not of what the store does beside."""

    n: int
    where: Where
    seen: int = 0

    def __call__(self, message: Message) -> bool:
        if "pg_notify" in message.sql or "LISTEN" in message.sql:
            return False
        self.seen += message.answered or self.where is not Where.UNANSWERED
        return self.seen == self.n + 1


@pytest.mark.parametrize("per_hour", [None, 1000])
@pytest.mark.parametrize("where", Where)
async def test_an_event_whose_caller_asks_again_is_there_once_wherever_it_was_cut(
    given: Given, proxy: Proxy, where: Where, per_hour: int | None
) -> None:
    await given.set_plan(deliveries_per_hour=per_hour)
    for n in range(MOST_MESSAGES):
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
        await given.store.accept_emitted({row.id: given.event() for row in rows}, {}, lambda _: "")

    for n in range(MOST_MESSAGES):
        await app.execute(EMIT)
        cut = proxy.cut(Nth(n, where), where)
        await at_last(take_over)
        nothing_left_to_cut = proxy.spare(cut)
        await at_last(take_over)
        events = (await given.store.list_events(Scope(), None, MOST_MESSAGES)).items
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
    for n in range(MOST_MESSAGES):
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
    failing = (await given.store.get_endpoint(Scope(), given.endpoint.id)).failing
    assert failing == (n + 1 if isinstance(verdict, Failed) else 0)
