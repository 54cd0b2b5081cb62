"""The delivery log's filters find matching deliveries and exclude the others."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from webkit import Site, running
from wire import keeping, receiving

from hooktide.actions.deliveries import delivery_log
from hooktide.actions.deliveries.delivery_log import DeliveryFilter, DeliveryLog, Found, Line
from hooktide.domain import ids
from hooktide.domain.model import DAY, HOUR, SECOND, DeliveryState, Origin, Scope
from hooktide.domain.project.project import Plan
from hooktide.web.pages.views.delivery import OpenedDelivery, open_delivery, read_filters, row_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
BAD = b"HTTP/1.1 404 No\r\nx-trace: Zebra\r\ncontent-length: 7\r\n\r\nnowhere"
PLAN = Plan(name="basic")


@dataclass
class Logged:
    """Two endpoints, one that returns 2xx and one that returns 404, with three events each."""

    site: Site
    log: DeliveryLog
    scope: Scope
    good: int
    bad: int
    events: list[int]

    async def ids(self, limit: int = 50, before: int | None = None, **wanted: Any) -> list[int]:
        found = await self.search(limit, before, **wanted)
        return [line.delivery.id for line in found.lines]

    async def search(self, limit: int = 50, before: int | None = None, **wanted: Any) -> Found:
        return await self.log.search(self.scope, DeliveryFilter(**wanted), before, limit)

    async def open(self, **wanted: Any) -> OpenedDelivery:
        [line] = (await self.search(1, **wanted)).lines
        store = self.site.app.store
        attempts = await store.list_attempts(self.scope, line.delivery.id)
        event = (await store.get_event(self.scope, line.delivery.event_id)).event
        endpoint = await store.get_endpoint(self.scope, line.delivery.endpoint_id)
        project = (await store.get_project_by_id(line.delivery.project_id)).project
        return open_delivery(line.delivery, attempts, event, endpoint, project, PLAN, 0)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def logged(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Logged]:
    async with (
        running(tmp_path_factory.mktemp("log")) as site,
        receiving(keeping(GOOD)) as good,
        receiving(keeping(BAD)) as bad,
    ):
        account = await site.account()
        made = [
            await site.endpoint(url=f"http://127.0.0.1:{each.port}/hook", headers={"x-key": "hush"})
            for each in (good, bad)
        ]
        events = []
        for number, kind in enumerate(("invoice.created", "invoice.paid", "quotation.accepted")):
            event = {"account": "acme", "type": kind, "payload": {"Number": f"R-{number}", "n": 1}}
            told = (await site.operator.post("/v1/events", event)).ok(202)
            events.append(ids.read("evt", told["id"]))
        store = site.app.store
        project = (await store.get_project(Scope(), "invoice-maker")).id
        scope = Scope(project_id=project, account_id=ids.read("acc", account["id"]))
        hooks = [ids.read("ep", each["id"]) for each in made]
        logged = Logged(site, DeliveryLog(store), scope, hooks[0], hooks[1], events)
        async with asyncio.timeout(30):
            while len([each for each in (await logged.search()).lines if each.attempt]) < 6:
                await asyncio.sleep(0.01)
        yield logged


async def test_all_there_is_comes_newest_first_with_its_last_attempt(logged: Logged) -> None:
    found = await logged.search()
    numbers = [line.delivery.id for line in found.lines]
    assert numbers == sorted(numbers, reverse=True)
    assert len(numbers) == 6
    assert (found.next_before, found.looked_to) == (None, None)
    assert {line.attempt.status for line in found.lines if line.attempt} == {200, 404}


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ({"state": DeliveryState.DELIVERED}, 3),
        ({"state": DeliveryState.HELD}, 0),
        ({"answered": 2}, 3),
        ({"answered": 4}, 3),
        ({"answered": 0}, 0),
        ({"event_type": "invoice.paid"}, 2),
        ({"event_type": "invoice.*"}, 4),
        ({"text": "r-1"}, 2),
        ({"text": "ZEBRA"}, 3),
        ({"text": "quotation.acc"}, 2),
        ({"text": "%"}, 0),
        ({"text": "r-1", "answered": 4}, 1),
        ({"since": DAY}, 6),
        ({"until": DAY}, 0),
    ],
)
async def test_what_is_wanted_is_found(logged: Logged, wanted: dict[str, Any], count: int) -> None:
    assert len(await logged.ids(**wanted)) == count


async def test_ids_are_words_too(logged: Logged) -> None:
    [newest, *_] = await logged.ids()
    assert await logged.ids(text=ids.show("dlv", newest)) == [newest]
    assert len(await logged.ids(text=ids.show("evt", logged.events[0]))) == 2
    assert len(await logged.ids(endpoint_id=logged.good)) == 3
    assert len(await logged.ids(event_id=logged.events[0])) == 2


async def test_a_time_is_its_first_instant_and_not_the_last_one(logged: Logged) -> None:
    everything = await logged.ids()
    middle = everything[2]
    moment = ids.made_at(middle)
    assert middle in await logged.ids(since=moment)
    assert middle not in await logged.ids(until=moment)
    assert len(await logged.ids(since=moment)) + len(await logged.ids(until=moment)) == 6


@pytest.mark.parametrize("wanted", [{}, {"answered": 4}, {"text": "number"}])
async def test_pages_go_on_where_the_last_one_ended(logged: Logged, wanted: dict[str, Any]) -> None:
    everything = await logged.ids(**wanted)
    before, met = None, []
    while True:
        found = await logged.search(2, before, **wanted)
        met += [line.delivery.id for line in found.lines]
        before = found.next_before
        if before is None:
            break
        assert len(found.lines) == 2
    assert met == everything


async def test_a_search_that_finds_little_says_how_far_it_looked(
    logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery_log, "LOOKED_THROUGH", 2)
    monkeypatch.setattr(delivery_log, "SCAN_PAGE_SIZE", 2)
    everything = await logged.ids(limit=6, text="number")
    found = await logged.search(5, text="no such thing")
    assert found.lines == []
    assert found.looked_to == ids.made_at(found.next_before or 0)
    assert len(everything) == 2


async def test_nothing_of_another_account_is_found(logged: Logged) -> None:
    other = Scope(project_id=logged.scope.project_id, account_id=1)
    log = DeliveryLog(logged.site.app.store)
    for wanted in (
        DeliveryFilter(),
        DeliveryFilter(text="number"),
        DeliveryFilter(endpoint_id=logged.good),
    ):
        assert (await log.search(other, wanted, None, 50)).lines == []


async def test_an_opened_delivery_shows_the_body_as_it_was_sent(logged: Logged) -> None:
    opened = await logged.open(endpoint_id=logged.bad, event_id=logged.events[1])
    body = msgspec.json.decode(opened.body.text)
    assert body["type"] == "invoice.paid"
    assert body["data"]["invoice"]["Number"] == "R-1"
    assert not opened.changed
    assert opened.row.word == "Retrying"
    assert opened.row.tries == "1 of 6"
    [made] = opened.tries
    assert (made.code, made.response.text) == ("404", "nowhere")
    assert ("x-trace", "Zebra") in made.response_headers
    assert made.hint is not None
    assert opened.curl.startswith("curl -i -X POST 'http://127.0.0.1:")
    assert opened.body.text in opened.curl


async def test_the_values_of_the_customers_own_headers_are_not_shown(logged: Logged) -> None:
    opened = await logged.open(endpoint_id=logged.good)
    assert "hush" not in repr(opened)
    assert ("x-key", "****") in opened.tries[0].request_headers


async def test_a_body_in_another_format_than_it_was_sent_is_said_to_be(logged: Logged) -> None:
    [line] = (await logged.search(1, endpoint_id=logged.good)).lines
    store = logged.site.app.store
    attempts = await store.list_attempts(logged.scope, line.delivery.id)
    event = (await store.get_event(logged.scope, line.delivery.event_id)).event
    (await logged.site.operator.apply("house-check")).ok()
    other = (await store.get_project(Scope(), "house-check")).project
    opened = open_delivery(line.delivery, attempts, event, None, other, PLAN, 0)
    assert opened.changed
    assert opened.curl == ""


async def test_a_row_says_when_the_next_attempt_comes(logged: Logged) -> None:
    [line] = (await logged.search(1, endpoint_id=logged.bad)).lines
    assert line.delivery.due_at is not None
    row = row_of(line, PLAN.retries, None, line.delivery.due_at - 90 * SECOND)
    assert (row.next_in, row.endpoint_name) == ("in 1 minute 30 seconds", "a deleted endpoint")
    test = Line(replace(line.delivery, origin=Origin.TEST), None)
    assert row_of(test, PLAN.retries, None, 0).origin == "test"


async def test_filters_are_read_as_they_are_typed() -> None:
    filters = read_filters(b"state=failed&answered=5&since=2026-01-31+12:00&text=%20a%20&x=1")
    assert filters.faults == {}
    wanted = filters.wanted
    assert (wanted.state, wanted.answered, wanted.text) == (DeliveryState.FAILED, 5, "a")
    assert wanted.since == read_filters(b"since=2026-01-31T12:00:00Z").wanted.since
    for text in (b"2026-01-31T14:00:00%2B02:00", b"2026-01-31T07:00:00-05:00"):
        assert read_filters(b"since=" + text).wanted.since == wanted.since
    assert read_filters(b"since=2026-01-31").wanted.since == (wanted.since or 0) - 12 * HOUR
    assert filters.query(delivery="dlv_1").endswith("text=a&delivery=dlv_1")


@pytest.mark.parametrize(
    "query",
    [
        b"since=yesterday",
        b"state=gone",
        b"answered=9",
        b"endpoint=evt_0000000000000001",
        b"until=1",
    ],
)
async def test_a_filter_that_cannot_be_read_is_said_so_and_left_out(query: bytes) -> None:
    filters = read_filters(query)
    assert list(filters.faults) == [query.partition(b"=")[0].decode()]
    assert filters.wanted == DeliveryFilter()
    assert read_filters(b"\xff=%ff").wanted == DeliveryFilter()


async def test_an_end_before_its_beginning_is_said_so_and_left_out() -> None:
    for until in (b"2026-01-30", b"2026-01-31"):
        filters = read_filters(b"since=2026-01-31&until=" + until)
        assert list(filters.faults) == ["until"]
        assert filters.wanted == read_filters(b"since=2026-01-31").wanted
    assert read_filters(b"since=2026-01-31&until=2026-01-31+00:01").faults == {}


async def test_an_answer_that_was_cut_inside_a_character_is_shown_without_it(
    logged: Logged,
) -> None:
    [line] = (await logged.search(1)).lines
    store, scope = logged.site.app.store, logged.scope
    event = (await store.get_event(scope, line.delivery.event_id)).event
    endpoint = await store.get_endpoint(scope, line.delivery.endpoint_id)
    project = (await store.get_project_by_id(line.delivery.project_id)).project
    [attempt] = await store.list_attempts(scope, line.delivery.id)
    for cut, text in ((True, "caf"), (False, "caf\\xc3")):
        kept = msgspec.structs.replace(attempt, response_body=b"caf\xc3", response_truncated=cut)
        opened = open_delivery(line.delivery, [kept], event, endpoint, project, PLAN, 0)
        assert opened.tries[0].response.text == text
