"""Channels, tags, references and metadata over the API, through every door."""

import html
from typing import Any

import pytest
from dashkit import seat
from webkit import RECEIVER, Site

from hooktide.dialects import read_shipped
from hooktide.domain.model import Role

NORTH: dict[str, Any] = {"channels": ["north"]}


async def publish(site: Site, **more: Any) -> Any:
    given = {"account": "acme", "type": "invoice.paid", "payload": {"total": 1}, **more}
    return (await site.operator.post("/v1/events", given)).ok(202)


@pytest.mark.both_databases
async def test_channels_are_set_shown_changed_and_removed(site: Site) -> None:
    await site.account()
    made = await site.endpoint(channels=["north", "west", "north"])
    path = f"/v1/endpoints/{made['id']}"
    assert made["channels"] == ["north", "west"]
    assert (await publish(site, **NORTH))["deliveries"] == 1
    assert (await publish(site))["deliveries"] == 0
    assert (await publish(site, channels=["south"]))["deliveries"] == 0
    assert (await site.operator.patch(path, {"name": "x"})).ok()["channels"] == ["north", "west"]
    (await site.operator.patch(path, {"channels": ["south"]})).ok()
    assert (await publish(site, channels=["south"]))["deliveries"] == 1
    assert (await site.operator.patch(path, {"channels": []})).ok()["channels"] == []
    assert (await publish(site))["deliveries"] == 1


@pytest.mark.both_databases
async def test_an_event_shows_its_channels_and_tags_and_is_found_by_them(site: Site) -> None:
    await site.account()
    event = await publish(site, channels=["north"], tags=["order:1", "vip"])
    other = await publish(site)
    found = (await site.operator.get(f"/v1/events/{event['id']}")).ok()
    assert (found["channels"], found["tags"]) == (["north"], ["order:1", "vip"])
    for query in ("tag=order:1", "tag=vip&account=acme", "channel=north"):
        items = (await site.operator.get(f"/v1/events?{query}")).ok()["items"]
        assert [each["id"] for each in items] == [event["id"]]
    customer = await site.key("account", account="acme")
    assert (await customer.get("/v1/events?tag=order")).ok()["items"] == []
    items = (await customer.get("/v1/events")).ok()["items"]
    assert [each["tags"] for each in items] == [[], ["order:1", "vip"]]
    assert items[0]["id"] == other["id"]


async def test_a_batchs_events_have_their_own(site: Site) -> None:
    await site.account()
    await site.endpoint(**NORTH)
    plain = {"account": "acme", "type": "invoice.paid", "payload": {}}
    answer = await site.operator.post(
        "/v1/events", [plain, {**plain, **NORTH}, {**plain, "channels": ["a b"]}]
    )
    good, shared, wrong = answer.ok(207)["results"]
    assert (good["deliveries"], shared["deliveries"]) == (0, 1)
    assert wrong["problem"]["errors"][0]["pointer"] == "/channels/0"


@pytest.mark.parametrize(
    ("given", "code", "pointer"),
    [
        ({"channels": ["ok", "a b"]}, "invalid_channels", "/channels/1"),
        ({"channels": list("abcdef")}, "invalid_channels", "/channels"),
        ({"tags": ["ok", ""]}, "invalid_tags", "/tags/1"),
        ({"tags": [str(n) for n in range(11)]}, "invalid_tags", "/tags"),
        ({"tags": "vip"}, "invalid_event", "/tags"),
        ({"channels": [1]}, "invalid_event", "/channels/0"),
    ],
)
async def test_an_events_wrong_labels_are_a_problem_that_names_them(
    site: Site, given: Any, code: str, pointer: str
) -> None:
    await site.account()
    event = {"account": "acme", "type": "invoice.paid", "payload": {}, **given}
    answer = await site.operator.post("/v1/events", event)
    assert (answer.status, answer.code, answer.pointers) == (422, code, [pointer])


async def test_a_member_that_is_there_twice_is_refused_with_labels_too(site: Site) -> None:
    await site.account()
    start = (
        b'{"account":"acme","type":"invoice.paid","payload":{},"channels":["a","b"],"tags":["c"]'
    )
    (await site.operator.call("POST", "/v1/events", body=start + b"}")).ok(202)
    for twice in (b',"tags":["c"]}', b',"channels":[]}', b',"type":"invoice.paid"}'):
        answer = await site.operator.call("POST", "/v1/events", body=start + twice)
        assert answer.status == 400


async def test_a_key_repeated_with_other_labels_is_refused(site: Site) -> None:
    await site.account()
    first = await publish(site, idempotency_key="k", **NORTH)
    assert await publish(site, idempotency_key="k", **NORTH) == first
    given = {"account": "acme", "type": "invoice.paid", "payload": {"total": 1}}
    answer = await site.operator.post("/v1/events", {**given, "idempotency_key": "k"})
    assert answer.code == "idempotency_key_reuse"


@pytest.mark.parametrize(
    ("given", "code", "pointer"),
    [
        ({"channels": ["a b"]}, "invalid_channels", "/channels/0"),
        ({"channels": [str(n) for n in range(11)]}, "invalid_channels", "/channels"),
        ({"metadata": {"a:b": "x"}}, "invalid_metadata", "/metadata/a:b"),
        ({"metadata": {"a": "x" * 4096}}, "invalid_metadata", "/metadata"),
        ({"reference": "ep_0123456789abcdef"}, "invalid_reference", "/reference"),
        ({"reference": " x"}, "invalid_text", "/reference"),
    ],
)
async def test_what_is_wrong_with_an_endpoint_is_named_at_every_door(
    site: Site, given: Any, code: str, pointer: str
) -> None:
    await site.account()
    made = await site.endpoint()
    new = {"url": RECEIVER, "event_types": ["*"], **given}
    customer = await site.key("account", account="acme")
    checked = {**new, "account": "acme", "project": "invoice-maker"}
    for answer in [
        await site.operator.post("/v1/endpoints", {**new, "account": "acme"}),
        await site.operator.post("/v1/endpoint-checks", checked),
        await site.operator.patch(f"/v1/endpoints/{made['id']}", given),
        await customer.post("/webhooks", new),
        await customer.patch(f"/webhooks/{made['id']}", given),
    ]:
        assert (answer.status, answer.code, answer.pointers) == (422, code, [pointer])


@pytest.mark.both_databases
async def test_an_endpoints_reference_and_metadata_are_kept_and_found(site: Site) -> None:
    await site.account()
    made = await site.endpoint(reference="crm-1", metadata={"tier": "gold"})
    other = await site.endpoint(metadata={"tier": "iron"})
    assert (made["reference"], made["metadata"]) == ("crm-1", {"tier": "gold"})
    for query in ("reference=crm-1", "metadata=tier:gold", "account=acme&metadata=tier:gold"):
        items = (await site.operator.get(f"/v1/endpoints?{query}")).ok()["items"]
        assert [each["id"] for each in items] == [made["id"]]
    wrong = await site.operator.get("/v1/endpoints?metadata=gold")
    assert (wrong.code, wrong.pointers) == ("invalid_query", ["/metadata"])
    taken = await site.operator.patch(f"/v1/endpoints/{other['id']}", {"reference": "crm-1"})
    assert (taken.status, taken.code) == (409, "endpoint_reference_taken")
    changed = {"reference": "", "metadata": {}}
    path = f"/v1/endpoints/{made['id']}"
    found = (await site.operator.patch(path, changed)).ok()
    assert (found["reference"], found["metadata"]) == ("", {})


@pytest.mark.both_databases
async def test_an_accounts_metadata_is_kept_and_found(site: Site) -> None:
    (await site.operator.apply("invoice-maker")).ok()
    new = {"project": "invoice-maker", "reference": "acme", "metadata": {"tier": "gold"}}
    made = (await site.operator.post("/v1/accounts", new)).ok(201)
    assert made["metadata"] == {"tier": "gold"}
    put = {"project": "invoice-maker"}
    assert (await site.operator.put("/v1/accounts/acme", put)).ok()["metadata"] == made["metadata"]
    other = {"project": "invoice-maker", "metadata": {"tier": "iron"}}
    (await site.operator.put("/v1/accounts/other", other)).ok()
    items = (await site.operator.get("/v1/accounts?metadata=tier:gold")).ok()["items"]
    assert [each["reference"] for each in items] == ["acme"]
    path = "/v1/accounts/acme"
    changed = (await site.operator.patch(path, {"metadata": {"tier": "iron"}})).ok()
    assert changed["metadata"] == {"tier": "iron"}
    wrong = await site.operator.patch(path, {"metadata": {"": "x"}})
    assert (wrong.code, wrong.pointers) == ("invalid_metadata", ["/metadata/"])
    [entry, *_] = (await site.operator.get("/v1/audit-log")).ok()["items"]
    assert entry["before"] == {"metadata": {"tier": "gold"}}
    assert (await site.operator.put(path, {**put, "metadata": {}})).ok()["metadata"] == {}


async def test_a_project_may_rename_them_for_its_customers(site: Site) -> None:
    own = '[fields]\nchannels = "sites"\nreference = "their_id"\nmetadata = "notes"\n'
    text = read_shipped("defacto").replace("[fields]\n", own, 1)
    (await site.operator.apply("defacto", text)).ok()
    given = {"project": "defacto", "reference": "acme"}
    (await site.operator.post("/v1/accounts", given)).ok(201)
    customer = await site.key("account", account="acme")
    labels = {"sites": ["north"], "their_id": "crm-1", "notes": {"a": "b"}}
    webhook = {"to_url": RECEIVER, "event_types": ["*"], **labels}
    made = (await customer.post("/webhooks", webhook)).ok(201)
    assert {name: made[name] for name in labels} == labels
    path = f"/webhooks/{made['id']}"
    wrong = await customer.patch(path, {"sites": ["a b"]})
    assert wrong.pointers == ["/sites/0"]
    changed = (await customer.patch(path, {"sites": [], "their_id": "", "notes": {}})).ok()
    assert [changed[name] for name in labels] == [[], "", {}]


def with_plan(lines: str) -> str:
    return read_shipped("invoice-maker") + f"\n[plans.small]\n{lines}\n"


async def test_a_plan_says_how_many_channels_and_how_much_metadata(site: Site) -> None:
    await site.account()
    text = with_plan("channels = 1\nmetadata_bytes = 20")
    (await site.operator.apply("invoice-maker", text)).ok()
    kept: dict[str, Any] = {"channels": ["a", "b"], "metadata": {"name": "a longer text"}}
    made = await site.endpoint(**kept)
    path = f"/v1/endpoints/{made['id']}"
    (await site.operator.patch("/v1/accounts/acme", {"plan": "small"})).ok()
    (await site.operator.patch(path, {**kept, "name": "x"})).ok()
    refused = await site.operator.patch(path, {"channels": ["a", "c"]})
    assert refused.json["detail"] == "there are 2; this account's plan allows 1 channel"
    refused = await site.operator.patch(path, {"metadata": {"name": "another long text"}})
    assert refused.json["detail"] == "20 bytes as JSON at most; it has 28"
    (await site.operator.patch(path, {"channels": ["c"], "metadata": {"a": "b"}})).ok()
    text = with_plan("channels = 0\nmetadata_bytes = 0")
    (await site.operator.apply("invoice-maker", text)).ok()
    refused = await site.operator.patch(path, {"channels": ["a"]})
    assert "this account's plan has no channels" in refused.json["detail"]
    refused = await site.operator.patch(path, {"metadata": {"a": "c"}})
    assert "this account's plan has no metadata" in refused.json["detail"]
    (await site.operator.patch(path, {"channels": [], "metadata": {}})).ok()
    plans = (await site.operator.get("/v1/projects/invoice-maker")).ok()["plans"]
    small = next(plan for plan in plans if plan["name"] == "small")
    assert (small["channels"], small["metadata_bytes"]) == (0, 0)


@pytest.mark.both_databases
async def test_channels_are_tried_with_the_newest_events(site: Site) -> None:
    await site.account()
    for number in range(130):
        await publish(site, channels=["even"] if number % 2 == 0 else [], payload={"n": number})
    given: dict[str, Any] = {"account": "acme", "channels": ["even", "none"]}
    found = (await site.operator.post("/v1/filter-previews", given)).ok()
    assert (found["filter"], found["tried"], found["matched"]) == (None, 100, 50)
    newest, second = found["items"][:2]
    assert (newest["matches"], newest["no_shared_channel"], newest["channels"]) == (False, True, [])
    assert (second["matches"], second["channels"]) == (True, ["even"])
    given["filter"] = {"n": {"$gte": 120}}
    found = (await site.operator.post("/v1/filter-previews", given)).ok()
    assert found["matched"] == 5
    wrong = await site.operator.post(
        "/v1/filter-previews", {"account": "acme", "channels": ["a b"]}
    )
    assert (wrong.code, wrong.pointers) == ("invalid_channels", ["/channels/0"])


@pytest.mark.both_databases
async def test_an_event_says_with_which_endpoints_it_shares_no_channel(site: Site) -> None:
    await site.account()
    apart = await site.endpoint(channels=["north"], filter={"total": 9}, name="Apart")
    event = await publish(site, channels=["south"])
    path = f"/v1/events/{event['id']}/not-matched"
    expected = {
        "endpoint": apart["id"],
        "reason": "channels",
        "mismatch": None,
        "changed_since": False,
    }
    assert (await site.operator.get(path)).ok()["items"] == [expected]
    owner = await seat(site, Role.OWNER)
    page = html.unescape(await owner.page(f"/dashboard/events/{event['id']}"))
    assert "No shared channel: the endpoint has north, the event south." in page
    assert "Send to those that did not get it" not in page
    (await site.operator.patch(f"/v1/endpoints/{apart['id']}", {"channels": ["west"]})).ok()
    assert (await site.operator.get(path)).ok()["items"] == [{**expected, "changed_since": True}]
    page = await owner.page(f"/dashboard/events/{event['id']}")
    assert "The channels were changed after the event was accepted" in page
    (await site.operator.patch(f"/v1/endpoints/{apart['id']}", {"channels": ["south"]})).ok()
    [found] = (await site.operator.get(path)).ok()["items"]
    assert (found["reason"], found["mismatch"]["pointer"]) == ("filter", "/total")


async def test_a_plain_event_is_said_to_have_no_channel(site: Site) -> None:
    await site.account()
    await site.endpoint(**NORTH)
    event = await publish(site)
    owner = await seat(site, Role.OWNER)
    page = await owner.page(f"/dashboard/events/{event['id']}")
    assert "No shared channel: the endpoint has north, the event none." in page


async def test_the_audit_log_shows_how_they_changed(site: Site) -> None:
    await site.account()
    made = await site.endpoint(channels=["a"], reference="x", metadata={"k": "v"})
    path = f"/v1/endpoints/{made['id']}"
    changes = {"channels": ["b"], "reference": "y", "metadata": {"k": "w"}}
    (await site.operator.patch(path, changes)).ok()
    [changed, created, *_] = (await site.operator.get("/v1/audit-log")).ok()["items"]
    assert changed["detail"] == "channels, reference, metadata"
    assert changed["before"] == {"channels": ["a"], "reference": "x", "metadata": {"k": "v"}}
    assert changed["after"] == changes
    assert created["after"]["channels"] == ["a"]


async def test_an_event_is_published_by_hand_with_channels_and_tags_and_listed_by_tag(
    site: Site,
) -> None:
    await site.account()
    await site.endpoint(**NORTH)
    owner = await seat(site, Role.MEMBER)
    path = "/dashboard/publish?account=acme&type=invoice.paid"
    assert 'name="channels"' in await owner.page(path)
    answer = await owner.post(path, {"payload": "{}", "channels": "north, west", "tags": "vip x:1"})
    assert answer.status == 303
    [event] = (await site.operator.get("/v1/events")).ok()["items"]
    assert (event["channels"], event["tags"]) == (["north", "west"], ["vip", "x:1"])
    assert event["deliveries"] == 1
    wrong = await owner.post(path, {"payload": "{}", "tags": "ok é"})
    assert 'id="tags-fault"' in wrong.body.decode()
    page = await owner.page(f"/dashboard/events/{event['id']}")
    assert "north, west" in page
    assert '<a href="/dashboard/events?tag=x%3A1">x:1</a>' in page
    assert event["id"] in await owner.page("/dashboard/events?tag=x%3A1")
    assert "No events match." in await owner.page("/dashboard/events?tag=other")
