"""Every store: claims, records and fencing."""

import asyncio

import pytest
from storekit import LEASE, NOON, Given

from hooktide.domain.delivery.verdict import Delivered, Failed, Gone, Requeued, RetryAt, Verdict
from hooktide.domain.model import MINUTE, SECOND, Claim, Scope


@pytest.mark.pooled
async def test_a_claimed_delivery_is_not_claimed_again(given: Given) -> None:
    await given.publish()
    assert len(await given.claim()) == 1
    assert await given.claim() == []


@pytest.mark.pooled
async def test_a_claim_carries_the_payload_byte_for_byte(given: Given) -> None:
    payload = '{"b":1.10,"a":1e5,"b":"\\u00e9 ü \\u0000"}'.encode()
    await given.publish(given.event(payload=payload))
    [claim] = await given.claim()
    assert claim.event.payload == payload


@pytest.mark.pooled
async def test_a_delivery_whose_lease_ended_is_claimed_again(given: Given) -> None:
    await given.publish()
    [first] = await given.claim()
    assert await given.claim(NOON + LEASE - 1) == []
    [second] = await given.claim(NOON + LEASE)
    assert second.delivery_id == first.delivery_id
    assert second.attempt == 1
    assert second.token != first.token


@pytest.mark.pooled
async def test_what_was_accepted_is_handed_over_as_far_as_there_is_room(given: Given) -> None:
    given.hand.takes = 2
    await given.publish(*[given.event() for _ in range(5)])
    assert len(given.hand.claims) == 2
    assert given.hand.hints == {given.endpoint.id: NOON}
    rest = await given.claim()
    assert len(rest) == 3
    assert not {c.delivery_id for c in rest} & {c.delivery_id for c in given.hand.claims}


@pytest.mark.pooled
async def test_a_retry_is_claimed_at_its_time_and_not_before(given: Given) -> None:
    await given.publish()
    [claim] = await given.claim()
    await given.record(claim, RetryAt(NOON + 5 * SECOND), status=500)
    assert await given.claim(NOON + 5 * SECOND - 1) == []
    [again] = await given.claim(NOON + 5 * SECOND)
    assert again.attempt == 2


@pytest.mark.pooled
async def test_recording_after_the_lease_was_lost_changes_nothing(given: Given) -> None:
    await given.publish()
    [slow] = await given.claim()
    [fast] = await given.claim(NOON + LEASE)
    await given.record(slow, RetryAt(NOON + 1), status=500)
    assert await given.state(fast) == "pending"
    assert await given.store.list_attempts(Scope(), slow.delivery_id) == []
    await given.record(fast, Failed(), status=500)
    assert await given.state(fast) == "failed"


@pytest.mark.pooled
async def test_a_late_success_is_believed_although_the_lease_was_lost(given: Given) -> None:
    await given.publish()
    [slow] = await given.claim()
    [fast] = await given.claim(NOON + LEASE)
    await given.record(fast, Failed(), status=500)
    await given.record(slow, Delivered())
    assert await given.state(slow) == "delivered"
    attempts = await given.store.list_attempts(Scope(), slow.delivery_id)
    assert [(a.number, a.status) for a in attempts] == [(1, 500), (2, 200)]


@pytest.mark.pooled
async def test_a_delivered_delivery_stays_delivered(given: Given) -> None:
    await given.publish()
    [slow] = await given.claim()
    [fast] = await given.claim(NOON + LEASE)
    await given.record(fast, Delivered())
    await given.record(slow, Failed(), status=500)
    assert await given.state(slow) == "delivered"


@pytest.mark.pooled
async def test_local_errors_cost_no_attempt(given: Given) -> None:
    await given.publish()
    [claim] = await given.claim()
    await given.record(claim, Requeued(NOON + SECOND), status=None)
    [again] = await given.claim(NOON + SECOND)
    assert again.attempt == 1
    assert await given.store.list_attempts(Scope(), claim.delivery_id) == []


@pytest.mark.pooled
async def test_a_released_claim_is_due_at_once_and_cost_nothing(given: Given) -> None:
    await given.publish()
    claims = await given.claim()
    await given.store.release_claims(claims, NOON)
    [again] = await given.claim()
    assert again.attempt == 1


@pytest.mark.pooled
async def test_a_released_claim_keeps_its_place_before_newer_deliveries(given: Given) -> None:
    await given.publish()
    [old] = await given.claim()
    await given.publish(now=NOON + SECOND)
    await given.store.release_claims([old], NOON + MINUTE)
    [first] = await given.claim(NOON + MINUTE, each=1)
    assert first.delivery_id == old.delivery_id


@pytest.mark.pooled
async def test_many_outcomes_in_one_commit_each_reach_their_delivery(given: Given) -> None:
    await given.publish(*[given.event() for _ in range(700)])
    claims = await given.claim(each=1000)
    assert len(claims) == 700
    await asyncio.gather(*(given.record(c, Delivered()) for c in claims))
    counts = await given.store.counts()
    assert (counts.pending, counts.held) == (0, 0)
    assert {await given.state(c) for c in (claims[0], claims[350], claims[-1])} == {"delivered"}


@pytest.mark.pooled
async def test_one_lost_lease_among_many_does_not_disturb_the_others(given: Given) -> None:
    await given.publish(*[given.event() for _ in range(10)])
    slow = await given.claim()
    await given.store.release_claims(slow[:1], NOON)
    [fast] = await given.claim()
    await asyncio.gather(*(given.record(c, Failed(), status=500) for c in slow))
    states = [await given.state(c) for c in slow]
    assert states == ["pending", *["failed"] * 9]
    assert fast.delivery_id == slow[0].delivery_id


@pytest.mark.pooled
async def test_enough_failures_in_a_row_disable_the_endpoint_once(given: Given) -> None:
    await given.publish(*[given.event() for _ in range(5)])
    claims = await given.claim()
    for claim in claims[:2]:
        await given.record(claim, Failed(), status=500)
    assert (await given.store.get_endpoint(Scope(), given.endpoint.id)).enabled
    await given.record(claims[2], Failed(), status=500)
    endpoint = await given.store.get_endpoint(Scope(), given.endpoint.id)
    assert endpoint.disabled_reason == "3 deliveries failed in a row"
    await given.record(claims[3], Failed(), status=500, at=NOON + 99)
    again = await given.store.get_endpoint(Scope(), given.endpoint.id)
    assert again.disabled_at == endpoint.disabled_at


@pytest.mark.pooled
async def test_a_success_resets_the_count_of_failures(given: Given) -> None:
    await given.publish(*[given.event() for _ in range(5)])
    claims = await given.claim()
    verdicts: list[Verdict] = [Failed(), Failed(), Delivered(), Failed(), Failed()]
    for claim, verdict in zip(claims, verdicts, strict=True):
        await given.record(claim, verdict)
    endpoint = await given.store.get_endpoint(Scope(), given.endpoint.id)
    assert endpoint.enabled
    assert endpoint.consecutive_failures == 2


@pytest.mark.pooled
async def test_gone_disables_the_endpoint_and_discards_what_is_pending(given: Given) -> None:
    await given.publish(*[given.event() for _ in range(3)])
    claims = await given.claim(each=1)
    await given.record(claims[0], Gone(), status=410)
    assert await given.claim() == []
    assert await given.store.discard_stale(NOON, 100) == 2
    page = await given.store.list_deliveries(Scope(), None, 10)
    assert [d.state.value for d in page.items] == ["discarded", "discarded", "failed"]
    assert page.items[0].reason == "endpoint disabled: the receiver answered 410 Gone"


@pytest.mark.pooled
async def test_nothing_is_claimed_after_a_disable_and_nothing_queued_meanwhile(
    given: Given,
) -> None:
    await given.publish()
    await given.store.disable_endpoint(Scope(), given.endpoint.id, "by the customer", NOON)
    assert await given.claim() == []
    [meanwhile] = await given.publish()
    assert meanwhile.deliveries == 0
    await given.store.enable_endpoint(Scope(), given.endpoint.id, NOON)
    assert await given.claim() == []
    await given.store.discard_stale(NOON, 100)
    [after] = await given.publish()
    assert after.deliveries == 1
    assert len(await given.claim()) == 1


@pytest.mark.pooled
async def test_a_retry_of_a_delivery_in_flight_at_the_disable_is_discarded(given: Given) -> None:
    await given.publish()
    [claim] = await given.claim()
    await given.store.disable_endpoint(Scope(), given.endpoint.id, "by the customer", NOON)
    await given.record(claim, RetryAt(NOON + 1), status=500)
    assert await given.state(claim) == "discarded"


@pytest.mark.pooled
async def test_no_delivery_is_claimed_twice_by_eager_hands(given: Given) -> None:
    await given.publish(*[given.event() for _ in range(300)])

    async def eager() -> list[Claim]:
        got: list[Claim] = []
        while claims := await given.claim(each=7):
            got += claims
        return got

    hands = await asyncio.gather(*(eager() for _ in range(4)))
    everything = [c.delivery_id for hand in hands for c in hand]
    assert len(everything) == len(set(everything)) == 300


@pytest.mark.pooled
async def test_only_heads_of_endpoints_with_pending_deliveries_are_reported(given: Given) -> None:
    other = await given.create_endpoint("invoice.sent")
    await given.publish(*[given.event() for _ in range(20)])
    await given.publish(given.event("invoice.sent"), now=NOON + 7)
    heads = await given.store.due_heads()
    assert heads == {given.endpoint.id: NOON, other.id: NOON + 7}


@pytest.mark.pooled
async def test_a_retry_of_a_delivery_in_flight_at_the_disable_is_discarded_however_late_it_is(
    given: Given,
) -> None:
    """As after a process was frozen, or the clock was set forward."""
    await given.publish()
    [claim] = await given.claim()
    await given.store.disable_endpoint(Scope(), given.endpoint.id, "by the customer", NOON)
    later = NOON + 5 * LEASE
    assert await given.store.discard_stale(later, 100) == 0
    await given.record(claim, RetryAt(later), 500, later)
    await given.store.discard_stale(later, 100)
    assert await given.state(claim) == "discarded"


async def test_many_disabled_endpoints_are_looked_after_until_nothing_of_them_can_be_out(
    given: Given,
) -> None:
    others = [await given.create_endpoint("invoice.sent") for _ in range(250)]
    await given.publish(given.event("invoice.sent"))
    held = await given.store.claim_due([others[0].id], NOON, LEASE, 1)
    for endpoint in others:
        await given.store.disable_endpoint(Scope(), endpoint.id, "x", NOON)
    assert sum([await given.store.discard_stale(NOON, 1000) for _ in range(4)]) == 249
    assert await given.store.discard_stale(NOON + LEASE, 1000) == 0
    await given.record(held[0], RetryAt(NOON + 2 * LEASE), status=500)
    assert await given.state(held[0]) == "discarded"
    for _ in range(3):
        assert await given.store.discard_stale(NOON + 3 * LEASE, 1000) == 0
