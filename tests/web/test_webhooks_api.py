"""The customers' own API, with the field names of each provider's guide."""

import pytest
from webkit import RECEIVER, Client, Site

from hooktide.dialects import read_shipped


@pytest.fixture
async def customer(site: Site) -> Client:
    await site.account("defacto", "acme")
    return await site.key("account", account="acme")


async def test_defactos_customers_say_to_url(customer: Client) -> None:
    given = {"to_url": RECEIVER, "event_types": ["Invoice.*"]}
    made = (await customer.post("/webhooks", given)).ok(201)
    assert (made["to_url"], made["event_types"]) == (RECEIVER, ["Invoice.*"])
    assert made["secret"].startswith("whsec_")  # Defacto uses Standard Webhooks
    [listed] = (await customer.get("/webhooks")).ok()["items"]
    assert listed == {name: value for name, value in made.items() if name != "secret"}
    assert (await customer.get(f"/webhooks/{made['id']}")).ok() == listed


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"to_url": "https://10.0.0.1/"}, "/to_url"),
        ({"to_url": 7}, "/to_url"),
        ({"url": RECEIVER}, "/url"),
        ({"event_types": ["Invoice.NEVER"]}, "/event_types/0"),
        ({"headers": {"Host": "x"}}, "/headers/Host"),
        ({"secret": "mine"}, "/secret"),
        ({"id": "ep_1"}, "/id"),
    ],
)
async def test_what_is_wrong_is_pointed_at_in_the_customers_words(
    customer: Client, change: dict[str, object], pointer: str
) -> None:
    given = {"to_url": RECEIVER, "event_types": ["*"], **change}
    answer = await customer.post("/webhooks", given)
    assert answer.status == 422
    assert answer.code
    assert answer.pointers == [pointer]


async def test_a_field_that_is_missing_is_named_in_the_customers_words(customer: Client) -> None:
    answer = await customer.post("/webhooks", {"event_types": ["*"]})
    assert answer.pointers == ["/to_url"]
    assert "to_url" in answer.json["detail"]


@pytest.mark.both_databases
async def test_a_customer_changes_switches_and_removes_a_webhook(customer: Client) -> None:
    given = {"to_url": RECEIVER, "event_types": ["*"]}
    path = "/webhooks/" + (await customer.post("/webhooks", given)).ok(201)["id"]
    changed = (await customer.patch(path, {"to_url": RECEIVER + "2", "enabled": False})).ok()
    assert (changed["to_url"], changed["enabled"]) == (RECEIVER + "2", False)
    assert (await customer.patch(path, {"enabled": True})).ok()["enabled"] is True
    assert (await customer.patch(path, {"enabled": "yes"})).pointers == ["/enabled"]
    (await customer.delete(path)).ok(204)
    assert (await customer.get(path)).code == "not_found"


@pytest.mark.both_databases
async def test_a_change_that_may_not_switch_a_webhook_on_changes_nothing(
    site: Site, customer: Client
) -> None:
    given = {"to_url": RECEIVER, "event_types": ["*"]}
    id_ = (await customer.post("/webhooks", given)).ok(201)["id"]
    (await site.operator.post(f"/v1/endpoints/{id_}/disable")).ok()
    refused = await customer.patch(f"/webhooks/{id_}", {"to_url": RECEIVER + "2", "enabled": True})
    assert (refused.status, refused.code) == (403, "disabled_by_provider")
    assert (await customer.get(f"/webhooks/{id_}")).ok()["to_url"] == RECEIVER
    changed = await customer.patch(f"/webhooks/{id_}", {"to_url": RECEIVER + "2"})
    assert (changed.ok()["to_url"], changed.json["enabled"]) == (RECEIVER + "2", False)


async def test_a_project_may_call_every_field_its_own_way(site: Site) -> None:
    await site.account("standard-webhooks", "acme")
    text = read_shipped("standard-webhooks") + '\n[fields]\nid = "ref"\nurl = "endpoint"\n'
    (await site.operator.apply("standard-webhooks", text)).ok()
    customer = await site.key("account", account="acme")
    given = {"endpoint": RECEIVER, "event_types": ["*"]}
    made = (await customer.post("/webhooks", given)).ok(201)
    assert made["endpoint"] == RECEIVER
    assert (await customer.get(f"/webhooks/{made['ref']}")).ok()["ref"] == made["ref"]


@pytest.mark.both_databases
async def test_the_list_of_webhooks_goes_on(customer: Client) -> None:
    given = {"to_url": RECEIVER, "event_types": ["*"]}
    for _ in range(3):
        (await customer.post("/webhooks", given)).ok(201)
    first = (await customer.get("/webhooks?limit=2")).ok()
    rest = (await customer.get(f"/webhooks?limit=2&cursor={first['next_cursor']}")).ok()
    assert len({each["id"] for each in first["items"] + rest["items"]}) == 3
