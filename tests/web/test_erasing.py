"""Erasing an account in the API and on the dashboard, with one and several projects."""

import pytest
from dashkit import Seat, seat
from webkit import Site

from hooktide.domain.model import Role


@pytest.fixture
async def owner(site: Site) -> Seat:
    return await seat(site, Role.OWNER)


@pytest.mark.both_databases
async def test_an_account_is_removed_at_once_and_erased_in_the_background(site: Site) -> None:
    made = await site.account(reference="canary-1")
    key = await site.key("project", project="invoice-maker")
    event = {"account": "canary-1", "type": "invoice.paid", "payload": {"id": 1}}
    told = (await key.post("/v1/events", event)).ok(202)
    begun = (await key.delete("/v1/accounts/canary-1?erase=true")).ok(202)
    assert (begun["account"], begun["state"], begun["ended_at"]) == (made["id"], "running", None)
    assert (await key.get("/v1/accounts/canary-1")).code == "not_found"
    assert (await key.get(f"/v1/accounts/{made['id']}")).code == "not_found"
    await site.app.store.run_erasures(site.app.clock())
    await site.app.store.log_new(500)
    await site.app.store.run_erasures(site.app.clock())
    assert (await key.get(f"/v1/events/{told['id']}")).ok()["payload"] is None
    found = (await key.get(f"/v1/accounts/{made['id']}/erasure")).ok()
    assert (found["account"], found["events"], found["state"]) == (made["id"], 1, "running")
    changes = (await site.operator.get(f"/v1/audit-log?target={made['id']}")).ok()["items"]
    assert "account.erase" in {each["action"] for each in changes}
    assert "canary-1" not in str(changes)


@pytest.mark.both_databases
async def test_removing_without_erasing_answers_as_before_and_can_be_erased_later(
    site: Site,
) -> None:
    made = await site.account()
    assert (await site.operator.delete("/v1/accounts/acme?erase=false")).ok(204) is None
    assert (await site.operator.get(f"/v1/accounts/{made['id']}/erasure")).code == "not_found"
    begun = (await site.operator.delete("/v1/accounts/acme?erase=true")).ok(202)
    assert begun["account"] == made["id"]
    again = (await site.operator.delete(f"/v1/accounts/{made['id']}?erase=true")).ok(202)
    assert again["started_at"] == begun["started_at"]
    assert (await site.operator.delete("/v1/accounts/acme?erase=true")).code == "not_found"
    assert (await site.operator.delete("/v1/accounts/acme?erase=maybe")).status == 422


@pytest.mark.both_databases
async def test_a_reference_of_several_projects_is_refused_and_a_projects_key_erases_its_own(
    site: Site,
) -> None:
    ours = await site.account("invoice-maker", "same")
    theirs = await site.account("invoice-ahoy", "same")
    path = "/v1/accounts/same?erase=true"
    assert (await site.operator.delete(path)).code == "ambiguous_account"
    key = await site.key("project", project="invoice-maker")
    assert (await key.delete(f"/v1/accounts/{theirs['id']}?erase=true")).code == "not_found"
    assert (await key.delete(path)).ok(202)["account"] == ours["id"]
    assert (await site.operator.get("/v1/accounts/same")).ok()["id"] == theirs["id"]


@pytest.mark.both_databases
async def test_the_dashboard_erases_what_is_confirmed_by_name(site: Site, owner: Seat) -> None:
    made = await site.account()
    path, progress = f"/dashboard/accounts/{made['id']}", f"/dashboard/erasures/{made['id']}"
    assert (
        await owner.post(f"{path}/delete", {"confirmation": "other", "erase": "1"})
    ).status == 422
    assert (await site.operator.get("/v1/accounts/acme")).ok() == made
    erased = await owner.post(f"{path}/delete", {"confirmation": "acme", "erase": "1"})
    assert erased.headers["location"] == f"{progress}?did=account.deleted"
    html = await owner.page(progress)
    assert "Being erased" in html
    assert "acme" not in html
