"""An endpoint rests as long as its receiver asked, in every process and after a restart."""

import asyncio
import threading
from contextlib import AsyncExitStack

import pytest
from enginekit import OK, Clock, Engine, Receivers, opened, running
from postgreskit import database
from storekit import NOON, Place, until

from hooktide.domain.delivery.rest import MIN_REST
from hooktide.domain.delivery.verdict import Outcome
from hooktide.domain.model import DAY, HOUR, MINUTE, SECOND, Micros, Scope
from hooktide.engine.scheduling import polling
from hooktide.engine.scheduling.adaptive_slots import START
from hooktide.engine.scheduling.known_rests import KnownRests
from hooktide.engine.scheduling.scheduler import Limits

TOOK: Micros = 1000


def asks(span: Micros | None, status: int = 429) -> Outcome:
    return Outcome(status=status, retry_after=span, duration=TOOK)


async def begin_rest(engine: Engine, answer: Outcome) -> None:
    """Let the receiver answer one request with this status, and later ones with 200."""
    engine.receivers.script = [answer, OK]
    await engine.given.publish()
    await engine.receivers.until(1)
    await engine.settled()
    await known(engine, True)


async def known(engine: Engine, rests: bool) -> None:
    """Wait until the worker has read from the store whether the endpoint rests."""
    id_ = engine.given.endpoint.id
    await until(lambda: (id_ in engine.worker.scheduler.known_rests._stored) is rests)


async def nothing_goes_out(engine: Engine, count: int) -> None:
    """Check that no more requests are sent, although the worker looks for due deliveries."""
    engine.worker.due({engine.given.endpoint.id: 0})
    for _ in range(3):
        await engine.given.store.claim_due([engine.given.endpoint.id], 0, 1, 1)  # one full round
        await asyncio.sleep(0.01)
    assert engine.receivers.count() == count


@pytest.mark.parametrize("answer", [asks(SECOND, 503), asks(SECOND), asks(None)])
async def test_an_endpoint_rests_no_longer_than_its_receiver_asked_however_long_the_retry_waits(
    engine: Engine, answer: Outcome
) -> None:
    await begin_rest(engine, answer)  # its retry waits for 10 s
    await engine.given.publish(now=engine.clock())
    await nothing_goes_out(engine, 1)
    engine.clock.now = NOON + TOOK + SECOND - 1
    await nothing_goes_out(engine, 1)
    engine.clock.now = NOON + TOOK + SECOND
    engine.worker._poller.wake.set()  # as its timer does on a clock that goes by itself
    await engine.receivers.until(2)
    await engine.settled()
    assert sorted(await engine.states()) == ["delivered", "pending"]
    await engine.given.publish(now=engine.clock())
    await engine.receivers.until(3)


async def test_a_rest_ends_by_itself_on_a_clock_that_goes(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker sets a timer for the end of a rest, so that no rescan or lease end is needed."""
    monkeypatch.setattr(polling, "RESCAN_INTERVAL", 1000 * HOUR)
    engine.worker.scheduler.polling._rescan_at = None  # read once more, then not again
    await begin_rest(engine, asks(HOUR))
    await engine.given.publish(now=engine.clock())
    engine.clock.now += HOUR + TOOK - SECOND // 10
    engine.worker.due({-1: 0})  # have it look at the clock
    await asyncio.sleep(0.01)
    assert engine.receivers.count() == 1
    engine.clock.now += SECOND // 10
    await engine.receivers.until(2)


@pytest.mark.parametrize(("span", "kept"), [(HOUR, 0), (SECOND, 5)])
async def test_what_waited_in_memory_goes_out_after_a_long_rest_as_after_a_short_one(
    engine: Engine, span: Micros, kept: int
) -> None:
    engine.receivers.hanging.add(engine.given.endpoint.url)
    engine.receivers.script = [asks(span)] * START + [OK]
    await engine.given.publish(
        *[engine.given.event() for _ in range(START + 5)], now=engine.clock()
    )
    await engine.receivers.until(START)
    engine.receivers.hold.set()
    await until(lambda: not engine.worker.in_flight)
    assert engine.worker.waiting == kept
    await known(engine, True)
    assert engine.receivers.count() == START
    engine.clock.now += span + TOOK
    engine.worker._poller.wake.set()
    await engine.receivers.until(START + 5)
    await engine.later(DAY)
    await until(lambda: engine.receivers.count() >= 2 * START + 5)
    await engine.settled()


async def test_claims_that_a_long_rest_outlasts_are_released_before_their_lease_ends(
    engine: Engine,
) -> None:
    """Claims that end before a rest are released immediately, and sent when it is lifted."""
    engine.receivers.hanging.add(engine.given.endpoint.url)
    slots = START
    engine.receivers.script = [asks(HOUR)] * slots + [OK]
    await engine.given.publish(*[engine.given.event() for _ in range(slots + 5)])
    await engine.receivers.until(slots)
    engine.receivers.hold.set()
    await engine.settled()
    await known(engine, True)
    await engine.given.store.resume_endpoint(Scope(), engine.given.endpoint.id, engine.clock())
    await engine.receivers.until(slots + 5)


async def test_a_rest_outlives_a_read_of_the_store_that_comes_before_its_record(
    engine: Engine,
) -> None:
    """Recording another attempt reloads the rests while this one's record is not committed yet."""
    id_ = engine.given.endpoint.id
    busy, free = threading.Event(), threading.Event()
    engine.receivers.hanging.add(engine.given.endpoint.url)
    engine.receivers.script = [asks(HOUR), OK]
    await engine.given.publish()
    await engine.receivers.until(1)

    def keep_busy(*_: object) -> None:
        busy.set()
        free.wait(60)

    writing = asyncio.create_task(engine.given.store._write(keep_busy))  # type: ignore[attr-defined]
    await until(busy.is_set)
    engine.receivers.hold.set()
    await until(lambda: not engine.worker.in_flight)
    engine.worker.changed("rest", id_)
    await known(engine, True)
    assert engine.worker.scheduler.known_rests.until(id_) == NOON + TOOK + HOUR
    free.set()
    await writing
    await engine.settled()
    await engine.given.store.resume_endpoint(Scope(), id_, engine.clock())
    await until(lambda: not engine.worker.scheduler.known_rests.until(id_))


async def test_new_events_are_not_handed_over_while_their_endpoint_rests(engine: Engine) -> None:
    await begin_rest(engine, asks(HOUR))
    assert engine.given.endpoint.id in engine.worker.capacity().full_endpoints
    await engine.given.publish(now=engine.clock())
    assert engine.worker.waiting == 0
    await engine.later(HOUR + TOOK)
    await engine.receivers.until(2)
    await engine.settled()
    assert engine.given.endpoint.id not in engine.worker.capacity().full_endpoints


async def test_the_last_attempt_of_a_delivery_rests_the_endpoint_too(engine: Engine) -> None:
    await engine.given.set_plan(retries=0)
    await begin_rest(engine, asks(HOUR))
    assert await engine.states() == ["failed"]
    await engine.given.publish(now=engine.clock())
    await nothing_goes_out(engine, 1)


async def test_a_resend_goes_at_once_and_nothing_with_it(engine: Engine) -> None:
    await begin_rest(engine, asks(HOUR))
    [record] = engine.records
    await engine.given.publish(now=engine.clock())
    await engine.given.store.resend(Scope(), record.claim.delivery_id, engine.clock())
    await engine.receivers.until(2)
    await engine.settled()
    assert await engine.states() == ["pending", "pending", "delivered"]
    await nothing_goes_out(engine, 2)


async def test_a_resend_that_waits_in_memory_goes_out_although_a_rest_begins(
    engine: Engine,
) -> None:
    engine.receivers.hanging.add(engine.given.endpoint.url)
    slots = START
    await engine.given.publish(*[engine.given.event() for _ in range(slots + 3)])
    await engine.receivers.until(slots)
    newest = (await engine.given.store.list_deliveries(Scope(), None, 1)).items[0]
    await engine.given.store.resend(Scope(), newest.id, engine.clock())
    await until(lambda: engine.worker.waiting == 4)
    engine.receivers.script = [asks(HOUR)] * slots + [OK]
    engine.receivers.hold.set()
    await engine.receivers.until(slots + 1)
    await engine.settled()
    assert engine.receivers.count() == slots + 1


async def test_a_success_that_was_under_way_lifts_no_rest(engine: Engine) -> None:
    engine.receivers.hanging.add(engine.given.endpoint.url)
    engine.receivers.script = [asks(HOUR), OK]
    await engine.given.publish(engine.given.event(), engine.given.event())
    await engine.receivers.until(2)
    engine.receivers.hold.set()
    await engine.settled()
    await known(engine, True)
    await engine.given.publish(now=engine.clock())
    await nothing_goes_out(engine, 2)


@pytest.mark.parametrize("how", ["url", "enable", "resume", "test"])
async def test_lifting_a_rest_sends_what_only_that_delayed(engine: Engine, how: str) -> None:
    await begin_rest(engine, asks(DAY))
    await engine.given.publish(now=engine.clock())
    await nothing_goes_out(engine, 1)
    engine.clock.now += SECOND
    tests = await lift(engine, how)
    await engine.receivers.until(2 + tests)
    await engine.settled()
    await nothing_goes_out(engine, 2 + tests)  # the retry keeps its schedule
    await engine.later(10 * SECOND)
    await engine.receivers.until(3 + tests)


async def lift(engine: Engine, how: str) -> int:
    """Lift the endpoint's rest, and return how many tests that took."""
    store, id_, now = engine.given.store, engine.given.endpoint.id, engine.clock()
    if how == "url":
        new = {"url": "https://receiver.example.com/new"}
        await store.update_endpoint(Scope(), id_, lambda _: new, now)
    elif how == "enable":
        await store.enable_endpoint(Scope(), id_, now)
    elif how == "resume":
        await store.resume_endpoint(Scope(), id_, now)
    else:
        claim = await store.add_test(Scope(), id_, engine.given.event(), now, MINUTE)
        await engine.worker.try_now(claim)
        return 1
    return 0


async def test_a_test_goes_at_once_and_its_429_rests_the_endpoint(engine: Engine) -> None:
    engine.receivers.script = [asks(HOUR), OK]
    store, id_ = engine.given.store, engine.given.endpoint.id
    claim = await store.add_test(Scope(), id_, engine.given.event(), NOON, MINUTE)
    await engine.worker.try_now(claim)
    await engine.given.publish(now=engine.clock())
    await nothing_goes_out(engine, 1)
    claim = await store.add_test(Scope(), id_, engine.given.event(), NOON, MINUTE)
    await engine.worker.try_now(claim)
    assert engine.receivers.count() == 2


async def test_other_endpoints_go_on(engine: Engine) -> None:
    await engine.given.create_endpoint("invoice.sent", url="https://other.example.com/")
    await begin_rest(engine, asks(HOUR))
    await engine.given.publish(engine.given.event("invoice.sent"), now=engine.clock())
    await engine.receivers.until(1, "other.example.com")


async def test_a_restart_forgets_no_rest(place: Place) -> None:
    given = await opened(place)
    async with running(given, Limits()) as before:
        await begin_rest(before, asks(HOUR))
    given = await opened(place, given)
    async with running(given, Limits(), clock=Clock(NOON + HOUR + TOOK - 1)) as engine:
        await given.publish(now=engine.clock())
        await nothing_goes_out(engine, 0)
        engine.clock.now += 1
        engine.worker._poller.wake.set()
        await engine.receivers.until(2)
        await engine.settled()
        assert set(await engine.states()) == {"delivered"}


@pytest.mark.parametrize("how", ["url", "enable", "resume", "test"])
async def test_a_rest_that_one_process_was_asked_for_holds_in_all_and_is_lifted_in_all(
    how: str,
) -> None:
    async with AsyncExitStack() as stack:
        place = Place(await stack.enter_async_context(database()))
        given, clock, receivers = await opened(place), Clock(), Receivers()
        engines = [
            await stack.enter_async_context(running(one, Limits(), receivers, clock))
            for one in (given, await opened(place, given))
        ]
        first, second = engines
        await begin_rest(first, asks(DAY))
        await known(second, True)
        for engine in engines:
            await engine.given.publish(now=clock())
            await nothing_goes_out(engine, 1)
        clock.now += SECOND
        tests = await lift(second, how)
        for engine in engines:
            await known(engine, False)
        await receivers.until(3 + tests)
        for engine in engines:
            await engine.settled()
            await engine.given.publish(now=clock())
        await receivers.until(5 + tests)


async def test_a_429_without_a_span_rests_a_second_then_two_then_four(place: Place) -> None:
    given = await opened(place)
    async with running(given, Limits()) as engine:
        engine.receivers.script = [asks(None)]
        ends = []
        for count in (1, 2, 3):
            began = engine.clock()
            await given.publish(now=began)
            await engine.receivers.until(count)
            await engine.settled()
            found = await given.store.get_endpoint(Scope(), given.endpoint.id)
            ends.append(found.rests_until - began - TOOK)
            await known(engine, True)
            engine.clock.now = found.rests_until
            engine.worker._poller.wake.set()
        assert ends == [MIN_REST, 2 * MIN_REST, 4 * MIN_REST]


def test_what_was_heard_counts_until_the_store_has_said_it() -> None:
    resting = KnownRests()
    resting.heard(1, 50)
    resting.heard(1, 40)
    assert (resting.until(1), resting.next_end) == (50, 50)
    assert resting.endpoints == {1}
    resting.stored(1, 70)
    assert resting.until(1) == 70
    assert resting.ended(69) == []
    assert resting.ended(70) == [1]
    assert (resting.until(1), resting.next_end, resting.ended(99)) == (0, None, [])
    assert resting.endpoints == frozenset()


def test_a_lifted_rest_is_over_at_once_and_ends_no_second_time() -> None:
    resting = KnownRests()
    resting.stored(1, 50)
    resting.stored(1, 0)
    assert (resting.until(1), list(resting.endpoints)) == (0, [])
    assert resting.ended(50) == []


def test_all_that_is_stored_replaces_what_was_but_not_what_was_just_heard() -> None:
    resting = KnownRests()
    for endpoint_id in (1, 2):
        resting.stored(endpoint_id, 50)
    resting.heard(3, 60)
    assert resting.all_stored({2: 80}) == [1]
    assert [resting.until(id_) for id_ in (1, 2, 3)] == [0, 80, 60]
    assert resting.endpoints == {2, 3}
    assert resting.ended(79) == [3]


def test_a_rest_that_is_heard_while_the_store_is_read_outlives_the_answer() -> None:
    resting = KnownRests()
    resting.heard(1, 10)
    resting.reading_begins()
    resting.heard(2, 20)
    resting.stored(1, 0)
    resting.stored(2, 5)
    assert (resting.until(1), resting.until(2)) == (0, 20)
    resting.reading_begins()
    resting.stored(2, 5)
    assert resting.until(2) == 5
