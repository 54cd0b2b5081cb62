"""Every store: an event goes to the endpoints whose committed filters match."""

import asyncio
from dataclasses import replace

import pytest
from storekit import NOON, Given

from hooktide.domain.delivery.verdict import Delivered
from hooktide.domain.model import HOUR, MINUTE, Endpoint, ReplayWhat, Scope
from hooktide.store.base import NewReplay

pytestmark = pytest.mark.pooled

LARGE = '{"total":{"$gte":100}}'


async def set_filter(given: Given, endpoint: Endpoint, text: str, now: int = NOON) -> Endpoint:
    return await given.store.update_endpoint(Scope(), endpoint.id, lambda _: {"filter": text}, now)


async def sent_to(given: Given, payload: bytes, now: int = NOON) -> set[int]:
    [accepted] = await given.publish(given.event(payload=payload), now=now)
    page = await given.store.list_deliveries(Scope(), None, 10, event_id=accepted.event_id)
    assert accepted.deliveries == len(page.items)
    assert (await given.store.get_event(Scope(), accepted.event_id)).deliveries == len(page.items)
    return {each.endpoint_id for each in page.items}


async def test_an_event_goes_to_the_endpoints_whose_filter_it_matches(given: Given) -> None:
    large = await set_filter(given, await given.create_endpoint(), LARGE)
    other = await set_filter(given, await given.create_endpoint("invoice.sent"), LARGE)
    assert large.filter == LARGE
    assert await sent_to(given, b'{"total":100}') == {given.endpoint.id, large.id}
    assert await sent_to(given, b'{"total":99.99}') == {given.endpoint.id}
    await set_filter(given, large, '{"total":{"$lt":100}}')
    assert await sent_to(given, b'{"total":99.99}') == {given.endpoint.id, large.id}
    await set_filter(given, large, "")
    assert await sent_to(given, b"[]") == {given.endpoint.id, large.id}
    assert other.id not in await sent_to(given, b'{"total":100}')


async def test_a_filter_says_since_when_it_is_the_same(given: Given) -> None:
    made = await set_filter(given, given.endpoint, LARGE, NOON + HOUR)
    assert made.filtered_at == NOON + HOUR
    renamed = await given.store.update_endpoint(
        Scope(), made.id, lambda _: {"name": "x"}, NOON + 2 * HOUR
    )
    assert (renamed.filter, renamed.filtered_at) == (LARGE, NOON + HOUR)


async def test_events_of_one_commit_are_each_matched(given: Given) -> None:
    even = list(range(0, 200, 2))
    await set_filter(given, given.endpoint, f'{{"n":{{"$in":{even}}}}}')
    events = [given.event(payload=b'{"n":%d}' % number) for number in range(200)]
    batch = given.publish(*events)
    alone = asyncio.gather(*(given.publish(event) for event in events))
    accepted = [*await batch, *[one for [one] in await alone]]
    assert [each.deliveries for each in accepted] == [1, 0] * 200


async def test_a_repeated_key_keeps_its_first_answer_whatever_the_filter_is_now(
    given: Given,
) -> None:
    event = given.event(idempotency_key="k1", digest=b"a")
    [first] = await given.publish(event)
    await set_filter(given, given.endpoint, LARGE)
    [second] = await given.publish(event)
    assert (second.event_id, second.deliveries, second.replayed) == (first.event_id, 1, True)


async def test_what_a_filter_holds_back_counts_for_no_plan(given: Given) -> None:
    await set_filter(given, given.endpoint, LARGE)
    await given.set_plan(deliveries_per_hour=1)
    assert await sent_to(given, b'{"total":1}') == set()
    [accepted] = await given.publish(given.event(payload=b'{"total":100}'))
    assert (accepted.deliveries, accepted.held) == (1, 0)


async def test_a_filter_of_a_later_version_withholds_nothing(given: Given) -> None:
    await set_filter(given, given.endpoint, '{"total":{"$later":1}}')
    assert await sent_to(given, b'{"total":1}') == {given.endpoint.id}


async def test_a_replay_of_what_was_missed_uses_the_filter_of_its_own_moment(given: Given) -> None:
    await set_filter(given, given.endpoint, '{"n":-1}')
    events = [given.event(payload=b'{"n":%d}' % number) for number in range(250)]
    accepted = await given.publish(*events)
    await set_filter(given, given.endpoint, '{"n":{"$gte":240}}')
    wanted = NewReplay(endpoint_id=given.endpoint.id, what=ReplayWhat.MISSED, since=NOON)
    counted = await given.store.count_replay(Scope(), wanted, NOON + MINUTE)
    assert (counted.events, counted.at_least) == (10, False)
    replay = await given.store.create_replay(Scope(), wanted, counted, NOON + MINUTE)
    sent: list[int] = []
    for _ in range(10):
        await given.store.run_replays(NOON + HOUR, 200)
        claims = await given.claim(NOON + HOUR, each=1000)
        sent += [claim.event.id for claim in claims]
        for claim in claims:
            await given.record(claim, Delivered())
    assert sorted(sent) == [each.event_id for each in accepted[240:]]
    assert (await given.store.get_replay(Scope(), replay.id)).made == 10


async def test_a_new_endpoint_has_its_filter_from_the_start(given: Given) -> None:
    made = await given.create_endpoint()
    new = replace(made, filter=LARGE)
    secret = made.secrets[0].secret
    filtered = await given.store.create_endpoint(new, secret, None, NOON)
    assert filtered.filter == LARGE
    assert await sent_to(given, b'{"total":1}') == {given.endpoint.id, made.id}
