"""A resting endpoint: nothing is claimed for it until the rest ends or is lifted."""

import asyncio

import msgspec
import pytest
from storekit import LEASE, NOON, Given

from hooktide.domain.delivery.rest import MIN_REST, RestRequest
from hooktide.domain.delivery.verdict import Delivered, Failed, RetryAt, Verdict
from hooktide.domain.model import DAY, HOUR, SECOND, Claim, Endpoint, Micros, Origin, Scope
from hooktide.store.base import AttemptRecord

TOOK: Micros = 5000
RETRY: Micros = NOON + 10 * SECOND
ENDS: Micros = NOON + TOOK + HOUR


async def answer(
    given: Given,
    claim: Claim,
    span: Micros = HOUR,
    at: Micros = NOON,
    verdict: Verdict | None = None,
) -> None:
    """Record an attempt with status 429. ``span`` is its Retry-After, or 0 if it had none."""
    rest = RestRequest(429, span)
    await given.record(claim, verdict or RetryAt(RETRY), status=429, at=at, rest=rest)


async def resting(given: Given, span: Micros = HOUR) -> Claim:
    """Return the delivery whose response had a Retry-After. Another one is pending."""
    await given.publish()
    [claim] = await given.claim()
    await answer(given, claim, span)
    await given.publish(now=NOON + SECOND)
    return claim


async def endpoint(given: Given) -> Endpoint:
    return await given.store.get_endpoint(Scope(), given.endpoint.id)


async def claimed(given: Given, now: Micros) -> int:
    return len(await given.claim(now))


@pytest.mark.pooled
async def test_nothing_is_claimed_before_a_rest_ends_and_everything_from_then_on(
    given: Given,
) -> None:
    await resting(given)
    found = await endpoint(given)
    assert (found.rests_until, found.rest_reason) == (
        ENDS,
        "the receiver answered 429 with Retry-After",
    )
    assert found.resting_until(ENDS - 1) == ENDS
    assert found.resting_until(ENDS) is None
    assert await given.store.resting(ENDS - 1) == {given.endpoint.id: ENDS}
    assert await given.store.resting(ENDS - 1, [given.endpoint.id]) == {given.endpoint.id: ENDS}
    assert await given.store.resting(ENDS) == {}
    assert await claimed(given, ENDS - 1) == 0
    assert await claimed(given, ENDS) == 2


async def test_a_rest_is_known_to_be_unrecorded_until_its_attempt_is(given: Given) -> None:
    await given.publish()
    [claim] = await given.claim()
    recording = asyncio.create_task(answer(given, claim))
    await asyncio.sleep(0)
    assert given.store.unrecorded_rests() == {given.endpoint.id: ENDS}
    await recording
    assert given.store.unrecorded_rests() == {}
    assert await given.store.resting(NOON) == {given.endpoint.id: ENDS}


async def test_a_rest_whose_attempt_cannot_be_recorded_is_not_kept(given: Given) -> None:
    await given.publish()
    [claim] = await given.claim()
    made = msgspec.structs.replace(given.attempt(claim, 429, NOON), detail="\ud800")
    given.store.record(AttemptRecord(claim, made, RetryAt(RETRY), RestRequest(429, HOUR)))
    assert given.store.unrecorded_rests() == {given.endpoint.id: ENDS}
    await given.store.recorded()
    assert given.store.unrecorded_rests() == {}


async def test_a_rest_survives_a_restart(given: Given) -> None:
    await resting(given)
    await given.reopen()
    assert (await endpoint(given)).rests_until == ENDS
    assert await claimed(given, ENDS - 1) == 0
    [_, other] = await given.claim(ENDS)
    await answer(given, other, span=SECOND, at=NOON + SECOND)  # the later end still wins
    assert (await endpoint(given)).rests_until == ENDS


async def test_what_waits_for_a_rest_is_due_when_that_ends(given: Given) -> None:
    claim = await resting(given)
    assert await given.store.due_heads() == {given.endpoint.id: ENDS}
    delivery = await given.store.get_delivery(Scope(), claim.delivery_id)
    assert delivery.due_at == ENDS
    await given.claim(NOON + SECOND)
    assert given.hand.hints[given.endpoint.id] == ENDS
    assert (await given.store.counts()).oldest_due_at == ENDS


async def test_a_rest_costs_neither_an_attempt_nor_a_failure(given: Given) -> None:
    claim = await resting(given)
    delivery = await given.store.get_delivery(Scope(), claim.delivery_id)
    assert (delivery.attempts, (await endpoint(given)).consecutive_failures) == (1, 0)
    [first, second] = await given.claim(ENDS)
    assert {first.attempt, second.attempt} == {1, 2}


async def test_a_last_attempt_and_a_test_ask_for_rest_too(given: Given) -> None:
    await given.publish()
    [claim] = await given.claim()
    await answer(given, claim, SECOND, verdict=Failed())
    assert (await endpoint(given)).rests_until == NOON + TOOK + SECOND
    claim = await given.store.add_test(Scope(), given.endpoint.id, given.event(), NOON, LEASE)
    await answer(given, claim, HOUR, verdict=Failed())
    assert (await endpoint(given)).rests_until == ENDS


async def test_a_receiver_whose_delivery_another_process_has_now_is_heard_all_the_same(
    given: Given,
) -> None:
    await given.publish()
    [claim] = await given.claim()
    later = NOON + LEASE
    await given.claim(later)
    await answer(given, claim)
    assert (await endpoint(given)).rests_until == ENDS


async def test_429s_without_a_span_rest_longer_and_longer_until_a_success(given: Given) -> None:
    await given.publish()
    now, spans = NOON, []
    for _ in range(3):
        [claim] = await given.claim(now)
        await answer(given, claim, 0, now, RetryAt(now))
        ends = (await endpoint(given)).rests_until
        spans.append((ends - now - TOOK) // SECOND)
        assert await claimed(given, ends - 1) == 0
        now = ends
    assert spans == [1, 2, 4]
    assert (await endpoint(given)).rest_reason == "the receiver answered 429"
    await given.reopen()
    [claim] = await given.claim(now)
    await given.record(claim, Delivered(), at=now)
    await given.publish(now=now)
    [claim] = await given.claim(now)
    await answer(given, claim, 0, now + SECOND)
    assert (await endpoint(given)).rests_until == now + SECOND + TOOK + MIN_REST


async def test_a_success_of_an_attempt_that_began_before_the_rest_changes_nothing(
    given: Given,
) -> None:
    await given.publish(given.event(), given.event())
    first, second = await given.claim()
    await answer(given, first)
    await given.record(second, Delivered(), at=NOON)
    assert (await endpoint(given)).rests_until == ENDS
    test = await given.store.add_test(Scope(), given.endpoint.id, given.event(), NOON, LEASE)
    await given.record(test, Delivered(), at=NOON)
    assert (await endpoint(given)).rests_until == ENDS


async def lifted_at(given: Given, now: Micros) -> None:
    """Check that a rest is over, and that delayed deliveries are due as scheduled, or now."""
    assert (await endpoint(given)).rests_until == 0
    assert await given.store.resting(now) == {}
    assert ("rest", given.endpoint.id) in given.hand.changes
    assert await given.store.due_heads() == {given.endpoint.id: NOON + SECOND}
    assert await claimed(given, RETRY - 1) == 1
    assert await claimed(given, RETRY) == 1


async def test_a_good_test_lifts_a_rest(given: Given) -> None:
    await resting(given)
    test = await given.store.add_test(Scope(), given.endpoint.id, given.event(), NOON, LEASE)
    await given.record(test, Delivered(), at=NOON + SECOND)
    await lifted_at(given, NOON + SECOND)


async def test_a_bad_test_lifts_nothing(given: Given) -> None:
    await resting(given)
    test = await given.store.add_test(Scope(), given.endpoint.id, given.event(), NOON, LEASE)
    await given.record(test, Failed(), status=500, at=NOON + SECOND)
    assert (await endpoint(given)).rests_until == ENDS


async def test_a_new_url_lifts_a_rest_and_no_other_change(given: Given) -> None:
    await resting(given)
    id_ = given.endpoint.id
    same = {"name": "other", "url": given.endpoint.url}
    await given.store.update_endpoint(Scope(), id_, lambda _: same, NOON + SECOND)
    assert (await endpoint(given)).rests_until == ENDS
    new = {"url": "https://receiver.example.com/new"}
    await given.store.update_endpoint(Scope(), id_, lambda _: new, NOON + SECOND)
    await lifted_at(given, NOON + SECOND)


@pytest.mark.pooled
async def test_resuming_lifts_a_rest(given: Given) -> None:
    await resting(given)
    found = await given.store.resume_endpoint(Scope(), given.endpoint.id, NOON + SECOND)
    assert found.rests_until == 0
    await lifted_at(given, NOON + SECOND)


async def test_enabling_lifts_a_rest_whether_the_endpoint_was_disabled_or_not(given: Given) -> None:
    await resting(given)
    await given.store.enable_endpoint(Scope(), given.endpoint.id, NOON + SECOND)
    await lifted_at(given, NOON + SECOND)
    await given.store.disable_endpoint(Scope(), given.endpoint.id, "x", NOON + SECOND)
    await given.store.enable_endpoint(Scope(), given.endpoint.id, NOON + 2 * SECOND)
    assert (await endpoint(given)).rests_until == 0


async def test_a_disabled_endpoint_does_not_rest(given: Given) -> None:
    await resting(given)
    await given.store.disable_endpoint(Scope(), given.endpoint.id, "x", NOON + SECOND)
    assert (await endpoint(given)).resting_until(NOON + SECOND) is None
    assert await given.store.resting(NOON + SECOND) == {}
    await given.store.enable_endpoint(Scope(), given.endpoint.id, NOON + 2 * SECOND)
    await given.publish(now=NOON + 2 * SECOND)
    assert await claimed(given, NOON + 2 * SECOND) == 1


async def test_an_answer_to_what_began_before_the_lifting_asks_for_nothing(given: Given) -> None:
    await given.publish(given.event(), given.event())
    first, second = await given.claim()
    await answer(given, first)
    await given.store.resume_endpoint(Scope(), given.endpoint.id, NOON + SECOND)
    await answer(given, second, at=NOON + SECOND - 1)
    assert (await endpoint(given)).rests_until == 0


@pytest.mark.pooled
async def test_a_resend_goes_at_once_although_the_endpoint_rests_and_its_retry_does_not(
    given: Given,
) -> None:
    old = await resting(given)
    now = NOON + SECOND
    made = await given.store.resend(Scope(), old.delivery_id, now)
    assert ("resend", given.endpoint.id) in given.hand.changes
    assert made.due_at == now
    assert await given.store.due_heads() == {given.endpoint.id: NOON + SECOND}
    [claim] = await given.claim(now)
    assert (claim.delivery_id, claim.origin) == (made.id, Origin.RESEND)
    await answer(given, claim, span=DAY, at=now, verdict=RetryAt(now))
    ends = now + TOOK + DAY
    assert await given.store.due_heads() == {given.endpoint.id: ends}
    assert await claimed(given, ends - 1) == 0
    assert await claimed(given, ends) == 3


async def test_a_resend_whose_worker_died_still_ignores_the_rest(given: Given) -> None:
    old = await resting(given)
    made = await given.store.resend(Scope(), old.delivery_id, NOON)
    await given.claim(NOON)
    [again] = await given.claim(NOON + LEASE)
    assert again.delivery_id == made.id


async def test_endpoints_rest_each_for_itself(given: Given) -> None:
    other = await given.create_endpoint(url="https://other.example.com/")
    await resting(given)
    ids = [given.endpoint.id, other.id]
    claims = await given.store.claim_due(ids, NOON + SECOND, LEASE, 10)
    assert {claim.endpoint_id for claim in claims} == {other.id}


@pytest.mark.pooled
async def test_another_process_claims_nothing_and_is_notified_of_begin_and_end(
    given: Given,
) -> None:
    if given.place.is_file:
        return
    other = given.another()
    await other.open()
    await resting(given)
    await other.hand.heard("rest", given.endpoint.id)
    assert await other.store.resting(NOON + SECOND) == {given.endpoint.id: ENDS}
    assert await claimed(other, ENDS - 1) == 0
    other.hand.changes.clear()
    await given.store.resume_endpoint(Scope(), given.endpoint.id, NOON + SECOND)
    await other.hand.heard("rest", given.endpoint.id)
    assert await claimed(other, NOON + SECOND) == 1
    await other.close()


@pytest.mark.pooled
async def test_one_batch_may_ask_fail_and_deliver(given: Given) -> None:
    await given.publish(*[given.event() for _ in range(3)])
    claims = await given.claim()
    verdicts: list[Verdict] = [RetryAt(RETRY), Failed(), Delivered()]
    for claim, verdict in zip(claims, verdicts, strict=True):
        rest = RestRequest(429, HOUR) if isinstance(verdict, RetryAt) else None
        made = given.attempt(claim, 200 if isinstance(verdict, Delivered) else 429)
        given.store.record(AttemptRecord(claim, made, verdict, rest))
    await given.store.recorded()
    found = await endpoint(given)
    assert (found.rests_until, found.consecutive_failures) == (ENDS, 0)
