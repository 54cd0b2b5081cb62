"""Projects over the API: as the file says, and nothing halfway; event types one at a time."""

import asyncio

import pytest
from webkit import Client, Site

from hooktide.dialects import read_shipped, shipped


@pytest.mark.parametrize("name", shipped())
async def test_each_shipped_project_is_applied_and_then_the_same(
    operator: Client, name: str
) -> None:
    first = (await operator.apply(name)).ok()
    assert first["name"] == name
    assert first["changes"][0] == "project added"
    again = (await operator.apply(name)).ok()
    assert again == {**first, "changes": []}
    assert (await operator.get(f"/v1/projects/{name}")).ok()["id"] == first["id"]


async def test_a_wrong_file_is_told_by_line_key_and_reason_and_changes_nothing(
    operator: Client,
) -> None:
    text = read_shipped("invoice-maker")
    (await operator.apply("invoice-maker")).ok()
    answer = await operator.apply("invoice-maker", text + '\n[plans.gold]\nendpoints = "many"\n')
    assert answer.code == "invalid_project"
    [fault] = answer.json["errors"]
    assert fault["line"] == text.count("\n") + 3
    assert fault["key"] == "plans.gold.endpoints"
    assert fault["detail"]
    assert (await operator.apply("invoice-maker")).ok()["changes"] == []


@pytest.mark.parametrize("body", [b"= 1", b"\xff", b"", b"name = 'a\x00b'", b"[[" * 5000])
async def test_what_is_no_toml_is_a_wrong_file(operator: Client, body: bytes) -> None:
    kind = {"content-type": "application/toml"}
    answer = await operator.call("PUT", "/v1/projects/x", body=body, headers=kind)
    assert answer.code == "invalid_project"


async def test_a_file_is_applied_under_its_own_name_only(operator: Client) -> None:
    answer = await operator.apply("other", read_shipped("invoice-maker"))
    assert answer.code == "project_name_differs"
    assert (await operator.get("/v1/projects")).ok()["items"] == []


async def test_a_plan_that_accounts_are_on_is_not_taken_away(site: Site) -> None:
    await site.account()
    text = read_shipped("invoice-maker").replace("[plans.basic]", "[plans.small]")
    text = text.replace('default_plan = "basic"', 'default_plan = "small"')
    answer = await site.operator.apply("invoice-maker", text)
    assert answer.code == "plan_in_use"
    assert "acme" in answer.json["detail"]
    (await site.operator.patch("/v1/accounts/acme", {"plan": "pro"})).ok()
    assert (
        "plan basic removed" in (await site.operator.apply("invoice-maker", text)).ok()["changes"]
    )


async def test_a_project_with_accounts_is_not_removed(site: Site) -> None:
    await site.account()
    assert (await site.operator.delete("/v1/projects/invoice-maker")).code == "project_in_use"
    (await site.operator.delete("/v1/accounts/acme")).ok(204)
    (await site.operator.delete("/v1/projects/invoice-maker")).ok(204)
    assert (await site.operator.get("/v1/projects/invoice-maker")).code == "not_found"


# -- event types -----------------------------------------------------------------------------------

TYPE = "/v1/event-types/invoice.voided?project=invoice-maker"


async def test_an_event_type_is_added_replaced_and_removed(site: Site) -> None:
    operator = site.operator
    (await operator.apply("invoice-maker")).ok()
    given = {"description": "Void.", "example": {"id": 1.10}, "schema": {"type": "object"}}
    made = (await operator.put(TYPE, given)).ok()
    message = {"text": "", "link": "", "fields": []}
    assert made == {"name": "invoice.voided", "transition": "", "message": message, **given}
    assert (await operator.get(TYPE)).ok() == made
    assert (await operator.put(TYPE, {})).ok()["schema"] is None
    (await operator.delete(TYPE)).ok(204)
    assert (await operator.get(TYPE)).code == "not_found"
    assert (await operator.delete(TYPE)).code == "not_found"


async def test_event_types_put_at_once_are_all_there(site: Site) -> None:
    (await site.operator.apply("invoice-maker")).ok()
    names = [f"a.n{number}" for number in range(12)]
    await asyncio.gather(
        *[site.operator.put(f"/v1/event-types/{name}?project=invoice-maker", {}) for name in names]
    )
    listed = (await site.operator.get("/v1/event-types?project=invoice-maker")).ok()["items"]
    assert set(names) < {kind["name"] for kind in listed}


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        ({"schema": {"type": "nothing"}}, "/schema"),
        ({"schema": {"$ref": "https://x.example/schema"}}, "/schema"),
        ({"schema": 1}, "/schema"),
        ({"example": "x" * 300_000}, "/example"),
        ({"description": "a\x00"}, "/description"),
        ({"unknown": 1}, "/unknown"),
    ],
)
async def test_an_event_type_that_breaks_a_rule_is_refused(
    operator: Client, given: dict[str, object], pointer: str
) -> None:
    (await operator.apply("invoice-maker")).ok()
    answer = await operator.put(TYPE, given)
    assert answer.status == 422
    assert answer.pointers == [pointer]
    assert (await operator.get(TYPE)).code == "not_found"


async def test_an_event_type_needs_a_name_like_invoice_paid(operator: Client) -> None:
    (await operator.apply("invoice-maker")).ok()
    for name in ("a..b", "a b", "*", "a.", "x" * 129, "é"):
        answer = await operator.put(f"/v1/event-types/{name}?project=invoice-maker", {})
        assert answer.code == "invalid_event_type", name


async def test_an_operator_says_which_project(operator: Client) -> None:
    assert (await operator.get("/v1/event-types")).code == "project_missing"
    assert (await operator.get("/v1/event-types?project=none")).code == "not_found"


async def test_a_type_limited_to_an_account_is_unknown_to_another(site: Site) -> None:
    await site.account(reference="chosen")
    await site.account(reference="other")
    (await site.operator.put(TYPE, {"accounts": ["chosen"]})).ok()
    chosen, other = [await site.key("account", account=each) for each in ("chosen", "other")]
    hook = {"url": "http://127.0.0.1:65000/", "event_types": ["invoice.voided"]}
    assert (await chosen.post("/v1/endpoints", hook)).status == 201
    assert (await other.post("/v1/endpoints", hook)).code == "unknown_event_type"
    assert (await other.get("/v1/event-types/invoice.voided")).code == "not_found"
    seen = (await other.get("/v1/event-types")).ok()["items"]
    assert "invoice.voided" not in [kind["name"] for kind in seen]
    assert "invoice.voided" in [
        kind["name"] for kind in (await chosen.get("/v1/event-types")).ok()["items"]
    ]
