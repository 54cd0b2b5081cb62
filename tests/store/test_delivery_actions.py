"""Every store: deliveries that users retry now or stop."""

import asyncio

import pytest
from storekit import NOON, Given

from hooktide.domain.audit_log import SERVER
from hooktide.domain.delivery.rest import RestRequest
from hooktide.domain.delivery.verdict import Delivered, Failed, RetryAt
from hooktide.domain.errors import NotFoundError
from hooktide.domain.model import (
    HOUR,
    MINUTE,
    SECOND,
    STOPPED_BY_HAND,
    Claim,
    Delivery,
    DeliveryState,
    Scope,
)
from hooktide.store.postgres.maintenance.invariants import audit_postgres
from hooktide.store.sqlite.maintenance.invariants import audit_sqlite

LATER = NOON + MINUTE
DUE = NOON + HOUR
REASON = STOPPED_BY_HAND


async def retrying(given: Given) -> Claim:
    """Return a delivery whose first attempt failed and whose next is due in an hour."""
    await given.publish()
    [claim] = await given.claim()
    await given.record(claim, RetryAt(DUE), status=500)
    return claim


async def retry(given: Given, claim: Claim, now: int = LATER) -> Delivery:
    [found] = await given.store.retry_now(
        Scope(), [claim.delivery_id], now, SERVER.does("delivery.retry")
    )
    return found


async def stop(given: Given, claim: Claim, now: int = LATER) -> Delivery:
    [found] = await given.store.stop_deliveries(
        Scope(), [claim.delivery_id], REASON, now, SERVER.does("delivery.stop")
    )
    return found


async def actions(given: Given) -> list[str]:
    return [each.action for each in (await given.store.list_audit_log(Scope(), None, 10)).items]


@pytest.mark.pooled
async def test_a_retry_asked_for_is_due_at_once_and_the_count_goes_on(given: Given) -> None:
    claim = await retrying(given)
    assert await given.claim(LATER) == []
    found = await retry(given, claim)
    assert (found.due_at, found.attempts) == (LATER, 1)
    assert given.hand.hints[given.endpoint.id] == LATER
    assert ("resend", given.endpoint.id) in given.hand.changes
    [again] = await given.claim(LATER)
    assert again.attempt == 2
    assert await actions(given) == ["delivery.retry"]


async def test_a_retry_asked_for_lifts_the_rest(given: Given) -> None:
    await given.publish()
    [claim] = await given.claim()
    await given.record(claim, RetryAt(DUE), status=429, rest=RestRequest(429, HOUR))
    await retry(given, claim)
    assert (await given.store.get_endpoint(Scope(), given.endpoint.id)).rests_until == 0
    assert ("rest", given.endpoint.id) in given.hand.changes
    assert [each.delivery_id for each in await given.claim(LATER)] == [claim.delivery_id]


async def test_a_retry_does_not_change_deliveries_that_are_in_flight_or_ended(given: Given) -> None:
    await given.publish()
    [claim] = await given.claim()
    assert (await retry(given, claim)).sending
    await given.record(claim, Failed(), status=500)
    assert (await retry(given, claim)).state is DeliveryState.FAILED
    assert await given.claim(LATER) == []
    assert await actions(given) == []


@pytest.mark.pooled
async def test_a_delivery_that_is_stopped_is_discarded_and_never_claimed(given: Given) -> None:
    claim = await retrying(given)
    found = await stop(given, claim)
    assert (found.state, found.reason) == (DeliveryState.DISCARDED, REASON)
    assert found.ended_at == LATER
    assert await given.claim(DUE + SECOND) == []
    assert (await given.store.get_endpoint(Scope(), given.endpoint.id)).consecutive_failures == 0
    assert await stop(given, claim) == found
    assert await actions(given) == ["delivery.stop"]


async def test_a_held_delivery_is_stopped(given: Given) -> None:
    await given.set_plan(endpoints=None, deliveries_per_hour=1)
    await given.publish()
    await given.publish()
    listed = await given.store.list_deliveries(Scope(), None, 10, state=DeliveryState.HELD)
    [held] = listed.items
    [found] = await given.store.stop_deliveries(Scope(), [held.id], REASON, LATER)
    assert found.state is DeliveryState.DISCARDED
    assert await given.store.unhold(NOON + 2 * HOUR, 100) == 0


@pytest.mark.pooled
async def test_an_attempt_in_flight_is_not_cancelled_and_its_2xx_counts(given: Given) -> None:
    await given.publish()
    [claim] = await given.claim()
    assert (await stop(given, claim)).state is DeliveryState.DISCARDED
    await given.record(claim, Delivered(), at=LATER)
    assert await given.state(claim) == "delivered"
    [attempt] = await given.store.list_attempts(Scope(), claim.delivery_id)
    assert attempt.number == 1


async def test_a_2xx_changes_nothing_of_what_was_discarded_for_another_reason(
    given: Given,
) -> None:
    await given.publish()
    [claim] = await given.claim()
    await given.store.stop_deliveries(Scope(), [claim.delivery_id], "endpoint deleted", LATER)
    await given.record(claim, Delivered(), at=LATER)
    assert await given.state(claim) == "discarded"


async def test_an_attempt_that_fails_after_the_stop_starts_nothing(given: Given) -> None:
    await given.publish()
    [claim] = await given.claim()
    await stop(given, claim)
    await given.record(claim, RetryAt(DUE), status=500)
    assert await given.state(claim) == "discarded"
    assert await given.claim(DUE + HOUR) == []


async def test_nothing_of_another_account_is_retried_or_stopped(given: Given) -> None:
    claim = await retrying(given)
    stranger = Scope(account_id=given.account.id + 1)
    with pytest.raises(NotFoundError):
        await given.store.retry_now(stranger, [claim.delivery_id], LATER)
    with pytest.raises(NotFoundError):
        await given.store.stop_deliveries(stranger, [claim.delivery_id], REASON, LATER)
    assert await given.claim(LATER) == []
    assert await given.state(claim) == "pending"


@pytest.mark.parametrize("asked", [True, False])
async def test_an_audit_allows_a_retry_that_someone_asked_for_and_no_other(
    given: Given, asked: bool
) -> None:
    first = NOON + HOUR
    await given.publish(now=first)
    [claim] = await given.claim(first)
    await given.record(claim, RetryAt(first + 2 * SECOND), status=500, at=first)
    if asked:
        await retry(given, claim, first + SECOND)
    [again] = await given.claim(first + 2 * SECOND)
    await given.record(again, RetryAt(first + HOUR), status=500, at=first + 2 * SECOND)
    assert ("gaps" in await broken(given, first + MINUTE)) is not asked


async def broken(given: Given, now: int) -> list[str]:
    """Return the audit checks that find something."""
    await given.close()
    if given.place.is_file:
        found = await asyncio.to_thread(lambda: list(audit_sqlite(given.place.url, now)))
    else:
        found = [each async for each in audit_postgres(given.place.url, now)]
    return [each.check.name for each in found if each.broken]
