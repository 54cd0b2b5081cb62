"""Batched writes of different clients are independent: one failure affects no other."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import asyncpg
import msgspec
import pytest
from storekit import NOON, Given, Hand, until

from hooktide.actions.accounts import Accounts
from hooktide.actions.publishing.intake import Intake
from hooktide.actions.publishing.publish import Publisher
from hooktide.dialects import load
from hooktide.domain.delivery.verdict import Delivered
from hooktide.domain.errors import HooktideError, UnavailableError
from hooktide.domain.model import (
    HOUR,
    MINUTE,
    Attempt,
    Claim,
    Event,
    KeyScope,
    Micros,
    ReplayWhat,
    Scope,
)
from hooktide.domain.operational_events import EVERYTHING, PROJECT, limit_reached, listener_of
from hooktide.engine.periodic.operational_events import OperationalEventPublisher
from hooktide.engine.periodic.stats_buffer import StatsBuffer
from hooktide.store.base import Accepted, AddResult, AttemptRecord, NewEvent, NewReplay, ReplayCount
from hooktide.store.directory import Directory
from hooktide.web.auth import Authenticator, new_key
from hooktide.wire.events import EventIn

UNWRITABLE = "\ud800"
"""A text that is no Unicode: each database's driver refuses it."""


@pytest.mark.parametrize("index", [0, 3, 6])
@pytest.mark.pooled
async def test_an_event_that_cannot_be_written_is_refused_alone(given: Given, index: int) -> None:
    events = [given.event() for _ in range(6)]
    events.insert(index, given.event(transition=UNWRITABLE))
    results = await asyncio.gather(
        *(given.store.add_events([event], NOON) for event in events), return_exceptions=True
    )
    assert isinstance(results[index], UnavailableError)
    others = [each for at, each in enumerate(results) if at != index]
    assert [type(each[0]) for each in others if isinstance(each, Sequence)] == [Accepted] * 6
    assert (await given.store.counts()).pending == 6
    assert len(await given.publish()) == 1


@pytest.mark.pooled
async def test_an_attempt_that_cannot_be_recorded_keeps_no_other_from_it(given: Given) -> None:
    for _ in range(5):
        await given.publish()
    claims = await given.claim()
    for index, claim in enumerate(claims):
        made = attempt(claim)
        if index == 2:
            made = msgspec.structs.replace(made, detail=UNWRITABLE)
        given.store.record(AttemptRecord(claim, made, Delivered()))
    await given.store.recorded()
    states = [await given.state(claim) for claim in claims]
    assert states == ["delivered", "delivered", "pending", "delivered", "delivered"]
    await given.publish()


@pytest.mark.pooled
async def test_a_change_that_cannot_be_written_is_refused_alone(given: Given) -> None:
    results = await asyncio.gather(
        given.store.create_account(given.project_id, "globex", "", "test", NOON),
        given.store.create_account(given.project_id, "x", UNWRITABLE, "test", NOON),
        given.store.add_events([given.event()], NOON),
        return_exceptions=True,
    )
    assert [isinstance(each, Exception) for each in results] == [False, True, False]
    assert (await given.store.find_account(Scope(), "globex")).reference == "globex"
    assert (await given.store.counts()).pending == 1


async def test_a_watcher_that_raises_keeps_nothing_from_the_others(given: Given) -> None:
    def fail(kind: str, number: int) -> None:
        raise LookupError(kind)

    later = Hand()
    given.store.watch(fail)
    given.store.watch(later.changed)
    await given.store.disable_endpoint(Scope(), given.endpoint.id, "by hand", NOON)
    assert ("endpoint", given.endpoint.id) in given.hand.changes
    assert ("endpoint", given.endpoint.id) in later.changes
    assert len(await given.publish()) == 1


async def test_a_listener_that_raises_stops_no_commit(given: Given) -> None:
    class Fails(Hand):
        def handed_over(self, claims: Sequence[Claim]) -> None:
            super().handed_over(claims)
            raise LookupError

    fails = Fails(takes=100)
    given.store.listen(fails)
    for _ in range(3):
        assert len(await given.publish()) == 1
    assert len(fails.claims) == 3


@pytest.mark.parametrize("kind", ["postgres", "pgbouncer"])
async def test_a_watcher_that_raises_keeps_nothing_that_another_process_did_from_the_others(
    given: Given,
) -> None:
    """Notifications that were received, and resets after notifications may have been lost."""

    def fail(kind: str, number: int) -> None:
        raise LookupError(kind)

    class Fails(Hand):
        def due(self, hints: Mapping[int, Micros]) -> None:
            super().due(hints)
            raise LookupError

    other, first, later = given.another(), Fails(), Hand()
    await other.open(listens=False)
    other.store.listen(first)
    other.store.watch(fail)
    other.store.watch(later.changed)
    try:
        await given.publish()
        await until(lambda: given.endpoint.id in first.hints)
        await given.store.disable_endpoint(Scope(), given.endpoint.id, "by hand", NOON)
        await later.heard("endpoint", given.endpoint.id)
        await cut_signals(given)
        await later.heard("everything", 0)
        await until(lambda: later.changes.count(("everything", 0)) >= 2)  # it listens again
        await given.store.enable_endpoint(Scope(), given.endpoint.id, NOON)
        await until(lambda: later.changes[-1] == ("endpoint", given.endpoint.id))
    finally:
        await other.close()


async def cut_signals(given: Given) -> None:
    """Terminate the listening connections."""
    connection = await asyncpg.connect(given.place.direct or given.place.url)
    listening = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid IN (
            SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted)"""  # of its process
    assert await connection.fetch(listening)
    await connection.close()


@pytest.mark.pooled
async def test_held_deliveries_that_cannot_be_released_block_no_other_accounts(
    given: Given,
) -> None:
    await given.set_plan(deliveries_per_hour=1)
    others = [await given.another_account(f"https://{n}.example.com/") for n in range(2)]
    for account in (given.account, *others):
        await given.publish(*[given.event(account_id=account.id)] * 2)
    table = "deliveries" if given.place.is_file else "queue"
    await given.refuse(table, f"NEW.account_id = {given.account.id}")
    later = NOON + HOUR + 2 * MINUTE
    assert await given.store.unhold(later, 100) == 2
    assert (await given.store.counts()).held == 1


async def test_a_replay_that_cannot_go_on_holds_up_no_other(given: Given) -> None:
    endpoints = [given.endpoint, await given.create_endpoint(), await given.create_endpoint()]
    [event] = await given.publish()
    replays = [
        await given.store.create_replay(
            Scope(),
            NewReplay(endpoint_id=each.id, what=ReplayWhat.EVENT, event_id=event.event_id),
            ReplayCount(1),
            NOON,
        )
        for each in endpoints
    ]
    await given.refuse("replays", f"NEW.id = {replays[0].id}")
    assert await given.store.run_replays(NOON + HOUR, 100) == 1
    found = [await given.store.get_replay(Scope(), each.id) for each in replays]
    assert [each.state.value for each in found] == ["running", "done", "done"]


async def test_an_account_that_cannot_be_erased_holds_up_no_other(given: Given) -> None:
    others = [await given.another_account(f"https://{n}.example.com/") for n in range(2)]
    ids = [given.account.id, *(account.id for account in others)]
    for id_ in ids:
        await given.publish(given.event(account_id=id_))
        await given.store.erase_account(Scope(), id_, "", NOON)
    await given.store.log_new(100)
    await given.refuse("erasures", f"NEW.account_id = {ids[0]}")
    done = await given.store.run_erasures(NOON)
    erased = [(await given.store.get_erasure(Scope(), id_)).events for id_ in ids]
    assert (done, erased) == (2, [0, 1, 1])


@pytest.mark.parametrize("refused", ["event", "account"])
async def test_a_listener_that_fails_does_not_stop_the_others(given: Given, refused: str) -> None:
    """For operational events: the account cannot be created, or the event cannot be written."""
    publisher, first = events_publisher(given), given.account
    await given.store.put_project(load(PROJECT), NOON)
    other = replace(load("standard-webhooks"), name="other")
    other_id = (await given.store.put_project(other, NOON)).id
    second = await given.store.create_account(other_id, "x", "", other.default_plan, NOON)
    if refused == "account":
        await given.refuse("accounts", "NEW.reference = 'project:standard-webhooks'")
    else:
        await publisher.publish()
        deaf = await given.store.find_account(Scope(), listener_of("standard-webhooks"))
        await given.refuse("events", f"NEW.account_id = {deaf.id}")
    for account in (first, second):
        await given.store.add_operational_event(limit_reached(account.id, "endpoints", 1, NOON))
    assert await events_publisher(given).publish() == 2
    assert await events_publisher(given).publish() == 0
    heard = [event.account_id for event in await events(given)]
    all_, its = [
        (await given.store.find_account(Scope(), reference)).id
        for reference in (EVERYTHING, listener_of("other"))
    ]
    assert sorted(heard) == sorted([all_, all_, its])


def events_publisher(given: Given) -> OperationalEventPublisher:
    return OperationalEventPublisher(given.store, Directory(given.store), given.store.clock)


async def events(given: Given) -> list[Event]:
    return [row.event for row in (await given.store.list_events(Scope(), None, 100)).items]


@pytest.mark.parametrize("index", [0, 2])
@pytest.mark.pooled
async def test_an_event_of_a_batch_that_cannot_be_written_is_refused_alone(
    given: Given, index: int
) -> None:
    """A batch has events of many customers."""
    told: list[Accepted] = []
    publisher = publisher_on(given, lambda _, accepted, __: told.append(accepted))
    batch = [EventIn("acme", "invoice.paid", msgspec.Raw(b"{}")) for _ in range(3)]
    batch[index] = msgspec.structs.replace(batch[index], transition=UNWRITABLE)
    results = await publisher.publish_batch(Scope(), batch)
    assert isinstance(results.pop(index), HooktideError)
    assert results == told
    assert [type(each) for each in results] == [Accepted] * 2
    assert (await given.store.counts()).pending == 2


async def test_what_is_stored_of_a_batch_is_accepted_although_the_database_goes_away_then(
    given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event without a key that gets a 503 is sent again, and would be stored twice."""
    told: list[Accepted] = []
    publisher = publisher_on(given, lambda _, accepted, __: told.append(accepted))
    batch = [EventIn("acme", "invoice.paid", msgspec.Raw(b"{}")) for _ in range(4)]
    batch[2] = msgspec.structs.replace(batch[2], transition=UNWRITABLE)
    add_in_transactions(given, monkeypatch, most=2)
    results = await publisher.publish_batch(Scope(), batch)
    assert results[:2] == told
    assert [type(each) for each in results] == [Accepted] * 2 + [UnavailableError] * 2
    assert await stored(given) == 2


async def test_a_batch_of_which_nothing_is_stored_is_refused_whole(
    given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = publisher_on(given, lambda *_: None)
    batch = [EventIn("acme", "invoice.paid", msgspec.Raw(b"{}"), transition=UNWRITABLE)] * 2
    add_in_transactions(given, monkeypatch, most=2)
    with pytest.raises(UnavailableError, match="away"):
        await publisher.publish_batch(Scope(), batch)


@pytest.mark.parametrize("others", [0, 1])
async def test_an_event_whose_account_was_removed_costs_no_other_its_answer(
    given: Given, monkeypatch: pytest.MonkeyPatch, others: int
) -> None:
    """The account is deleted when the batch is stored; the database is away during the retry."""
    publisher = publisher_on(given, lambda *_: None)
    gone = await given.store.create_account(given.project_id, "globex", "", "test", NOON)
    batch = [
        EventIn(account, "invoice.paid", msgspec.Raw(b"{}"))
        for account in ["globex"] * 2 + ["acme"] * others
    ]
    checked = await publisher.check_batch(Scope(project_id=given.project_id), batch)
    await given.store.delete_account(Scope(), gone.id, NOON)
    await given.store.create_account(given.project_id, "globex", "", "test", NOON)
    add_in_transactions(given, monkeypatch, most=1)
    call = publisher.publish_checked(Scope(project_id=given.project_id), batch, checked)
    if others:
        types = [type(each) for each in await call]
        assert types == [UnavailableError] * 2 + [Accepted]
    else:
        with pytest.raises(UnavailableError, match="away"):
            await call
    assert await stored(given) == others


async def test_a_bad_event_of_a_thousand_costs_about_twenty_transactions(
    given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = publisher_on(given, lambda *_: None)
    batch = [EventIn("acme", "invoice.paid", msgspec.Raw(b"{}")) for _ in range(1000)]
    batch[617] = msgspec.structs.replace(batch[617], transition=UNWRITABLE)
    calls = add_in_transactions(given, monkeypatch)
    results = await publisher.publish_batch(Scope(), batch)
    ids = [each.event_id for each in results if isinstance(each, Accepted)]
    assert isinstance(results[617], HooktideError)
    assert ids == sorted(ids)
    assert (len(ids), await stored(given)) == (999, 999)
    assert 10 <= len(calls) <= 21


def add_in_transactions(
    given: Given, monkeypatch: pytest.MonkeyPatch, most: int = 1000
) -> list[int]:
    """Record the number of events of each store call. After ``most`` calls the store is away."""
    add, calls = given.store.add_events, list[int]()

    async def count(events: Sequence[NewEvent], now: Micros) -> Sequence[AddResult]:
        if len(calls) == most:
            raise UnavailableError("the database is away")
        calls.append(len(events))
        return await add(events, now)

    monkeypatch.setattr(given.store, "add_events", count)
    return calls


async def stored(given: Given) -> int:
    return (await given.store.counts()).pending


async def test_an_event_is_accepted_although_a_listener_fails(given: Given) -> None:
    def fail(project_id: int, accepted: Accepted, now: Micros) -> None:
        raise LookupError

    publisher = publisher_on(given, fail)
    event = EventIn("acme", "invoice.paid", msgspec.Raw(b"{}"))
    assert isinstance(await publisher.publish(Scope(), event), Accepted)
    assert [type(each) for each in await publisher.publish_batch(Scope(), [event] * 2)] == [
        Accepted
    ] * 2
    assert (await given.store.counts()).pending == 3


async def test_an_event_of_a_batch_that_meets_a_bug_is_refused_alone(
    given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = publisher_on(given, lambda *_: None)
    check = publisher._check_event

    def fail_once(*args: Any) -> tuple[bytes, int]:
        if args[2].transition == "bug":
            raise LookupError
        return check(*args)

    monkeypatch.setattr(publisher, "_check_event", fail_once)
    batch = [
        EventIn("acme", "invoice.paid", msgspec.Raw(b"{}"), transition=transition)
        for transition in ("", "bug", "")
    ]
    results = await publisher.publish_batch(Scope(), batch)
    assert [type(each) for each in results] == [Accepted, UnavailableError, Accepted]
    assert (await given.store.counts()).pending == 2


def publisher_on(given: Given, told: Callable[[int, Accepted, Micros], None]) -> Publisher:
    directory = Directory(given.store)
    return Publisher(
        given.store,
        directory,
        Accounts(given.store, directory, given.store.clock),
        given.store.clock,
        warned=lambda *_: None,
        on_accepted=told,
        unknown=lambda *_: None,
        intake=Intake(limited=False),
    )


@pytest.mark.pooled
async def test_a_keys_use_that_cannot_be_noted_keeps_no_others_from_it(given: Given) -> None:
    texts, made = [], []
    for name in ("one", "other"):
        text, key, digest = new_key(KeyScope.OPERATOR, name, NOON)
        made.append(await given.store.create_key(key, digest))
        texts.append(text)
    await given.refuse("keys", f"NEW.id = {made[0].id}")
    auth = Authenticator(given.store, Directory(given.store), given.store.clock)
    for text in texts:
        headers = [(b"authorization", f"Bearer {text}".encode())]
        await auth.authenticate({"headers": headers, "query_string": b""})
    await auth.flush()
    page = await given.store.list_keys(Scope(), None, 10)
    assert {each.name: each.used_at is not None for each in page.items} == {
        "one": False,
        "other": True,
    }


@pytest.mark.pooled
async def test_numbers_that_cannot_be_added_keep_no_others_from_it(given: Given) -> None:
    other = await given.create_endpoint()
    await given.refuse("endpoint_hours", f"NEW.endpoint_id = {given.endpoint.id}")
    stats = StatsBuffer(given.store.add_stats)
    await given.publish()
    [claim] = [*await given.claim()]
    for endpoint in (given.endpoint, other):
        stats.attempt(AttemptRecord(claim, attempt(claim), Delivered()), endpoint)
    await stats.flush()
    health = await given.store.health(Scope(), [given.endpoint.id, other.id], NOON - HOUR)
    assert {id_: each.delivered for id_, each in health.items() if each.delivered} == {other.id: 1}
    assert await stats.flush() == 0


async def test_each_caller_raises_an_error_of_its_own(given: Given) -> None:
    """One exception shared by many tasks would collect all their frames."""
    event = given.event(transition=UNWRITABLE)
    found = await asyncio.gather(
        *(given.store.add_events([event], NOON) for _ in range(3)), return_exceptions=True
    )
    assert all(isinstance(each, HooktideError) for each in found)
    assert len({id(each) for each in found}) == 3


async def test_one_who_stopped_waiting_keeps_no_other_waiting(given: Given) -> None:
    """One of a commit's callers was cancelled, as when a client disconnects."""
    asked = [asyncio.create_task(given.publish()) for _ in range(3)]
    quiet = [asyncio.create_task(given.store.recorded()) for _ in range(3)]
    await asyncio.sleep(0)
    asked[1].cancel()
    quiet[0].cancel()
    async with asyncio.timeout(60):
        found = await asyncio.gather(*asked, *quiet, return_exceptions=True)
    cut = [isinstance(each, asyncio.CancelledError) for each in found]
    assert cut[:3] + cut[4:] == [False, True, False, False, False]


def attempt(claim: Claim) -> Attempt:
    return Attempt(
        delivery_id=claim.delivery_id,
        number=claim.attempt,
        started_at=NOON,
        duration=5000,
        status=200,
        error="",
        detail="",
        request_head=b"POST / HTTP/1.1\r\n\r\n",
        response_head=b"HTTP/1.1 200 OK\r\n\r\n",
        response_body=b"ok",
        response_truncated=False,
    )
