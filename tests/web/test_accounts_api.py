"""Accounts and keys in the API."""

from pathlib import Path
from urllib.parse import quote

import pytest
from webkit import Client, Site, running


@pytest.mark.both_databases
async def test_an_account_is_found_by_its_id_and_by_the_products_own(site: Site) -> None:
    made = await site.account(reference="customer 42/ü")
    by_id = (await site.operator.get(f"/v1/accounts/{made['id']}")).ok()
    assert by_id == made
    assert made["plan"] == "basic"
    assert made["project"] == "invoice-maker"
    plain = await site.account(reference="a b")
    assert (await site.operator.get("/v1/accounts/a b")).ok() == plain


@pytest.mark.both_databases
async def test_a_reference_is_there_once_a_project(site: Site) -> None:
    await site.account("invoice-maker", "same")
    await site.account("invoice-ahoy", "same")
    given = {"project": "invoice-maker", "reference": "same"}
    assert (await site.operator.post("/v1/accounts", given)).code == "account_exists"
    assert (await site.operator.get("/v1/accounts/same")).code == "ambiguous_account"
    key = await site.key("project", project="invoice-ahoy")
    assert (await key.get("/v1/accounts/same")).ok()["project"] == "invoice-ahoy"


@pytest.mark.parametrize(
    "reference", ["", " a", "a\x00", "a\u202eb", "x" * 201, "acc_0123456789abcdef", "e\u0301"]
)
async def test_a_reference_that_could_be_mistaken_is_refused(
    operator: Client, reference: str
) -> None:
    (await operator.apply("invoice-maker")).ok()
    given = {"project": "invoice-maker", "reference": reference}
    answer = await operator.post("/v1/accounts", given)
    assert answer.status == 422
    assert answer.pointers == ["/reference"]


@pytest.mark.both_databases
async def test_what_a_patch_does_not_name_stays(site: Site) -> None:
    made = await site.account()
    changed = (await site.operator.patch("/v1/accounts/acme", {"name": "Ácme 🦀"})).ok()
    assert changed == {**made, "name": "Ácme 🦀"}
    changed = (await site.operator.patch("/v1/accounts/acme", {"plan": "pro"})).ok()
    assert (changed["name"], changed["plan"]) == ("Ácme 🦀", "pro")
    assert (await site.operator.patch("/v1/accounts/acme", {})).ok() == changed
    answer = await site.operator.patch("/v1/accounts/acme", {"plan": "gold"})
    assert (answer.code, answer.pointers) == ("unknown_plan", ["/plan"])
    answer = await site.operator.patch("/v1/accounts/acme", {"reference": "x"})
    assert answer.pointers == ["/reference"]


@pytest.mark.both_databases
async def test_removing_an_account_takes_its_endpoints_and_keys_along(site: Site) -> None:
    await site.account()
    hook = await site.endpoint()
    key = await site.key("account", account="acme")
    assert (await key.get("/webhooks")).status == 200
    (await site.operator.delete("/v1/accounts/acme")).ok(204)
    assert (await key.get("/webhooks")).status == 401
    assert (await site.operator.get(f"/v1/endpoints/{hook['id']}")).code == "not_found"
    assert (await site.operator.delete("/v1/accounts/acme")).code == "not_found"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"scope": "project"}, "project_missing"),
        ({"scope": "account"}, "invalid_key_scope"),
        ({"scope": "operator", "project": "invoice-maker"}, "invalid_key_scope"),
        ({"scope": "project", "account": "acme"}, "invalid_key_scope"),
        ({"scope": "project", "project": "none"}, "not_found"),
        ({"scope": "account", "account": "none"}, "not_found"),
        ({"scope": "account", "account": "acme", "project": "none"}, "not_found"),
        ({"scope": "everything"}, "invalid_body"),
        ({"scope": "operator", "name": ""}, "invalid_body"),
        ({"scope": "operator", "name": "a\x00"}, "invalid_text"),
    ],
)
async def test_a_key_names_what_it_is_for(site: Site, given: dict[str, str], code: str) -> None:
    await site.account()
    assert (await site.operator.post("/v1/keys", {"name": "x", **given})).code == code


async def test_a_project_key_makes_keys_no_wider_than_itself(site: Site) -> None:
    await site.account()
    await site.account("invoice-ahoy", "theirs")
    key = await site.key("project", project="invoice-maker")
    for given, code in (
        ({"scope": "operator"}, "forbidden"),
        ({"scope": "project", "project": "invoice-ahoy"}, "not_found"),
        ({"scope": "account", "account": "theirs"}, "not_found"),
    ):
        assert (await key.post("/v1/keys", {"name": "x", **given})).code == code
    made = (await key.post("/v1/keys", {"name": "x", "scope": "account", "account": "acme"})).ok(
        201
    )
    assert made["project"] == "invoice-maker"
    listed = (await key.get("/v1/keys")).ok()["items"]
    assert [each["scope"] for each in listed] == ["account", "project"]
    assert (await key.delete(f"/v1/keys/{made['id']}")).status == 204


async def test_an_encoded_slash_in_a_path_is_no_way_round(operator: Client) -> None:
    answer = await operator.get("/v1/accounts/" + quote("a/../../keys", safe=""))
    assert answer.code == "not_found"


async def test_behind_a_proxy_with_a_path_a_reference_with_a_slash_is_reached(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, public_url="https://hooks.example.com/hooks") as site:
        (await site.operator.apply("invoice-maker")).ok()
        given = {"project": "invoice-maker", "reference": "acme/eu"}
        made = (await site.operator.post("/v1/accounts", given)).ok(201)
        for path in ("/v1/accounts/acme%2Feu", "/hooks/v1/accounts/acme%2Feu"):
            assert (await site.operator.get(path)).ok()["id"] == made["id"]
            answer = await site.operator.post(f"{path}/portal-links", {})
            assert answer.ok(201)["url"].startswith("https://hooks.example.com/hooks/portal/")
        assert (await site.operator.get("/v1/accounts/acme/eu")).code == "not_found"
        assert (await site.operator.call("TRACE", "/v1/accounts/acme%2Feu")).status == 405
