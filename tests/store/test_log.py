"""Every store: lists are complete and in order, whether deliveries are in the log or not."""

import dataclasses

import pytest
from storekit import NOON, Given

from hooktide.dialects import load
from hooktide.domain.delivery.verdict import Delivered, Failed, RetryAt
from hooktide.domain.errors import NotFoundError
from hooktide.domain.model import HOUR, MINUTE, DeliveryState, Scope


async def listed(given: Given, scope: Scope, limit: int = 7, **wanted: object) -> list[int]:
    """Read a whole list of deliveries, page by page."""
    found: list[int] = []
    before: int | None = None
    while True:
        page = await given.store.list_deliveries(scope, before, limit, **wanted)  # type: ignore[arg-type]
        found += [item.id for item in page.items]
        before = page.next_before
        if before is None:
            return found


@pytest.mark.parametrize("entered", ["nothing", "half", "all"])
@pytest.mark.pooled
async def test_lists_are_the_same_whatever_is_entered_in_the_log(
    given: Given, entered: str
) -> None:
    quiet = await given.create_endpoint("invoice.sent")
    other = await given.another_account("https://other.example.com/")
    for n in range(30):
        await given.publish(given.event("invoice.sent" if n % 10 == 3 else "invoice.paid"))
        await given.publish(given.event(account_id=other.id))
        if n == 15 and entered == "half":
            assert (await given.store.log_new(1000) > 0) == given.place.is_file
    for claim in (await given.claim())[::3]:
        await given.record(claim, Failed() if claim.event.id % 2 else Delivered())
    if entered == "all":
        while await given.store.log_new(10):
            pass
    everything = [
        (d.id, d.endpoint_id, d.account_id, d.state)
        for d in (await given.store.list_deliveries(Scope(), None, 1000)).items
    ]
    assert len(everything) == 63
    mine = Scope(account_id=given.account.id)
    assert await listed(given, mine) == [i for i, _, a, _ in everything if a == given.account.id]
    assert await listed(given, Scope(), endpoint_id=quiet.id) == [
        i for i, e, _, _ in everything if e == quiet.id
    ]
    for state in (DeliveryState.DELIVERED, DeliveryState.PENDING):
        assert await listed(given, mine, state=state) == [
            i for i, _, a, s in everything if a == given.account.id and s is state
        ]
    assert await listed(given, Scope(account_id=other.id), endpoint_id=quiet.id) == []


@pytest.mark.parametrize("entered", [False, True])
async def test_an_accounts_events_are_listed_entered_or_not(given: Given, entered: bool) -> None:
    other = await given.another_account("https://other.example.com/")
    for n in range(20):
        await given.publish(given.event("invoice.sent" if n % 5 == 0 else "invoice.paid"))
        await given.publish(given.event(account_id=other.id))
    if entered:
        await given.store.log_new(1000)
    mine = Scope(account_id=given.account.id)
    page = await given.store.list_events(mine, None, 100)
    assert len(page.items) == 20
    assert {row.event.account_id for row in page.items} == {given.account.id}
    page = await given.store.list_events(mine, None, 3, "invoice.sent")
    assert [row.event.type for row in page.items] == ["invoice.sent"] * 3
    page = await given.store.list_events(mine, page.next_before, 3, "invoice.sent")
    assert len(page.items) == 1
    everything = [row.event.id for row in (await given.store.list_events(mine, None, 100)).items]
    page = await given.store.list_events(mine, everything[3], 3, after=everything[10])
    assert [row.event.id for row in page.items] == everything[4:7]
    page = await given.store.list_events(mine, page.next_before, 9, after=everything[10])
    assert [row.event.id for row in page.items] == everything[7:10]
    assert page.next_before is None


@pytest.mark.parametrize("entered", [False, True])
async def test_a_list_of_deliveries_ends_at_an_id(given: Given, entered: bool) -> None:
    for _ in range(20):
        await given.publish()
    if entered:
        await given.store.log_new(1000)
    mine = Scope(account_id=given.account.id)
    everything = await listed(given, Scope())
    assert len(everything) == 20
    for scope in (Scope(), mine):
        for wanted in ({}, {"endpoint_id": given.endpoint.id}, {"state": DeliveryState.PENDING}):
            assert await listed(given, scope, after=everything[9], **wanted) == everything[:9]


@pytest.mark.pooled
async def test_what_is_past_retention_is_gone_and_what_is_pending_stays(given: Given) -> None:
    done, waiting = await given.publish(given.event(), given.event())
    first, second = await given.claim()
    await given.record(first, Delivered())
    again = await given.store.resend(Scope(), first.delivery_id, NOON)
    late = NOON + 10**15
    await given.store.drop_old(late, 100)
    assert (await given.store.get_event(Scope(), done.event_id)).event.id == done.event_id
    for claim in (second, *await given.claim(NOON)):
        await given.record(claim, Delivered())
    while await given.store.drop_old(late, 100):
        pass
    for event in (done, waiting):
        with pytest.raises(NotFoundError):
            await given.store.get_event(Scope(), event.event_id)
    for delivery_id in (first.delivery_id, second.delivery_id, again.id):
        with pytest.raises(NotFoundError):
            await given.store.get_delivery(Scope(), delivery_id)
    assert (await given.store.list_deliveries(Scope(), None, 10)).items == []


@pytest.mark.pooled
async def test_a_project_that_keeps_less_loses_only_its_own(given: Given) -> None:
    kept = await given.publish()
    short = dataclasses.replace(load("standard-webhooks"), name="short", retention=MINUTE)
    project = await given.store.put_project(short, NOON)
    account = await given.store.create_account(project.id, "b", "", short.default_plan, NOON)
    gone = await given.publish(given.event(project_id=project.id, account_id=account.id))
    await given.store.drop_old(NOON + HOUR, 100)
    found = await given.store.get_event(Scope(), kept[0].event_id)
    assert found.event.id == kept[0].event_id
    with pytest.raises(NotFoundError):
        await given.store.get_event(Scope(), gone[0].event_id)


async def test_a_delivery_is_being_sent_from_its_claim_until_its_outcome(given: Given) -> None:
    async def sending() -> list[bool]:
        page = await given.store.list_deliveries(Scope(), None, 10)
        return [each.sending for each in page.items]

    await given.publish()
    assert await sending() == [False]
    [claim] = await given.claim()
    assert await sending() == [True]
    await given.record(claim, RetryAt(NOON + MINUTE), status=500)
    assert await sending() == [False]
    [claim] = await given.claim(NOON + MINUTE)
    await given.record(claim, Delivered())
    assert await sending() == [False]
