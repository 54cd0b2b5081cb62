"""Filters in the API: as JSON or null, on every interface, and tried before they are saved."""

import html
from typing import Any

import pytest
from dashkit import seat
from webkit import RECEIVER, Site

from hooktide.dialects import read_shipped
from hooktide.domain.model import Role

LARGE = {"total": {"$gte": 100}, "customer": {"country": {"$in": ["NL", "DE"]}}}
EXACT = '{"amount":{"$gt":0.1000000000000000000000001}}'


async def publish(site: Site, payload: Any, type_: str = "invoice.paid") -> Any:
    given = {"account": "acme", "type": type_, "payload": payload}
    return (await site.operator.post("/v1/events", given)).ok(202)


@pytest.mark.both_databases
async def test_an_endpoints_filter_is_set_shown_changed_and_removed(site: Site) -> None:
    await site.account()
    made = await site.endpoint(filter=LARGE)
    path = f"/v1/endpoints/{made['id']}"
    assert made["filter"] == LARGE
    assert (await site.operator.get(path)).ok()["filter"] == LARGE
    matching = {"total": 100, "customer": {"country": "NL"}}
    assert (await publish(site, matching))["deliveries"] == 1
    assert (await publish(site, {**matching, "total": 99.5}))["deliveries"] == 0
    renamed = (await site.operator.patch(path, {"name": "x"})).ok()
    assert renamed["filter"] == LARGE
    changed = (await site.operator.patch(path, {"filter": {"total": 99.5}})).ok()
    assert changed["filter"] == {"total": 99.5}
    assert (await publish(site, {"total": 99.5}))["deliveries"] == 1
    assert (await site.operator.patch(path, {"filter": None})).ok()["filter"] is None
    assert (await publish(site, []))["deliveries"] == 1
    assert (await site.endpoint())["filter"] is None


async def test_a_filters_numbers_stay_as_they_are_written(site: Site) -> None:
    await site.account()
    made = await site.endpoint()
    body = b'{"filter": %b}' % EXACT.encode()
    customer = await site.key("account", account="acme")
    for client, path in [(site.operator, "/v1/endpoints"), (customer, "/webhooks")]:
        answer = await client.call("PATCH", f"{path}/{made['id']}", body=body)
        assert EXACT.encode() in answer.body


@pytest.mark.parametrize(
    ("given", "pointer", "said"),
    [
        ({"total": {"$gtt": 1}}, "/filter/total/$gtt", "did you mean '$gt'?"),
        ({"total": {"$regex": "x"}}, "/filter/total/$regex", "no regular expressions"),
        ({}, "/filter", "at least one condition"),
        ([1], "/filter", '{"amount": {"$gte": 100}}'),
        ("total > 5", "/filter", '{"amount": {"$gte": 100}}'),
    ],
)
async def test_a_wrong_filter_is_a_problem_that_names_the_member(
    site: Site, given: Any, pointer: str, said: str
) -> None:
    await site.account()
    made = await site.endpoint()
    new = {"account": "acme", "url": RECEIVER, "event_types": ["*"], "filter": given}
    customer = await site.key("account", account="acme")
    hooked = {"url": RECEIVER, "event_types": ["*"], "filter": given}
    for answer in [
        await site.operator.post("/v1/endpoints", new),
        await site.operator.post("/v1/endpoint-checks", {**new, "project": "invoice-maker"}),
        await site.operator.patch(f"/v1/endpoints/{made['id']}", {"filter": given}),
        await site.operator.post("/v1/filter-previews", {"account": "acme", "filter": given}),
        await customer.post("/webhooks", hooked),
        await customer.patch(f"/webhooks/{made['id']}", {"filter": given}),
    ]:
        assert (answer.status, answer.code) == (422, "invalid_filter")
        assert answer.pointers == [pointer]
        assert said in answer.json["detail"]


async def test_a_project_may_rename_the_filter_for_its_customers(site: Site) -> None:
    text = read_shipped("defacto").replace("[fields]\n", '[fields]\nfilter = "only_if"\n', 1)
    (await site.operator.apply("defacto", text)).ok()
    given = {"project": "defacto", "reference": "acme"}
    (await site.operator.post("/v1/accounts", given)).ok(201)
    customer = await site.key("account", account="acme")
    webhook = {"to_url": RECEIVER, "event_types": ["*"], "only_if": {"a": 1}}
    made = (await customer.post("/webhooks", webhook)).ok(201)
    assert made["only_if"] == {"a": 1}
    path = f"/webhooks/{made['id']}"
    wrong = await customer.patch(path, {"only_if": {"a": {"$x": 1}}})
    assert wrong.pointers == ["/only_if/a/$x"]
    assert (await customer.patch(path, {"only_if": None})).ok()["only_if"] is None


def with_plan(line: str) -> str:
    return read_shipped("invoice-maker") + f"\n[plans.small]\n{line}\n"


async def test_a_plan_says_how_many_conditions_a_filter_may_have(site: Site) -> None:
    await site.account()
    (await site.operator.apply("invoice-maker", with_plan("filter_conditions = 1"))).ok()
    made = await site.endpoint(filter=LARGE)
    path = f"/v1/endpoints/{made['id']}"
    (await site.operator.patch("/v1/accounts/acme", {"plan": "small"})).ok()
    kept = await site.operator.patch(path, {"filter": LARGE, "name": "x"})
    assert kept.ok()["filter"] == LARGE
    refused = await site.operator.patch(path, {"filter": {"a": 1, "b": 2}})
    assert refused.code == "invalid_filter"
    assert "2 conditions; this account's plan allows 1" in refused.json["detail"]
    (await site.operator.patch(path, {"filter": {"a": 1}})).ok()
    (await site.operator.apply("invoice-maker", with_plan("filter_conditions = 0"))).ok()
    refused = await site.operator.patch(path, {"filter": {"a": 2}})
    assert "this account's plan has no filters" in refused.json["detail"]
    assert (await site.operator.patch(path, {"filter": None})).ok()["filter"] is None
    plans = (await site.operator.get("/v1/projects/invoice-maker")).ok()["plans"]
    assert {plan["name"]: plan["filter_conditions"] for plan in plans}["small"] == 0


@pytest.mark.both_databases
async def test_a_filter_is_tried_with_the_newest_events(site: Site) -> None:
    await site.account()
    for total in range(130):
        await publish(site, {"total": total}, "invoice.paid" if total % 2 else "invoice.created")
    given = {"account": "acme", "filter": {"total": {"$gte": 120}}}
    found = (await site.operator.post("/v1/filter-previews", given)).ok()
    assert (found["filter"], found["tried"], found["matched"]) == (given["filter"], 100, 10)
    newest, oldest = found["items"][0], found["items"][-1]
    assert (newest["matches"], newest["mismatch"]) == (True, None)
    assert oldest["mismatch"] == {"pointer": "/total", "condition": '{"$gte":120}', "value": "30"}
    of_type = {**given, "event_types": ["invoice.created"]}
    found = (await site.operator.post("/v1/filter-previews", of_type)).ok()
    assert (found["tried"], found["matched"]) == (65, 5)
    customer = await site.key("account", account="acme")
    own = (await customer.post("/v1/filter-previews", {"filter": given["filter"]})).ok()
    assert own["matched"] == 10
    missing = await site.operator.post("/v1/filter-previews", {"filter": {"a": 1}})
    assert missing.code == "account_missing"
    empty = await site.operator.post("/v1/filter-previews", {"account": "acme", "filter": None})
    assert empty.code == "invalid_filter"


async def test_an_account_tries_filters_only_with_its_own_events(site: Site) -> None:
    await site.account()
    await publish(site, {"total": 1})
    await site.account(reference="other")
    other = await site.key("account", account="other")
    assert (await other.post("/v1/filter-previews", {"filter": {"total": 1}})).ok()["tried"] == 0
    theirs = await other.post("/v1/filter-previews", {"account": "acme", "filter": {"total": 1}})
    assert theirs.status == 404


@pytest.mark.both_databases
async def test_an_event_says_whose_filter_it_did_not_match(site: Site) -> None:
    await site.account()
    other = await site.endpoint(filter={"total": {"$gte": 100}})
    of_another_type = await site.endpoint(event_types=["invoice.created"], filter={"total": 7})
    event = await publish(site, {"total": 1})
    (await site.operator.delete(f"/v1/endpoints/{of_another_type['id']}")).ok(204)
    await site.endpoint(filter={"total": 9})
    path = f"/v1/events/{event['id']}/not-matched"
    expected = {
        "endpoint": other["id"],
        "reason": "filter",
        "mismatch": {"pointer": "/total", "condition": '{"$gte":100}', "value": "1"},
        "changed_since": False,
    }
    assert (await site.operator.get(path)).ok()["items"] == [expected]
    changed = f"/v1/endpoints/{other['id']}"
    (await site.operator.patch(changed, {"filter": {"gone": True}})).ok()
    [found] = (await site.operator.get(path)).ok()["items"]
    assert found["changed_since"] is True
    assert found["mismatch"] == {"pointer": "/gone", "condition": "true", "value": None}
    stranger = await site.key("project", project="invoice-maker")
    assert (await stranger.get(path)).ok()["items"] == [found]
    await site.account("defacto", "acme2")
    foreign = await site.key("account", account="acme2")
    assert (await foreign.get(path)).status == 404


async def test_an_event_is_not_sent_to_those_whose_filter_it_does_not_match_why_ever_they_lack_it(
    site: Site,
) -> None:
    await site.account()
    (await site.operator.patch("/v1/accounts/acme", {"plan": "pro"})).ok()
    off = f"/v1/endpoints/{(await site.endpoint(filter=LARGE, name='was off'))['id']}"
    (await site.operator.post(f"{off}/disable")).ok()
    await site.endpoint(filter=LARGE, event_types=["invoice.created"], name="another type")
    event = await publish(site, {"total": 1})
    (await site.operator.post(f"{off}/enable")).ok()
    late = await site.endpoint(filter=LARGE, name="came later")
    owner = await seat(site, Role.OWNER)
    path = f"/dashboard/events/{event['id']}"
    page = await owner.page(path)
    assert "Disabled at the time, since" in page
    assert "The endpoint was added later" in page
    assert "Not subscribed to this event type<" in page
    assert "Did not match its filter" not in page
    assert "Send to those that did not get it" not in page
    assert "Sent to none" in await owner.follow(f"{path}/send")
    not_matched = f"/v1/events/{event['id']}/not-matched"
    assert (await site.operator.get(not_matched)).ok()["items"] == []
    matching = await site.endpoint(filter={"total": 1}, name="matches")
    assert "Send to those that did not get it" in await owner.page(path)
    assert "It is being sent" in await owner.follow(f"{path}/send")
    for id_, count in ((matching["id"], 1), (late["id"], 0)):
        replays = (await site.operator.get(f"/v1/endpoints/{id_}/replays")).ok()["items"]
        assert len(replays) == count


@pytest.mark.both_databases
async def test_all_endpoints_whose_filter_an_event_did_not_match_are_listed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = read_shipped("invoice-maker") + "\n[plans.large]\nendpoints = 500\n"
    await site.account()
    (await site.operator.apply("invoice-maker", text)).ok()
    (await site.operator.patch("/v1/accounts/acme", {"plan": "large"})).ok()
    made = [(await site.endpoint(filter=LARGE))["id"] for _ in range(101)]
    event = await publish(site, {"total": 1})
    read, list_deliveries = [], site.app.store.list_deliveries

    async def counting(*given: Any, **more: Any) -> Any:
        read.append(more)
        return await list_deliveries(*given, **more)

    monkeypatch.setattr(site.app.store, "list_deliveries", counting)
    found = (await site.operator.get(f"/v1/events/{event['id']}/not-matched")).ok()["items"]
    assert [each["endpoint"] for each in found] == made[::-1]
    assert len(read) == 1


async def test_the_audit_log_shows_how_a_filter_changed(site: Site) -> None:
    await site.account()
    made = await site.endpoint(filter={"a": 1})
    path = f"/v1/endpoints/{made['id']}"
    (await site.operator.patch(path, {"filter": {"a": 2}})).ok()
    [changed, created, *_] = (await site.operator.get("/v1/audit-log")).ok()["items"]
    assert (changed["action"], changed["detail"]) == ("endpoint.update", "filter")
    assert (changed["before"], changed["after"]) == ({"filter": '{"a":1}'}, {"filter": '{"a":2}'})
    assert created["after"]["filter"] == '{"a":1}'


async def test_the_page_of_an_event_shows_whose_filter_it_did_not_match(site: Site) -> None:
    await site.account()
    made = await site.endpoint(filter={"total": {"$gte": 100}}, name="Large ones")
    event = await publish(site, {"total": 1})
    owner = await seat(site, Role.OWNER)
    page = html.unescape(await owner.page(f"/dashboard/events/{event['id']}"))
    assert "Did not match its filter" in page
    assert (
        '<code>/total</code> is <code>1</code>, and <code>{"$gte":100}</code> is required' in page
    )
    assert "Send to those that did not get it" not in page
    path = f"/v1/endpoints/{made['id']}"
    (await site.operator.patch(path, {"filter": {"total": 2}})).ok()
    page = await owner.page(f"/dashboard/events/{event['id']}")
    assert "The filter was changed after the event was accepted" in page
