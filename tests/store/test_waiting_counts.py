"""The backlog counts are exact at any time, and do not require reading the queue."""

import asyncio
import random
from contextlib import suppress

import asyncpg
import pytest
from auditkit import miscounted
from storekit import LEASE, NOON, Given

from hooktide.domain.audit_log import SERVER
from hooktide.domain.delivery.verdict import Delivered, Failed, Gone, Requeued, RetryAt
from hooktide.domain.errors import RefusedError
from hooktide.domain.model import DAY, MINUTE, SECOND, Micros, ReplayWhat, Scope
from hooktide.domain.stats import Backlog
from hooktide.store.base import AttemptRecord, NewReplay

DOES = SERVER.does("test")


async def backlog(given: Given, largest: int = 0) -> Backlog:
    return await given.store.backlog(Scope(), largest=largest)


async def oldest(given: Given) -> Micros | None:
    """Return the backlog with times in seconds: an id may be slightly later than its timestamp."""
    found = (await given.store.oldest_waiting(Scope())).made_at
    return None if found is None else found // SECOND * SECOND


async def test_what_waits_is_retried_held_or_in_flight_is_counted(given: Given) -> None:
    await given.publish(*[given.event()] * 5)
    claims = await given.claim(each=2)
    await given.record(claims[0], RetryAt(NOON + MINUTE), 500)
    await given.set_plan(endpoints=None, deliveries_per_hour=0)
    await given.publish(*[given.event()] * 3)
    found = await backlog(given, largest=5)
    assert (found.waiting, found.retries, found.held, found.in_flight) == (4, 1, 3, 1)
    assert (found.pending, found.endpoints) == (5, 1)
    [largest] = found.largest
    assert (largest.endpoint_id, largest.waiting, largest.held) == (given.endpoint.id, 4, 3)
    assert await oldest(given) == NOON


async def test_what_is_handed_over_and_delivered_never_counts(given: Given) -> None:
    given.hand.takes = 10
    await given.publish(*[given.event()] * 4)
    for claim in given.hand.claims:
        given.store.record(AttemptRecord(claim, given.attempt(claim), Delivered()))
    await given.store.recorded()
    assert await backlog(given) == Backlog(0, 0, 0, 0, 0, [])
    assert await oldest(given) is None


async def test_a_scope_counts_its_own(given: Given) -> None:
    other = await given.another_account("https://other.example.com/hook")
    await given.publish(given.event(), given.event(account_id=other.id), now=NOON)
    store = given.store
    assert (await store.backlog(Scope(account_id=other.id))).waiting == 1
    assert (await store.backlog(Scope(project_id=given.project_id))).waiting == 2
    assert (await store.backlog(Scope(project_id=1))).waiting == 0
    assert (await store.backlog(Scope(), given.endpoint.id)).waiting == 1
    assert (await store.account_usage(Scope(), other.id, NOON)).pending == 1


async def test_the_endpoints_with_most_come_first(given: Given) -> None:
    other = await given.create_endpoint("invoice.sent")
    await given.publish(given.event(), given.event("invoice.sent"), given.event("invoice.sent"))
    largest = (await backlog(given, largest=1)).largest
    assert [(each.endpoint_id, each.waiting) for each in largest] == [(given.endpoint.id, 3)]
    both = (await backlog(given, largest=9)).largest
    assert [(each.endpoint_id, each.waiting) for each in both][1] == (other.id, 2)


async def test_a_disable_takes_its_pending_off_in_its_own_commit(given: Given) -> None:
    await given.publish(*[given.event()] * 3)
    await given.store.disable_endpoint(Scope(), given.endpoint.id, "tired", NOON, DOES)
    assert (await backlog(given)).waiting == 0
    await given.store.enable_endpoint(Scope(), given.endpoint.id, NOON + SECOND, DOES)
    await given.publish(now=NOON + MINUTE)
    assert (await backlog(given)).waiting == 1  # the three still exist, but no longer count
    assert await oldest(given) == NOON + MINUTE
    assert await given.store.discard_stale(NOON + MINUTE, 100) == 3
    assert (await backlog(given)).waiting == 1
    assert await miscounted(given.place) == 0


async def test_counts_are_the_rows_whatever_happens(given: Given) -> None:
    """Every statement that changes a delivery, in a random order from a seed."""
    chance, now = random.Random(17), NOON
    await given.set_plan(0, endpoints=None, deliveries_per_hour=40)
    for step in range(120):
        now += chance.randrange(30) * SECOND
        await one_of_all(given, chance, now)
        if step % 6 == 0:
            assert await miscounted(given.place) == 0, step
    await given.store.fold_waiting_counts()
    assert await miscounted(given.place) == 0


async def one_of_all(given: Given, chance: random.Random, now: Micros) -> None:
    store, endpoint_id = given.store, given.endpoint.id
    await store.enable_endpoint(Scope(), endpoint_id, now)  # a 410 disables it
    match chance.randrange(13):
        case 0 | 1 | 2:
            given.hand.takes = chance.choice((0, 0, 2))
            await given.publish(*[given.event()] * chance.randrange(1, 6), now=now)
        case 3 | 4 | 5:
            for claim in [*await given.claim(now, 4), *given.hand.claims]:
                verdict = chance.choice(
                    (Delivered(), RetryAt(now + MINUTE), Failed(), Requeued(now), Gone())
                )
                store.record(AttemptRecord(claim, given.attempt(claim, 200, now), verdict))
            given.hand.claims.clear()
            await store.recorded()
        case 6:
            await store.release_claims(await given.claim(now, 3), now)
        case 7:
            await given.claim(now, 3)
            await store.release_expired_claims(now + 2 * LEASE, 100)
        case 8:
            await store.unhold(now, 5)
        case 9:
            await store.disable_endpoint(Scope(), endpoint_id, "tired", now, DOES)
            await store.discard_stale(now, chance.choice((1, 100)))
            await store.enable_endpoint(Scope(), endpoint_id, now, DOES)
        case 10:
            wanted = NewReplay(endpoint_id=endpoint_id, what=ReplayWhat.FAILED, since=NOON - DAY)
            with suppress(RefusedError):  # one is running
                count = await store.count_replay(Scope(), wanted, now)
                await store.create_replay(Scope(), wanted, count, now, DOES)
            await store.run_replays(now, 5)
        case 11:
            page = await store.list_deliveries(Scope(), None, 20)
            with suppress(RefusedError):  # a held one has not been released yet
                for delivery in page.items[:1]:
                    await store.resend(Scope(), delivery.id, now, DOES)
        case _:
            await store.fold_waiting_counts()
            await store.drop_old(now + 30 * DAY, 3)


async def test_a_late_2xx_of_a_delivery_that_waits_again_is_counted(given: Given) -> None:
    await given.publish()
    [claim] = await given.claim()
    await given.store.release_expired_claims(NOON + 2 * LEASE, 10)
    assert (await backlog(given)).waiting == 1
    await given.record(claim, Delivered(), at=NOON + 2 * LEASE)
    assert (await backlog(given)).waiting == 0
    assert await miscounted(given.place) == 0


@pytest.mark.parametrize("kind", ["postgres"])
async def test_counts_are_folded_while_others_write(given: Given) -> None:
    """Rows that an open transaction has appended are neither lost nor counted twice."""
    await given.publish(*[given.event()] * 3)
    await given.publish(*[given.event()] * 3)
    other = await asyncpg.connect(given.place.url)
    work = other.transaction()
    await work.start()
    await other.execute(
        "UPDATE hooktide.queue SET claim = 2048 WHERE id = (SELECT min(id) FROM hooktide.queue)"
    )
    await asyncio.gather(*[given.store.fold_waiting_counts() for _ in range(4)])
    assert (await backlog(given)).waiting == 6
    await work.commit()
    assert (await backlog(given)).waiting == 5
    await given.store.fold_waiting_counts()
    rows = await other.fetch("SELECT waiting FROM hooktide.waiting_counts")
    await other.close()
    assert [row[0] for row in rows] == [5]
    assert await miscounted(given.place) == 0


@pytest.mark.parametrize("kind", ["postgres"])
async def test_a_server_of_the_version_before_is_counted_as_well(given: Given) -> None:
    """An older server does not know the counts; the database's triggers maintain them."""
    other = await asyncpg.connect(given.place.url)
    await other.execute(
        "INSERT INTO hooktide.queue (id, event_id, endpoint_id, account_id, project_id, origin, "
        "state, attempts, due_at, claim, reason) "
        f"SELECT n << 11, 1, {given.endpoint.id}, {given.account.id}, {given.project_id}, 'event', "
        "'pending', n % 2, 1, 0, '' FROM generate_series(1, 8) AS n"
    )
    assert (await backlog(given)).retries == 4
    await other.execute("DELETE FROM hooktide.queue WHERE id <= 3 << 11")
    await other.close()
    assert (await backlog(given)).waiting == 5
    assert await miscounted(given.place) == 0
