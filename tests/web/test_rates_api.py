"""Rates over the API: of endpoints and accounts, within what the plan allows."""

from typing import Any

import pytest
from dashkit import seat
from webkit import RECEIVER, Site

from hooktide.dialects import read_shipped
from hooktide.domain.model import Role


def with_plan(lines: str) -> str:
    return read_shipped("invoice-maker") + f"\n[plans.small]\n{lines}\n"


@pytest.mark.both_databases
async def test_an_endpoints_rate_is_set_shown_changed_and_removed(site: Site) -> None:
    await site.account()
    made = await site.endpoint(rate_limit=50, burst=200)
    path = f"/v1/endpoints/{made['id']}"
    assert (made["rate_limit"], made["burst"]) == (50, 200)
    kept = (await site.operator.patch(path, {"name": "x"})).ok()
    assert (kept["rate_limit"], kept["burst"]) == (50, 200)
    lower = (await site.operator.patch(path, {"burst": 1})).ok()
    assert (lower["rate_limit"], lower["burst"]) == (50, 1)
    changed = (await site.operator.patch(path, {"rate_limit": 10})).ok()
    assert (changed["rate_limit"], changed["burst"]) == (10, None)
    removed = (await site.operator.patch(path, {"rate_limit": None})).ok()
    assert (removed["rate_limit"], removed["burst"]) == (None, None)
    plain = await site.endpoint()
    assert (plain["rate_limit"], plain["burst"]) == (None, None)


@pytest.mark.parametrize(
    ("given", "pointer", "said"),
    [
        ({"rate_limit": 0}, "/rate_limit", "1 to 10,000"),
        ({"rate_limit": 10_001}, "/rate_limit", "1 to 10,000"),
        ({"rate_limit": 5, "burst": 51}, "/burst", "1 to 50"),
        ({"rate_limit": 5, "burst": 0}, "/burst", "1 to 50"),
        ({"burst": 5}, "/burst", "give rate_limit, too"),
    ],
)
async def test_a_wrong_rate_is_a_problem_that_names_the_member(
    site: Site, given: dict[str, Any], pointer: str, said: str
) -> None:
    await site.account()
    made = await site.endpoint()
    new = {"account": "acme", "url": RECEIVER, "event_types": ["*"], **given}
    customer = await site.key("account", account="acme")
    for answer in [
        await site.operator.post("/v1/endpoints", new),
        await site.operator.post("/v1/endpoint-checks", {**new, "project": "invoice-maker"}),
        await site.operator.patch(f"/v1/endpoints/{made['id']}", given),
        await customer.post("/webhooks", {"url": RECEIVER, "event_types": ["*"], **given}),
        await customer.patch(f"/webhooks/{made['id']}", given),
        await customer.put("/v1/accounts/acme/rate-limit", {"rate_limit": None, **given}),
    ]:
        assert (answer.status, answer.code) == (422, "invalid_rate")
        assert answer.pointers == [pointer]
        assert said in answer.json["detail"]


@pytest.mark.both_databases
async def test_an_account_limits_all_of_its_endpoints_together(site: Site) -> None:
    await site.account()
    customer = await site.key("account", account="acme")
    path = "/v1/accounts/acme/rate-limit"
    nothing = {"rate_limit": None, "burst": None, "allowed": None, "requests_per_second": None}
    assert (await customer.get(path)).ok() == nothing
    body = {"rate_limit": 20, "burst": 100}
    changed = (await customer.put(path, body)).ok()
    assert changed == {**nothing, **body, "requests_per_second": 20}
    account = (await site.operator.get("/v1/accounts/acme")).ok()
    assert (account["rate_limit"], account["burst"]) == (20, 100)
    (await site.operator.patch("/v1/accounts/acme", {"name": "Acme"})).ok()
    assert (await site.operator.get(path)).ok() == changed
    await site.account(reference="other")
    assert (await customer.get("/v1/accounts/other/rate-limit")).status == 404
    [entry] = [
        each
        for each in (await site.operator.get("/v1/audit-log")).ok()["items"]
        if each["detail"] == "rate_limit, burst"
    ]
    assert (entry["action"], entry["after"]) == ("account.update", body)


async def test_a_plan_limits_rates_and_holds_where_none_is_set(site: Site) -> None:
    await site.account()
    lines = "rate_limit = 30\nendpoint_rate_limit = 10"
    (await site.operator.apply("invoice-maker", with_plan(lines))).ok()
    made = await site.endpoint(rate_limit=50)
    (await site.operator.patch("/v1/accounts/acme", {"plan": "small"})).ok()
    path = f"/v1/endpoints/{made['id']}"
    assert (await site.operator.patch(path, {"name": "x", "rate_limit": 50})).ok()
    refused = await site.operator.patch(path, {"rate_limit": 11})
    assert "this account's plan allows 1 to 10 requests a second" in refused.json["detail"]
    (await site.operator.patch(path, {"rate_limit": 9})).ok()
    wide = await site.operator.put("/v1/accounts/acme/rate-limit", {"rate_limit": 31})
    assert wide.code == "invalid_rate"
    own = (await site.operator.get("/v1/accounts/acme/rate-limit")).ok()
    assert (own["allowed"], own["requests_per_second"]) == (30, 30)
    plans = (await site.operator.get("/v1/projects/invoice-maker")).ok()["plans"]
    small = {plan["name"]: plan for plan in plans}["small"]
    assert (small["rate_limit"], small["endpoint_rate_limit"]) == (30, 10)


@pytest.mark.both_databases
async def test_what_holds_an_endpoint_back_is_said(site: Site) -> None:
    await site.account()
    made = await site.endpoint(rate_limit=2)
    path = f"/v1/endpoints/{made['id']}"
    assert (await site.operator.get(f"{path}/waiting")).ok() == {
        "waiting": 0,
        "in_flight": 0,
        "held_back": None,
    }
    events = [{"account": "acme", "type": "invoice.paid", "payload": {"n": n}} for n in range(100)]
    (await site.operator.post("/v1/events", events)).ok(202)
    found = (await site.operator.get(f"{path}/waiting")).ok()
    left = found["waiting"] + found["in_flight"]
    assert left > 80
    assert found["held_back"]["rule"] == "rate"
    about = -(-left // 2)
    assert found["held_back"]["reason"] == f"paced: 2/s, {left} waiting, about {about} s"
    (await site.operator.post(f"{path}/disable")).ok()
    disabled = (await site.operator.get(f"{path}/waiting")).ok()["held_back"]
    assert (disabled["rule"], disabled["until"]) == ("disabled", None)


async def test_a_rate_is_set_in_the_forms(site: Site) -> None:
    await site.account()
    made = await site.endpoint()
    owner = await seat(site, Role.OWNER)
    path = f"/v1/endpoints/{made['id']}"
    form = f"/dashboard/endpoints/{made['id']}/edit"
    assert 'name="rate_limit"' in await owner.page(form)
    filled = {"url": RECEIVER, "event_types": "*", "name": "", "description": ""}
    (await owner.post(form, {**filled, "rate_limit": "1,500", "burst": ""})).ok(303)
    assert "1,500 requests a second at most" in await owner.page(form.removesuffix("/edit"))
    assert (await site.operator.get(path)).ok()["rate_limit"] == 1500
    wrong = await owner.post(form, {**filled, "rate_limit": "many", "burst": ""})
    assert wrong.status == 422
    assert b"Write a whole number." in wrong.body
    account = (await site.operator.get("/v1/accounts/acme")).ok()["id"]
    rate = {"rate_limit": "7", "burst": "70"}
    (await owner.post(f"/dashboard/accounts/{account}/rate", rate)).ok(303)
    assert (await site.operator.get("/v1/accounts/acme")).ok()["burst"] == 70
