"""Every store: statistics for health, charts and usage, and writing many at once."""

import asyncio
from typing import Any

import pytest
from storekit import NOON, Given

from hooktide.domain.delivery.verdict import Delivered, Failed, RetryAt
from hooktide.domain.errors import NotFoundError
from hooktide.domain.histogram import bucket
from hooktide.domain.model import BY_HAND, DAY, HOUR, MINUTE, SECOND, Micros, Scope
from hooktide.domain.stats import ChartPoint, EndpointHour, Health, ProjectMinute
from hooktide.store.base import NUMBERS_RETENTION

STRANGER = Scope(account_id=1)
NOW_MINUTE, NOW_HOUR = NOON // MINUTE, NOON // HOUR


def of_hour(
    given: Given, endpoint_id: int = 0, hour: int = NOW_HOUR, **counts: Any
) -> EndpointHour:
    return EndpointHour(
        endpoint_id=endpoint_id or given.endpoint.id,
        project_id=given.project_id,
        account_id=given.account.id,
        hour=hour,
        **counts,
    )


async def add(given: Given, *hours: EndpointHour) -> None:
    await given.store.add_stats([], hours)


async def health(given: Given, since: Micros = NOON) -> Health:
    return (await given.store.health(Scope(), [given.endpoint.id], since))[given.endpoint.id]


@pytest.mark.pooled
async def test_an_endpoints_numbers_add_up_over_flushes_and_hours(given: Given) -> None:
    counts = {"delivered": 2, "failed": 1, "attempts": 5, "failed_attempts": 3}
    await add(given, of_hour(given, **counts, duration=100, slowest=60))
    await add(given, of_hour(given, **counts, duration=60, slowest=40))
    await add(given, of_hour(given, hour=NOW_HOUR - 1, **counts, duration=20, slowest=90))
    assert await health(given) == Health(
        attempts=10,
        failed_attempts=6,
        delivered=4,
        failed=2,
        mean=16,
        slowest=60,
        last_delivered_at=None,
        failing_since=None,
        last_failed_at=None,
        last_cause="",
    )
    both = await health(given, NOON - HOUR)
    assert (both.attempts, both.mean, both.slowest) == (15, 12, 90)
    quiet = await health(given, NOON + HOUR)
    assert (quiet.attempts, quiet.mean, quiet.slowest) == (0, None, None)
    assert await given.store.health(Scope(), [1], NOON) == {}
    assert await given.store.health(STRANGER, [given.endpoint.id], NOON) == {}
    mine = Scope(project_id=given.project_id, account_id=given.account.id)
    assert len(await given.store.health(mine, [given.endpoint.id] * 2, NOON)) == 1


@pytest.mark.parametrize("turn", [1, -1])
async def test_failing_since_is_the_first_failure_after_the_last_success(
    given: Given, turn: int
) -> None:
    told = [
        {"failing_since": NOON + 1},
        {"last_delivered_at": NOON + 2, "failing_since": NOON + 4},
        {"last_delivered_at": NOON + 3},
        {"failing_since": NOON + 5},
    ]
    for each in told[::turn]:  # of several processes any may come first
        await add(given, of_hour(given, attempts=1, **each))
    seen = await health(given)
    assert (seen.last_delivered_at, seen.failing_since) == (NOON + 3, NOON + 4)
    await add(given, of_hour(given, attempts=1, last_delivered_at=NOON + 6))
    seen = await health(given)
    assert (seen.last_delivered_at, seen.failing_since) == (NOON + 6, None)


async def test_one_flush_may_span_two_hours(given: Given) -> None:
    earlier = of_hour(given, hour=NOW_HOUR - 1, attempts=1, failing_since=NOON - 5)
    await add(given, of_hour(given, attempts=1, failing_since=NOON + 5), earlier)
    assert (await health(given)).failing_since == NOON - 5
    again = of_hour(given, attempts=1, last_delivered_at=NOON + 7)
    await add(given, again, of_hour(given, hour=NOW_HOUR - 1, attempts=1, failing_since=NOON - 4))
    assert (await health(given)).failing_since is None
    new = (await given.create_endpoint()).id
    failed = of_hour(given, new, NOW_HOUR - 1, attempts=1, failing_since=NOON - 5)
    await add(given, of_hour(given, new, attempts=1, last_delivered_at=NOON), failed)
    assert (await given.store.health(Scope(), [new], NOON))[new].failing_since is None


@pytest.mark.pooled
async def test_flushes_of_many_at_once_all_count(given: Given) -> None:
    hours = [of_hour(given, endpoint_id, attempts=1) for endpoint_id in range(1, 40)]
    await asyncio.gather(*[add(given, *hours[::turn]) for turn in (1, -1) * 5])
    found = await given.store.health(Scope(), range(1, 40), NOON)
    assert {each.attempts for each in found.values()} == {10}


@pytest.mark.pooled
async def test_a_chart_has_every_step_and_counts_each_minute_once(given: Given) -> None:
    first = NOW_MINUTE // 5 * 5
    minutes = [
        ProjectMinute(project_id=given.project_id, minute=first + n, accepted=1, held=2, attempts=n)
        for n in (0, 4, 5)
    ]
    await given.store.add_stats(minutes, [])
    await given.store.add_stats([ProjectMinute(project_id=1, minute=first, failed=7)], [])
    since, until = (first + 2) * MINUTE + 1, (first + 10) * MINUTE + 1
    points = await given.store.chart(Scope(project_id=given.project_id), since, until, 5)
    assert points == [
        ChartPoint(at=first * MINUTE, accepted=2, held=4, attempts=4),
        ChartPoint(at=(first + 5) * MINUTE, accepted=1, held=2, attempts=5),
        ChartPoint(at=(first + 10) * MINUTE),
    ]
    everywhere = await given.store.chart(Scope(), first * MINUTE, until, 5)
    assert sum(point.failed for point in everywhere) == 7
    nothing = await given.store.chart(STRANGER, since, until, 5)
    assert [point.attempts for point in nothing] == [0, 0, 0]


@pytest.mark.pooled
async def test_the_busiest_accounts_and_the_slowest_endpoints_come_first(given: Given) -> None:
    other = await given.another_account("https://other.example.com/")
    [theirs, mine] = (await given.store.list_endpoints(Scope(), None, 10)).items
    await add(
        given,
        of_hour(given, attempts=3, failed_attempts=1, delivered=2, duration=30, slowest=20),
        EndpointHour(
            endpoint_id=theirs.id,
            project_id=given.project_id,
            account_id=other.id,
            hour=NOW_HOUR,
            attempts=2,
            duration=40,
            slowest=21,
        ),
    )
    busy = await given.store.busiest(Scope(), NOON, 10)
    assert [(each.account_id, each.attempts) for each in busy] == [
        (given.account.id, 3),
        (other.id, 2),
    ]
    slow = await given.store.slowest(Scope(), NOON, 10)
    assert [(each.endpoint_id, each.mean, each.slowest) for each in slow] == [
        (theirs.id, 20, 21),
        (mine.id, 10, 20),
    ]
    narrow = Scope(account_id=other.id)
    assert [each.account_id for each in await given.store.busiest(narrow, NOON, 10)] == [other.id]
    assert [each.endpoint_id for each in await given.store.slowest(narrow, NOON, 1)] == [theirs.id]
    assert await given.store.busiest(Scope(), NOON + HOUR, 10) == []


@pytest.mark.pooled
async def test_what_fails_and_what_hooktide_disabled_is_troubled(given: Given) -> None:
    given.endpoint, well = await given.create_endpoint("quiet.*"), given.endpoint
    failing, disabled, by_hand = [
        await given.create_endpoint(url=f"https://{n}.example.com/") for n in range(3)
    ]
    assert await given.store.troubled(Scope(), 10) == []
    await given.store.disable_endpoint(Scope(), by_hand.id, BY_HAND, NOON)
    await given.store.disable_endpoint(Scope(), disabled.id, "the receiver answered 410", NOON)
    lately = of_hour(given, attempts=1, failing_since=NOON)
    await add(given, lately, of_hour(given, well.id, attempts=1, last_delivered_at=NOON))
    [claim] = await publish_to(given, failing.id)
    await given.record(claim, Failed(), status=500)
    found = [each.id for each in await given.store.troubled(Scope(), 10)]
    assert found == [failing.id, given.endpoint.id, disabled.id]
    assert len(await given.store.troubled(Scope(), 2)) == 2
    assert await given.store.troubled(STRANGER, 10) == []


async def publish_to(given: Given, endpoint_id: int):  # type: ignore[no-untyped-def]  # noqa: ANN201
    await given.publish()
    return await given.store.claim_due([endpoint_id], NOON, MINUTE, 1)


@pytest.mark.pooled
async def test_an_account_sees_what_it_has_of_its_plan(given: Given) -> None:
    await given.set_plan(deliveries_per_hour=3)
    await given.publish(*[given.event()] * 5)
    [claim, *_] = await given.claim(each=2)
    await given.record(claim, Delivered())
    used = await given.store.account_usage(Scope(), given.account.id, NOON)
    assert (used.endpoints, used.deliveries, used.held, used.pending) == (1, 3, 2, 2)
    later = await given.store.account_usage(Scope(), given.account.id, NOON + 2 * HOUR)
    assert later.deliveries == 0
    with pytest.raises(NotFoundError):
        await given.store.account_usage(STRANGER, given.account.id, NOON)


@pytest.mark.pooled
async def test_old_numbers_are_dropped_and_the_last_success_stays(given: Given) -> None:
    await add(given, of_hour(given, attempts=1, last_delivered_at=NOON))
    await given.store.add_stats(
        [ProjectMinute(project_id=given.project_id, minute=NOW_MINUTE, accepted=1)], []
    )
    await given.store.drop_old(NOON + NUMBERS_RETENTION, 10)
    assert (await health(given)).attempts == 1
    await given.store.drop_old(NOON + NUMBERS_RETENTION + DAY, 10)
    seen = await health(given)
    assert (seen.attempts, seen.last_delivered_at) == (0, NOON)
    [point] = await given.store.chart(Scope(), NOON, NOON + MINUTE, 1)
    assert point.accepted == 0


@pytest.mark.pooled
async def test_the_newest_attempts_and_the_events_of_many_come_in_one_go(given: Given) -> None:
    await given.publish(given.event(), given.event("invoice.sent"), given.event())
    claims = await given.claim()
    await given.record(claims[0], RetryAt(NOON + MINUTE), status=500)
    [again] = await given.claim(NOON + MINUTE, each=1)
    await given.record(again, Failed(), status=501)
    await given.record(claims[1], Delivered())
    ids = [claim.delivery_id for claim in claims] + [1]
    last = await given.store.last_attempts(Scope(), ids)
    assert {id_: (made.number, made.status) for id_, made in last.items()} == {
        claims[0].delivery_id: (2, 501),
        claims[1].delivery_id: (1, 200),
    }
    assert last[ids[1]] == (await given.store.list_attempts(Scope(), ids[1]))[-1]
    events = await given.store.events_of(Scope(), [claim.event.id for claim in claims] + [1])
    assert {id_: row.event for id_, row in events.items()} == {
        claim.event.id: claim.event for claim in claims
    }
    for stranger in (STRANGER, Scope(project_id=1)):
        assert await given.store.last_attempts(stranger, ids) == {}
        assert await given.store.events_of(stranger, list(events)) == {}
    assert await given.store.last_attempts(Scope(), []) == {}


async def test_a_list_may_be_cut_off_below(given: Given) -> None:
    accepted = [item.event_id for item in await given.publish(*[given.event()] * 6)]
    listed = await given.store.list_events(Scope(), accepted[4], 10, after=accepted[1])
    assert [row.event.id for row in listed.items] == accepted[2:4][::-1]
    deliveries = (await given.store.list_deliveries(Scope(), None, 10)).items
    ids = [delivery.id for delivery in deliveries]
    for scope, endpoint in (
        (Scope(), None),
        (Scope(), given.endpoint.id),
        (given_scope(given), None),
    ):
        found = await given.store.list_deliveries(
            scope, ids[0], 2, endpoint_id=endpoint, after=ids[4]
        )
        assert [delivery.id for delivery in found.items] == ids[1:3]
        rest = await given.store.list_deliveries(
            scope, found.next_before, 2, endpoint_id=endpoint, after=ids[4]
        )
        assert ([delivery.id for delivery in rest.items], rest.next_before) == ([ids[3]], None)


def given_scope(given: Given) -> Scope:
    return Scope(project_id=given.project_id, account_id=given.account.id)


@pytest.mark.pooled
async def test_accounts_are_found_by_how_their_reference_or_name_begins(given: Given) -> None:
    names = {"ACME-2": "", "zeta": "Acme Zeta", "b_acme": "", "100%": "%"}
    for reference, name in names.items():
        await given.store.create_account(given.project_id, reference, name, "test", NOON)
    found = await given.store.search_accounts(Scope(), "aCm", 10)
    assert [each.reference for each in found] == ["ACME-2", "acme", "zeta"]
    assert len(await given.store.search_accounts(Scope(), "aCm", 2)) == 2
    assert [each.reference for each in await given.store.search_accounts(Scope(), "%", 9)] == [
        "100%"
    ]
    assert await given.store.search_accounts(Scope(project_id=1), "acme", 10) == []
    mine = await given.store.search_accounts(given_scope(given), "acme", 10)
    assert mine == [given.account]
    await given.store.delete_account(Scope(), given.account.id, NOON)
    assert await given.store.search_accounts(Scope(), "acme", 1) == [found[0]]


async def test_what_was_counted_before_accounts_had_histograms_is_added_up(given: Given) -> None:
    other = await given.create_endpoint(url="https://other.example.com/")
    fast, slow = bucket(20_000), bucket(2 * SECOND)
    await add(given, of_hour(given, latency={fast: 90, slow: 2}, delay={slow: 1}))
    await add(given, of_hour(given, other.id, latency={fast: 5}))
    account = Scope(account_id=given.account.id)
    before = await given.store.latencies(account, NOON, NOON + HOUR, 1)
    assert before.whole.attempts.count == 97
    await given.close()
    without = f"DELETE FROM {{schema}}histograms WHERE subject_id = {given.account.id}"
    await given.place.migrate_again("0026_histograms_of_accounts", without)
    await given.reopen()
    assert await given.store.latencies(account, NOON, NOON + HOUR, 1) == before


async def test_what_was_counted_before_projects_and_accounts_had_hours_is_added_up(
    given: Given,
) -> None:
    other = await given.create_endpoint(url="https://other.example.com/")
    hours = [of_hour(given, attempts=5, delivered=4), of_hour(given, other.id, attempts=2)]
    minutes = [
        ProjectMinute(project_id=given.project_id, minute=NOW_MINUTE + at, accepted=at + 1)
        for at in range(2)
    ]
    await given.store.add_stats(minutes, hours)
    before = await given.store.chart(Scope(), NOON, NOON + HOUR, 60)
    busiest = await given.store.busiest(Scope(), NOON, 2)
    assert ([each.accepted for each in before], [each.attempts for each in busiest]) == ([3], [7])
    await given.close()
    without = "DROP TABLE {schema}project_hours; DROP TABLE {schema}account_hours"
    await given.place.migrate_again("0033_hours_of_projects_and_accounts", without)
    await given.reopen()
    assert await given.store.chart(Scope(), NOON, NOON + HOUR, 60) == before
    assert await given.store.busiest(Scope(), NOON, 2) == busiest


@pytest.mark.pooled
async def test_a_chart_of_whole_hours_counts_the_same_as_its_minutes(given: Given) -> None:
    minutes = [
        ProjectMinute(project_id=given.project_id, minute=NOW_MINUTE + at, accepted=at, failed=1)
        for at in (0, 59, 60, 179, 180)
    ]
    await given.store.add_stats(minutes[:2], [])
    await given.store.add_stats(minutes[1:], [])
    for scope in (Scope(), Scope(project_id=given.project_id)):
        points = await given.store.chart(scope, NOON, NOON + 3 * HOUR, 60)
        assert [(each.accepted, each.failed) for each in points] == [(118, 3), (60, 1), (179, 1)]
        by_minutes = await given.store.chart(scope, NOON, NOON + 3 * HOUR, 30)
        assert sum(each.accepted for each in by_minutes) == 357
        [half] = await given.store.chart(scope, NOON, NOON + HOUR // 2, 60)
        assert half.accepted == 0
    [nothing] = await given.store.chart(Scope(project_id=1), NOON, NOON + HOUR, 60)
    assert nothing.accepted == 0


@pytest.mark.pooled
async def test_percentiles_add_up_over_flushes_hours_and_endpoints(given: Given) -> None:
    other = await given.create_endpoint(url="https://other.example.com/")
    fast, slow = bucket(20_000), bucket(2 * SECOND)
    await add(given, of_hour(given, latency={fast: 90}, delay={slow: 1}))
    await add(given, of_hour(given, latency={fast: 5}), of_hour(given, other.id, latency={slow: 5}))
    await add(given, of_hour(given, hour=NOW_HOUR - 1, latency={slow: 900}))
    store, account = given.store, Scope(account_id=given.account.id)
    for scope in (Scope(), Scope(project_id=given.project_id), account):
        found = await store.latencies(scope, NOON, NOON + HOUR, 1)
        attempts = found.whole.attempts
        assert attempts.count == 100
        assert attempts.p50 == attempts.p95 == pytest.approx(20_000, rel=0.05)
        assert attempts.p99 == pytest.approx(2 * SECOND, rel=0.05)
        assert found.whole.deliveries.count == 1
    one = await store.latencies(account, NOON, NOON + HOUR, 1, other.id)
    assert (one.whole.attempts.count, one.whole.deliveries.p50) == (5, None)
    await store.delete_endpoint(account, other.id, NOON)
    assert (await store.latencies(account, NOON, NOON + HOUR, 1)).whole.attempts.count == 100
    both = await store.latencies(Scope(), NOON - HOUR, NOON + HOUR, 1)
    assert [step.attempts.count for step in both.steps] == [900, 100]
    assert both.whole.attempts.count == 1000
    assert (await store.latencies(STRANGER, NOON, NOON + HOUR, 1)).whole.attempts.count == 0


@pytest.mark.pooled
async def test_an_account_and_an_endpoint_have_charts_by_the_hour(given: Given) -> None:
    other = await given.create_endpoint(url="https://other.example.com/")
    await add(given, of_hour(given, delivered=3, failed=1), of_hour(given, other.id, delivered=2))
    await add(given, of_hour(given, hour=NOW_HOUR - 3, discarded=7))
    scope = Scope(account_id=given.account.id)
    since, until = NOON - 5 * HOUR, NOON + HOUR
    points = await given.store.chart(scope, since, until, 180)
    assert [(each.delivered, each.failed, each.discarded) for each in points] == [
        (0, 0, 0),
        (0, 0, 7),
        (5, 1, 0),
    ]
    points = await given.store.chart(scope, NOON, until, 60, other.id)
    assert [each.finished for each in points] == [2]


async def test_what_is_discarded_is_counted_among_what_finished(given: Given) -> None:
    await given.publish(*[given.event()] * 3)
    await given.store.disable_endpoint(Scope(), given.endpoint.id, "tired", NOON)
    await given.store.discard_stale(NOON, 100)
    [point] = await given.store.chart(Scope(), NOON, NOON + MINUTE, 1)
    assert (point.discarded, point.finished) == (3, 3)
    [point] = await given.store.chart(Scope(account_id=given.account.id), NOON, NOON + HOUR, 60)
    assert point.discarded == 3


@pytest.mark.pooled
async def test_a_retry_that_is_discarded_for_a_disabled_endpoint_is_counted(given: Given) -> None:
    await given.publish(*[given.event()] * 2)
    claims = await given.claim()
    await given.store.disable_endpoint(Scope(), given.endpoint.id, "tired", NOON)
    for claim in claims:
        await given.record(claim, RetryAt(NOON + MINUTE), status=500)
    await given.store.discard_stale(NOON, 100)
    [point] = await given.store.chart(Scope(), NOON, NOON + MINUTE, 1)
    assert (point.discarded, point.finished) == (2, 2)
    [point] = await given.store.chart(Scope(account_id=given.account.id), NOON, NOON + HOUR, 60)
    assert point.discarded == 2


async def test_what_is_stopped_is_counted_among_what_finished(given: Given) -> None:
    await given.publish(*[given.event()] * 2)
    [one, _] = (await given.store.list_deliveries(Scope(), None, 2)).items
    await given.store.stop_deliveries(Scope(), [one.id], "stopped by hand", NOON)
    [point] = await given.store.chart(Scope(), NOON, NOON + MINUTE, 1)
    assert point.discarded == 1
    assert (await given.store.backlog(Scope())).waiting == 1


@pytest.mark.pooled
async def test_causes_with_most_harm_come_first(given: Given) -> None:
    waits, off, steady = [
        await given.create_endpoint("invoice.sent", url=f"https://{name}.example.com/")
        for name in ("waits", "off", "steady")
    ]
    failing = {"failing_since": NOON, "last_failed_at": NOON}
    await add(
        given,
        of_hour(given, waits.id, **failing, last_cause="timeout", causes={"timeout": 4, "500": 1}),
        of_hour(given, off.id, **failing, last_cause="401", causes={"401": 60}),
        of_hour(given, steady.id, last_failed_at=NOON, last_cause="500", causes={"500": 90}),
    )
    await add(given, of_hour(given, steady.id, last_delivered_at=NOON + 1))
    await given.publish(given.event("invoice.sent"))
    await given.store.disable_endpoint(Scope(), off.id, "60 deliveries failed in a row", NOON)
    found = await given.store.causes(Scope(), NOON, 10)
    assert [(c.cause, c.endpoints, c.disabled, c.waiting, c.attempts) for c in found] == [
        ("timeout", 1, 0, 1, 4),
        ("401", 1, 1, 0, 60),
        ("500", 0, 0, 0, 91),
    ]
    account = Scope(account_id=given.account.id)
    [one] = await given.store.causes(account, NOON, 10, endpoint_id=off.id)
    assert (one.cause, one.attempts) == ("401", 60)
    assert await given.store.causes(STRANGER, NOON, 10) == []


@pytest.mark.pooled
async def test_the_last_cause_is_the_latest_whichever_process_adds_it_first(given: Given) -> None:
    await add(given, of_hour(given, last_failed_at=NOON + 2, last_cause="500"))
    await add(given, of_hour(given, last_failed_at=NOON + 1, last_cause="timeout"))
    assert (await health(given)).last_cause == "500"
    await add(given, of_hour(given, last_failed_at=NOON + 3, last_cause="dns"))
    assert (await health(given)).last_cause == "dns"
