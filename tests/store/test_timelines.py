"""The slots of rates, which all processes reserve from one timeline."""

import random

import pytest
from storekit import NOON, Given

from hooktide.domain.model import SECOND
from hooktide.domain.throttling.rate import Rate
from hooktide.domain.throttling.timeline import AHEAD, LEAP, SlotAsk, Slots, Timelines
from hooktide.engine.scheduling.pacing import SLOWEST

TENTH = SECOND // 10


def ask(count: int, *, owner: int = 1, burst: int = 1, share: int = 2) -> SlotAsk:
    return SlotAsk(owner, TENTH, burst, count, share)


@pytest.mark.pooled
async def test_slots_are_an_interval_apart_and_nobody_gets_one_twice(given: Given) -> None:
    store = given.store
    [first] = await store.reserve_slots([ask(2)], NOON)
    [second] = await store.reserve_slots([ask(2)], NOON)
    assert first == Slots(1, NOON, 2, 1)
    assert second == Slots(1, NOON + 2 * TENTH, 1, 1)


@pytest.mark.pooled
async def test_slots_are_reserved_only_a_little_ahead(given: Given) -> None:
    store = given.store
    await store.reserve_slots([ask(9, share=9)], NOON)
    [none] = await store.reserve_slots([ask(9)], NOON)
    assert none == Slots(1, NOON + 3 * TENTH, 0, 1)
    assert none.first_at - AHEAD <= NOON + TENTH


async def test_a_burst_is_saved_up_while_nothing_is_sent(given: Given) -> None:
    store = given.store
    await store.reserve_slots([ask(1, burst=5)], NOON)
    later = NOON + 60 * SECOND
    [slots] = await store.reserve_slots([ask(9, burst=5)], later)
    assert slots == Slots(1, later - 4 * TENTH, 7, 1)


async def test_a_timeline_of_before_the_clock_was_set_back_is_begun_anew(given: Given) -> None:
    store = given.store
    await store.reserve_slots([ask(2)], NOON + 2 * LEAP)
    [slots] = await store.reserve_slots([ask(2)], NOON)
    assert slots == Slots(1, NOON, 2, 1)


async def test_the_slowest_pace_is_not_taken_for_a_clock_that_was_set_back(given: Given) -> None:
    store, slowest = given.store, SLOWEST * Rate(1, 1).interval
    once = SlotAsk(1, slowest, 1, 1, 1)
    assert await store.reserve_slots([once], NOON) == [Slots(1, NOON, 1, 1)]
    assert await store.reserve_slots([once], NOON + SECOND) == [Slots(1, NOON + slowest, 0, 1)]


async def test_an_idle_timeline_is_forgotten(given: Given) -> None:
    store = given.store
    await store.reserve_slots([ask(1), ask(1, owner=2)], NOON)
    await store.reserve_slots([ask(1)], NOON + 60 * SECOND)
    await store.drop_idle_timelines(NOON + 30 * SECOND)
    later = await store.reserve_slots(
        [ask(9, burst=5), ask(9, owner=2, burst=5)], NOON + 90 * SECOND
    )
    assert {each.owner_id: each.count for each in later} == {1: 7, 2: 3}


async def test_both_databases_reserve_by_the_same_rule(given: Given) -> None:
    made = random.Random(16)
    model, now = Timelines(), NOON
    for _ in range(300):
        now += made.choice([0, 1, TENTH // 3, TENTH, 5 * TENTH, -TENTH, 20 * SECOND])
        asks = [
            SlotAsk(
                owner,
                made.choice([TENTH, 7, SECOND]),
                made.randint(1, 9),
                made.randint(1, 9),
                made.randint(1, 4),
            )
            for owner in made.sample(range(1, 5), made.randint(1, 4))
        ]
        expected = model.reserve(asks, 0, now)
        found = await given.store.reserve_slots(asks, now)
        assert sorted(found, key=lambda each: each.owner_id) == sorted(
            expected, key=lambda each: each.owner_id
        )
