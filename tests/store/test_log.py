"""What every store promises about lists: complete and in order, entered in the log or not."""

import pytest
from storekit import NOON, Given

from hooktide.domain.model import DeliveryState, Scope
from hooktide.domain.verdict import Delivered, Failed


async def listed(given: Given, scope: Scope, limit: int = 7, **wanted: object) -> list[int]:
    """Walk a whole list of deliveries, page by page."""
    found: list[int] = []
    before: int | None = None
    while True:
        page = await given.store.list_deliveries(scope, before, limit, **wanted)  # type: ignore[arg-type]
        found += [item.id for item in page.items]
        before = page.next_before
        if before is None:
            return found


@pytest.mark.parametrize("entered", ["nothing", "half", "all"])
async def test_lists_are_the_same_whatever_is_entered_in_the_log(
    given: Given, entered: str
) -> None:
    quiet = await given.add_endpoint("invoice.sent")
    other = await given.another_account("https://other.example.com/")
    for n in range(30):
        await given.publish(given.event("invoice.sent" if n % 10 == 3 else "invoice.paid"))
        await given.publish(given.event(account_id=other.id))
        if n == 15 and entered == "half":
            assert await given.store.log_new(1000) > 0
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


async def test_what_is_dropped_leaves_the_log_too(given: Given) -> None:
    await given.publish()
    await given.store.log_new(1000)
    [claim] = await given.claim()
    await given.record(claim, Delivered())
    assert await given.store.drop_old(NOON + 10**15, 100) == 1
    left = await given.store._read(
        lambda db: [
            list(db.execute(f"SELECT count(*) FROM {table}"))
            for table in ("endpoint_log", "account_log")
        ]
    )
    assert left == [[(0,)], [(0,)]]


@pytest.mark.parametrize(
    "name", ["deliveries_of_endpoint", "deliveries_of_account", "events_of_account"]
)
async def test_a_list_reads_no_more_than_its_page_and_what_is_new(given: Given, name: str) -> None:
    select = "events" if name.startswith("events") else "deliveries"
    column = "id" if select == "events" else "d.id"
    sql = (
        f"{given.store._sql[select]} WHERE {given.store._sql[name]} ORDER BY {column} DESC LIMIT 5"
    )
    values = dict.fromkeys(("endpoint_id", "scope_account", "below", "limit", "state", "type"), 1)
    plan = await given.store._read(
        lambda db: [row[3] for row in db.execute("EXPLAIN QUERY PLAN " + sql, values)]
    )
    scans = [step for step in plan if step.startswith("SCAN")]
    assert all("(subquery" in step or "SUBQUERY" in step for step in scans), plan
