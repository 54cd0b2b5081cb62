"""The 2xx of an attempt that had lost its lease counts like any other, once."""

import pytest
from livedkit import made
from storekit import LEASE, NOON, Given

from hooktide.domain.delivery.verdict import Delivered, Failed, RetryAt
from hooktide.domain.model import SECOND, Claim, Scope
from hooktide.store.base import AttemptRecord

LATER = NOON + 2 * LEASE


async def failing(given: Given) -> int:
    return (await given.store.get_endpoint(Scope(), given.endpoint.id)).consecutive_failures


async def fail_once(given: Given, now: int = NOON) -> None:
    await given.publish(now=now)
    [claim] = await given.claim(now)
    await given.record(claim, Failed(), 500, now)


async def lose(given: Given) -> tuple[Claim, Claim]:
    """Return a claim whose lease has ended, and the claim that replaced it."""
    await given.publish()
    [lost] = await given.claim()
    [instead] = await given.claim(LATER)
    return lost, instead


async def test_a_late_2xx_ends_the_run_of_failures(given: Given) -> None:
    await fail_once(given)
    await fail_once(given)
    lost, instead = await lose(given)
    await given.record(instead, RetryAt(LATER + 10 * SECOND), 500, LATER)
    assert await failing(given) == 2
    await given.record(lost, Delivered())
    assert await given.state(lost) == "delivered"
    assert await failing(given) == 0


@pytest.mark.pooled
async def test_a_late_2xx_ends_it_together_with_what_failed_in_the_same_batch(
    given: Given,
) -> None:
    await fail_once(given)
    lost, _ = await lose(given)
    await given.publish()
    [other] = await given.claim()
    failed = made(other, NOON, 500)
    given.store.record(AttemptRecord(other, failed.attempt, Failed()))
    given.store.record(made(lost, NOON, 200))
    await given.store.recorded()
    assert await given.state(lost) == "delivered"
    assert await failing(given) == 0


async def test_a_late_2xx_of_what_was_delivered_already_ends_nothing(given: Given) -> None:
    lost, instead = await lose(given)
    await given.record(instead, Delivered(), 200, LATER)
    await fail_once(given, LATER)
    assert await failing(given) == 1
    await given.record(lost, Delivered())
    assert await failing(given) == 1


@pytest.mark.pooled
async def test_a_lost_attempt_and_the_one_made_instead_may_come_together(given: Given) -> None:
    lost, instead = await lose(given)
    given.store.record(made(lost, NOON, 500))
    given.store.record(made(instead, LATER, 200))
    await given.store.recorded()
    assert await given.state(lost) == "delivered"
    attempts = await given.store.list_attempts(Scope(), lost.delivery_id)
    assert [(each.number, each.status) for each in attempts] == [(instead.attempt, 200)]


async def test_a_late_2xx_and_the_failure_of_the_one_made_instead_may_come_together(
    given: Given,
) -> None:
    lost, instead = await lose(given)
    given.store.record(made(instead, LATER, 500))
    given.store.record(made(lost, NOON, 200))
    await given.store.recorded()
    assert await given.state(lost) == "delivered"
    attempts = await given.store.list_attempts(Scope(), lost.delivery_id)
    assert [each.status for each in attempts] == [500, 200]
