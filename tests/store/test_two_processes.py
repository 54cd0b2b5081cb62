"""Guarantees when two processes use one database; on SQLite, with one process.

The second process is a second store on the same database, with its own connections, id and caches.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace

import pytest
from storekit import LEASE, NOON, Given, Place, until

from hooktide.domain.delivery.verdict import Delivered, Failed, RetryAt
from hooktide.domain.errors import LimitError, RefusedError
from hooktide.domain.ids import made_at
from hooktide.domain.model import (
    HOUR,
    MINUTE,
    SECOND,
    ApiKey,
    Claim,
    DeliveryState,
    Endpoint,
    KeyScope,
    Replay,
    ReplayState,
    ReplayWhat,
    Scope,
)
from hooktide.store.base import Accepted, KeyReused, NewReplay, ReplayCount

pytestmark = pytest.mark.pooled


@pytest.fixture
async def other(given: Given, place: Place) -> AsyncIterator[Given]:
    """Another process on the database that delivers nothing."""
    if place.is_file:
        yield given
        return
    other = given.another()
    await other.open(listens=False)
    yield other
    await other.close()


async def pending(given: Given) -> int:
    return (await given.store.counts()).pending


async def test_a_plans_number_of_endpoints_holds_when_both_add_at_once(
    given: Given, other: Given
) -> None:
    made = await asyncio.gather(
        *(process.create_endpoint(limit=5) for process in [given, other] * 10),
        return_exceptions=True,
    )
    assert sum(isinstance(one, Endpoint) for one in made) == 4
    assert sum(isinstance(one, LimitError) for one in made) == 16
    assert len((await given.store.list_endpoints(Scope(), None, 100)).items) == 5


async def test_a_plans_hour_is_exact_when_both_publish_and_release_at_once(
    given: Given, other: Given
) -> None:
    await given.set_plan(deliveries_per_hour=50)
    await asyncio.gather(*(process.publish() for process in [given, other] * 60))
    counts = await given.store.counts()
    assert (counts.pending, counts.held) == (50, 70)
    later = NOON + HOUR + 2 * MINUTE
    released = await asyncio.gather(
        *(process.store.unhold(later, 30) for process in [given, other] * 3)
    )
    assert sum(released) == 50
    assert (await given.store.counts()).held == 20


async def test_one_key_published_through_both_at_once_makes_one_event(
    given: Given, other: Given
) -> None:
    async def publish_twice(key: str) -> None:
        event = given.event(idempotency_key=key, digest=b"d")
        [[first], [second]] = await asyncio.gather(given.publish(event), other.publish(event))
        assert first.event_id == second.event_id
        assert first.deliveries == second.deliveries == 1
        assert {first.replayed, second.replayed} == {False, True}

    await asyncio.gather(*(publish_twice(f"k{n}") for n in range(40)))
    assert await pending(given) == 40


async def test_one_key_for_two_events_at_once_is_the_ones_and_refused_to_the_other(
    given: Given, other: Given
) -> None:
    async def publish_both(key: str) -> None:
        events = [given.event(idempotency_key=key, digest=digest) for digest in (b"a", b"b")]
        [[one], [two]] = await asyncio.gather(
            given.store.add_events(events[:1], NOON), other.store.add_events(events[1:], NOON)
        )
        won, lost = (one, two) if isinstance(one, Accepted) else (two, one)
        assert isinstance(won, Accepted)
        assert lost == KeyReused(won.event_id)

    await asyncio.gather(*(publish_both(f"k{n}") for n in range(40)))
    assert await pending(given) == 40


async def test_keys_in_any_order_do_not_stop_each_other(given: Given, other: Given) -> None:
    events = [given.event(idempotency_key=f"k{n}", digest=b"d") for n in range(20)]
    answers = await asyncio.gather(
        *(process.publish(*events[::way]) for process in (given, other) for way in (1, -1))
    )
    forward, back, also, too = (([one.event_id for one in answer]) for answer in answers)
    assert forward == back[::-1] == also == too[::-1]
    assert await pending(given) == 20


async def test_a_replay_that_both_go_on_with_sends_each_event_once(
    given: Given, other: Given
) -> None:
    await given.store.disable_endpoint(Scope(), given.endpoint.id, "by hand", NOON)
    missed = await given.publish(*[given.event() for _ in range(60)])
    await given.store.enable_endpoint(Scope(), given.endpoint.id, NOON)
    wanted = NewReplay(endpoint_id=given.endpoint.id, what=ReplayWhat.MISSED, since=NOON - 1)
    begun = await asyncio.gather(
        *(
            one.store.create_replay(Scope(), wanted, ReplayCount(60), NOON)
            for one in [given, other]
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(one, RefusedError) for one in begun) == 1
    [replay] = [one for one in begun if isinstance(one, Replay)]
    for _ in range(30):
        await asyncio.gather(*(one.store.run_replays(NOON + HOUR, 7) for one in [given, other] * 2))
        await given.claim(NOON + HOUR)
    found = await other.store.get_replay(Scope(), replay.id)
    assert (found.state, found.made) == (ReplayState.DONE, 60)
    made = (await given.store.list_deliveries(Scope(), None, 1000)).items
    assert sorted(one.event_id for one in made) == [one.event_id for one in missed]


async def test_a_replay_ends_with_a_disable_elsewhere(given: Given, other: Given) -> None:
    await given.publish(*[given.event() for _ in range(40)])
    for _ in range(5):
        wanted = NewReplay(endpoint_id=given.endpoint.id, what=ReplayWhat.MISSED, since=NOON - 1)
        replay = await given.store.create_replay(Scope(), wanted, ReplayCount(0), NOON)
        await asyncio.gather(
            *(given.store.run_replays(NOON + HOUR, 5) for _ in range(4)),
            other.store.disable_endpoint(Scope(), given.endpoint.id, "by hand", NOON + HOUR),
        )
        found = await given.store.get_replay(Scope(), replay.id)
        assert found.state in {ReplayState.CANCELLED, ReplayState.DONE}
        await given.store.enable_endpoint(Scope(), given.endpoint.id, NOON + HOUR)


async def test_an_event_published_after_a_disable_elsewhere_goes_nowhere(
    given: Given, other: Given
) -> None:
    for process in (given, other):
        [before] = await process.publish()
        assert before.deliveries == 1
    await other.store.disable_endpoint(Scope(), given.endpoint.id, "by the customer", NOON)
    [after] = await given.publish()
    assert after.deliveries == 0
    await other.store.enable_endpoint(Scope(), given.endpoint.id, NOON)
    [again] = await given.publish()
    assert again.deliveries == 1


async def test_an_event_published_after_an_endpoint_was_added_elsewhere_goes_there(
    given: Given, other: Given
) -> None:
    await given.publish()
    added = await other.create_endpoint("invoice.*")
    [accepted] = await given.publish()
    assert accepted.deliveries == 2
    await other.store.update_endpoint(
        Scope(), added.id, lambda _: {"event_types": ("other.*",)}, NOON
    )
    [accepted] = await given.publish()
    assert accepted.deliveries == 1


async def test_a_smaller_plan_holds_at_once_in_the_other_process(
    given: Given, other: Given
) -> None:
    await given.publish()
    await other.set_plan(deliveries_per_hour=3)
    await given.publish(*[given.event() for _ in range(5)])
    assert (await given.store.counts()).held == 2


async def test_nothing_of_a_disabled_endpoint_is_left_however_publishing_and_disabling_meet(
    given: Given, other: Given
) -> None:
    async def publish() -> None:
        for _ in range(25):
            await given.publish()

    async def switch() -> None:
        for n in range(25):
            await other.store.disable_endpoint(Scope(), given.endpoint.id, "x", NOON + n)
            assert await given.claim() == []
            await other.store.enable_endpoint(Scope(), given.endpoint.id, NOON + n)
        await other.store.disable_endpoint(Scope(), given.endpoint.id, "x", NOON + 99)

    await asyncio.gather(publish(), switch())
    await given.publish()
    while await given.store.discard_stale(NOON, 1000):
        pass
    assert await pending(given) == 0
    made = (await given.store.list_events(Scope(), None, 100)).items
    assert sum(row.deliveries for row in made) == await _count(given, DeliveryState.DISCARDED)


async def _count(given: Given, state: DeliveryState) -> int:
    return len((await given.store.list_deliveries(Scope(), None, 1000, state=state)).items)


async def test_no_delivery_of_ten_thousand_is_claimed_by_two(given: Given, other: Given) -> None:
    for _ in range(5):
        await given.publish(*[given.event()] * 2000)

    async def claim_all(process: Given) -> list[int]:
        got: list[int] = []
        while claims := await process.claim(each=250):
            got += [claim.delivery_id for claim in claims]
        return got

    hands = await asyncio.gather(*(claim_all(process) for process in [given, other] * 2))
    everything = [delivery_id for hand in hands for delivery_id in hand]
    # A claimer sees no due rows if all are locked, because other claims may be uncommitted.
    everything += [claim.delivery_id for claim in await given.claim(each=10_000)]
    assert len(everything) == len(set(everything)) == 10_000


async def test_a_failure_recorded_after_the_lease_was_lost_changes_nothing(
    given: Given, other: Given
) -> None:
    slow, fast = await lost_lease(given, other)
    await given.record(slow, RetryAt(NOON + 1), status=500)
    assert await other.store.list_attempts(Scope(), slow.delivery_id) == []
    await other.record(fast, Failed(), status=500)
    assert await given.state(slow) == "failed"
    attempts = await given.store.list_attempts(Scope(), slow.delivery_id)
    assert [attempt.number for attempt in attempts] == [1]


async def test_a_success_recorded_after_the_lease_was_lost_counts(
    given: Given, other: Given
) -> None:
    slow, fast = await lost_lease(given, other)
    await other.record(fast, Failed(), status=500)
    await given.record(slow, Delivered())
    assert await other.state(fast) == "delivered"
    attempts = await other.store.list_attempts(Scope(), slow.delivery_id)
    assert [(attempt.number, attempt.status) for attempt in attempts] == [(1, 500), (2, 200)]


async def lost_lease(given: Given, other: Given) -> tuple[Claim, Claim]:
    """Claim a delivery in one process, and after its lease has ended in the other."""
    await given.publish()
    [slow] = await given.claim()
    [fast] = await other.claim(NOON + LEASE)
    assert fast.delivery_id == slow.delivery_id
    return slow, fast


async def record_all(
    processes: Sequence[Given], claims: Sequence[Claim], status: int = 500
) -> None:
    """Record failures alternately in both processes, concurrently."""
    await asyncio.gather(
        *(
            processes[n % len(processes)].record(claim, Failed(), status=status)
            for n, claim in enumerate(claims)
        )
    )


async def test_failures_in_a_row_are_counted_exactly_in_both(given: Given, other: Given) -> None:
    await given.set_plan(disable_after=1000)
    await given.publish(*[given.event()] * 200)
    await record_all([given, other], await given.claim(each=200))
    endpoint = await given.store.get_endpoint(Scope(), given.endpoint.id)
    assert (endpoint.consecutive_failures, endpoint.enabled) == (200, True)


async def test_an_endpoint_is_disabled_once_when_both_see_the_failures(
    given: Given, other: Given
) -> None:
    await given.publish(*[given.event()] * 40)
    claims = await given.claim(each=40)
    for process in (given, other):
        process.hand.changes.clear()
    await record_all([given, other], claims)
    endpoint = await given.store.get_endpoint(Scope(), given.endpoint.id)
    assert endpoint.disabled_reason == "3 deliveries failed in a row"
    await given.store.update_account(Scope(), given.account.id, {"name": "last"}, NOON)
    for process in (given, other):
        await process.hand.heard("account", given.account.id)
        assert process.hand.changes.count(("endpoint", given.endpoint.id)) == 1


async def disable(given: Given) -> tuple[str, int]:
    await given.store.disable_endpoint(Scope(), given.endpoint.id, "x", NOON)
    return "endpoint", given.endpoint.id


async def update_account(given: Given) -> tuple[str, int]:
    await given.store.update_account(Scope(), given.account.id, {"name": "new"}, NOON)
    return "account", given.account.id


async def put_project(given: Given) -> tuple[str, int]:
    await given.set_plan(deliveries_per_hour=7)
    return "project", given.project_id


async def revoke_key(given: Given) -> tuple[str, int]:
    key = ApiKey(
        id=0,
        scope=KeyScope.PROJECT,
        project_id=given.project_id,
        account_id=None,
        name="",
        last4="1234",
        created_at=NOON,
    )
    added = await given.store.create_key(key, b"digest")
    await given.store.revoke_key(Scope(), added.id, NOON)
    return "key", added.id


@pytest.mark.parametrize("change", [disable, update_account, put_project, revoke_key])
async def test_a_change_in_one_process_is_heard_of_in_the_other(
    given: Given, other: Given, change: Callable[[Given], Awaitable[tuple[str, int]]]
) -> None:
    changed = await change(other)
    await given.hand.heard(*changed)


async def test_deliveries_accepted_by_an_api_process_are_announced_to_workers(
    given: Given, other: Given
) -> None:
    given.hand.takes = 10
    await other.publish()
    await until(lambda: given.hand.claims or given.endpoint.id in given.hand.hints)


async def test_a_retry_is_due_in_no_other_process_before_its_time(
    given: Given, other: Given
) -> None:
    """If they were notified earlier, two processes would claim it alternately until it is due."""
    second = await given.create_endpoint(url="https://second.example.com/hook")
    now = given.store.clock()
    await other.publish(now=now)
    await until(lambda: {given.endpoint.id, second.id} <= given.hand.hints.keys())
    endpoints = [given.endpoint.id, second.id]
    claims = await other.store.claim_due(endpoints, now, LEASE, 10)
    mine, others = sorted(claims, key=lambda claim: claim.endpoint_id)
    given.hand.hints.clear()
    due_at = given.store.clock() + SECOND // 2
    await other.record(mine, RetryAt(due_at), 500)
    await other.store.release_claims([others], now)
    await until(lambda: second.id in given.hand.hints)
    assert given.hand.hints.get(given.endpoint.id, due_at) == due_at


async def test_a_delivery_sent_again_elsewhere_is_heard_of(given: Given, other: Given) -> None:
    await given.publish()
    [claim] = await given.claim()
    await given.record(claim, Delivered())
    given.hand.hints.clear()
    await other.store.resend(Scope(), claim.delivery_id, NOON)
    await until(lambda: given.endpoint.id in given.hand.hints)


async def test_two_processes_never_make_the_same_id(given: Given, other: Given) -> None:
    answers = await asyncio.gather(
        *(process.publish(*[given.event()] * 50) for process in [given, other] * 10)
    )
    ids = [one.event_id for answer in answers for one in answer]
    assert len(ids) == len(set(ids)) == 1000
    claims = await given.claim(each=1000)
    assert len({claim.delivery_id for claim in claims} - set(ids)) == 1000


AHEAD = NOON + HOUR
"""What a clock says that is an hour ahead, and is corrected afterwards."""


async def off_and_on(given: Given) -> None:
    await given.store.disable_endpoint(Scope(), given.endpoint.id, "by hand", AHEAD)
    await given.store.enable_endpoint(Scope(), given.endpoint.id, AHEAD + MINUTE)


async def test_an_endpoint_switched_by_a_clock_that_was_ahead_gets_what_is_accepted_afterwards(
    given: Given, other: Given
) -> None:
    await off_and_on(given)
    [accepted] = await other.publish(other.event(), now=NOON)
    assert await other.store.discard_stale(NOON, 100) == 0
    [claim] = await given.claim(NOON + MINUTE)
    assert claim.event.id == accepted.event_id


async def test_what_waited_for_it_before_is_discarded_and_nothing_else_is(
    given: Given, other: Given
) -> None:
    [before] = await given.publish(given.event(), now=AHEAD)
    await off_and_on(given)
    [after] = await other.publish(other.event(), now=NOON)
    tested = await other.store.add_test(Scope(), given.endpoint.id, other.event(), NOON, LEASE)
    assert await other.store.discard_stale(NOON, 100) == 1
    states = {
        item.event_id: item.state
        for item in (await given.store.list_deliveries(Scope(), None, 10)).items
    }
    assert states == {
        before.event_id: DeliveryState.DISCARDED,
        after.event_id: DeliveryState.PENDING,
        tested.event.id: DeliveryState.PENDING,
    }


async def test_what_is_sent_again_after_it_was_switched_on_by_a_wrong_clock_is_sent(
    given: Given, other: Given
) -> None:
    [_] = await given.publish(given.event(), now=AHEAD)
    [waiting] = (await given.store.list_deliveries(Scope(), None, 10)).items
    await off_and_on(given)
    again = await other.store.resend(Scope(), waiting.id, NOON)
    assert await other.store.discard_stale(NOON, 100) == 1
    [claim] = await other.claim(NOON + MINUTE)
    assert claim.delivery_id == again.id


async def test_a_clock_that_was_ahead_moves_no_ids_once_nothing_waits_from_its_time(
    given: Given, other: Given, place: Place
) -> None:
    if place.is_file:
        return  # one process, whose ids always grow
    await given.publish(given.event(), now=AHEAD)
    await off_and_on(given)
    assert await given.store.discard_stale(NOON, 100) == 1
    await given.store.discard_stale(NOON, 100)
    [accepted] = await other.publish(other.event(), now=NOON)
    assert abs(made_at(accepted.event_id) - NOON) < MINUTE


async def test_each_event_is_indexed_once_by_whoever_gets_to_it(given: Given, other: Given) -> None:
    project = (await given.store.get_project_by_id(given.project_id)).project
    await given.store.put_project(replace(project, index=("total",)), NOON)
    made = await given.publish(*[given.event(payload=b'{"total":7}') for _ in range(450)])
    looked = 0
    while done := await asyncio.gather(
        *(process.store.run_indexing(NOON + MINUTE) for process in (given, other))
    ):
        looked += sum(done)
        if not any(done):
            break
    assert looked == len(made)
    page = await other.store.search_events(Scope(), "7", None, 500)
    assert [row.event.id for row in page.items] == sorted(
        (each.event_id for each in made), reverse=True
    )
