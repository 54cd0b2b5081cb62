"""Accounts that do not exist yet are created by a PUT or an event, or the event is ignored."""

import asyncio
from typing import Any

import pytest
from webkit import Client, Site

from hooktide.dialects import read_shipped

NOBODY = {"deliveries": 0, "account": "unknown"}
CREATING = '[accounts]\ncreate_on_publish = true\nplan = "pro"\n\n[plans.basic]'


def paid(account: str, **more: Any) -> dict[str, Any]:
    return {"account": account, "type": "invoice.paid", "payload": {"id": "inv_1"}, **more}


async def project(site: Site, *, creates: bool = False) -> Client:
    """Apply a project, and return a client with its key."""
    text = read_shipped("invoice-maker")
    text = text.replace("[plans.basic]", CREATING) if creates else text
    (await site.operator.apply("invoice-maker", text)).ok()
    return await site.key("project", project="invoice-maker")


async def accounts(site: Site) -> list[tuple[str, str]]:
    found = (await site.operator.get("/v1/accounts?project=invoice-maker")).ok()["items"]
    return [(each["reference"], each["plan"]) for each in found]


async def audit(site: Site, target: str) -> list[tuple[str, str]]:
    found = (await site.operator.get(f"/v1/audit-log?target={target}")).ok()["items"]
    return [(each["actor"], each["action"]) for each in found]


@pytest.mark.both_databases
async def test_a_put_creates_an_account_changes_what_it_gives_and_then_changes_nothing(
    site: Site,
) -> None:
    key = await project(site)
    made = (await key.put("/v1/accounts/acme", {"name": "Acme"})).ok()
    assert (made["reference"], made["name"], made["plan"]) == ("acme", "Acme", "basic")
    changed = (await key.put("/v1/accounts/acme", {"plan": "pro"})).ok()
    assert changed == {**made, "plan": "pro"}
    assert (await key.put("/v1/accounts/acme", {"name": "Acme", "plan": "pro"})).ok() == changed
    assert (await key.put("/v1/accounts/acme", {})).ok() == changed
    assert (await key.put(f"/v1/accounts/{made['id']}", {"name": ""})).ok()["name"] == ""
    whats = [what for _, what in await audit(site, made["id"])]
    assert whats == ["account.update", "account.update", "account.create"]


@pytest.mark.both_databases
async def test_puts_of_one_account_at_once_make_one_account(site: Site) -> None:
    key = await project(site)
    puts = [key.put("/v1/accounts/acme", {"name": "Acme"}) for _ in range(20)]
    ids = {answer.ok()["id"] for answer in await asyncio.gather(*puts)}
    assert len(ids) == 1
    assert await accounts(site) == [("acme", "basic")]


async def test_what_a_put_refuses_says_where(site: Site) -> None:
    key = await project(site)
    operator = site.operator
    assert (await operator.put("/v1/accounts/acme", {})).code == "project_missing"
    assert (await key.put("/v1/accounts/acme", {"plan": "gold"})).pointers == ["/plan"]
    assert (await key.put("/v1/accounts/acc_0123456789abcdef", {})).code == "not_found"
    assert (await key.put(f"/v1/accounts/{'x' * 201}", {})).code == "invalid_reference"
    assert (await operator.put("/v1/accounts/acme", {"project": "none"})).code == "not_found"
    account_key = await _account_key(site)
    assert (await account_key.put("/v1/accounts/acme", {})).status == 403


async def _account_key(site: Site) -> Client:
    (await site.operator.put("/v1/accounts/other", {"project": "invoice-maker"})).ok()
    return await site.key("account", account="other")


@pytest.mark.both_databases
async def test_an_event_for_an_unknown_account_is_no_error_and_is_not_stored(site: Site) -> None:
    key = await project(site)
    await site.account(reference="acme")
    answer = (await key.post("/v1/events", paid("nobody", idempotency_key="k"))).ok(202)
    assert answer == NOBODY
    assert (await key.post("/v1/events", paid("acc_0123456789abcdef"))).ok(202) == NOBODY
    batch = [paid("nobody"), paid("acme"), paid("nobody")]
    first, second, third = (await key.post("/v1/events", batch)).ok(202)["results"]
    assert first == third == {"status": 202, **NOBODY}
    assert second["id"].startswith("evt_")
    assert len((await key.get("/v1/events")).ok()["items"]) == 1
    assert await accounts(site) == [("acme", "basic")]
    text = (await site.operator.get("/metrics")).body.decode()
    assert 'hooktide_events_unknown_account_total{project="invoice-maker"} 4.0' in text
    assert (await key.post("/v1/events", paid("acme", idempotency_key="k"))).ok(202)["id"]


async def test_errors_of_an_event_for_an_unknown_account_are_still_reported(site: Site) -> None:
    key = await project(site)
    assert (await key.post("/v1/events", paid("nobody", type="no.such"))).code == (
        "unknown_event_type"
    )
    assert (await key.post("/v1/events", paid(""))).pointers == ["/account"]
    assert (await key.post("/v1/events", paid("x" * 201))).pointers == ["/account"]
    (await key.post("/v1/events", paid("x" * 200))).ok(202)


@pytest.mark.both_databases
async def test_an_event_creates_its_account_on_the_plan_that_the_project_says(site: Site) -> None:
    key = await project(site, creates=True)
    assert (await key.post("/v1/events", paid("acme"))).ok(202)["id"].startswith("evt_")
    batch = [paid("other"), paid("other"), paid("acc_0123456789abcdef")]
    results = (await key.post("/v1/events", batch)).ok(202)["results"]
    assert [each.get("account") for each in results] == [None, None, "unknown"]
    assert await accounts(site) == [("other", "pro"), ("acme", "pro")]
    made = (await key.get("/v1/accounts/acme")).ok()
    assert await audit(site, made["id"]) == [("publish", "account.create")]


@pytest.mark.both_databases
async def test_events_of_one_new_account_at_once_create_one(site: Site) -> None:
    key = await project(site, creates=True)
    posts = [key.post("/v1/events", paid("acme")) for _ in range(20)]
    for answer in await asyncio.gather(*posts):
        assert answer.ok(202)["id"].startswith("evt_")
    assert await accounts(site) == [("acme", "pro")]


@pytest.mark.both_databases
async def test_an_operators_key_is_enough_where_there_is_one_project(site: Site) -> None:
    await project(site, creates=True)
    assert "id" in (await site.operator.post("/v1/events", paid("acme"))).ok(202)
    (await site.operator.apply("invoice-ahoy")).ok()
    assert (await site.operator.post("/v1/events", paid("other"))).code == "project_missing"
    assert "id" in (await site.operator.post("/v1/events", paid("acme"))).ok(202)


@pytest.mark.parametrize("creates", [False, True])
async def test_a_closed_beta_takes_no_account_that_it_does_not_name(
    site: Site, creates: bool
) -> None:
    text = read_shipped("offerte-adviseur")
    accounts = 'only = ["beta-1"]\ncreate_on_publish = ' + str(creates).lower()
    text = text.replace('accounts = ["beta-1", "beta-2", "beta-3"]\n', "")
    (await site.operator.apply("offerte-adviseur", f"{text}\n[accounts]\n{accounts}\n")).ok()
    key = await site.key("project", project="offerte-adviseur")
    types = (await key.get("/v1/event-types")).ok()["items"]
    event = {"type": types[0]["name"], "payload": types[0]["example"]}
    if types[0]["transition"]:
        event["transition"] = types[0]["transition"]
    assert (await key.post("/v1/events", {"account": "beta-9", **event})).ok(202) == NOBODY
    answer = (await key.post("/v1/events", {"account": "beta-1", **event})).ok(202)
    assert ("id" in answer) is creates
