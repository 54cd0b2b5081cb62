"""Every store: a replay sends each event exactly once, whatever happens."""

import pytest
from storekit import NOON, Given

from hooktide.domain.delivery.verdict import Delivered, Failed
from hooktide.domain.errors import NotFoundError, RefusedError
from hooktide.domain.ids import made_at
from hooktide.domain.model import (
    HOUR,
    MINUTE,
    SECOND,
    Origin,
    Replay,
    ReplayState,
    ReplayWhat,
    Scope,
)
from hooktide.store.base import NewReplay, ReplayCount

RUNNING = ReplayState.RUNNING
LATER = NOON + HOUR
END = LATER + MINUTE
"""When everything that was there when a replay was asked for has settled."""


def failed(given: Given, since: int = NOON, until: int | None = None) -> NewReplay:
    return NewReplay(
        endpoint_id=given.endpoint.id, what=ReplayWhat.FAILED, since=since, until=until
    )


def missed(given: Given, since: int = NOON, until: int | None = None) -> NewReplay:
    return NewReplay(
        endpoint_id=given.endpoint.id, what=ReplayWhat.MISSED, since=since, until=until
    )


def one(given: Given, event_id: int) -> NewReplay:
    return NewReplay(endpoint_id=given.endpoint.id, what=ReplayWhat.EVENT, event_id=event_id)


async def start(given: Given, wanted: NewReplay, now: int = LATER) -> Replay:
    counted = await given.store.count_replay(Scope(), wanted, now)
    return await given.store.create_replay(Scope(), wanted, counted, now)


async def run(given: Given, replay: Replay, now: int = END, limit: int = 200) -> Replay:
    """Continue a replay to its end, claiming its deliveries as soon as they are created."""
    now = max(now, made_at(replay.id) + MINUTE)
    for _ in range(100):
        if (found := await given.store.get_replay(Scope(), replay.id)).state is not RUNNING:
            return found
        await given.store.run_replays(now, limit)
        await given.claim(now, each=1000)
    raise AssertionError(await given.store.get_replay(Scope(), replay.id))


async def replayed(given: Given) -> list[int]:
    """Return the events of all deliveries that replays created, in order."""
    page = await given.store.list_deliveries(Scope(), None, 10_000)
    return sorted(item.event_id for item in page.items if item.origin is Origin.REPLAY)


async def publish_missed(given: Given, count: int, now: int = NOON) -> list[int]:
    """Publish events while the endpoint is disabled, and return their ids."""
    await given.store.disable_endpoint(Scope(), given.endpoint.id, "by hand", now)
    events = await given.publish(*[given.event() for _ in range(count)], now=now)
    assert [event.deliveries for event in events] == [0] * count
    await given.store.enable_endpoint(Scope(), given.endpoint.id, now + SECOND)
    return [event.event_id for event in events]


async def fail(given: Given, count: int, now: int = NOON) -> list[int]:
    """Publish events that fail, and return their ids."""
    await given.set_plan(disable_after=0)
    events = await given.publish(*[given.event() for _ in range(count)], now=now)
    for claim in await given.claim(now, each=1000):
        await given.record(claim, Failed(), status=500, at=now)
    return [event.event_id for event in events]


@pytest.mark.parametrize("entered", [False, True])
@pytest.mark.pooled
async def test_what_failed_is_sent_again_and_nothing_else(given: Given, entered: bool) -> None:
    [*lost, healed, waits] = await fail(given, 5)
    deliveries = (await given.store.list_deliveries(Scope(), None, 10)).items
    by_event = {item.event_id: item.id for item in deliveries}
    for event_id in (healed, waits):
        await given.store.resend(Scope(), by_event[event_id], NOON)
    [claim] = [claim for claim in await given.claim() if claim.event.id == healed]
    await given.record(claim, Delivered())
    [good] = await given.publish()
    [claim] = [claim for claim in await given.claim() if claim.event.id == good.event_id]
    await given.record(claim, Delivered())
    if entered:
        await given.store.log_new(1000)
    counted = await given.store.count_replay(Scope(), failed(given), LATER)
    assert (counted.events, counted.at_least) == (3, False)
    done = await run(given, await start(given, failed(given)))
    assert (done.state, done.made, done.counted) == (ReplayState.DONE, 3, 3)
    assert await replayed(given) == lost
    assert (await given.store.get_event(Scope(), lost[0])).deliveries == 1


async def test_what_failed_twice_is_sent_again_once(given: Given) -> None:
    [event_id] = await fail(given, 1)
    [first] = (await given.store.list_deliveries(Scope(), None, 10)).items
    await given.store.resend(Scope(), first.id, NOON)
    for claim in await given.claim():
        await given.record(claim, Failed(), status=500)
    replay = await start(given, failed(given))
    assert replay.counted == 1
    for _ in range(5):
        await given.store.run_replays(END, 1)
        for claim in await given.claim(END):
            await given.record(claim, Failed(), status=500, at=END)
    assert await replayed(given) == [event_id]
    assert (await given.store.get_replay(Scope(), replay.id)).state is ReplayState.DONE


@pytest.mark.parametrize("entered", [False, True])
@pytest.mark.pooled
async def test_what_was_missed_is_sent_and_nothing_else(given: Given, entered: bool) -> None:
    other = await given.another_account("https://other.example.com/")
    [got] = await given.publish()
    events = await publish_missed(given, 3)
    await given.publish(given.event(account_id=other.id))
    if entered:
        await given.store.log_new(1000)
    done = await run(given, await start(given, missed(given)))
    # Deliveries that were pending when the endpoint was disabled are discarded, and count as
    # missed.
    assert await given.store.discard_stale(END, 100) == 1
    assert (done.state, done.made) == (ReplayState.DONE, 3)
    assert await replayed(given) == events
    again = await run(given, await start(given, missed(given), END), END + MINUTE)
    assert again.made == 1
    assert await replayed(given) == [got.event_id, *events]


async def test_what_came_before_an_endpoint_wanted_it_was_missed(given: Given) -> None:
    await given.store.update_endpoint(
        Scope(), given.endpoint.id, lambda _: {"event_types": ("invoice.paid",)}, NOON
    )
    [sent, _] = await given.publish(given.event("invoice.sent"), given.event("invoice.voided"))
    assert (await given.store.count_replay(Scope(), missed(given), LATER)).events == 0
    await given.store.update_endpoint(
        Scope(), given.endpoint.id, lambda _: {"event_types": ("invoice.sent",)}, NOON
    )
    done = await run(given, await start(given, missed(given)))
    assert (done.made, await replayed(given)) == (1, [sent.event_id])


async def test_only_the_time_that_was_asked_for_is_looked_at(given: Given) -> None:
    await publish_missed(given, 2, NOON)
    wanted = await publish_missed(given, 2, NOON + 10 * MINUTE)
    await publish_missed(given, 2, NOON + 20 * MINUTE)
    asked = missed(given, NOON + 10 * MINUTE, NOON + 20 * MINUTE)
    done = await run(given, await start(given, asked))
    assert (done.counted, await replayed(given)) == (2, wanted)


@pytest.mark.pooled
async def test_one_event_is_sent_whatever_became_of_it(given: Given) -> None:
    [event] = await given.publish()
    [claim] = await given.claim()
    await given.record(claim, Delivered())
    done = await run(given, await start(given, one(given, event.event_id)))
    assert (done.counted, done.made, await replayed(given)) == (1, 1, [event.event_id])
    other = await given.another_account("https://other.example.com/")
    [theirs] = await given.publish(given.event(account_id=other.id))
    with pytest.raises(NotFoundError):
        await start(given, one(given, theirs.event_id))


async def test_an_event_that_is_kept_no_more_is_not_sent(given: Given) -> None:
    [event] = await given.publish()
    [claim] = await given.claim()
    await given.record(claim, Delivered())
    replay = await start(given, one(given, event.event_id))
    while await given.store.drop_old(NOON + 10**15, 100):
        pass
    done = await run(given, replay)
    assert (done.state, done.made) == (ReplayState.DONE, 0)
    assert done.reason == "the event is past retention"


async def test_a_test_is_neither_missed_nor_failed(given: Given) -> None:
    store = given.store
    other = await given.create_endpoint(url="https://other.example.com/")
    for endpoint_id in (given.endpoint.id, other.id):
        claim = await store.add_test(Scope(), endpoint_id, given.event(), NOON, MINUTE)
        await given.record(claim, Failed(), status=500)
    for wanted in (missed(given), failed(given)):
        assert (await store.count_replay(Scope(), wanted, LATER)).events == 0
        assert (await run(given, await start(given, wanted))).made == 0


@pytest.mark.parametrize("what", ["failed", "missed"])
@pytest.mark.pooled
async def test_pieces_leave_out_nothing_and_send_nothing_twice(given: Given, what: str) -> None:
    wanted = failed(given) if what == "failed" else missed(given)
    events = await (fail if what == "failed" else publish_missed)(given, 25)
    await given.set_plan(disable_after=0)
    replay = await start(given, wanted)
    for _ in range(6):
        before = await given.store.get_replay(Scope(), replay.id)
        await given.store.run_replays(END, 7)
        after = await given.store.get_replay(Scope(), replay.id)
        assert after.made - before.made <= 7
        assert after.made == len(await replayed(given))
        for claim in await given.claim(END):
            await given.record(claim, Failed(), status=500, at=END)
    assert await replayed(given) == events


async def test_what_fails_again_is_the_next_replays(given: Given) -> None:
    events = await fail(given, 3)
    await run(given, await start(given, failed(given)))
    for claim in await given.claim(END + HOUR):
        await given.record(claim, Failed(), status=500, at=END + HOUR)
    again = await start(given, failed(given), END + 2 * HOUR)
    done = await run(given, again, END + 3 * HOUR)
    assert done.made == 3
    assert await replayed(given) == sorted(events * 2)


async def test_a_replay_waits_while_much_of_it_is_still_due(given: Given) -> None:
    await publish_missed(given, 10)
    replay = await start(given, missed(given))
    for _ in range(5):
        await given.store.run_replays(END, 4)
    assert (await given.store.get_replay(Scope(), replay.id)).made == 4
    assert len(await given.claim(END)) == 4
    await given.store.run_replays(END, 4)
    assert (await given.store.get_replay(Scope(), replay.id)).made == 8


@pytest.mark.pooled
async def test_a_plans_hour_holds_a_replay_as_it_holds_others(given: Given) -> None:
    events = await publish_missed(given, 10)
    await given.set_plan(deliveries_per_hour=3)
    replay = await start(given, missed(given))
    for _ in range(3):
        await given.store.run_replays(END, 5)
    counts = await given.store.counts()
    assert (counts.pending, counts.held) == (3, 2)
    assert (await given.store.get_replay(Scope(), replay.id)).made == 5
    assert await given.store.unhold(END + 2 * HOUR, 100) == 2
    await given.set_plan(deliveries_per_hour=None)
    assert (await run(given, replay, END + 2 * HOUR)).made == 10
    assert await replayed(given) == events


@pytest.mark.pooled
async def test_an_endpoint_has_one_replay_at_a_time(given: Given) -> None:
    await publish_missed(given, 1)
    running = await start(given, missed(given))
    with pytest.raises(RefusedError, match=f"rpl_{running.id:016x}") as refused:
        await start(given, failed(given))
    assert refused.value.code == "replay_running"
    await run(given, running)
    assert (await start(given, failed(given), END)).state is RUNNING


async def test_a_disabled_endpoint_is_counted_for_and_not_sent_to(given: Given) -> None:
    await given.store.disable_endpoint(Scope(), given.endpoint.id, "by hand", NOON)
    await given.publish(now=NOON + SECOND)
    assert (await given.store.count_replay(Scope(), missed(given), LATER)).events == 1
    with pytest.raises(RefusedError) as refused:
        await start(given, missed(given))
    assert refused.value.code == "endpoint_disabled"


@pytest.mark.parametrize("how", ["by hand", "disable", "remove", "failures", "account"])
async def test_a_replay_that_is_cancelled_makes_nothing_more(given: Given, how: str) -> None:
    store, id_ = given.store, given.endpoint.id
    await publish_missed(given, 10)
    replay = await start(given, missed(given))
    await store.run_replays(END, 4)
    if how == "by hand":
        await store.cancel_replay(Scope(), replay.id, "by hand", END)
    elif how == "disable":
        await store.disable_endpoint(Scope(), id_, "by the customer", END)
    elif how == "remove":
        await store.delete_endpoint(Scope(), id_, END)
    elif how == "account":
        await store.delete_account(Scope(), given.account.id, END)
    else:
        for claim in await given.claim(END):
            await given.record(claim, Failed(), status=500, at=END)
    cancelled = await store.get_replay(Scope(), replay.id)
    assert cancelled.state is ReplayState.CANCELLED
    assert cancelled.ended_at is not None
    assert cancelled.reason.startswith(
        {
            "by hand": "by hand",
            "disable": "endpoint disabled: by the customer",
            "failures": "endpoint disabled: ",
        }.get(how, "endpoint deleted")
    )
    await store.run_replays(END + HOUR, 100)
    assert len(await replayed(given)) == 4
    assert await store.cancel_replay(Scope(), replay.id, "again", END + HOUR) == cancelled


async def test_what_is_older_than_the_replay_is_sent_and_what_comes_later_is_not(
    given: Given,
) -> None:
    events = await publish_missed(given, 3)
    replay = await start(given, missed(given))
    await given.store.run_replays(END, 2)
    [_] = await publish_missed(given, 1, END)
    assert (await given.store.get_replay(Scope(), replay.id)).state is ReplayState.CANCELLED
    done = await run(
        given, await start(given, missed(given, until=LATER), END + MINUTE), END + HOUR
    )
    assert done.state is ReplayState.DONE
    assert await replayed(given) == events


@pytest.mark.pooled
async def test_replays_are_listed_and_found_within_their_scope(given: Given) -> None:
    other = await given.another_account("https://other.example.com/")
    await publish_missed(given, 1)
    first = await run(given, await start(given, missed(given)))
    second = await start(given, missed(given), END)
    mine, theirs = Scope(account_id=given.account.id), Scope(account_id=other.id)
    page = await given.store.list_replays(mine, given.endpoint.id, None, 1)
    assert [found.id for found in page.items] == [second.id]
    page = await given.store.list_replays(mine, given.endpoint.id, page.next_before, 1)
    assert list(page.items) == [first]
    assert page.next_before is None
    assert (await given.store.list_replays(theirs, given.endpoint.id, None, 9)).items == []
    for ask in (
        given.store.get_replay(theirs, first.id),
        given.store.cancel_replay(theirs, second.id, "", END),
        given.store.count_replay(theirs, missed(given), END),
        given.store.create_replay(theirs, missed(given), ReplayCount(0), END),
    ):
        with pytest.raises(NotFoundError):
            await ask
    assert (await given.store.get_replay(mine, second.id)).state is RUNNING


@pytest.mark.pooled
async def test_a_replay_goes_on_where_it_was_when_its_server_starts_again(given: Given) -> None:
    events = await publish_missed(given, 9)
    replay = await start(given, missed(given))
    await given.store.run_replays(END, 4)
    await given.reopen()
    halfway = await given.store.get_replay(Scope(), replay.id)
    assert (halfway.state, halfway.made) == (ReplayState.RUNNING, 4)
    assert (await run(given, replay)).made == 9
    assert await replayed(given) == events


@pytest.mark.pooled
async def test_ended_replays_go_with_the_log_they_were_of(given: Given) -> None:
    done = await run(given, await start(given, missed(given)))
    running = await start(given, missed(given), END)
    await given.store.drop_old(NOON + 10**15, 100)
    with pytest.raises(NotFoundError):
        await given.store.get_replay(Scope(), done.id)
    assert (await given.store.get_replay(Scope(), running.id)).id == running.id
