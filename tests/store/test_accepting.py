"""Every store: accepting events, with fan-out, plans and idempotency."""

import asyncio

import pytest
from storekit import NOON, Given

from hooktide.domain.delivery.verdict import Delivered
from hooktide.domain.model import HOUR, MINUTE, SECOND, Scope
from hooktide.store.base import Accepted, AccountGone, KeyReused

pytestmark = pytest.mark.pooled


async def test_an_event_goes_to_the_endpoints_that_want_its_type(given: Given) -> None:
    paid = await given.create_endpoint("invoice.paid")
    await given.create_endpoint("invoice.sent")
    pattern = await given.create_endpoint("invoice.*")
    [accepted] = await given.publish()
    page = await given.store.list_deliveries(Scope(), None, 10, event_id=accepted.event_id)
    assert {d.endpoint_id for d in page.items} == {given.endpoint.id, paid.id, pattern.id}
    assert accepted.deliveries == 3


async def test_an_event_without_matching_endpoints_is_kept(given: Given) -> None:
    await given.store.delete_endpoint(Scope(), given.endpoint.id, NOON)
    [accepted] = await given.publish()
    assert accepted.deliveries == 0
    assert (await given.store.get_event(Scope(), accepted.event_id)).event.type == "invoice.paid"


async def test_events_of_many_callers_share_a_commit_and_each_is_answered(given: Given) -> None:
    results = await asyncio.gather(*(given.publish() for _ in range(200)))
    ids = [accepted.event_id for [accepted] in results]
    assert len(set(ids)) == 200
    assert (await given.store.counts()).pending == 200


async def test_the_same_key_and_event_is_answered_as_before(given: Given) -> None:
    event = given.event(idempotency_key="k1", digest=b"a")
    [first] = await given.publish(event)
    [second] = await given.publish(event)
    assert second == Accepted(first.event_id, first.deliveries, replayed=True)
    assert (await given.store.counts()).pending == 1


async def test_the_same_key_many_times_in_one_commit_makes_one_event(given: Given) -> None:
    event = given.event(idempotency_key="k1", digest=b"a")
    results = await asyncio.gather(*(given.publish(event) for _ in range(50)))
    assert len({accepted.event_id for [accepted] in results}) == 1
    assert (await given.store.counts()).pending == 1


async def test_the_same_key_for_another_event_is_refused(given: Given) -> None:
    await given.publish(given.event(idempotency_key="k1", digest=b"a"))
    [refused] = await given.store.add_events([given.event(idempotency_key="k1", digest=b"b")], NOON)
    assert isinstance(refused, KeyReused)
    assert (await given.store.counts()).pending == 1


async def test_an_event_of_an_account_that_was_removed_is_refused(given: Given) -> None:
    await given.store.delete_account(Scope(), given.account.id, NOON)
    [refused] = await given.store.add_events([given.event()], NOON)
    assert isinstance(refused, AccountGone)


async def test_deliveries_over_the_plans_hour_are_held_and_none_is_lost(given: Given) -> None:
    await given.set_plan(deliveries_per_hour=3)
    await given.publish(*[given.event() for _ in range(5)])
    counts = await given.store.counts()
    assert (counts.pending, counts.held) == (3, 2)
    page = await given.store.list_deliveries(Scope(), None, 1)
    assert page.items[0].reason == "plan: 3 deliveries an hour"


async def test_held_deliveries_go_out_when_the_hour_has_room(given: Given) -> None:
    await given.set_plan(deliveries_per_hour=3)
    await given.publish(*[given.event() for _ in range(8)])
    assert await given.store.unhold(NOON + 59 * MINUTE, 100) == 0
    assert await given.store.unhold(NOON + HOUR + 2 * MINUTE, 100) == 3
    assert await given.store.unhold(NOON + HOUR + 2 * MINUTE, 100) == 0
    assert await given.store.unhold(NOON + 2 * HOUR + 4 * MINUTE, 100) == 2
    assert (await given.store.counts()).held == 0


async def test_a_delivery_counts_for_an_hour_after_a_commit_that_was_a_minute_late(
    given: Given,
) -> None:
    await given.set_plan(deliveries_per_hour=1)
    committed = NOON + 59 * SECOND + MINUTE
    await given.publish(given.event(), given.event(), now=committed - MINUTE)
    assert await given.store.unhold(committed + HOUR - SECOND, 100) == 0
    assert await given.store.unhold(committed + HOUR + MINUTE, 100) == 1


async def test_a_new_event_does_not_overtake_those_held_before_it(given: Given) -> None:
    await given.set_plan(deliveries_per_hour=3)
    await given.publish(*[given.event() for _ in range(4)])
    await given.publish(now=NOON + 2 * HOUR)
    assert (await given.store.counts()).held == 2
    assert await given.store.unhold(NOON + 2 * HOUR, 100) == 2


async def test_no_hour_has_more_than_the_plan_allows(given: Given) -> None:
    await given.set_plan(deliveries_per_hour=5)
    left: list[int] = []
    for step in range(0, 150, 7):
        now = NOON + step * MINUTE
        await given.publish(*[given.event() for _ in range(2)], now=now)
        await given.store.unhold(now, 100)
        claims = await given.claim(now)
        left += [step] * len(claims)
        for claim in claims:
            await given.record(claim, Delivered(), at=now)
    for end in range(150):
        assert sum(end - 60 < step <= end for step in left) <= 5


async def test_a_larger_plan_lets_held_deliveries_go(given: Given) -> None:
    await given.set_plan(deliveries_per_hour=1)
    await given.publish(*[given.event() for _ in range(4)])
    await given.set_plan(deliveries_per_hour=None)
    assert await given.store.unhold(NOON, 100) == 3
