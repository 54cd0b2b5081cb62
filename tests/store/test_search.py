"""What every store promises about search: what is indexed, when, for whom, and until when."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import apsw
import asyncpg
import pytest
from storekit import NOON, Given

from hooktide.domain.audit_log import Actor, Source
from hooktide.domain.delivery.verdict import Delivered
from hooktide.domain.errors import NotFoundError
from hooktide.domain.ids import made_at
from hooktide.domain.model import DAY, SECOND, Account, Scope
from hooktide.domain.searching.index import normal_form
from hooktide.engine.periodic.indexing import Indexing
from hooktide.store.deliveries.search import MAX_TERMS

pytestmark = pytest.mark.pooled

ANYONE = Scope()
LATER = NOON + 10 * SECOND
REINDEX = Actor(name="ann", source=Source.API).does("project.reindex")


async def index_by(given: Given, *paths: str, now: int = NOON) -> None:
    project = (await given.store.get_project_by_id(given.project_id)).project
    await given.store.put_project(replace(project, index=paths), now)


async def publish(
    given: Given, number: str, name: str = "", *, account: Account | None = None, now: int = NOON
) -> int:
    payload = b'{"number":"%b","customer":{"name":"%b"}}' % (number.encode(), name.encode())
    event = given.event(payload=payload, account_id=(account or given.account).id)
    [accepted] = await given.publish(event, now=now)
    return accepted.event_id


async def indexed(given: Given, now: int = LATER) -> int:
    """Index until there is nothing left; return how many transactions that took."""
    turns = 0
    while await given.store.run_indexing(now):
        turns += 1
    return turns


async def found(given: Given, text: str, scope: Scope = ANYONE) -> list[int]:
    page = await given.store.search_events(scope, normal_form(text), None, 50)
    assert page.next_before is None
    return [row.event.id for row in page.items]


async def terms(given: Given) -> int:
    """Count the rows of the index."""
    [[count]] = await rows(given, "SELECT count(*) FROM event_terms")
    return int(count)


async def rows(given: Given, sql: str) -> Sequence[Sequence[Any]]:
    if given.place.is_file:
        db = apsw.Connection(given.place.url)
        read = list(db.execute(sql))
        db.close()
        return read
    connection = await asyncpg.connect(given.place.direct or given.place.url)
    read = await connection.fetch(sql.replace("FROM ", "FROM hooktide."))
    await connection.close()
    return [tuple(row) for row in read]


async def test_an_event_is_found_by_its_value_its_beginning_and_its_words(given: Given) -> None:
    await index_by(given, "number", "customer.name")
    first = await publish(given, "INV-2026-024511", "Northwind Traders")
    second = await publish(given, "INV-2026-024512", "Northwind Traders")
    other = await publish(given, "INV-2026-02", "Contoso")
    for _ in ("while it is new", "once it is indexed"):
        assert await found(given, "inv-2026-024511") == [first]
        assert await found(given, "024511") == [first]
        assert await found(given, "INV-2026-0245") == [second, first]
        assert await found(given, "trad") == [second, first]
        assert await found(given, "cont") == [other]
        assert await found(given, "wind") == []
        await indexed(given)
    assert await terms(given) == 3 * 3 + 2 * 2 + 1


async def test_an_account_finds_its_own_events_alone(given: Given) -> None:
    await index_by(given, "number")
    another = await given.another_account("https://another.example.com")
    own = await publish(given, "INV-1")
    its = await publish(given, "INV-2", account=another)
    for _ in ("while it is new", "once it is indexed"):
        assert await found(given, "inv", Scope(account_id=given.account.id)) == [own]
        assert await found(given, "inv", Scope(account_id=another.id)) == [its]
        assert await found(given, "inv", Scope(project_id=given.project_id)) == [its, own]
        assert await found(given, "inv", Scope(project_id=given.project_id + 1)) == []
        assert await found(given, "inv", Scope(account_id=another.id + 1)) == []
        await indexed(given)


async def test_how_many_others_begin_alike_is_not_told_to_an_account(given: Given) -> None:
    await index_by(given, "number")
    another = await given.another_account("https://another.example.com")
    own = await publish(given, "A-1")
    for number in range(MAX_TERMS + 5):
        await publish(given, f"A-{number + 100}", account=another)
    await indexed(given)
    assert (await given.store.search_events(ANYONE, "a-", None, 50)).too_broad
    page = await given.store.search_events(Scope(account_id=given.account.id), "a-", None, 50)
    assert ([row.event.id for row in page.items], page.too_broad) == ([own], False)


async def test_of_too_many_values_that_begin_alike_the_whole_one_is_found(given: Given) -> None:
    await index_by(given, "number")
    made = [await publish(given, f"{number}") for number in range(1, 150)]
    whole = made[0]
    await indexed(given)
    page = await given.store.search_events(ANYONE, "1", None, 200)
    assert not page.too_broad
    assert len(page.items) == 1 + 10 + 50
    for number in range(MAX_TERMS):
        await publish(given, f"1{number + 1000}")
    await indexed(given)
    page = await given.store.search_events(ANYONE, "1", None, 200)
    assert page.too_broad
    assert [row.event.id for row in page.items] == [whole]


async def test_pages_are_newest_first_and_complete(given: Given) -> None:
    await index_by(given, "number", "customer.name")
    made = [await publish(given, f"INV-{n % 3}", "INV-1", now=NOON + n) for n in range(25)]
    await indexed(given)
    made += [await publish(given, f"INV-{n % 3}", now=LATER + n) for n in range(5)]
    seen: list[int] = []
    before = None
    while True:
        page = await given.store.search_events(ANYONE, "inv-", before, 7)
        seen += [row.event.id for row in page.items]
        if page.next_before is None:
            break
        before = page.next_before
    assert seen == sorted(made, reverse=True)
    since = await given.store.search_events(ANYONE, "inv-", made[10], 50, after=made[5])
    assert [row.event.id for row in since.items] == made[9:5:-1]


async def test_an_event_is_indexed_once_though_a_process_dies(given: Given) -> None:
    await index_by(given, "number")
    made = [await publish(given, f"INV-{n:03}") for n in range(450)]
    await given.store.run_indexing(LATER)
    await given.reopen()
    assert await found(given, "INV-449") == [made[449]]
    await indexed(given)
    assert await terms(given) == 450 * 2
    assert await given.store.run_indexing(LATER) == 0
    assert await found(given, "INV-449") == [made[449]]


async def test_a_changed_index_applies_to_what_is_accepted_then(given: Given) -> None:
    await index_by(given, "number")
    old = await publish(given, "INV-1", "Northwind")
    await indexed(given)
    await index_by(given, "customer.name", now=LATER)
    new = await publish(given, "INV-2", "Northwind", now=LATER)
    await indexed(given, LATER + 10 * SECOND)
    assert await found(given, "northwind") == [new]
    assert await found(given, "INV") == [old]
    [state] = (await given.store.search_indexes(ANYONE)).values()
    assert state.paths == ("customer.name",)
    assert state.complete_since is not None
    assert made_at(old) <= state.complete_since <= made_at(new)


async def test_an_index_is_complete_where_there_are_no_older_events(given: Given) -> None:
    await index_by(given, "number")
    [state] = (await given.store.search_indexes(ANYONE)).values()
    assert (state.complete_since, state.filling) == (None, False)


async def test_a_project_without_an_index_indexes_nothing(given: Given) -> None:
    await publish(given, "INV-1")
    assert await given.store.run_indexing(LATER) == 0
    assert await given.store.search_indexes(ANYONE) == {}
    assert await found(given, "INV-1") == []
    assert await given.store.start_filling_index(given.project_id, NOON, REINDEX) is None
    assert (await given.store.list_audit_log(ANYONE, None, 10)).items == []


async def test_older_events_are_filled_in_though_a_process_dies(given: Given) -> None:
    made = [await publish(given, f"INV-{n:03}", now=NOON + n) for n in range(450)]
    await index_by(given, "number", now=LATER)
    new = await publish(given, "INV-new", now=LATER + SECOND)
    later = LATER + 10 * SECOND
    await indexed(given, later)
    assert await found(given, "INV-007") == []
    started = await given.store.start_filling_index(given.project_id, later, REINDEX)
    assert started is not None
    assert (started.filling, started.started_at) == (True, later)
    again = await given.store.start_filling_index(given.project_id, later + 1, REINDEX)
    assert again == started
    await given.store.run_indexing(later)
    [state] = (await given.store.search_indexes(ANYONE)).values()
    assert (state.filling, state.filled) == (True, 200)
    assert state.complete_since == made_at(made[250])
    assert await found(given, "INV-300") == [made[300]]
    await given.reopen()
    await indexed(given, later)
    [state] = (await given.store.search_indexes(ANYONE)).values()
    assert (state.filling, state.filled, state.complete_since) == (False, 450, None)
    assert state.ended_at == later
    assert await found(given, "INV-007") == [made[7]]
    assert await found(given, "INV-new") == [new]
    assert await terms(given) == 451 * 2
    lines = (await given.store.list_audit_log(ANYONE, None, 50)).items
    assert [line.actor for line in lines if line.action == "project.reindex"] == ["ann"]


async def test_filling_again_leaves_the_same(given: Given) -> None:
    await index_by(given, "number")
    made = await publish(given, "INV-1", "Northwind")
    await indexed(given)
    for _ in range(2):
        await given.store.start_filling_index(given.project_id, LATER)
        await indexed(given)
        assert await found(given, "INV-1") == [made]
        assert await terms(given) == 2
    await index_by(given, "customer.name", now=LATER)
    await given.store.start_filling_index(given.project_id, LATER)
    await indexed(given)
    assert (await found(given, "INV-1"), await found(given, "northwind")) == ([], [made])


async def test_filling_without_an_index_removes_what_was_indexed(given: Given) -> None:
    await index_by(given, "number")
    made = await publish(given, "INV-1")
    await indexed(given)
    await index_by(given, now=LATER)
    await publish(given, "INV-2", now=LATER)
    await indexed(given, LATER + 10 * SECOND)
    assert await found(given, "INV") == [made]
    await given.store.start_filling_index(given.project_id, LATER)
    await indexed(given, LATER + 10 * SECOND)
    assert await terms(given) == 0


async def test_filling_is_for_a_project_that_is_there(given: Given) -> None:
    with pytest.raises(NotFoundError):
        await given.store.start_filling_index(given.project_id + 1, NOON)


async def test_an_event_being_indexed_by_paths_of_any_payload(given: Given) -> None:
    await index_by(given, "number")
    odd = [b"[]", b"5", b'"x"', b"null", b"{}", b'{"number":null}', b'{"number":[1]}']
    for payload in [*odd, b'{"number":%b}' % (b"9" * 5000), b'{"number":"a\\u0000b"}']:
        await given.publish(given.event(payload=payload))
    large = b'{"pad":"%b","number":"big"}' % (b"x" * 250_000)
    made = [(await given.publish(given.event(payload=large)))[0].event_id for _ in range(5)]
    assert await indexed(given) > 1
    assert await found(given, "big") == made[::-1]
    assert len(await found(given, "9" * 5000)) == 1
    assert len(await found(given, "a b")) == 1


async def test_a_list_shows_the_values_by_which_events_are_named(given: Given) -> None:
    await index_by(given, "number", "customer.name")
    first = await publish(given, "INV-1", "Northwind\\nTraders")
    second = await publish(given, "", "Contoso")
    await indexed(given)
    titles = await given.store.titles_of([first, second, second + 5000])
    assert titles == {first: ["INV-1", "Northwind Traders"], second: ["Contoso"]}
    assert await given.store.titles_of([]) == {}


async def test_what_is_past_retention_is_not_found(given: Given) -> None:
    await index_by(given, "number")
    await publish(given, "INV-1")
    for claim in await given.claim():
        await given.record(claim, Delivered())
    await indexed(given)
    await given.store.drop_old(NOON + 40 * DAY, 100)
    assert await terms(given) == 0
    assert await found(given, "INV-1") == []


async def test_what_is_past_one_projects_retention_is_dropped_before_its_day_is(
    given: Given,
) -> None:
    await index_by(given, "number")
    project = (await given.store.get_project_by_id(given.project_id)).project
    await given.store.put_project(replace(project, name="other", retention=300 * DAY), NOON)
    await publish(given, "INV-1")
    for claim in await given.claim():
        await given.record(claim, Delivered())
    await indexed(given)
    await given.store.drop_old(NOON + 40 * DAY, 100)
    assert await terms(given) == 0


async def test_an_erased_accounts_values_are_gone(given: Given) -> None:
    await index_by(given, "number")
    another = await given.another_account("https://another.example.com")
    kept = await publish(given, "INV-1", account=another)
    await publish(given, "INV-2")
    await indexed(given)
    await publish(given, "INV-3")
    await given.store.log_new(100)
    await given.store.erase_account(ANYONE, given.account.id, "", LATER)
    for _ in range(10):
        await given.store.run_erasures(LATER + 40 * 60 * SECOND)
    await given.store.start_filling_index(given.project_id, LATER)
    await indexed(given)
    assert await found(given, "INV") == [kept]
    assert await terms(given) == 2
    raw = await given.raw()
    assert b"inv-1" in raw
    assert b"inv-2" not in raw
    assert b"inv-3" not in raw


async def test_the_database_is_asked_nothing_until_a_project_has_an_index(given: Given) -> None:
    task = Indexing(given.store, lambda: LATER)
    assert await task.run() == 0
    await given.close()
    assert await task.run() == 0


async def test_events_are_indexed_from_when_a_project_names_paths(given: Given) -> None:
    task = Indexing(given.store, lambda: LATER)
    assert await task.run() == 0
    await index_by(given, "number")
    await publish(given, "INV-1")
    assert await task.run() > 0
    assert await task.run() == 0
    assert await terms(given) == 2


async def test_of_a_value_that_very_many_events_have_the_newest_are_found(given: Given) -> None:
    await index_by(given, "number")
    events = [given.event(payload=b'{"number":"ltd"}') for _ in range(1_000)]
    made = [each.event_id for each in await given.publish(*events)]
    await indexed(given)
    page = await given.store.search_events(ANYONE, "lt", None, 5)
    assert [row.event.id for row in page.items] == sorted(made)[:-6:-1]
    assert page.next_before == page.items[-1].event.id
