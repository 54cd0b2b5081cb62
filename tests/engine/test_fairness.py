"""Fairness: accounts do not delay each other, with slots per process, account and endpoint."""

import asyncio

import pytest
from enginekit import Engine

from hooktide.domain.delivery.verdict import Outcome
from hooktide.domain.model import HOUR, SECOND, Claim, Event, Origin
from hooktide.engine.scheduling.lanes import FAILING_THRESHOLD, FIRSTS_PER_RETRY, Lane, LaneKind
from hooktide.engine.scheduling.scheduler import Limits


@pytest.fixture
def limits() -> Limits:
    return Limits(slots=20, per_endpoint=4, per_account=8)


async def endpoint_at(engine: Engine, url: str, *types: str) -> None:
    await engine.given.create_endpoint(*types, url=url)


def test_a_new_event_goes_before_old_ones_that_are_sent_again() -> None:
    lane = Lane(1, 1, LaneKind(slots=10))
    event = Event(id=1, account_id=1, type="t", payload=b"{}", occurred_at=0)
    for number in range(10):
        origin = Origin.REPLAY if number < 5 else Origin.EVENT
        lane.put(
            Claim(
                delivery_id=number,
                endpoint_id=1,
                event=event,
                attempt=1,
                token=1,
                due_at=0,
                lease_ends_at=1,
                origin=origin,
            )
        )
    origins = [lane.take().origin for _ in range(FIRSTS_PER_RETRY)]
    assert origins == [Origin.EVENT] * FIRSTS_PER_RETRY
    assert lane.take().origin is Origin.REPLAY


async def test_an_endpoint_never_has_more_than_its_slots(engine: Engine) -> None:
    url = engine.given.endpoint.url
    engine.receivers.hanging.add(url)
    await engine.given.publish(*[engine.given.event() for _ in range(50)])
    await engine.receivers.until(4)
    await asyncio.sleep(0.02)
    assert engine.receivers.count() == 4
    engine.receivers.hold.set()
    await engine.settled()
    assert engine.receivers.count() == 50
    assert engine.receivers.most_out[url] == 4


async def test_a_hanging_endpoint_does_not_keep_its_neighbour_waiting(engine: Engine) -> None:
    await endpoint_at(engine, "https://other.example.com/hook", "invoice.sent")
    engine.receivers.hanging.add(engine.given.endpoint.url)
    await engine.given.publish(*[engine.given.event() for _ in range(50)])
    await engine.receivers.until(4)
    await engine.given.publish(*[engine.given.event("invoice.sent") for _ in range(10)])
    await engine.receivers.until(10, "other.example.com")


async def test_an_account_never_has_more_than_its_slots(engine: Engine) -> None:
    urls = [f"https://r{n}.example.com/" for n in range(5)]
    for url in urls:
        await endpoint_at(engine, url, "invoice.sent")
    engine.receivers.hanging.update([*urls, engine.given.endpoint.url])
    await engine.given.publish(*[engine.given.event("invoice.sent") for _ in range(10)])
    await engine.receivers.until(8)
    await asyncio.sleep(0.02)
    assert engine.worker.in_flight == 8
    engine.receivers.hold.set()
    await engine.settled()
    assert engine.receivers.count() == 60


async def test_another_account_finds_slots_although_one_uses_all_of_its_own(
    engine: Engine,
) -> None:
    urls = [f"https://r{n}.example.com/" for n in range(5)]
    for url in urls:
        await endpoint_at(engine, url)
    engine.receivers.hanging.update([*urls, engine.given.endpoint.url])
    await engine.given.publish(*[engine.given.event() for _ in range(20)])
    await engine.receivers.until(8)
    other = await engine.given.another_account("https://quiet.example.com/")
    await engine.given.store.add_events([engine.given.event(account_id=other.id)], engine.clock())
    await engine.receivers.until(1, "quiet.example.com")


@pytest.mark.parametrize("limits", [Limits(slots=20, per_endpoint=4, failing_pace=3600)])
@pytest.mark.parametrize(
    ("failed", "slots"),
    [(Outcome(status=500, duration=50), 4), (Outcome(error="connect_error", duration=50), 1)],
)
async def test_an_endpoint_that_fails_at_once_is_not_asked_at_full_speed(
    engine: Engine, failed: Outcome, slots: int
) -> None:
    engine.receivers.script = [failed]
    await engine.given.publish(*[engine.given.event() for _ in range(100)])
    await engine.receivers.until(FAILING_THRESHOLD + slots)
    await endpoint_at(engine, "https://other.example.com/hook", "invoice.sent")
    engine.receivers.script = [Outcome(status=200, duration=50)]
    await engine.given.publish(*[engine.given.event("invoice.sent") for _ in range(30)])
    await engine.receivers.until(30, "other.example.com")
    assert engine.receivers.count(engine.given.endpoint.url) == FAILING_THRESHOLD + slots


async def test_a_success_gives_an_endpoint_its_full_speed_back(engine: Engine) -> None:
    failed = Outcome(error="connect_error", duration=50)
    engine.receivers.script = [
        *[failed] * (FAILING_THRESHOLD + 1),
        Outcome(status=200, duration=50),
    ]
    await engine.given.publish(*[engine.given.event() for _ in range(100)])
    await engine.receivers.until(100)


async def test_retries_do_not_keep_first_attempts_waiting(engine: Engine) -> None:
    engine.receivers.script = [Outcome(status=500, duration=1)]
    await engine.given.publish(*[engine.given.event() for _ in range(40)])
    await engine.receivers.until(40)
    await engine.settled()
    engine.receivers.hanging.add(engine.given.endpoint.url)
    await engine.later(HOUR)
    await engine.receivers.until(44)
    fresh = [accepted.event_id for accepted in await engine.given.publish(now=engine.clock())]
    engine.receivers.hold.set()
    await engine.settled()
    order = [record.claim.event.id for record in engine.records[40:]]
    assert order.index(fresh[0]) <= 4 + 4


async def test_what_does_not_fit_in_memory_waits_in_the_store_and_comes_out(
    engine: Engine,
) -> None:
    engine.receivers.hanging.add(engine.given.endpoint.url)
    await engine.given.publish(*[engine.given.event() for _ in range(400)])
    await engine.given.publish(*[engine.given.event() for _ in range(400)])
    await engine.receivers.until(4)
    assert engine.worker.waiting < 800
    engine.receivers.hold.set()
    async with asyncio.timeout(60):
        while engine.receivers.count() < 800:
            await asyncio.sleep(0.005)
    await engine.settled()
    assert (await engine.given.store.counts()).pending == 0
    assert len({record.claim.delivery_id for record in engine.records}) == 800


async def test_a_claim_whose_lease_is_nearly_over_is_claimed_again_before_it_is_started(
    engine: Engine,
) -> None:
    engine.receivers.hanging.add(engine.given.endpoint.url)
    await engine.given.publish(*[engine.given.event() for _ in range(10)])
    await engine.receivers.until(4)
    engine.clock.now += 50 * SECOND
    engine.receivers.hold.set()
    await engine.receivers.until(10)
    await engine.settled()
    assert (await engine.states()).count("delivered") == 10
    leases = [record.claim.lease_ends_at for record in engine.records]
    assert leases == [leases[0]] * 4 + [leases[0] + 50 * SECOND] * 6
