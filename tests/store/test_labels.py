"""What every store promises about channels, tags, references and metadata."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from storekit import NOON, Given

from hooktide.domain.delivery.verdict import Delivered
from hooktide.domain.errors import RefusedError
from hooktide.domain.model import HOUR, MINUTE, Endpoint, ReplayWhat, Scope
from hooktide.store.base import NewReplay

pytestmark = pytest.mark.pooled


async def change(given: Given, endpoint: Endpoint, now: int = NOON, **changes: Any) -> Endpoint:
    return await given.store.update_endpoint(Scope(), endpoint.id, lambda _: changes, now)


async def sent_to(given: Given, *channels: str, payload: bytes = b"{}") -> set[int]:
    [accepted] = await given.publish(given.event(payload=payload, channels=channels))
    page = await given.store.list_deliveries(Scope(), None, 10, event_id=accepted.event_id)
    assert accepted.deliveries == len(page.items)
    return {each.endpoint_id for each in page.items}


async def test_an_event_goes_to_the_endpoints_that_share_a_channel_and_those_without(
    given: Given,
) -> None:
    all_ = given.endpoint.id
    north = await change(given, await given.create_endpoint(), channels=("north", "west"))
    other = await change(given, await given.create_endpoint("invoice.sent"), channels=("north",))
    assert north.channels == ("north", "west")
    assert await sent_to(given, "north") == {all_, north.id}
    assert await sent_to(given, "south", "west") == {all_, north.id}
    assert await sent_to(given, "south") == {all_}
    assert await sent_to(given) == {all_}
    await change(given, north, channels=("south",))
    assert await sent_to(given, "south") == {all_, north.id}
    await change(given, north, channels=())
    assert await sent_to(given) == {all_, north.id}
    assert other.id not in await sent_to(given, "north")


async def test_an_endpoint_with_channels_and_a_filter_needs_both(given: Given) -> None:
    await change(given, given.endpoint, channels=("a",), filter='{"n":1}')
    assert await sent_to(given, "a", payload=b'{"n":1}') == {given.endpoint.id}
    assert await sent_to(given, "a", payload=b'{"n":2}') == set()
    assert await sent_to(given, "b", payload=b'{"n":1}') == set()


async def test_events_of_one_commit_go_each_by_their_own_channels(given: Given) -> None:
    await change(given, given.endpoint, channels=("even",))
    events = [given.event(channels=("odd" if number % 2 else "even",)) for number in range(200)]
    batch = given.publish(*events)
    alone = asyncio.gather(*(given.publish(event) for event in events))
    accepted = [*await batch, *[one for [one] in await alone]]
    assert [each.deliveries for each in accepted] == [1, 0] * 200


async def test_an_events_channels_and_tags_are_kept_and_its_deliveries_do_not_have_them(
    given: Given,
) -> None:
    [accepted] = await given.publish(given.event(channels=("a", "b"), tags=("order:1", "vip")))
    found = (await given.store.get_event(Scope(), accepted.event_id)).event
    assert (found.channels, found.tags) == (("a", "b"), ("order:1", "vip"))
    [of] = (await given.store.events_of(Scope(), [accepted.event_id])).values()
    assert of.event == found
    [plain] = await given.publish(given.event())
    found = (await given.store.get_event(Scope(), plain.event_id)).event
    assert (found.channels, found.tags) == ((), ())


@pytest.mark.parametrize("of_account", [True, False])
async def test_events_are_listed_by_tag_and_channel(given: Given, of_account: bool) -> None:
    scope = Scope(account_id=given.account.id) if of_account else Scope()
    events = [
        given.event(tags=("all", f"n:{number}"), channels=("even",) if number % 2 == 0 else ())
        for number in range(6)
    ]
    accepted = [each.event_id for each in await given.publish(*events, given.event())]

    async def listed(**wanted: Any) -> list[int]:
        page = await given.store.list_events(scope, None, 10, **wanted)
        return [each.event.id for each in page.items]

    assert await listed(tag="n:3") == [accepted[3]]
    assert await listed(tag="all") == accepted[5::-1]
    assert await listed(tag="al") == []
    assert await listed(tag="ALL") == []
    assert await listed(channel="even") == [accepted[4], accepted[2], accepted[0]]
    assert await listed(channel="even", tag="n:2") == [accepted[2]]
    page = await given.store.list_events(scope, accepted[4], 2, tag="all")
    assert [each.event.id for each in page.items] == [accepted[3], accepted[2]]
    assert page.next_before == accepted[2]


async def test_channels_say_since_when_they_are_the_same(given: Given) -> None:
    made = await change(given, given.endpoint, NOON + HOUR, channels=("a", "b"))
    assert made.channels_at == NOON + HOUR
    made = await change(given, made, NOON + 2 * HOUR, channels=("b", "a"), name="x")
    assert (made.channels, made.channels_at) == (("b", "a"), NOON + HOUR)


async def test_a_replay_of_what_was_missed_uses_the_channels_of_its_own_moment(
    given: Given,
) -> None:
    await change(given, given.endpoint, channels=("none",))
    events = [given.event(channels=("ten",) if number % 25 == 0 else ()) for number in range(250)]
    accepted = await given.publish(*events)
    await change(given, given.endpoint, channels=("ten",))
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
    assert sorted(sent) == [each.event_id for each in accepted[::25]]
    assert (await given.store.get_replay(Scope(), replay.id)).made == 10


async def test_a_reference_is_unique_among_an_accounts_endpoints(given: Given) -> None:
    first = await change(given, given.endpoint, reference="crm-1")
    second = await given.create_endpoint()
    with pytest.raises(RefusedError) as refused:
        await change(given, second, reference="crm-1")
    assert refused.value.code == "endpoint_reference_taken"
    new = replace(second, reference="crm-1")
    with pytest.raises(RefusedError):
        await given.store.create_endpoint(new, second.secrets[0].secret, None, NOON)
    assert (await change(given, first, reference="crm-1", name="x")).name == "x"
    await given.store.delete_endpoint(Scope(), first.id, NOON)
    assert (await change(given, second, reference="crm-1")).reference == "crm-1"
    await change(given, await given.create_endpoint(), reference="")
    await change(given, await given.create_endpoint(), reference="")


async def test_endpoints_and_accounts_are_listed_by_what_is_attached(given: Given) -> None:
    metadata = (("tier", "gold"), ("näme", 'a "b"'))
    made = await change(given, given.endpoint, reference="crm-1", metadata=metadata)
    await change(given, await given.create_endpoint(), metadata=(("tier", "silver"),))
    assert (made.reference, made.metadata) == ("crm-1", metadata)

    async def endpoints(**wanted: Any) -> list[int]:
        page = await given.store.list_endpoints(Scope(), None, 10, **wanted)
        return [each.id for each in page.items]

    assert await endpoints(reference="crm-1") == [made.id]
    assert await endpoints(reference="crm") == []
    assert await endpoints(metadata=("tier", "gold")) == [made.id]
    assert await endpoints(metadata=("näme", 'a "b"')) == [made.id]
    assert await endpoints(metadata=("tier", "iron")) == []
    account = await given.store.update_account(
        Scope(), given.account.id, {"metadata": metadata}, NOON
    )
    assert account.metadata == metadata
    page = await given.store.list_accounts(Scope(), None, 10, ("tier", "gold"))
    assert [each.id for each in page.items] == [account.id]
    page = await given.store.list_accounts(Scope(), None, 10, ("tier", "silver"))
    assert page.items == []
    renamed = await given.store.update_account(Scope(), account.id, {"name": "x"}, NOON)
    assert (renamed.name, renamed.metadata) == ("x", metadata)
