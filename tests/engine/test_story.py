"""One event, from its acceptance until it is delivered, retried or failed."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from enginekit import OK, Engine, running
from storekit import NOON, Given, Place

from hooktide.domain.delivery.verdict import Outcome, Verdict, judge
from hooktide.domain.errors import UnavailableError
from hooktide.domain.model import HOUR, MINUTE, SECOND, Scope
from hooktide.engine.scheduling.adaptive_slots import START
from hooktide.engine.scheduling.scheduler import Limits

BUSY = Outcome(status=503, duration=1000)


async def test_an_event_reaches_each_endpoint_that_wants_it_with_the_same_body(
    engine: Engine,
) -> None:
    other = await engine.given.create_endpoint("invoice.paid")
    await engine.given.create_endpoint("invoice.sent")
    await engine.given.publish()
    await engine.receivers.until(2)
    await engine.settled()
    (_, _, first), (_, _, second) = engine.receivers.sent
    assert first == second
    assert b'{"total":1.10}' in first
    assert {record.claim.endpoint_id for record in engine.records} == {
        engine.given.endpoint.id,
        other.id,
    }
    assert await engine.states() == ["delivered", "delivered"]


async def test_the_outbound_client_is_given_the_account_that_a_request_is_for(
    engine: Engine,
) -> None:
    engine.receivers.kept = False
    await engine.given.publish()
    await engine.receivers.until(1)
    await engine.settled()
    assert engine.receivers.accounts == [engine.given.account.id]


async def test_a_new_event_is_delivered_without_asking_the_store_again(engine: Engine) -> None:
    await engine.given.publish()
    await engine.settled()
    assert engine.receivers.count() == 1
    attempts = await engine.given.store.list_attempts(Scope(), engine.records[0].claim.delivery_id)
    assert [(made.number, made.status) for made in attempts] == [(1, 200)]
    assert attempts[0].request_head.startswith(b"POST /hook HTTP/1.1\r\n")


async def test_a_failed_attempt_is_retried_when_due_with_a_new_signature(
    engine: Engine,
) -> None:
    engine.receivers.script = [BUSY, OK]
    await engine.given.publish()
    await engine.receivers.until(1)
    await engine.settled()
    await engine.later(SECOND)
    await asyncio.sleep(0.02)
    assert engine.receivers.count() == 1
    await engine.later(HOUR)
    await engine.receivers.until(2)
    await engine.settled()
    (_, head1, body1), (_, head2, body2) = engine.receivers.sent
    assert body1 == body2
    assert _header(head1, b"webhook-id") == _header(head2, b"webhook-id")
    assert _header(head1, b"webhook-timestamp") != _header(head2, b"webhook-timestamp")
    assert _header(head1, b"webhook-signature") != _header(head2, b"webhook-signature")
    assert await engine.states() == ["delivered"]


def _header(head: bytes, name: bytes) -> bytes:
    [line] = [line for line in head.split(b"\r\n") if line.startswith(name + b": ")]
    return line


async def test_a_delivery_whose_retries_are_used_up_has_failed(engine: Engine) -> None:
    engine.receivers.script = [BUSY]
    await engine.given.set_plan(retries=2)
    await engine.given.publish()
    for attempt in (1, 2, 3):
        await engine.receivers.until(attempt)
        await engine.settled()
        await engine.later(24 * HOUR)
    await asyncio.sleep(0.02)
    assert engine.receivers.count() == 3
    assert await engine.states() == ["failed"]


async def test_a_disabled_endpoint_gets_nothing_not_even_what_waited(engine: Engine) -> None:
    url = engine.given.endpoint.url
    engine.receivers.hanging.add(url)
    await engine.given.publish(*[engine.given.event() for _ in range(30)])
    await engine.receivers.until(START)
    await engine.given.store.disable_endpoint(
        Scope(), engine.given.endpoint.id, "x", engine.clock()
    )
    engine.receivers.hold.set()
    await engine.settled()
    assert engine.receivers.count() == START
    await engine.given.store.discard_stale(engine.clock(), 100)
    assert sorted(set(await engine.states())) == ["delivered", "discarded"]


async def test_gone_is_the_last_request_an_endpoint_gets(engine: Engine) -> None:
    engine.receivers.script = [Outcome(status=410, duration=1)]
    await engine.given.publish()
    await engine.settled()
    await engine.given.publish()
    await engine.settled()
    assert engine.receivers.count() == 1
    endpoint = await engine.given.store.get_endpoint(Scope(), engine.given.endpoint.id)
    assert "410" in endpoint.disabled_reason


async def test_an_endpoint_enabled_again_gets_what_is_new(engine: Engine) -> None:
    store, id_ = engine.given.store, engine.given.endpoint.id
    await store.disable_endpoint(Scope(), id_, "x", engine.clock())
    await engine.given.publish()
    await store.enable_endpoint(Scope(), id_, engine.clock())
    await engine.given.publish()
    await engine.settled()
    assert engine.receivers.count() == 1


async def test_a_receiver_that_asks_for_rest_is_left_alone_until_then(engine: Engine) -> None:
    url = engine.given.endpoint.url
    engine.receivers.hanging.add(url)
    slots = START
    engine.receivers.script = [Outcome(status=429, retry_after=HOUR, duration=1)]
    await engine.given.publish(*[engine.given.event() for _ in range(slots + 5)])
    await engine.receivers.until(slots)
    engine.receivers.hold.set()
    async with asyncio.timeout(60):
        while engine.worker.in_flight:
            await asyncio.sleep(0.001)
    assert engine.receivers.count() == slots
    assert engine.worker.waiting == 0  # the rest is longer than a lease, so they were released
    await engine.later(HOUR + 1)
    await engine.receivers.until(slots + 1)


async def test_local_errors_are_retried_and_cost_no_attempt(engine: Engine) -> None:
    engine.receivers.script = [Outcome(error="local_error", local=True), OK]
    await engine.given.publish()
    await engine.receivers.until(1)
    await engine.settled()
    await engine.later(MINUTE)
    await engine.receivers.until(2)
    await engine.settled()
    assert [record.claim.attempt for record in engine.records] == [1, 1]
    assert await engine.states() == ["delivered"]


async def test_a_test_is_never_retried(engine: Engine) -> None:
    """A failed test event is never retried, whatever the plan's retries."""
    engine.receivers.script = [BUSY]
    store, id_ = engine.given.store, engine.given.endpoint.id
    claim = await store.add_test(Scope(), id_, engine.given.event(), NOON, MINUTE)
    made = await engine.worker.try_now(claim)
    assert made is not None
    assert made.status == 503
    assert await engine.states() == ["failed"]


async def test_a_disabled_endpoint_gets_a_test_and_nothing_else(engine: Engine) -> None:
    store, id_ = engine.given.store, engine.given.endpoint.id
    await store.disable_endpoint(Scope(), id_, "by hand", NOON)
    for _ in range(2):  # nothing remembers the endpoint as one that can be sent to
        claim = await store.add_test(Scope(), id_, engine.given.event(), NOON, MINUTE)
        made = await engine.worker.try_now(claim)
        assert made is not None
        assert made.status == 200
        await engine.given.publish()
        await engine.settled()
    assert await engine.states() == ["delivered", "delivered"]
    assert not (await store.get_endpoint(Scope(), id_)).enabled
    assert (await store.backlog(Scope())).waiting == 0


async def test_a_test_of_an_endpoint_that_was_deleted_meanwhile_is_not_sent(engine: Engine) -> None:
    store, id_ = engine.given.store, engine.given.endpoint.id
    await store.disable_endpoint(Scope(), id_, "by hand", NOON)
    claim = await store.add_test(Scope(), id_, engine.given.event(), NOON, MINUTE)
    await store.delete_endpoint(Scope(), id_, NOON)
    assert await engine.worker.try_now(claim) is None
    assert engine.records == []


async def test_a_database_that_is_away_delays_a_delivery_by_a_second_and_is_no_bug(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """If the database does not answer, the attempt is repeated after a second, not a minute."""
    engine.receivers.kept = False
    post = engine.receivers.post

    async def away(*_: object) -> Outcome:
        raise UnavailableError("gone")

    monkeypatch.setattr(engine.receivers, "post", away)
    await engine.given.publish()
    await engine.settled()
    monkeypatch.setattr(engine.receivers, "post", post)
    assert "bug" not in caplog.text
    [delivery] = (await engine.given.store.list_deliveries(Scope(), None, 10)).items
    assert delivery.due_at == NOON + SECOND
    await engine.later(SECOND)
    await engine.receivers.until(1)
    await engine.settled()
    assert [record.claim.attempt for record in engine.records] == [1]


async def test_deliveries_from_before_the_start_are_found_without_a_notification(
    tmp_path: Path,
) -> None:
    """A worker scans the store, so that deliveries of a dead process are found."""
    given = Given(Place(str(tmp_path / "test.db")))
    await given.open(listens=False)
    await given.begin()
    await given.publish()
    async with running(given, Limits()) as engine:
        await engine.receivers.until(1)
        await engine.settled()
        assert await engine.states() == ["delivered"]


async def test_a_bug_in_one_delivery_leaves_its_neighbours_alone(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.receivers.kept = False
    post = engine.receivers.post
    broken = True

    async def breaks_once(*args: object) -> Outcome:
        nonlocal broken
        if broken:
            broken = False
            raise RuntimeError("a bug")
        outcome: Outcome = await post(*args)  # type: ignore[arg-type]
        return outcome

    monkeypatch.setattr(engine.receivers, "post", breaks_once)
    await engine.given.publish(*[engine.given.event() for _ in range(3)])
    await engine.settled()
    assert sorted(await engine.states()) == ["delivered", "delivered", "pending"]
    await engine.later(5 * MINUTE)
    await engine.receivers.until(3)
    await engine.settled()
    assert await engine.states() == ["delivered"] * 3


async def test_a_bug_that_an_answer_meets_leaves_its_neighbours_alone(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is logged and affects one delivery only, whose slot is free again."""
    calls: list[Outcome] = []

    def breaks_once(outcome: Outcome, **given: Any) -> Verdict:
        calls.append(outcome)
        if len(calls) == 1:
            raise LookupError
        return judge(outcome, **given)

    monkeypatch.setattr("hooktide.engine.deliver.judge", breaks_once)
    await engine.given.publish(*[engine.given.event() for _ in range(3)])
    await engine.settled()
    assert sorted(await engine.states()) == ["delivered", "delivered", "pending"]
    await engine.later(5 * MINUTE)
    await engine.receivers.until(4)
    await engine.settled()
    assert await engine.states() == ["delivered"] * 3


@pytest.mark.parametrize("kept", [True, False])
async def test_stopping_releases_waiting_claims_and_finishes_attempts_in_flight(
    engine: Engine, kept: bool
) -> None:
    engine.receivers.kept = kept
    url = engine.given.endpoint.url
    engine.receivers.hanging.add(url)
    await engine.given.publish(*[engine.given.event() for _ in range(30)])
    await engine.receivers.until(START)
    stopping = asyncio.create_task(engine.worker.stop(5))
    await asyncio.sleep(0.01)
    await engine.given.publish()
    engine.receivers.hold.set()
    await stopping
    states = await engine.states()
    assert states.count("delivered") == START
    assert states.count("pending") == 31 - START
    claims = await engine.given.claim(engine.clock())
    assert {claim.attempt for claim in claims} == {1}
    assert len(claims) == states.count("pending")


async def test_a_worker_that_stops_is_handed_nothing_while_a_claim_is_under_way(
    engine: Engine,
) -> None:
    store: Any = engine.given.store
    claim_due, under_way, go_on = store.claim_due, asyncio.Event(), asyncio.Event()

    async def held(*args: Any, **more: Any) -> Any:
        under_way.set()
        await go_on.wait()
        return await claim_due(*args, **more)

    store.claim_due = held
    engine.worker.due({engine.given.endpoint.id: engine.clock()})
    await asyncio.wait_for(under_way.wait(), 30)
    stopping = asyncio.create_task(engine.worker.stop(5))
    await asyncio.sleep(0)
    assert engine.worker.capacity().deliveries == 0
    await engine.given.publish()
    go_on.set()
    await stopping
    assert engine.receivers.sent == []
    store.claim_due = claim_due
    assert len(await engine.given.claim(engine.clock())) == 1


@pytest.mark.parametrize("kept", [True, False])
async def test_stopping_cuts_off_what_hangs_and_gives_it_back(engine: Engine, kept: bool) -> None:
    engine.receivers.kept = kept
    engine.receivers.hanging.add(engine.given.endpoint.url)
    await engine.given.publish()
    await engine.receivers.until(1)
    await engine.worker.stop(0.05)
    assert engine.worker.in_flight == 0
    [claim] = await engine.given.claim(engine.clock())
    assert claim.attempt == 1
    engine.receivers.hold.set()
    await asyncio.gather(*engine.receivers.posts)
    assert engine.records == []


async def test_deliveries_accepted_while_a_worker_stops_are_released(engine: Engine) -> None:
    await engine.worker.stop(1)
    await engine.given.publish()
    claims = await engine.given.claim(engine.clock())
    engine.worker.handed_over(claims)
    await engine.worker.stop(0)
    [again] = await engine.given.claim(engine.clock())
    assert again.delivery_id == claims[0].delivery_id
    assert engine.receivers.sent == []
