"""Delays and timeouts of endpoints and event types, within what the plan allows."""

import re
from typing import Any

import pytest
from dashkit import seat
from webkit import RECEIVER, Site

from hooktide.dialects import read_shipped
from hooktide.domain.ids import read
from hooktide.domain.model import SECOND, Role, Scope
from hooktide.domain.project.project import plan_of
from hooktide.domain.project.schedule import schedule_of

PLAN = """
[plans.small]
retries = 3
timeout = "5s"
max_timeout = "8s"
"""


async def on_the_small_plan(site: Site) -> None:
    await site.account()
    text = read_shipped("invoice-maker") + PLAN
    (await site.operator.apply("invoice-maker", text)).ok()
    (await site.operator.patch("/v1/accounts/acme", {"plan": "small"})).ok()


async def schedule(site: Site, endpoint: str, event_type: str) -> tuple[list[int], float]:
    """Return what holds for an endpoint's events of a type, in seconds."""
    found = await site.app.store.get_endpoint(Scope(), read("ep", endpoint))
    account = await site.app.directory.account(found.account_id)
    project = (await site.app.directory.project(found.project_id)).project
    made = schedule_of(project, plan_of(project, account.plan), found, event_type)
    return [each // SECOND for each in made.delays], made.timeout / SECOND


@pytest.mark.both_databases
async def test_an_endpoints_schedule_is_set_shown_changed_and_removed(site: Site) -> None:
    await on_the_small_plan(site)
    made = await site.endpoint(retry_delays=[1, 5], timeout_seconds=7.5)
    path = f"/v1/endpoints/{made['id']}"
    assert (made["retry_delays"], made["timeout_seconds"]) == ([1, 5], 7.5)
    assert await schedule(site, made["id"], "invoice.paid") == ([1, 5], 7.5)
    kept = (await site.operator.patch(path, {"name": "x"})).ok()
    assert (kept["retry_delays"], kept["timeout_seconds"]) == ([1, 5], 7.5)
    never = (await site.operator.patch(path, {"retry_delays": []})).ok()
    assert never["retry_delays"] == []
    assert await schedule(site, made["id"], "invoice.paid") == ([], 7.5)
    removed = {"retry_delays": None, "timeout_seconds": None}
    assert {**(await site.operator.patch(path, removed)).ok(), **removed} == (
        await site.operator.get(path)
    ).ok()
    assert (await schedule(site, made["id"], "invoice.paid"))[1] == 5


@pytest.mark.parametrize(
    ("given", "pointer", "said"),
    [
        ({"retry_delays": [1, 2, 3, 4]}, "/retry_delays", "plan allows 3 retries"),
        ({"retry_delays": [1, 0]}, "/retry_delays/1", "1 second or longer"),
        ({"retry_delays": [1, 10**8]}, "/retry_delays", "seconds ("),
        ({"timeout_seconds": 0.5}, "/timeout_seconds", "1 to 8 seconds"),
        ({"timeout_seconds": 9}, "/timeout_seconds", "1 to 8 seconds"),
        ({"timeout_seconds": 1e308}, "/timeout_seconds", "1 to 8 seconds"),
    ],
)
async def test_a_wrong_schedule_is_a_problem_that_names_the_member(
    site: Site, given: dict[str, Any], pointer: str, said: str
) -> None:
    await on_the_small_plan(site)
    made = await site.endpoint()
    new = {"account": "acme", "url": RECEIVER, "event_types": ["*"], **given}
    customer = await site.key("account", account="acme")
    for answer in [
        await site.operator.post("/v1/endpoints", new),
        await site.operator.post("/v1/endpoint-checks", {**new, "project": "invoice-maker"}),
        await site.operator.patch(f"/v1/endpoints/{made['id']}", given),
        await customer.post("/webhooks", {"url": RECEIVER, "event_types": ["*"], **given}),
        await customer.patch(f"/webhooks/{made['id']}", given),
    ]:
        assert (answer.status, answer.code) == (422, "invalid_schedule")
        assert answer.pointers == [pointer]
        assert said in answer.json["detail"]


async def test_an_event_types_schedule_holds_where_the_endpoint_has_none(site: Site) -> None:
    await on_the_small_plan(site)
    kind = {"retry_delays": [2, 4, 8, 16], "timeout_seconds": 2}
    path = "/v1/event-types/invoice.urgent?project=invoice-maker"
    shown = (await site.operator.put(path, kind)).ok()
    assert (shown["retry_delays"], shown["timeout_seconds"]) == ([2, 4, 8, 16], 2)
    refused = await site.operator.put(path, {"retry_delays": [10**5]})
    assert refused.status == 422
    assert refused.json["errors"][0]["pointer"] == "/retry_delays"
    assert "on the plan" in refused.json["detail"]
    plain = await site.endpoint()
    own = await site.endpoint(retry_delays=[3])
    assert await schedule(site, plain["id"], "invoice.urgent") == ([2, 4, 8], 2)
    assert await schedule(site, own["id"], "invoice.urgent") == ([3], 2)
    assert (await schedule(site, plain["id"], "invoice.paid"))[1] == 5


async def test_a_schedule_is_set_in_the_forms(site: Site) -> None:
    await on_the_small_plan(site)
    made = await site.endpoint()
    owner = await seat(site, Role.OWNER)
    form = f"/dashboard/endpoints/{made['id']}/edit"
    filled = {"url": RECEIVER, "event_types": "*", "name": "", "description": ""}
    given = {"retry_delays": "10s, 1m", "timeout_seconds": "7s"}
    (await owner.post(form, {**filled, **given})).ok(303)
    found = (await site.operator.get(f"/v1/endpoints/{made['id']}")).ok()
    assert (found["retry_delays"], found["timeout_seconds"]) == ([10, 60], 7)
    assert "After 10s, 1m" in await owner.page(form.removesuffix("/edit"))
    assert 'value="10s, 1m"' in await owner.page(form)
    wrong = await owner.post(form, {**filled, **given, "retry_delays": "soon"})
    assert b"Write it like 30s, 5m or 2h." in wrong.body
    (await owner.post(form, {**filled, **given, "retry_delays": "none"})).ok(303)
    found = (await site.operator.get(f"/v1/endpoints/{made['id']}")).ok()
    assert found["retry_delays"] == []


async def test_the_form_keeps_a_timeout_that_is_no_whole_second(site: Site) -> None:
    await on_the_small_plan(site)
    made = await site.endpoint(timeout_seconds=2.345678)
    owner = await seat(site, Role.OWNER)
    form = f"/dashboard/endpoints/{made['id']}/edit"
    assert 'value="2.345678s"' in await owner.page(form)
    filled = {"url": RECEIVER, "event_types": "*", "name": "", "description": ""}
    (await owner.post(form, {**filled, "timeout_seconds": "2.345678s"})).ok(303)
    found = (await site.operator.get(f"/v1/endpoints/{made['id']}")).ok()
    assert found["timeout_seconds"] == 2.345678
    wrong = await owner.post(form, {**filled, "retry_delays": "1.5s"})
    assert b"Write it like 30s, 5m or 2h." in wrong.body


@pytest.mark.parametrize(
    ("page", "name"),
    [("plan", "timeout"), ("plan", "max_timeout"), ("event-type", "timeout")],
)
async def test_a_field_has_room_for_the_longest_timeout(site: Site, page: str, name: str) -> None:
    await on_the_small_plan(site)
    owner = await seat(site, Role.OWNER)
    shown = await owner.page(f"/dashboard/projects/invoice-maker/{page}")
    [room] = re.findall(rf'name="{name}"[^>]* maxlength="([0-9]+)"', shown)
    assert int(room) >= len("29.999999s")
