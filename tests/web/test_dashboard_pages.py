"""Actions on the dashboard have the same effect as in the API, are confirmed, and are logged."""

import asyncio
import csv
import io
import json
import re
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from dashkit import Fields, Seat, make_things, path_of, seat
from postgreskit import database
from webkit import OPERATOR, RECEIVER, Answer, Site, running
from wire import keeping, receiving

from hooktide.actions.deliveries.delivery_actions import DeliveryActions
from hooktide.actions.deliveries.event_recipients import EventRecipients, Recipient
from hooktide.dialects import read_shipped, shipped
from hooktide.domain.errors import UnavailableError
from hooktide.domain.ids import show
from hooktide.domain.model import Event, Role, Scope
from hooktide.web.pages.dashboard.routes import PAGES
from hooktide.web.pages.dashboard.session import csrf_of
from hooktide.web.pages.framework.csrf import matches
from hooktide.web.pages.views import export
from hooktide.web.pages.views.deliveries import PAGE_SIZE

FILES = ("/live", "/deliveries/{id}/body", "/deliveries/export", "/events/{id}/payload")
"""What is not a page."""


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running(tmp_path) as site:
        yield site


@pytest.fixture
async def owner(site: Site) -> Seat:
    return await seat(site, Role.OWNER)


def location(answer: Answer) -> str:
    assert answer.status == 303, (answer.status, answer.body)
    return answer.headers["location"]


async def changes(site: Site) -> list[tuple[str, str, str]]:
    """Return the audit log's entries, newest first: actor, action and target."""
    page = await site.app.store.list_audit_log(Scope(), None, 100)
    return [(each.actor, each.action, each.target) for each in page.items]


async def only(site: Site, path: str) -> Any:
    [found] = (await site.operator.get(path)).ok()["items"]
    return found


async def test_the_first_visit_leads_to_the_first_project(owner: Seat) -> None:
    assert "/dashboard/new-project" in await owner.page("/dashboard")
    html = await owner.page("/dashboard/new-project")
    assert all(f"?provider={name}" in html for name in shipped())


@pytest.mark.parametrize("provider", shipped())
async def test_a_project_is_made_from_each_provider_and_can_send_at_once(
    site: Site, owner: Seat, provider: str
) -> None:
    await owner.page(f"/dashboard/new-project?provider={provider}")
    fields = {"provider": provider, "name": "my-product", "title": "My product"}
    page = await owner.follow("/dashboard/new-project", fields)
    [key] = re.findall(r'<pre id="key"[^>]*>(htk_[^<]+)</pre>', page)
    product = site.client(key)
    (await product.post("/v1/accounts", {"reference": "acme"})).ok(201)
    made = (await site.operator.get("/v1/projects/my-product")).ok()
    assert made["title"] == "My product"
    assert ("owner of all", "project.put", "my-product") in await changes(site)
    assert "My product" in await owner.page("/dashboard/projects/my-product")


async def test_operational_events_are_turned_on_with_a_press(site: Site, owner: Seat) -> None:
    await site.account()
    assert "Turn on operational events" in await owner.page("/dashboard/projects")
    on = await owner.post("/dashboard/operational-events")
    assert location(on) == "/dashboard/projects/hooktide?did=operations.on"
    assert "endpoint.disabled" in await owner.page(location(on))
    assert "Turn on operational events" not in await owner.page("/dashboard/projects")
    assert (await owner.post("/dashboard/operational-events")).status == 422


async def test_a_name_that_is_taken_is_not_offered_and_not_taken_over(
    site: Site, owner: Seat
) -> None:
    await site.account("defacto")
    assert 'value="defacto-2"' in await owner.page("/dashboard/new-project?provider=defacto")
    fields = {"provider": "house-check", "name": "defacto"}
    answer = await owner.post("/dashboard/new-project", fields)
    assert answer.status == 422
    assert b"project with this name exists" in answer.body


async def test_a_projects_file_can_be_checked_before_it_is_saved(site: Site, owner: Seat) -> None:
    await site.account("defacto")
    path = "/dashboard/projects/defacto/file"
    [text] = re.findall(r"<textarea[^>]*>\n(.*)</textarea>", await owner.page(path), re.DOTALL)
    text = text.replace("&#34;", '"').replace("&#39;", "'")
    checked = await owner.post(path, {"file": text, "check": "1"})
    assert b"Saving it would change nothing" in checked.body
    longer = 'retention = "90d"\n' + text
    checked = await owner.post(path, {"file": longer.replace("\n", "\r\n"), "check": "1"})
    assert b"retention: 30d -&gt; 90d" in checked.body
    assert location(await owner.post(path, {"file": text})).endswith("did=project.same")
    assert location(await owner.post(path, {"file": longer})).endswith("did=project.updated")
    assert "retention = &#34;90d&#34;" in await owner.page(path)


async def test_what_is_wrong_with_a_file_is_said_with_its_line(site: Site, owner: Seat) -> None:
    await site.account("defacto")
    path = "/dashboard/projects/defacto/file"
    answer = await owner.post(path, {"file": 'name = "defacto"\nretenton = "3d"\n'})
    html = answer.body.decode()
    assert answer.status == 422
    assert html.count("<code>retenton</code>: there is no such key") == 1
    assert html.count("there is no such key") == 1
    assert "2  retenton = &#34;3d&#34;" in html
    assert "retenton" in re.findall(r"<textarea[^>]*>\n(.*)</textarea>", html, re.DOTALL)[0]


async def test_all_that_is_wrong_with_a_file_is_said(site: Site, owner: Seat) -> None:
    await site.account("defacto")
    file = 'name = "defacto"\nretenton = "3d"\n[plans.a]\nretries = 99\nendpoints = "many"\n'
    for more in ({}, {"check": "1"}):
        answer = await owner.post("/dashboard/projects/defacto/file", {"file": file, **more})
        html = answer.body.decode()
        assert answer.status == 422
        assert re.findall(r'role="alert">(.*?)</p>', html) == [
            "Nothing was saved. See what is marked below."
        ]
        for key, line in (
            ("retenton", "2  retenton = &#34;3d&#34;"),
            ("plans.a.retries", "4  retries = 99"),
            ("plans.a.endpoints", "5  endpoints = &#34;many&#34;"),
        ):
            assert f"<code>{key}</code>" in html
            assert line in html


async def test_types_that_endpoints_want_are_removed_only_with_the_tick(
    site: Site, owner: Seat
) -> None:
    await site.account()
    await site.endpoint(event_types=["invoice.paid", "invoice.created"])
    path = "/dashboard/projects/invoice-maker/event-type/delete?type=invoice.paid"
    tick = b'name="remove_event_types"'
    refused = await owner.post(path, {})
    assert refused.status == 409
    assert b"invoice.paid (1 endpoint)" in refused.body
    assert tick in refused.body
    gone = await owner.post(path, {"remove_event_types": "1"})
    assert location(gone).endswith("did=type.deleted")
    path = "/dashboard/projects/invoice-maker/file"
    assert tick.decode() not in await owner.page(path)
    file = {"file": 'name = "invoice-maker"\n[plans.basic]\n'}
    for more in ({}, {"check": "1"}):
        refused = await owner.post(path, {**file, **more})
        assert refused.status == 409
        assert b"invoice.created (1 endpoint)" in refused.body
        assert tick in refused.body
    checked = await owner.post(path, {**file, "check": "1", "remove_event_types": "1"})
    assert b"event type invoice.created removed" in checked.body
    in_use = {"file": file["file"].replace("basic", "other"), "check": "1"}
    refused = await owner.post(path, {**in_use, "remove_event_types": "1"})
    assert (refused.status, b"is on the plan" in refused.body) == (409, True)
    done = await owner.post(path, {**file, "remove_event_types": "1"})
    assert location(done).endswith("did=project.updated")


async def test_a_project_is_removed_once_it_has_no_accounts_and_its_name_is_written(
    site: Site, owner: Seat
) -> None:
    account = await site.account("defacto")
    path = "/dashboard/projects/defacto/delete"
    assert (await owner.post(path, {"confirmation": "defact"})).status == 422
    assert (await owner.post(path, {"confirmation": "defacto"})).status == 409
    removed = await owner.post(
        f"/dashboard/accounts/{account['id']}/delete", {"confirmation": "acme"}
    )
    assert location(removed) == "/dashboard/accounts?did=account.deleted"
    assert location(await owner.post(path, {"confirmation": "defacto"})).endswith("project.deleted")


TYPE = {
    "name": "invoice.sent",
    "description": "It was sent.",
    "example": '{"id": "inv_1"}',
    "schema": '{"type": "object", "required": ["id"]}',
    "accounts": "acme\r\n\r\nother",
    "message/text": "Sent: {payload.id}",
    "message/fields": "id",
}


async def test_an_event_type_is_added_changed_and_removed(site: Site, owner: Seat) -> None:
    await site.account()
    base = "/dashboard/projects/invoice-maker/event-type"
    assert location(await owner.post(base, TYPE)) == f"{base}?did=type.saved&type=invoice.sent"
    html = await owner.page(f"{base}?type=invoice.sent")
    assert "x-invoice-maker-signature" in html
    changed = {**TYPE, "description": "Changed"}
    location(await owner.post(f"{base}?type=invoice.sent", changed))
    types = (await site.operator.get("/v1/event-types?project=invoice-maker")).ok()["items"]
    [made] = [each for each in types if each["name"] == "invoice.sent"]
    assert made["description"] == "Changed"
    assert made["message"] == {"text": "Sent: {payload.id}", "link": "", "fields": ["id"]}
    location(await owner.post(f"{base}/delete?type=invoice.sent"))
    assert [each[1] for each in (await changes(site))[:3]] == [
        "event_type.delete",
        "event_type.put",
        "event_type.put",
    ]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"example": "{"}, "example"),
        ({"schema": '{"type": 7}'}, "schema"),
        ({"schema": "no"}, "schema"),
        ({"message/text": "{nothing}"}, "message/text"),
        ({"message/link": "x" * 1001}, "message/link"),
        ({"name": "invoice.paid"}, "name"),
    ],
)
async def test_what_is_wrong_with_an_event_type_is_said_at_its_field(
    site: Site, owner: Seat, wrong: dict[str, str], field: str
) -> None:
    await site.account()
    base = "/dashboard/projects/invoice-maker/event-type"
    answer = await owner.post(base, {**TYPE, **wrong})
    html = answer.body.decode()
    assert answer.status == 422
    assert f'id="{field}-fault"' in html
    assert "It was sent." in html


async def test_a_plan_is_added_changed_and_removed(site: Site, owner: Seat) -> None:
    await site.account()
    base = "/dashboard/projects/invoice-maker/plan"
    plan = {"name": "big", "endpoints": "", "deliveries_per_hour": "9000", "retries": "3"}
    location(await owner.post(base, {**plan, "timeout": "5s", "default": "1"}))
    project = (await site.operator.get("/v1/projects/invoice-maker")).ok()
    assert project["default_plan"] == "big"
    assert project["plans"][-1] == {
        "name": "big",
        "endpoints": None,
        "deliveries_per_hour": 9000,
        "retries": 3,
        "timeout_seconds": 5.0,
        "changes_per_second": 20,
        "tests_per_second": 1,
        "filter_conditions": 50,
        "channels": 10,
        "metadata_bytes": 4096,
        "rate_limit": None,
        "endpoint_rate_limit": None,
        "max_timeout_seconds": 30.0,
    }
    for wrong, field in (({"retries": "x"}, "retries"), ({"timeout": "long"}, "timeout")):
        answer = await owner.post(f"{base}?plan=big", {**plan, "timeout": "5s", **wrong})
        assert f'id="{field}-fault"' in answer.body.decode()
    assert (await owner.post(f"{base}/delete?plan=basic")).status == 409
    assert (await owner.post(f"{base}/delete?plan=big")).status == 422
    location(await owner.post(f"{base}/delete?plan=pro"))


def seen_in(html: str) -> str:
    """Return the version of the file that the editor's form shows."""
    found = re.search(r'name="seen" value="([0-9a-f]{16})"', html)
    assert found is not None
    return found[1]


async def test_an_editor_keeps_what_others_changed_elsewhere(site: Site, owner: Seat) -> None:
    (await site.operator.apply("invoice-maker")).ok()
    base = "/dashboard/projects/invoice-maker/plan?plan=basic"
    seen = seen_in(await owner.page(base))
    (await site.operator.put("/v1/event-types/a.between?project=invoice-maker", {})).ok()
    typed = {"retries": "7", "timeout": "5s", "seen": seen}
    location(await owner.post(base, typed))
    project = (await site.operator.get("/v1/projects/invoice-maker")).ok()
    assert "a.between" in project["event_types"]
    assert {plan["name"]: plan["retries"] for plan in project["plans"]}["basic"] == 7


@pytest.mark.parametrize(
    ("page", "typed"),
    [
        ("plan?plan=basic", {"retries": "9", "timeout": "5s"}),
        ("event-type?type=invoice.paid", {"description": "Mine.", "example": "{}"}),
        ("file", {"file": read_shipped("invoice-maker")}),
        ("plan/delete?plan=pro", {}),
        ("event-type/delete?type=invoice.paid", {}),
    ],
)
async def test_an_editor_does_not_undo_a_change_of_the_same_thing(
    site: Site, owner: Seat, page: str, typed: dict[str, str]
) -> None:
    (await site.operator.apply("invoice-maker")).ok()
    path = f"/dashboard/projects/invoice-maker/{page}"
    seen = seen_in(await owner.page(path.replace("/delete", "")))
    text = read_shipped("invoice-maker")
    other = re.sub(r"retries = \d+", "retries = 2", text).replace(
        'description = "', 'description = "New: '
    )
    (await site.operator.apply("invoice-maker", other)).ok()
    answer = await owner.post(path, {**typed, "seen": seen})
    assert answer.status == 409
    html = answer.body.decode()
    assert "was changed after this page was opened" in html
    assert f'name="seen" value="{seen}"' in html
    assert (await site.operator.apply("invoice-maker", other)).ok()["changes"] == []
    fresh = seen_in(await owner.page(path.replace("/delete", "")))
    location(await owner.post(path, {**typed, "seen": fresh}))


async def test_what_is_new_never_replaces_what_is_there(site: Site, owner: Seat) -> None:
    (await site.operator.apply("invoice-maker")).ok()
    for page, typed in (
        ("event-type", {"name": "invoice.paid", "example": "{}"}),
        ("plan", {"name": "basic", "retries": "1", "timeout": "5s"}),
    ):
        answer = await owner.post(f"/dashboard/projects/invoice-maker/{page}", typed)
        assert answer.status == 422
        assert 'id="name-fault"' in answer.body.decode()
    assert (await site.operator.apply("invoice-maker")).ok()["changes"] == []


async def test_an_accounts_metadata_is_set_on_its_page(site: Site, owner: Seat) -> None:
    path = f"/dashboard/accounts/{(await site.account())['id']}"
    same = {"name": "Seven", "plan": "pro"}
    lines = 'tier: gold\nnote: "two\\nlines"'
    location(await owner.post(f"{path}/update", {**same, "metadata": lines}))
    assert lines in unescape(await owner.page(path))
    location(await owner.post(f"{path}/update", same))
    kept = (await site.operator.get("/v1/accounts/acme")).ok()["metadata"]
    assert kept == {"tier": "gold", "note": "two\nlines"}
    refused = await owner.post(f"{path}/update", {**same, "metadata": "<no colon>"})
    assert refused.status == 422
    assert "metadata-fault" in refused.body.decode()
    assert "<no colon>" in unescape(refused.body.decode())
    location(await owner.post(f"{path}/update", {**same, "metadata": ""}))
    assert (await site.operator.get("/v1/accounts/acme")).ok()["metadata"] == {}


async def test_an_account_is_added_found_and_put_on_another_plan(site: Site, owner: Seat) -> None:
    await site.account()
    fields = {"project": "invoice-maker", "reference": "customer-7", "name": "Seven"}
    path = location(await owner.post("/dashboard/accounts", fields)).partition("?")[0]
    assert "customer-7" in await owner.page("/dashboard/accounts?q=SEV")
    assert "customer-7" not in await owner.page("/dashboard/accounts?q=acme")
    location(await owner.post(f"{path}/update", {"name": "Seven", "plan": "pro"}))
    assert (await site.operator.get("/v1/accounts/customer-7")).ok()["plan"] == "pro"
    assert (await owner.post(f"{path}/update", {"name": "", "plan": "none"})).status == 422
    assert [each[1] for each in (await changes(site))[:2]] == ["account.update", "account.create"]
    again = await owner.post("/dashboard/accounts", fields)
    assert again.status == 409
    assert b'value="customer-7"' in again.body


async def test_an_endpoint_is_added_with_its_secret_shown_once(site: Site, owner: Seat) -> None:
    account = await site.account()
    path = f"/dashboard/accounts/{account['id']}/endpoints"
    fields: Fields = {
        "url": RECEIVER,
        "event_types": ["invoice.paid"],
        "patterns": "quotation.*, invoice.paid",
        "same_url": "1",
    }
    page = await owner.follow(path, fields)
    assert re.search(r'<code id="secret">[0-9a-f]{64}</code>', page)
    made = await only(site, "/v1/endpoints")
    assert made["event_types"] == ["invoice.paid", "quotation.*"]
    wrongs: list[tuple[Fields, str]] = [
        ({"url": "ftp://example.com"}, "url"),
        ({"event_types": [], "patterns": ""}, "event_types"),
        ({"patterns": "nothing.*"}, "event_types"),
    ]
    for wrong, field in wrongs:
        refused = await owner.post(path, {**fields, **wrong})
        assert refused.status == 422
        assert f'id="fault-{field}"' in refused.body.decode()


async def test_a_chat_is_added_and_shown_without_what_lets_one_post(
    site: Site, owner: Seat
) -> None:
    account = await site.account()
    url = "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"
    fields: Fields = {"url": url, "event_types": ["invoice.paid"]}
    path = f"/dashboard/accounts/{account['id']}/endpoints"
    html = await owner.page(location(await owner.post(path, fields)))
    assert ">slack<" in html
    assert "XXXXXXXX" not in html
    made = await only(site, "/v1/endpoints")
    kept = {"url": made["url"], "event_types": ["invoice.paid"], "name": "Sales"}
    location(await owner.post(f"/dashboard/endpoints/{made['id']}/edit", kept))
    assert (await only(site, "/v1/endpoints"))["name"] == "Sales"


async def test_a_changed_host_removes_the_stored_headers_and_says_so(
    site: Site, owner: Seat
) -> None:
    await site.account()
    made = await site.endpoint(url="https://example.com/a", headers={"X-Key": "hush"})
    path = f"/dashboard/endpoints/{made['id']}/edit"
    for url, kept in (("https://example.com/b", {"X-Key": "****"}), ("https://example.org/b", {})):
        answer = await owner.post(path, {"url": url, "event_types": "*"})
        said = "request headers were removed" in await owner.page(location(answer))
        assert (await only(site, "/v1/endpoints"))["headers"] == kept
        assert said == (not kept)


async def test_an_endpoint_is_tested_disabled_enabled_rotated_changed_and_removed(
    site: Site, owner: Seat
) -> None:
    await site.account()
    endpoint = await site.endpoint()
    path = f"/dashboard/endpoints/{endpoint['id']}"
    tested = await owner.post(f"{path}/test", {"type": "invoice.paid"})
    assert "Not delivered." in await owner.page(location(tested).partition("#")[0])
    location(await owner.post(f"{path}/disable"))
    tested = await owner.post(f"{path}/test", {"type": "invoice.paid"})
    page = await owner.page(location(tested).partition("#")[0])
    assert "Not delivered." in page
    assert "Nothing but tests is sent to it" in page
    location(await owner.post(f"{path}/enable"))
    assert "The old secret no longer signs" in await owner.follow(f"{path}/rotate")
    fields: Fields = {"url": RECEIVER + "/2", "event_types": ["invoice.paid"], "name": "Live"}
    location(await owner.post(f"{path}/edit", fields))
    made = await only(site, "/v1/endpoints")
    assert (made["url"], made["name"]) == (RECEIVER + "/2", "Live")
    assert (await owner.post(f"{path}/delete", {"confirmation": "yes"})).status == 422
    location(await owner.post(f"{path}/delete", {"confirmation": "delete"}))
    assert [each[1] for each in (await changes(site))[:5]] == [
        "endpoint.delete",
        "endpoint.update",
        "secret.rotate",
        "endpoint.enable",
        "endpoint.disable",
    ]


async def test_each_form_of_an_endpoint_brings_the_sessions_token(site: Site, owner: Seat) -> None:
    await site.account()
    endpoint = await site.endpoint()
    token = csrf_of(owner.cookie)
    for path in ("", "/edit", "/disable", "/rotate", "/delete"):
        html = await owner.page(f"/dashboard/endpoints/{endpoint['id']}{path}")
        [form] = re.findall(
            r'<form method="post"[^>]*>.*?</form>', html.partition("<main")[2], re.S
        )
        [sent] = re.findall(r'name="csrf" value="([^"]*)"', form)
        assert matches(sent, token)


async def test_a_resting_endpoint_says_until_when_and_why_and_is_resumed(
    site: Site, owner: Seat
) -> None:
    await site.account()
    endpoint = await site.endpoint()
    path = f"/dashboard/endpoints/{endpoint['id']}"
    assert "Resume now" not in await owner.page(path)
    await site.rest(endpoint["id"])
    until = (await only(site, "/v1/endpoints"))["resting_until"]
    assert ">resting<" in await owner.page("/dashboard/endpoints")
    html = await owner.page(path)
    assert f'Resting</strong> until <time datetime="{until}">' in html
    assert "because the receiver answered 429 with Retry-After." in html
    assert "Resume now" in html
    location(await owner.post(f"{path}/resume"))
    assert "Resting" not in await owner.page(path)
    assert (await changes(site))[0][1] == "endpoint.resume"


async def test_a_replay_is_counted_before_it_is_begun(site: Site, owner: Seat) -> None:
    await site.account()
    event = {"account": "acme", "type": "invoice.paid", "payload": {"id": "inv_1"}}
    (await site.operator.post("/v1/events", event)).ok(202)
    endpoint = await site.endpoint()
    path = f"/dashboard/endpoints/{endpoint['id']}"
    fields = {"what": "missed", "since": "2026-01-01 00:00"}
    counted = await owner.page(f"{path}/replay?{urlencode(fields)}")
    assert "<h2>1 event</h2>" in counted
    assert 'value="missed" checked' in counted
    assert 'name="since" value="2026-01-01T00:00:00"' in counted
    assert (await site.operator.get(f"/v1/endpoints/{endpoint['id']}/replays")).ok()["items"] == []
    job = location(await owner.post(f"{path}/replay", fields))
    begun = await only(site, f"/v1/endpoints/{endpoint['id']}/replays")
    assert begun["count"]["events"] == 1
    assert job == f"/dashboard/replays/{begun['id']}"
    assert "What was missed" in await owner.page(job)
    cancelled = await owner.post(f"/dashboard/replays/{begun['id']}/cancel")
    assert location(cancelled) == f"{job}?did=replay.cancelled"
    assert (await owner.post(f"{path}/replay", {**fields, "what": "all"})).status == 422


@pytest.mark.parametrize("fields", [{}, {"read_only": "1"}])
async def test_a_link_into_an_accounts_portal_is_made_and_opens(
    site: Site, owner: Seat, fields: dict[str, str]
) -> None:
    account = await site.account()
    page = await owner.follow(f"/dashboard/accounts/{account['id']}/portal-link", fields)
    [path] = re.findall(r'href="http://[^/"]+(/portal/[^"]+)"', page)
    customer = await site.client("").get(path)
    assert customer.status == 200
    assert ("/endpoints/new" in customer.body.decode()) == (not fields)
    assert (await changes(site))[0][1:] == ("portal_link.create", account["id"])


async def test_an_event_is_published_from_its_example(site: Site, owner: Seat) -> None:
    account = await site.account("defacto")
    path = f"/dashboard/publish?account={account['id']}&type=Invoice.SUBMITTED"
    fields = {"payload": '{"id": "a-0"}', "transition": "SUBMIT"}
    assert "No enabled endpoint of the account" in await owner.follow(path, fields)
    await site.endpoint()
    html = await owner.page(path)
    assert "a18d5057-0092-4555-b865-7ade03c3ac9b" in html
    assert 'value="SUBMIT"' in html
    wrong = await owner.post(path, {"payload": "{", "transition": "SUBMIT"})
    assert wrong.status in (400, 422)
    fields = {"payload": '{"id": "a-1",\r\n "n": 1.10}', "transition": "SUBMIT"}
    shown = location(await owner.post(path, fields))
    html = await owner.page(shown)
    assert "Its deliveries are being sent" in html
    assert "&#34;n&#34;: 1.10" in html
    event = (await site.operator.get("/v1/events")).ok()["items"][0]
    kept = (await site.operator.get(f"/v1/events/{event['id']}")).body
    assert b'{"id": "a-1",\n "n": 1.10}' in kept
    assert (await changes(site))[0][1:] == ("event.publish", event["id"])


async def test_a_delivery_is_opened_and_sent_again(site: Site, owner: Seat) -> None:
    await site.account()
    await site.endpoint()
    event = {"account": "acme", "type": "invoice.paid", "payload": {"id": "inv_1"}}
    (await site.operator.post("/v1/events", event)).ok(202)
    delivery = await only(site, "/v1/deliveries")
    assert delivery["id"] in await owner.page("/dashboard/deliveries")
    html = await owner.page(f"/dashboard/deliveries?delivery={delivery['id']}")
    assert 'id="drawer"' in html
    assert "inv_1" in html
    again = await owner.post(f"/dashboard/deliveries/{delivery['id']}/resend")
    assert location(again).startswith("/dashboard/deliveries?did=delivery.resent&delivery=dlv_")
    assert (await owner.get("/dashboard/deliveries?delivery=dlv_0000000000000001")).status == 404


async def test_a_list_with_a_wrong_filter_shows_the_fault_and_no_deliveries(
    site: Site, owner: Seat
) -> None:
    ids = await make_things(site)
    assert ids["dlv"] in await owner.page("/dashboard/deliveries?since=2020-01-31")
    for query in ("since=yesterday", "until=1", "since=2026-01-31&until=2026-01-30"):
        page = await owner.page(f"/dashboard/deliveries?{query}")
        assert ids["dlv"] not in page
        assert "rite a time in UTC, like 2026-01-31 12:00" in page or "later than From" in page
        assert "Nothing was searched" in page


async def test_an_event_is_sent_to_an_endpoint_that_came_later(site: Site, owner: Seat) -> None:
    await site.account()
    event = {"account": "acme", "type": "invoice.paid", "payload": {"id": "inv_1"}}
    number = (await site.operator.post("/v1/events", event)).ok(202)["id"]
    endpoint = await site.endpoint()
    assert endpoint["id"] in await owner.page(f"/dashboard/events/{number}")
    sent = await owner.post(f"/dashboard/events/{number}/replay", {"endpoint": endpoint["id"]})
    begun = await only(site, f"/v1/endpoints/{endpoint['id']}/replays")
    assert location(sent) == f"/dashboard/replays/{begun['id']}"
    assert (begun["what"], begun["event"]) == ("event", number)


async def test_a_filter_stays_within_the_account_and_the_endpoint(site: Site, owner: Seat) -> None:
    account = await site.account()
    await site.account("defacto", "other")
    endpoint = await site.endpoint()
    where = f"project=invoice-maker&account={account['id']}&endpoint={endpoint['id']}"
    html = await owner.page(f"/dashboard/deliveries?{where}&state=failed")
    for name, value in (pair.split("=") for pair in where.split("&")):
        assert re.search(f'<input [^>]*name="{name}" value="{value}"', html)
    assert RECEIVER.removeprefix("http://") in html


@pytest.mark.parametrize("prefix", ["acc", "ep", "evt", "dlv", "prj", "key"])
async def test_every_id_leads_to_what_it_is(site: Site, owner: Seat, prefix: str) -> None:
    account = await site.account()
    await site.endpoint()
    event = {"account": "acme", "type": "invoice.paid", "payload": {"id": "inv_1"}}
    (await site.operator.post("/v1/events", event)).ok(202)
    project = (await site.operator.get("/v1/projects/invoice-maker")).ok()
    lists = {"ep": "endpoints", "evt": "events", "dlv": "deliveries", "key": "keys"}
    found = {"acc": account["id"], "prj": project["id"]}
    wanted = found.get(prefix) or (await only(site, f"/v1/{lists[prefix]}"))["id"]
    shown = location(await owner.get(f"/dashboard/search?q=+{wanted}+"))
    assert "Nothing was found" not in await owner.page(shown)


async def test_keys_are_made_shown_once_and_revoked(site: Site, owner: Seat) -> None:
    await site.account()
    fields = {"scope": "account", "name": "ci", "project": "invoice-maker", "account": "acme"}
    page = await owner.follow("/dashboard/keys", fields)
    [text] = re.findall(r'<pre id="key"[^>]*>(htk_[^<]+)</pre>', page)
    key = site.client(text)
    assert (await key.get("/v1/endpoints")).status == 200
    assert text not in await owner.page("/dashboard/keys")
    made = (await site.operator.get("/v1/keys")).ok()["items"][0]
    location(await owner.post(f"/dashboard/keys/{made['id']}/revoke"))
    assert (await key.get("/v1/endpoints")).status == 401
    assert (await owner.post("/dashboard/keys", {**fields, "name": ""})).status == 422
    assert (await owner.post("/dashboard/keys", {**fields, "scope": "all"})).status == 422


async def test_users_are_added_with_a_link_given_another_role_and_removed(
    site: Site, owner: Seat
) -> None:
    page = await owner.follow("/dashboard/users", {"name": "Ann", "role": "viewer"})
    [link] = re.findall(r"http://[^<]+/dashboard/login/([\w-]+)", page)
    ann = Seat(owner.client)
    location(await ann.post(f"/dashboard/login/{link}"))
    assert (await ann.get("/dashboard/users")).status == 403
    path = f"/dashboard/users/{show('usr', (await site.app.store.find_user('ann')).id)}"
    location(await owner.post(f"{path}/role", {"role": "owner"}))
    assert (await ann.get("/dashboard/users")).status == 200
    assert "/dashboard/login/" in await owner.follow(f"{path}/link")
    location(await owner.post(f"{path}/delete"))
    assert (await ann.get("/dashboard")).status == 303
    assert [each[1] for each in (await changes(site))[:6]] == [
        "user.delete",
        "login_link.create",
        "user.update",
        "user.login",
        "login_link.create",
        "user.create",
    ]


async def test_the_last_owner_cannot_be_removed(site: Site, owner: Seat) -> None:
    mine = await site.app.store.find_user("owner of all")
    for each in await site.app.store.list_users():
        if each.id != mine.id:
            location(await owner.post(f"/dashboard/users/{show('usr', each.id)}/delete"))
    for act, fields in (("delete", {}), ("role", {"role": "viewer"})):
        answer = await owner.post(f"/dashboard/users/{show('usr', mine.id)}/{act}", fields)
        assert answer.status == 409
        assert b"is the last owner of all projects" in answer.body


async def test_addresses_that_are_no_pages_lead_somewhere(site: Site, owner: Seat) -> None:
    assert location(await owner.get("/dashboard/")) == "/dashboard"
    assert "There is no such page." in await owner.page("/dashboard/nonsense", 404)
    refused = await owner.get("/dashboard/endpoints/ep_1111111111111111/enable")
    assert location(refused) == "/dashboard/endpoints/ep_1111111111111111"
    assert (await owner.post("/dashboard/nonsense")).status == 404


async def test_a_method_that_a_page_does_not_take_is_answered_with_those_that_it_does(
    site: Site,
) -> None:
    for method in ("POST", "PUT", "DELETE"):
        answer = await site.operator.call(method, "/dashboard/storage")
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
    answer = await site.operator.call("PUT", "/dashboard/keys")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, POST")


async def test_every_page_is_there_on_postgresql_too(tmp_path: Path) -> None:
    async with database() as url, running(tmp_path, url) as site:
        owner, ids = await seat(site, Role.OWNER), await make_things(site)
        await site.app.stats.flush()
        for page in PAGES:
            if page.method == "GET" and page.path != "/live":
                await owner.page(path_of(page, ids))
        await owner.page("/dashboard/endpoints?only=trouble")
        await owner.page("/dashboard/accounts?q=ac")
        await owner.page("/dashboard/search?q=ac")


async def test_below_a_path_of_its_own_nothing_leads_out_of_it(tmp_path: Path) -> None:
    """Forms, streams and the session cookie work when mounted below a path in an application."""
    async with running(tmp_path, public_url="http://127.0.0.1:80/hooks") as site:
        owner, ids = await seat(site, Role.OWNER), await make_things(site)
        for page in PAGES:
            if page.method == "GET" and page.path not in FILES:
                html = await owner.page(f"/hooks{path_of(page, ids)}")
                led = re.findall(r'(?:href|src|action|data-stream)="(/[^"]*)', html)
                assert led
                assert [path for path in led if not path.startswith("/hooks/")] == []
        answer = await owner.post("/hooks/dashboard/login", {"key": OPERATOR})
        assert location(answer) == "/hooks/dashboard"
        assert "path=/hooks/dashboard" in answer.headers["set-cookie"].lower()
        wanted = await Seat(owner.client).get("/hooks/dashboard/events?type=a")
        html = await owner.page(location(wanted))
        assert 'name="next" value="/dashboard/events?type=a"' in html


async def test_the_overview_counts_what_happens(site: Site, owner: Seat) -> None:
    await site.account()
    event = {"account": "acme", "type": "invoice.paid", "payload": {"id": "inv_1"}}
    for _ in range(3):
        (await site.operator.post("/v1/events", event)).ok(202)
    await site.app.stats.flush()
    for span in ("hour", "day", "week", "month", "nonsense"):
        html = await owner.page(f"/dashboard?range={span}")
        assert "3 accepted</span>" in html
        assert re.search(": 3 accepted; at most [1-3] in ", html)  # a minute may end meanwhile


async def test_the_overview_says_what_waits(site: Site, owner: Seat) -> None:
    text = read_shipped("invoice-maker").replace("_hour = 100", "_hour = 1")
    (await site.operator.apply("invoice-maker", text)).ok()
    given = {"project": "invoice-maker", "reference": "acme"}
    (await site.operator.post("/v1/accounts", given)).ok(201)
    await site.endpoint()
    event = {"account": "acme", "type": "invoice.paid", "payload": {"id": "inv_1"}}
    for _ in range(3):
        (await site.operator.post("/v1/events", event)).ok(202)
    for who in (owner, await seat(site, Role.VIEWER, "invoice-maker")):
        html = await who.page("/dashboard")
        assert '<h2>Held</h2><p class="big">2</p>' in html


async def test_storage_says_what_is_kept(site: Site, owner: Seat) -> None:
    await site.account()
    event = {"account": "acme", "type": "invoice.paid", "payload": {"id": "inv_1"}}
    (await site.operator.post("/v1/events", event)).ok(202)
    async with asyncio.timeout(60):
        while 'data-head="Events" class="number">1<' not in await owner.page("/dashboard/storage"):
            await asyncio.sleep(0.1)  # a page waits only briefly for the count


async def test_a_key_says_which_it_was_in_the_log_of_changes(site: Site) -> None:
    browser = Seat(site.client(""))
    await browser.post("/dashboard/login", {"key": OPERATOR})
    assert (await changes(site))[0][0].startswith("key …")


async def waiting_delivery(site: Site) -> str:
    """Return a delivery of ``acme`` whose first attempt failed: nothing listens at its URL."""
    await site.account()
    await site.endpoint()
    event = {"account": "acme", "type": "invoice.paid", "payload": {"id": "inv_1"}}
    (await site.operator.post("/v1/events", event)).ok(202)
    async with asyncio.timeout(30):
        while not (found := await only(site, "/v1/deliveries"))["attempts"]:
            await asyncio.sleep(0.01)
    return str(found["id"])


async def test_a_delivery_that_waits_is_retried_now_and_stopped_with_the_filters_kept(
    site: Site, owner: Seat
) -> None:
    delivery = await waiting_delivery(site)
    path = f"/dashboard/deliveries/{delivery}"
    html = await owner.page(f"/dashboard/deliveries?state=retrying&delivery={delivery}")
    assert f'action="{path}/retry?state=retrying"' in html
    led = location(await owner.post(f"{path}/retry?state=retrying"))
    assert led == (f"/dashboard/deliveries?did=delivery.retried&state=retrying&delivery={delivery}")
    assert "The next attempt is being made now." in await owner.page(led)
    led = location(await owner.post(f"{path}/stop"))
    html = await owner.page(led)
    assert "Stopped: stopped by hand." in html
    assert f'action="{path}/retry' not in html
    refused = await owner.post(f"{path}/retry?state=discarded")
    assert refused.status == 409
    assert b'id="drawer"' in refused.body
    assert b"resend it to send its event again" in refused.body


async def test_what_is_ticked_is_stopped_or_sent_again_as_far_as_it_can_be(
    site: Site, owner: Seat
) -> None:
    delivery = await waiting_delivery(site)
    html = await owner.page("/dashboard/deliveries?text=inv_1")
    assert f'name="delivery" value="{delivery}" form="chosen"' in html
    chosen = "/dashboard/deliveries/chosen?text=inv_1"
    led = location(await owner.post(chosen, {"do": "stop"}))
    assert led == "/dashboard/deliveries?did=deliveries.none&text=inv_1"
    led = location(await owner.post(chosen, {"do": "stop", "delivery": [delivery]}))
    assert led == "/dashboard/deliveries?did=deliveries.stopped&text=inv_1"
    assert (await only(site, "/v1/deliveries"))["state"] == "discarded"
    await owner.post(chosen, {"do": "retry", "delivery": [delivery]})
    assert (await only(site, "/v1/deliveries"))["state"] == "discarded"
    await owner.post(chosen, {"do": "resend", "delivery": [delivery]})
    listed = (await site.operator.get("/v1/deliveries")).ok()["items"]
    assert [each["origin"] for each in listed] == ["resend", "event"]


async def test_what_is_ticked_is_sent_again_where_it_can_be_and_how_many_is_said(
    site: Site, owner: Seat
) -> None:
    first = await waiting_delivery(site)
    (await site.operator.patch("/v1/accounts/acme", {"plan": "pro"})).ok()
    disabled, deleted = await site.endpoint(), await site.endpoint()
    event = {"account": "acme", "type": "invoice.paid", "payload": {"id": "inv_2"}}
    (await site.operator.post("/v1/events", event)).ok(202)
    listed = (await site.operator.get("/v1/deliveries")).ok()["items"]
    (await site.operator.post(f"/v1/endpoints/{disabled['id']}/disable")).ok()
    (await site.operator.delete(f"/v1/endpoints/{deleted['id']}")).ok(204)
    chosen = [each["id"] for each in listed]
    refused = [each["id"] for each in listed if each["endpoint"] in (disabled["id"], deleted["id"])]
    assert (len(chosen), len(refused)) == (4, 2)
    path = "/dashboard/deliveries/chosen?text=inv"
    fields: Fields = {"do": "resend", "delivery": [*chosen, first]}
    led = location(await owner.post(path, fields))
    page = await owner.page(led)
    assert "2 of 4 sent again, as new deliveries." in page
    assert 'action="/dashboard/deliveries/chosen?text=inv"' in page
    made = (await site.operator.get("/v1/deliveries")).ok()["items"]
    assert sum(each["origin"] == "resend" for each in made) == 2
    page = await owner.follow(path, {"do": "resend", "delivery": refused})
    assert "0 of 2 sent again" in page
    page = await owner.follow(path, {"do": "resend", "delivery": [first]})
    assert "Sent again, as new deliveries." in page
    nothing = await owner.post(path, {"do": "resend", "delivery": [first, "dlv_1111111111111111"]})
    assert nothing.status == 404
    made = (await site.operator.get("/v1/deliveries")).ok()["items"]
    assert sum(each["origin"] == "resend" for each in made) == 3


async def test_a_database_that_fails_half_way_does_not_hide_what_was_sent(
    site: Site, owner: Seat, monkeypatch: pytest.MonkeyPatch
) -> None:
    await waiting_delivery(site)
    event = {"account": "acme", "type": "invoice.paid", "payload": {"id": "inv_2"}}
    (await site.operator.post("/v1/events", event)).ok(202)
    listed = (await site.operator.get("/v1/deliveries")).ok()["items"]
    resend, left = DeliveryActions.resend, [True]

    async def failing(*given: Any) -> Any:
        if not left:
            raise UnavailableError("the database is gone")
        left.pop()
        return await resend(*given)

    monkeypatch.setattr(DeliveryActions, "resend", failing)
    fields: Fields = {"do": "resend", "delivery": [each["id"] for each in listed]}
    assert "1 of 2 sent again" in await owner.follow("/dashboard/deliveries/chosen", fields)
    assert (await owner.post("/dashboard/deliveries/chosen", fields)).status == 503


@pytest.mark.parametrize("do", ["retry", "stop", "resend"])
async def test_no_more_is_ticked_than_a_page_shows(site: Site, owner: Seat, do: str) -> None:
    delivery = await waiting_delivery(site)
    fields: Fields = {"do": do, "delivery": [delivery] * (PAGE_SIZE + 1)}
    refused = await owner.post("/dashboard/deliveries/chosen", fields)
    assert refused.status == 422
    assert b"51 deliveries are selected; select 50 at most" in refused.body
    found = await only(site, "/v1/deliveries")
    assert (found["state"], found["origin"]) == ("pending", "event")
    location(await owner.post("/dashboard/deliveries/chosen", {**fields, "delivery": [delivery]}))


async def test_a_count_in_an_address_is_said_only_where_it_is_one(site: Site, owner: Seat) -> None:
    await site.account()
    for did in ("deliveries.resent_of", "deliveries.resent_of.1", "deliveries.resent_of.x.2"):
        assert "sent again" not in await owner.page(f"/dashboard/deliveries?did={did}")


async def test_a_delivery_of_a_disabled_endpoint_is_enabled_and_sent_in_one_step(
    site: Site, owner: Seat
) -> None:
    delivery = await waiting_delivery(site)
    endpoint = (await only(site, "/v1/endpoints"))["id"]
    (await site.operator.post(f"/v1/deliveries/{delivery}/stop")).ok()
    (await site.operator.post(f"/v1/endpoints/{endpoint}/disable")).ok()
    html = await owner.page(f"/dashboard/deliveries?delivery={delivery}")
    act = f"/dashboard/deliveries/{delivery}/resend?enable=1"
    assert f'action="{act}"' in html
    assert ">Enable and send</button>" in html
    assert "Endpoint enabled, and sent again" in await owner.follow(act)
    assert (await only(site, "/v1/endpoints"))["enabled"]


async def test_filters_survive_the_project_tabs_but_for_what_is_of_one_project(
    site: Site, owner: Seat
) -> None:
    await site.account()
    await site.account("defacto", "other")
    html = await owner.page("/dashboard/deliveries?state=failed&span=24h&account=acme")
    assert 'href="/dashboard/deliveries?state=failed&amp;span=24h&amp;project=defacto"' in html


async def test_an_endpoint_is_found_by_its_host_or_name_and_said_so_if_it_is_not(
    site: Site, owner: Seat
) -> None:
    await waiting_delivery(site)
    await site.endpoint(url="http://127.0.0.1:65000/other", name="Ledger 100%_x")
    [other, first] = (await site.operator.get("/v1/endpoints")).ok()["items"]
    found = await owner.page("/dashboard/deliveries?endpoint=65000/HOOK")
    assert "1 of" in found
    assert ">127.0.0.1:65000/hook</strong>" in found
    nothing = await owner.page("/dashboard/deliveries?endpoint=100%25_")
    assert "Ledger" in nothing
    assert first["id"] not in nothing
    assert nothing.count(other["id"]) == 1
    assert f"/endpoints/{other['id']}/replay?what=failed" in nothing
    several = await owner.page("/dashboard/deliveries?endpoint=65000")
    assert "Several endpoints have this in their name or URL" in several
    none = await owner.page("/dashboard/deliveries?endpoint=10_%25x")
    assert "No endpoint has this in its name or URL" in none


async def test_the_whole_body_of_a_delivery_is_a_file(site: Site, owner: Seat) -> None:
    await site.account()
    await site.endpoint()
    long = "x" * 200_000
    event = {"account": "acme", "type": "invoice.paid", "payload": {"id": long}}
    (await site.operator.post("/v1/events", event)).ok(202)
    delivery = (await only(site, "/v1/deliveries"))["id"]
    assert long not in await owner.page(f"/dashboard/deliveries?delivery={delivery}")
    answer = await owner.get(f"/dashboard/deliveries/{delivery}/body")
    assert long.encode() in answer.body
    assert answer.headers["content-disposition"] == f'attachment; filename="{delivery}.json"'
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_two_attempts_are_compared(site: Site, owner: Seat) -> None:
    delivery = await waiting_delivery(site)
    endpoint = (await only(site, "/v1/endpoints"))["id"]
    changed = {"headers": {"x-second": "yes"}}
    (await site.operator.patch(f"/v1/endpoints/{endpoint}", changed)).ok()
    (await site.operator.post(f"/v1/deliveries/{delivery}/retry")).ok(202)
    async with asyncio.timeout(30):
        while (await only(site, "/v1/deliveries"))["attempts"] < 2:
            await asyncio.sleep(0.01)
    html = await owner.page(f"/dashboard/deliveries?delivery={delivery}")
    assert f"delivery={delivery}&amp;compare=2" in html
    html = await owner.page(f"/dashboard/deliveries?delivery={delivery}&compare=2")
    assert '<th scope="col">Attempt 1</th><th scope="col">Attempt 2</th>' in html
    assert "Request header x-second" in html
    for nonsense in ("9", "x", "99999999"):
        html = await owner.page(f"/dashboard/deliveries?delivery={delivery}&compare={nonsense}")
        assert 'id="compared"' not in html
    path = f"/dashboard/deliveries?delivery={delivery}&compare=1"
    assert 'id="compared"' not in await owner.page(f"{path}&with=1")
    html = await owner.page(f"{path}&with=2")
    assert '<th scope="col">Attempt 1</th><th scope="col">Attempt 2</th>' in html
    assert 'id="compared"' not in await owner.page(f"{path}&with=delivered")


async def test_an_attempt_is_compared_with_the_one_that_worked(site: Site, owner: Seat) -> None:
    delivery = await waiting_delivery(site)
    [endpoint] = (await site.operator.get("/v1/endpoints")).ok()["items"]
    async with receiving(keeping(b"HTTP/1.1 200 OK\r\nx-from: elsewhere\r\n\r\n")) as receiver:
        moved = {"url": f"http://127.0.0.1:{receiver.port}/hook"}
        (await site.operator.patch(f"/v1/endpoints/{endpoint['id']}", moved)).ok()
        event = {"account": "acme", "type": "invoice.paid", "payload": {"id": "inv_2"}}
        (await site.operator.post("/v1/events", event)).ok(202)
        async with asyncio.timeout(30):
            while not (await site.operator.get("/v1/deliveries?state=delivered")).ok()["items"]:
                await asyncio.sleep(0.01)
    path = f"/dashboard/deliveries?delivery={delivery}"
    assert "&amp;compare=1&amp;with=delivered" in await owner.page(path)
    html = await owner.page(f"{path}&compare=1&with=delivered")
    assert "The one that worked, dlv_" in html
    assert "Response header x-from" in html


async def test_an_events_page_says_which_endpoints_got_it_and_why_the_others_did_not(
    site: Site, owner: Seat
) -> None:
    await site.account()
    (await site.operator.patch("/v1/accounts/acme", {"plan": "pro"})).ok()
    for name, types in {
        "takes all": ["*"],
        "takes quotations": ["quotation.*"],
        "was off": ["*"],
        "was off and is on": ["*"],
        "took quotations": ["quotation.*"],
    }.items():
        await site.endpoint(name=name, event_types=types)
    listed = (await site.operator.get("/v1/endpoints")).ok()["items"]
    named = {each["name"]: f"/v1/endpoints/{each['id']}" for each in listed}
    for name in ("was off", "was off and is on"):
        (await site.operator.post(f"{named[name]}/disable")).ok()
    event = {"account": "acme", "type": "invoice.paid", "payload": {"id": "inv_1"}}
    number = (await site.operator.post("/v1/events", event)).ok(202)["id"]
    (await site.operator.post(f"{named['was off and is on']}/enable")).ok()
    (await site.operator.patch(named["took quotations"], {"event_types": ["*"]})).ok()
    await site.endpoint(name="came later")
    page = await owner.page(f"/dashboard/events/{number}")
    said = {}
    for row in re.findall(r"<tr>\s*<td data-head=\"Endpoint\">.*?</tr>", page, re.DOTALL):
        [name] = re.findall(r'ep_\w+"[^>]*>([^<]+)', row)[:1]
        [said[name]] = re.findall(r'data-head="Result">(.*?)</td>', row, re.DOTALL)
    assert "View delivery" in said.pop("takes all")
    assert "Disabled at the time, since" in said.pop("was off")
    assert "Disabled at the time, since" in said.pop("was off and is on")
    assert said == {
        "takes quotations": "Not subscribed to this event type",
        "took quotations": "Not subscribed to this event type at the time",
        "came later": "The endpoint was added later",
    }


async def test_an_event_is_sent_to_those_that_did_not_get_it_and_to_nobody_twice(
    site: Site, owner: Seat
) -> None:
    await site.account()
    (await site.operator.patch("/v1/accounts/acme", {"plan": "pro"})).ok()
    for types in (["*"], ["quotation.*"]):
        await site.endpoint(event_types=types)
    event = {"account": "acme", "type": "invoice.paid", "payload": {"id": "inv_1"}}
    number = (await site.operator.post("/v1/events", event)).ok(202)["id"]
    late = (await site.endpoint())["id"]
    path = f"/dashboard/events/{number}"
    assert "Send to those that did not get it" in await owner.page(path)
    page = await owner.follow(f"{path}/send")
    assert "It is being sent to the endpoints that did not get it." in page
    async with asyncio.timeout(30):
        while not (await site.operator.get(f"/v1/deliveries?endpoint={late}")).ok()["items"]:
            await asyncio.sleep(0.01)
    listed = (await site.operator.get(f"/v1/deliveries?event={number}")).ok()["items"]
    assert len(listed) == 2
    assert f"{path}/send" not in await owner.page(path)
    assert "Sent to none" in await owner.follow(f"{path}/send")


async def test_what_was_sent_while_all_that_lack_an_event_are_gone_through_is_not_sent_twice(
    site: Site, owner: Seat, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.account()
    event = {"account": "acme", "type": "invoice.paid", "payload": {"id": "inv_1"}}
    number = (await site.operator.post("/v1/events", event)).ok(202)["id"]
    late = (await site.endpoint())["id"]
    of_all = EventRecipients.all

    async def slow(recipients: EventRecipients, event: Event) -> AsyncIterator[Recipient]:
        found = [each async for each in of_all(recipients, event)]
        given = {"what": "event", "event": number}
        (await site.operator.post(f"/v1/endpoints/{late}/replays", given)).ok(202)
        async with asyncio.timeout(30):
            while await running_replays():
                await asyncio.sleep(0.01)
        for each in found:
            yield each

    async def running_replays() -> list[Any]:
        listed = (await site.operator.get(f"/v1/endpoints/{late}/replays")).ok()["items"]
        return [each for each in listed if each["state"] == "running"]

    monkeypatch.setattr(EventRecipients, "all", slow)
    assert "Sent to none" in await owner.follow(f"/dashboard/events/{number}/send")
    listed = (await site.operator.get(f"/v1/endpoints/{late}/replays")).ok()["items"]
    assert len(listed) == 1


async def test_the_whole_payload_of_an_event_is_a_file(site: Site, owner: Seat) -> None:
    await site.account()
    event = {"account": "acme", "type": "invoice.paid", "payload": {"id": "y" * 200_000}}
    number = (await site.operator.post("/v1/events", event)).ok(202)["id"]
    page = await owner.page(f"/dashboard/events/{number}")
    assert "y" * 100_000 not in page
    answer = await owner.get(f"/dashboard/events/{number}/payload")
    assert b"y" * 200_000 in answer.body
    assert answer.headers["content-disposition"].startswith("attachment")


async def test_what_is_filtered_for_is_a_file_of_rows_or_of_objects(
    site: Site, owner: Seat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "PAGE_SIZE", 2)
    await site.account(reference="=1+1")
    await site.endpoint("=1+1", name="=cmd()")
    for number in range(5):
        event = {"account": "=1+1", "type": "invoice.paid", "payload": {"id": f"inv_{number}"}}
        (await site.operator.post("/v1/events", event)).ok(202)
    owner.client.stays = True
    path = "/dashboard/deliveries/export"
    answer = await owner.get(f"{path}?as=csv&account=%3D1%2B1")
    assert answer.headers["content-disposition"] == 'attachment; filename="deliveries.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
    listed = (await site.operator.get("/v1/deliveries")).ok()["items"]
    assert [row["id"] for row in rows] == [each["id"] for each in listed]
    assert {row["account_reference"] for row in rows} == {"'=1+1"}
    answer = await owner.get(f"{path}?as=jsonl&text=inv_3")
    [found] = [json.loads(line) for line in answer.body.splitlines()]
    assert (found["account_reference"], found["event_type"]) == ("=1+1", "invoice.paid")
    assert found["endpoint_url"] == RECEIVER
    assert (await owner.get(f"{path}?as=xlsx")).status == 422
    assert (await owner.get(f"{path}?since=soon")).status == 422


async def test_a_replay_says_what_became_of_its_deliveries(site: Site, owner: Seat) -> None:
    delivery = await waiting_delivery(site)
    (await site.operator.post(f"/v1/deliveries/{delivery}/stop")).ok()
    endpoint = (await only(site, "/v1/endpoints"))["id"]
    event = (await only(site, "/v1/events"))["id"]
    path = f"/v1/endpoints/{endpoint}/replays"
    begun = (await site.operator.post(path, {"what": "event", "event": event})).ok(202)
    job = f"/dashboard/replays/{begun['replay']['id']}"
    async with asyncio.timeout(30):
        while "1 waiting" not in (page := await owner.page(job)):
            await asyncio.sleep(0.01)
    assert "discarded" not in page  # the earlier delivery does not belong to the replay
    assert f"endpoint={endpoint}&amp;origin=replay&amp;since=" in page


async def test_an_event_that_breaks_its_schema_says_so_on_its_page(site: Site, owner: Seat) -> None:
    file = 'name = "strict"\nschema_policy = "warn"\n[event_types."a.b"]\n'
    file += """schema = '{"required": ["id"]}'\nexample = '{"id": 1}'\n"""
    (await site.operator.apply("strict", file)).ok()
    given = {"project": "strict", "reference": "acme"}
    account = (await site.operator.post("/v1/accounts", given)).ok(201)
    path = f"/dashboard/publish?account={account['id']}&type=a.b"
    page = await owner.follow(path, {"payload": '{"no": 1}'})
    assert "the schema of a.b" in page
    assert "the project only warns" in page
    page = await owner.follow(path, {"payload": '{"id": 1}'})
    assert "the schema of a.b" not in page


async def test_all_that_failed_of_an_endpoint_in_the_filters_span_is_counted_to_be_sent_again(
    site: Site, owner: Seat
) -> None:
    await waiting_delivery(site)
    endpoint = (await only(site, "/v1/endpoints"))["id"]
    span = "since=2026-01-31T12%3A00%3A00&until=2026-02-01T12%3A00%3A00"
    html = await owner.page(f"/dashboard/deliveries?endpoint={endpoint}&{span}")
    [path] = re.findall(r'href="([^"]*/replay[^"]*)"', html)
    assert path.replace("&amp;", "&").endswith(f"/{endpoint}/replay?what=failed&{span}")
    assert "Nothing to send" in await owner.page(path.replace("&amp;", "&"))
    html = await owner.page(f"/dashboard/deliveries?endpoint={endpoint}")
    [path] = re.findall(r'href="([^"]*/replay[^"]*)"', html)
    assert "Nothing to send" in await owner.page(path.replace("&amp;", "&"))
    assert "/replay" not in await owner.page("/dashboard/deliveries")


async def test_a_page_that_keeps_itself_current_is_sent_what_changed(
    site: Site, owner: Seat
) -> None:
    first = await waiting_delivery(site)
    path = "/dashboard/deliveries?state=retrying"

    async def changed(had: list[str]) -> str:
        headers = {"host": "127.0.0.1:80", "cookie": f"hooktide_session={owner.cookie}"}
        asked = {**headers, "hooktide-have": " ".join(had)}
        return (await owner.client.call("GET", path, headers=asked)).body.decode()

    whole = await owner.page(path)
    parts = await changed([])
    assert "<nav" not in parts
    assert f'data-id="{first}"' in parts
    assert 'id="rows"' in parts
    assert 'id="opened"' in parts
    tags = re.findall(r'data-tag="([0-9a-f]+)"', parts)
    assert len(tags) == 3
    same = await changed(tags)
    assert re.sub(r"[0-9a-f]{12}", "TAG", same) == (
        '<div id="rows" data-same="TAG"></div><div id="opened" data-same="TAG"></div>'
    )
    event = {"account": "acme", "type": "invoice.paid", "payload": {"id": "inv_2"}}
    told = (await site.operator.post("/v1/events", event)).ok(202)
    [second] = (await site.operator.get(f"/v1/deliveries?event={told['id']}")).ok()["items"]
    async with asyncio.timeout(30):
        while f'data-id="{second["id"]}"' not in (news := await changed(tags)):
            await asyncio.sleep(0.01)
    assert f'data-id="{first}"' not in news
    assert re.findall(r'data-same="([0-9a-f]+)"', news) == [tags[1], tags[2]]
    assert len(news) < len(whole) / 3
