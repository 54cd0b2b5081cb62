"""A dead process's claims are released after two checks, and those of a live process are not.

The tests run the checks, at times of the monotonic clock that they choose.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import asyncpg
import pytest
from postgreskit import cluster, database
from storekit import TERMINATE_SESSIONS, Given, Place, until

from hooktide.domain.delivery.verdict import Delivered, Failed
from hooktide.domain.model import SECOND, Scope
from hooktide.store.postgres import PostgresStore
from hooktide.store.postgres.processes.dead_processes import GRACE_PERIOD, LOOK_INTERVAL, Looks

CLAIMS = ("claims", 0)
HELD = """SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND objid = $1
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
DEAD = (7, 0)
EARLY, LATE = LOOK_INTERVAL - 1, LOOK_INTERVAL


BOTH_WAYS = pytest.mark.parametrize("kind", ["postgres", "pgbouncer"])


@pytest.fixture
def kind() -> str:
    return "postgres"


def store_of(given: Given) -> PostgresStore:
    return cast(PostgresStore, given.store)


async def open_another(given: Given) -> Given:
    another = given.another()
    await another.open()
    return another


@pytest.fixture
async def other(given: Given) -> AsyncIterator[Given]:
    """Another process that checks when a test tells it to."""
    other = await open_another(given)
    await store_of(given)._dead.stop()
    await store_of(other)._dead.stop()
    yield other
    await other.close()


async def die(process: Given) -> None:
    """End a process as kill -9 does: it releases nothing."""
    store = store_of(process)
    process.opened = False
    await store._dead.stop()
    await end_session(process)
    await store._db.close()


async def end_session(process: Given) -> None:
    """Cut a process's connection without a reconnect, and wait until the server has noticed."""
    store = store_of(process)
    await store._notifier.stop()
    place = process.place
    operator = await asyncpg.connect(place.direct or place.url)
    async with asyncio.timeout(30):
        while await operator.fetchval(HELD, store._node.number):
            await asyncio.sleep(0.005)
    await operator.close()


async def look(process: Given, after: int) -> int:
    """Let a process check, this long after it took its lock. Return how many claims it released."""
    store = store_of(process)
    return await store._dead.look(store._node.held_since + after)


async def look_twice(process: Given) -> int:
    """Let a process check as often as it takes to declare another dead."""
    assert await look(process, GRACE_PERIOD) == 0
    return await look(process, GRACE_PERIOD + LOOK_INTERVAL)


async def claimed(given: Given, count: int = 5) -> None:
    now = store_of(given).clock()
    await given.publish(*[given.event() for _ in range(count)], now=now)
    assert len(await given.claim(now)) == count


@BOTH_WAYS
async def test_claims_of_a_dead_process_are_released_in_the_second_look(
    given: Given, other: Given
) -> None:
    await claimed(other, 3)
    await claimed(given, 4)
    given.hand.takes = 2
    assert len(await given.publish(*[given.event()] * 2, now=store_of(given).clock())) == 2
    assert len(given.hand.claims) == 2
    await die(given)
    assert await look(other, GRACE_PERIOD) == 0
    assert await look(other, GRACE_PERIOD + EARLY) == 0
    assert await other.claim(store_of(other).clock()) == []
    assert await look(other, GRACE_PERIOD + LATE) == 6
    assert given.endpoint.id in other.hand.hints
    assert len(await other.claim(store_of(other).clock())) == 6
    assert other.store.released_claims == 6
    assert await look(other, 2 * GRACE_PERIOD) == 0


async def test_a_living_process_keeps_its_claims(given: Given, other: Given) -> None:
    await claimed(given)
    for number in range(5):
        assert await look(other, GRACE_PERIOD + number * LOOK_INTERVAL) == 0
    assert CLAIMS not in given.hand.changes


async def test_two_that_look_at_once_release_it_once(given: Given, other: Given) -> None:
    third = await open_another(given)
    await store_of(third)._dead.stop()
    await claimed(given)
    await die(given)
    for each in (other, third):
        assert await look(each, GRACE_PERIOD) == 0
    after = GRACE_PERIOD + LATE
    released = await asyncio.gather(look(other, after), look(third, after))
    assert sorted(released) == [0, 5]
    await third.close()


@BOTH_WAYS
async def test_a_process_that_only_lost_its_connection_keeps_its_claims(
    given: Given, other: Given, place: Place
) -> None:
    await claimed(given)
    held_since = [store_of(each)._node.held_since for each in (given, other)]
    await terminate_sessions(place)
    await until(lambda: all(map(holds_again, (given, other), held_since)))
    assert await look_twice(other) == 0
    assert CLAIMS not in given.hand.changes
    assert store_of(given)._node.held_since - held_since[0] < 60 * SECOND


async def terminate_sessions(place: Place) -> None:
    operator = await asyncpg.connect(place.direct or place.url)
    assert await operator.fetchval(TERMINATE_SESSIONS) == 2
    await operator.close()


def holds_again(process: Given, held_since: int) -> bool:
    return store_of(process)._node.held_since > held_since


@BOTH_WAYS
async def test_a_process_that_was_presumed_dead_learns_of_it_and_its_2xx_counts(
    given: Given, other: Given
) -> None:
    await given.publish(given.event(), given.event())
    delivered, failed = await given.claim()
    await end_session(given)
    assert await look_twice(other) == 2
    await store_of(given)._notifier.start()
    assert given.hand.changes.count(CLAIMS) == 1
    await given.record(delivered, Delivered())
    await given.record(failed, Failed(), status=500)
    assert await given.state(delivered) == "delivered"
    assert await given.state(failed) == "pending"
    await given.publish()
    assert await look_twice(other) == 0
    assert given.hand.changes.count(CLAIMS) == 1


async def test_a_process_that_cannot_take_its_lock_learns_of_it_too(
    given: Given, other: Given
) -> None:
    await claimed(given)
    await end_session(given)
    assert await look_twice(other) == 5
    await store_of(given)._node._renew_once()
    assert given.hand.changes.count(CLAIMS) == 1


async def test_a_process_that_starts_finds_what_its_dead_predecessor_had(given: Given) -> None:
    await claimed(given)
    await die(given)
    successor = await open_another(given)
    await store_of(successor)._dead.stop()
    assert await look(successor, 1 * SECOND) == 0
    assert await look(successor, 3 * SECOND) == 0
    assert await look(successor, GRACE_PERIOD) == 5
    await successor.close()


async def test_a_process_that_does_not_see_its_own_lock_declares_no_other_dead(
    given: Given, other: Given, place: Place
) -> None:
    """As a process whose statements already go to a promoted standby."""
    await claimed(given)
    await end_session(other)
    await die(given)
    assert await look_twice(other) == 0
    await store_of(other)._notifier.start()
    assert await look_twice(other) == 5


async def test_a_process_of_the_version_before_which_takes_no_lock_is_left_alone(
    given: Given, other: Given, place: Place
) -> None:
    await claimed(given)
    operator = await asyncpg.connect(place.direct or place.url)
    node = store_of(given)._node.number
    await operator.execute("UPDATE hooktide.nodes SET held = false WHERE node = $1", node)
    await operator.close()
    await end_session(given)
    assert await look_twice(other) == 0


async def test_nobody_who_waits_for_its_lock_is_waited_for(given: Given, other: Given) -> None:
    """A session that the server still considers open is terminated by the next one."""
    await claimed(given)
    store = store_of(given)
    left = store._notifier._connection
    assert left is not None
    await store._notifier._listen()
    assert await look_twice(other) == 0
    await until(left.is_closed)


async def test_after_a_server_restart_no_claims_are_released() -> None:
    with cluster() as postgres:
        async with database(postgres) as url:
            given = Given(Place(url))
            await given.open()
            await given.begin()
            other = await open_another(given)
            await claimed(given)
            held_since = [store_of(each)._node.held_since for each in (given, other)]
            await asyncio.to_thread(postgres.restart)
            await until(lambda: all(map(holds_again, (given, other), held_since)))
            assert await look_twice(other) == 0
            assert (given.store.released_claims, other.store.released_claims) == (0, 0)
            [claim, *_] = (await given.store.list_deliveries(Scope(), None, 1)).items
            assert claim.state.value == "pending"
            await given.close()
            await other.close()


def test_one_look_after_a_long_pause_is_not_two() -> None:
    looks = Looks()
    assert looks.dead([DEAD], 100 * SECOND, 0) == []
    assert looks.dead([], 101 * SECOND, 0) == []
    assert looks.dead([DEAD], 110 * SECOND, 0) == []
    assert looks.dead([DEAD], 110 * SECOND + LATE, 0) == [DEAD]


def test_one_that_was_there_in_between_with_another_generation_is_looked_at_again() -> None:
    looks = Looks()
    looks.dead([DEAD], 100 * SECOND, 0)
    assert looks.dead([(DEAD[0], 1)], 100 * SECOND + LATE, 0) == []


@pytest.mark.parametrize(("after", "found"), [(GRACE_PERIOD - 1, []), (GRACE_PERIOD, [DEAD])])
def test_no_process_is_declared_dead_shortly_after_the_own_lock_was_taken(
    after: int, found: list[tuple[int, int]]
) -> None:
    looks = Looks()
    looks.dead([DEAD], 100 * SECOND, 100 * SECOND)
    assert looks.dead([DEAD], 100 * SECOND + after, 100 * SECOND) == found


def test_what_was_found_before_the_own_lock_was_taken_does_not_count() -> None:
    """That was a different server, or the same one before a restart."""
    looks = Looks()
    looks.dead([DEAD], 100 * SECOND, 0)
    assert looks.dead([DEAD], 200 * SECOND, 195 * SECOND) == []
    assert looks.dead([DEAD], 200 * SECOND + LATE, 195 * SECOND) == [DEAD]
