"""The audit log has one entry for each change on each interface, with actor, address and target."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from dashkit import Seat, make_things, seat
from webkit import RECEIVER, Client, Site

from hooktide.actions.access.portal_links import portal_links
from hooktide.dialects import read_shipped
from hooktide.domain.model import Role, Scope
from hooktide.web.pages.dashboard.routes import PAGES
from hooktide.web.routes import OPERATIONS


async def changes(client: Client, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get(f"/v1/audit-log{query}")).ok()["items"]
    return found


async def actions(client: Client, query: str = "") -> list[str]:
    return [each["action"] for each in await changes(client, query)][::-1]


@pytest.mark.both_databases
async def test_a_life_is_written_down_in_its_order(site: Site) -> None:
    operator = site.operator
    account = await site.account()
    endpoint = await site.endpoint()
    path = f"/v1/endpoints/{endpoint['id']}"
    await operator.patch(path, {"name": "x", "url": RECEIVER + "?token=canary"})
    for verb in ("disable", "enable", "rotate"):
        (await operator.post(f"{path}/{verb}")).ok()
    (await operator.put("/v1/event-types/a.b?project=invoice-maker", {})).ok()
    (await operator.delete("/v1/event-types/a.b?project=invoice-maker")).ok(204)
    (await operator.delete(path)).ok(204)
    (await operator.delete("/v1/accounts/acme")).ok(204)
    *told, _, user, key = await changes(operator)
    assert [user["action"], key["action"]] == ["user.create", "key.create"]
    assert {key["actor"], user["actor"]} == {"hooktide"}
    assert [(each["action"], each["target"], each["detail"]) for each in told[::-1]] == [
        (
            "project.put",
            "invoice-maker",
            "project added; plan basic added; plan pro added; and 3 more",
        ),
        ("account.create", account["id"], "acme"),
        ("endpoint.create", endpoint["id"], RECEIVER),
        ("endpoint.update", endpoint["id"], "url, name"),
        ("endpoint.disable", endpoint["id"], "x"),
        ("endpoint.enable", endpoint["id"], "x"),
        ("secret.rotate", endpoint["id"], "x"),
        ("event_type.put", "a.b", "event type a.b added"),
        ("event_type.delete", "a.b", "event type a.b removed"),
        ("endpoint.delete", endpoint["id"], "x"),
        ("account.delete", account["id"], "acme"),
    ]
    assert {each["actor"] for each in told} == {"key …oooo (from the settings)"}
    assert {each["project"] for each in told} == {"invoice-maker"}
    of_endpoint = await changes(operator, f"?target={endpoint['id']}")
    assert [each for each in told if each["target"] == endpoint["id"]] == of_endpoint
    assert {each["account"] for each in of_endpoint} == {account["id"]}
    assert "canary" not in str(told)


@pytest.mark.both_databases
async def test_what_only_asks_or_is_refused_changes_nothing(site: Site) -> None:
    await site.account()
    endpoint = await site.endpoint()
    before = await actions(site.operator)
    for method, path, body in (
        ("GET", "/v1/accounts", None),
        ("POST", f"/v1/endpoints/{endpoint['id']}/test", {}),
        ("POST", "/v1/events", {"account": "acme", "type": "invoice.paid", "payload": {}}),
        ("PATCH", "/v1/accounts/nobody", {"name": "x"}),
        ("DELETE", "/v1/endpoints/ep_0000000000000001", None),
        ("POST", "/v1/accounts", {"project": "invoice-maker", "reference": "acme"}),
    ):
        await site.operator.call(method, path, body)
    (await site.operator.apply("invoice-maker")).ok()
    assert await actions(site.operator) == before


@pytest.mark.both_databases
async def test_a_projects_key_sees_its_own_projects_changes(site: Site) -> None:
    await site.account()
    (await site.operator.apply("invoice-ahoy")).ok()
    client = await site.key("project", project="invoice-maker")
    made = (await site.operator.post("/v1/users", {"name": "Ann", "role": "viewer"})).ok(201)
    (await site.operator.post(f"/v1/users/{made['id']}/login-links")).ok(201)
    assert await actions(client) == ["project.put", "account.create", "key.create"]
    assert (await actions(site.operator))[-3:] == ["key.create", "user.create", "login_link.create"]
    customer = await site.key("account", account="acme")
    assert (await customer.get("/v1/audit-log")).code == "forbidden"
    hook = {"url": RECEIVER, "event_types": ["*"]}
    (await customer.post("/webhooks", hook)).ok(201)
    newest = (await changes(client))[0]
    assert (newest["action"], newest["actor"]) == (
        "endpoint.create",
        f"key …{customer.key[-4:]} (test)",
    )
    assert newest["target"].startswith("ep_")


@dataclass(frozen=True)
class Step:
    """A request, and the actions of the entries that it has to create."""

    name: str
    method: str
    path: str
    body: Any = None
    leaves: tuple[str, ...] = ()
    key: str = "operator"


CHANGES_NOTHING = {"test_endpoint", "check_endpoint", "preview_filter"}
FORM = {
    "content-type": "application/x-www-form-urlencoded",
    "sec-fetch-site": "same-origin",
}
PROJECT = "?project=invoice-maker"
HOOK = {"url": RECEIVER, "event_types": ["*"]}
SINCE = "2026-01-01T00:00:00Z"


def steps(ids: dict[str, str]) -> list[Step]:
    """Return one request for each operation that changes something, in an order that works."""
    endpoint, delivery = f"/v1/endpoints/{ids['ep']}", f"/v1/deliveries/{ids['dlv']}"
    return [
        Step("retry_delivery", "POST", f"{delivery}/retry", None, ("delivery.retry",)),
        Step("stop_delivery", "POST", f"{delivery}/stop", None, ("delivery.stop",)),
        Step("put_event_type", "PUT", f"/v1/event-types/a.b{PROJECT}", {}, ("event_type.put",)),
        Step(
            "delete_event_type",
            "DELETE",
            f"/v1/event-types/a.b{PROJECT}",
            None,
            ("event_type.delete",),
        ),
        Step(
            "create_account",
            "POST",
            "/v1/accounts",
            {"project": "invoice-maker", "reference": "b"},
            ("account.create",),
        ),
        Step(
            "update_account",
            "PATCH",
            "/v1/accounts/b",
            {"name": "B", "plan": "pro"},
            ("account.update",),
        ),
        Step("update_account", "PATCH", "/v1/accounts/b", {"name": "B"}),
        Step(
            "put_rate_limit",
            "PUT",
            "/v1/accounts/b/rate-limit",
            {"rate_limit": 5},
            ("account.update",),
        ),
        Step(
            "put_account",
            "PUT",
            "/v1/accounts/c",
            {"project": "invoice-maker", "name": "C"},
            ("account.create",),
        ),
        Step(
            "put_account",
            "PUT",
            "/v1/accounts/c",
            {"project": "invoice-maker", "name": "D"},
            ("account.update",),
        ),
        Step("put_account", "PUT", "/v1/accounts/c", {"project": "invoice-maker", "name": "D"}),
        Step("resume_endpoint", "POST", f"{endpoint}/resume"),
        Step(
            "create_portal_link", "POST", "/v1/accounts/b/portal-links", {}, ("portal_link.create",)
        ),
        Step(
            "revoke_portal_links",
            "DELETE",
            "/v1/accounts/b/portal-links",
            None,
            ("portal_links.revoke",),
        ),
        Step("delete_account", "DELETE", "/v1/accounts/b", None, ("account.delete",)),
        Step(
            "create_endpoint",
            "POST",
            "/v1/endpoints",
            {"account": "acme", **HOOK},
            ("endpoint.create",),
        ),
        Step(
            "update_endpoint",
            "PATCH",
            endpoint,
            {"name": "N", "headers": {"x-key": "hush"}},
            ("endpoint.update",),
        ),
        Step("update_endpoint", "PATCH", endpoint, {"name": "N"}),
        Step("disable_endpoint", "POST", f"{endpoint}/disable", None, ("endpoint.disable",)),
        Step("disable_endpoint", "POST", f"{endpoint}/disable"),
        Step("enable_endpoint", "POST", f"{endpoint}/enable", None, ("endpoint.enable",)),
        Step("rotate_secret", "POST", f"{endpoint}/rotate", None, ("secret.rotate",)),
        Step(
            "resend_delivery",
            "POST",
            f"/v1/deliveries/{ids['dlv']}/resend",
            None,
            ("delivery.resend",),
        ),
        Step("cancel_replay", "POST", f"/v1/replays/{ids['rpl']}/cancel"),
        Step(
            "start_replay",
            "POST",
            f"{endpoint}/replays",
            {"what": "missed", "since": SINCE, "dry_run": True},
        ),
        Step(
            "start_replay",
            "POST",
            f"{endpoint}/replays",
            {"what": "missed", "since": SINCE},
            ("replay.start",),
        ),
        Step("cancel_delivery_job", "POST", f"/v1/delivery-jobs/{ids['job']}/cancel"),
        Step(
            "start_delivery_job",
            "POST",
            "/v1/delivery-jobs",
            {"act": "resend", "filter": {"account": "acme"}, "dry_run": True},
        ),
        Step(
            "start_delivery_job",
            "POST",
            "/v1/delivery-jobs",
            {"act": "resend", "filter": {"account": "acme"}},
            ("delivery_job.start",),
        ),
        Step("erase_payload", "DELETE", f"/v1/events/{ids['evt']}/payload", None, ("event.erase",)),
        Step("delete_endpoint", "DELETE", endpoint, None, ("endpoint.delete",)),
        Step("create_webhook", "POST", "/webhooks", HOOK, ("endpoint.create",), "account"),
        Step(
            "update_webhook",
            "PATCH",
            f"/webhooks/{ids['hook']}",
            {"enabled": False},
            ("endpoint.disable",),
            "account",
        ),
        Step(
            "update_webhook",
            "PATCH",
            f"/webhooks/{ids['hook']}",
            {"enabled": True, "name": "New"},
            ("endpoint.update", "endpoint.enable"),
            "account",
        ),
        Step(
            "delete_webhook",
            "DELETE",
            f"/webhooks/{ids['hook']}",
            None,
            ("endpoint.delete",),
            "account",
        ),
        Step("create_bin", "POST", "/v1/bins", {}, ("bin.create",)),
        Step(
            "update_bin",
            "PATCH",
            f"/v1/bins/{ids['bin']}",
            {"script": [{"status": 500}]},
            ("bin.update",),
        ),
        Step(
            "update_bin_request",
            "PATCH",
            f"/v1/bins/{ids['bin']}/requests/{ids['req']}",
            {"note": "look"},
            ("bin.note",),
        ),
        Step("clear_bin", "DELETE", f"/v1/bins/{ids['bin']}/requests", None, ("bin.clear",)),
        Step("delete_bin", "DELETE", f"/v1/bins/{ids['bin']}", None, ("bin.delete",)),
        Step("create_key", "POST", "/v1/keys", {"scope": "operator", "name": "k"}, ("key.create",)),
        Step("revoke_key", "DELETE", f"/v1/keys/{ids['key']}", None, ("key.revoke",)),
        Step(
            "create_user", "POST", "/v1/users", {"name": "Bo", "role": "viewer"}, ("user.create",)
        ),
        Step(
            "update_user",
            "PATCH",
            f"/v1/users/{ids['usr']}",
            {"role": "member"},
            ("user.update",),
        ),
        Step(
            "create_login_link",
            "POST",
            f"/v1/users/{ids['usr']}/login-links",
            None,
            ("login_link.create",),
        ),
        Step("delete_user", "DELETE", f"/v1/users/{ids['usr']}", None, ("user.delete",)),
        Step("put_project", "PUT", "/v1/projects/invoice-ahoy", "invoice-ahoy", ("project.put",)),
        Step("put_project", "PUT", "/v1/projects/invoice-ahoy", "invoice-ahoy"),
        Step("delete_project", "DELETE", "/v1/projects/invoice-ahoy", None, ("project.delete",)),
        Step("reindex", "POST", "/v1/projects/invoice-maker/reindex", None, ("project.reindex",)),
    ]


INDEXED = 'index = ["id"]\n' + read_shipped("invoice-maker")


@pytest.mark.both_databases
async def test_every_operation_that_changes_something_leaves_one_entry(site: Site) -> None:
    ids = await make_things(site)
    await ended(site, ids["rpl"])
    await job_ended(site, ids["job"])
    await waits(site, ids["dlv"])
    customer = await site.key("account", account="acme")
    ids["hook"] = (await customer.post("/webhooks", HOOK)).ok(201)["id"]
    (await site.operator.patch("/v1/accounts/acme", {"plan": "pro"})).ok()
    made = (await site.operator.post("/v1/bins", {})).ok(201)
    ids["bin"] = made["id"]
    await site.client("").call("POST", made["url"][made["url"].index("/bin/") :])
    path = f"/v1/bins/{ids['bin']}/requests"
    ids["req"] = (await site.operator.get(path)).ok()["items"][0]["id"]
    (await site.operator.apply("invoice-maker", INDEXED)).ok()
    clients = {"operator": site.operator, "account": customer}
    todo = steps(ids)
    documents = [each.document for each in OPERATIONS]
    changing = {each.name for each in documents if each.method != "GET"}
    assert {step.name for step in todo} == changing - CHANGES_NOTHING
    for step in todo:
        before = await changes(site.operator, "?limit=100")
        client = clients[step.key]
        if step.name == "put_project":
            answer = await client.apply(step.body)
        else:
            answer = await client.call(step.method, step.path, step.body)
        assert answer.status < 300, (step, answer.body)
        after = await changes(site.operator, "?limit=100")
        new = after[: len(after) - len(before)]
        assert tuple(each["action"] for each in new[::-1]) == step.leaves, step
        source = "webhooks" if step.path.startswith("/webhooks") else "api"
        assert {each["source"] for each in new} <= {source}
        assert all(each["target"] and each["actor"].startswith("key …") for each in new), new
    told = str(await changes(site.operator, "?limit=100"))
    assert "hush" not in told
    assert ids["bin"] not in told


@pytest.fixture
async def owner(site: Site) -> Seat:
    return await seat(site, Role.OWNER)


DASHBOARD_CHANGES_NOTHING = {"/logout", "/endpoints/{id}/test"}
ON_POSTGRES_ONLY = {"/refused-rows/{id}/retry", "/refused-rows/{id}/discard"}
"""In tests/web/test_refused_rows.py."""


@pytest.mark.both_databases
async def test_every_act_of_the_dashboard_leaves_one_entry(site: Site, owner: Seat) -> None:
    ids = await make_things(site)
    await ended(site, ids["rpl"])
    await job_ended(site, ids["job"])
    await waits(site, ids["dlv"])
    endpoint, project = f"/endpoints/{ids['ep']}", "/projects/invoice-maker"
    account = f"/accounts/{ids['acc']}"
    (await site.operator.apply("invoice-maker", INDEXED)).ok()
    text = INDEXED + "# the same but for a comment\n"
    acts: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
        (f"{project}/reindex", {}, ("project.reindex",)),
        (f"{project}/event-type", {"name": "a.b", "example": "{}"}, ("event_type.put",)),
        (f"{project}/event-type/delete?type=a.b", {}, ("event_type.delete",)),
        (f"{project}/plan", {"name": "big", "retries": "1", "timeout": "5s"}, ("project.put",)),
        (f"{project}/plan?plan=big", {"retries": "1", "timeout": "5s"}, ()),
        (f"{project}/plan/delete?plan=big", {}, ("project.put",)),
        (f"{project}/file", {"file": text}, ()),
        (
            f"{project}/file",
            {"file": text.replace("[plans.pro]", "[plans.more]")},
            ("project.put",),
        ),
        ("/accounts", {"project": "invoice-maker", "reference": "b"}, ("account.create",)),
        (f"{account}/update", {"name": "N", "plan": "basic"}, ("account.update",)),
        (f"{account}/update", {"name": "N", "plan": "basic"}, ()),
        (f"{account}/rate", {"rate_limit": "5", "burst": ""}, ("account.update",)),
        (f"{account}/portal-link", {}, ("portal_link.create",)),
        (f"{account}/portal-links/revoke", {}, ("portal_links.revoke",)),
        (
            f"{account}/endpoints",
            {"url": RECEIVER, "event_types": "*", "same_url": "1"},
            ("endpoint.create",),
        ),
        (
            f"{endpoint}/edit",
            {"url": RECEIVER, "event_types": "*", "name": "N"},
            ("endpoint.update",),
        ),
        (f"{endpoint}/edit", {"url": RECEIVER, "event_types": "*", "name": "N"}, ()),
        (f"/deliveries/{ids['dlv']}/retry", {}, ("delivery.retry",)),
        (f"/deliveries/{ids['dlv']}/stop", {}, ("delivery.stop",)),
        ("/deliveries/chosen", {"delivery": ids["dlv"], "do": "resend"}, ("delivery.resend",)),
        (f"/jobs/{ids['job']}/cancel", {}, ()),
        ("/deliveries/all?account=acme", {"do": "resend"}, ("delivery_job.start",)),
        (f"{endpoint}/disable", {}, ("endpoint.disable",)),
        (f"/events/{ids['evt']}/send", {}, ("replay.start",)),
        (f"{endpoint}/enable", {}, ("endpoint.enable",)),
        (f"{endpoint}/resume", {}, ()),
        (f"{endpoint}/rotate", {}, ("secret.rotate",)),
        (f"/deliveries/{ids['dlv']}/resend", {}, ("delivery.resend",)),
        (f"/replays/{ids['rpl']}/cancel", {}, ()),
        (f"/events/{ids['evt']}/replay", {"endpoint": ids["ep"]}, ("replay.start",)),
        (
            f"/publish?account={ids['acc']}&type=invoice.paid",
            {"payload": '{"id": "inv_1"}'},
            ("event.publish",),
        ),
        (f"/events/{ids['evt']}/erase", {}, ("event.erase",)),
        (f"{endpoint}/delete", {"confirmation": "delete"}, ("endpoint.delete",)),
        ("/keys", {"scope": "operator", "name": "k"}, ("key.create",)),
        (f"/keys/{ids['key']}/revoke", {}, ("key.revoke",)),
        ("/users", {"name": "Bo", "role": "viewer"}, ("user.create", "login_link.create")),
        (f"/users/{ids['usr']}/role", {"role": "member"}, ("user.update",)),
        (f"/users/{ids['usr']}/link", {}, ("login_link.create",)),
        (f"/users/{ids['usr']}/delete", {}, ("user.delete",)),
        ("/operational-events", {}, ("project.put",)),
        ("/new-project", {"provider": "defacto", "name": "mine"}, ("project.put", "key.create")),
        ("/projects/mine/delete", {"confirmation": "mine"}, ("project.delete",)),
        (f"{account}/delete", {"confirmation": "acme"}, ("account.delete",)),
        (
            "/you/password",
            {"password": "a long enough one", "again": "a long enough one"},
            ("user.password",),
        ),
    ]
    met: set[str] = {"/endpoints/{id}/replay"}  # has the same action as the replay of one event
    for path, fields, leaves in acts:
        before = await entries(site)
        answer = await owner.post(f"/dashboard{path}", fields)
        assert answer.status in (200, 303), (path, answer.status, answer.body[-3000:])
        after = await entries(site)
        new = after[: len(after) - len(before)]
        assert tuple(each.action for each in new[::-1]) == leaves, path
        assert {(each.actor, each.source) for each in new} <= {("owner of all", "dashboard")}
        met.add(_template(path.partition("?")[0]))
    posts = {page.path for page in PAGES if page.method == "POST"}
    assert met == posts - DASHBOARD_CHANGES_NOTHING - ON_POSTGRES_ONLY


def _template(path: str) -> str:
    parts = path.split("/")
    if parts[1] == "projects":
        parts[2] = "{name}"
    elif len(parts) > 2 and "_" in parts[2]:
        parts[2] = "{id}"
    return "/".join(parts)


async def ended(site: Site, replay: str) -> None:
    """Wait until a replay has ended, so that cancelling it changes nothing."""

    async def done() -> bool:
        state = (await site.operator.get(f"/v1/replays/{replay}")).ok()["state"]
        return bool(state != "running")

    async with asyncio.timeout(30):
        while not await done():
            await asyncio.sleep(0.01)


async def job_ended(site: Site, job: str) -> None:
    """Return once a job has ended."""

    async def done() -> bool:
        state = (await site.operator.get(f"/v1/delivery-jobs/{job}")).ok()["state"]
        return bool(state == "done")

    async with asyncio.timeout(30):
        while not await done():
            await asyncio.sleep(0.01)


async def waits(site: Site, delivery: str) -> None:
    """Wait until a delivery was attempted and has a pending retry."""
    async with asyncio.timeout(30):
        while True:
            found = (await site.operator.get(f"/v1/deliveries/{delivery}")).ok()
            if found["attempts"] and found["next_attempt_at"]:
                return
            await asyncio.sleep(0.01)


async def entries(site: Site) -> list[Any]:
    return list((await site.app.store.list_audit_log(Scope(), None, 200)).items)


@pytest.mark.both_databases
async def test_every_form_of_the_portal_leaves_one_entry(site: Site) -> None:
    ids = await make_things(site)
    await ended(site, ids["rpl"])
    await job_ended(site, ids["job"])
    await waits(site, ids["dlv"])
    number = int(ids["acc"][4:], 16)
    account = await site.app.store.get_account(Scope(), number)
    link = portal_links(site.app.vault).make(account, site.app.clock() + 10**9, False)
    base = f"/portal/{link.token}"
    endpoint = f"{base}/endpoints/{ids['ep']}"
    for path, body, leaves in (
        (
            f"{base}/endpoints/new",
            f"url={RECEIVER}&event_types=*&same_url=1",
            ["endpoint.create"],
        ),
        (f"{base}/endpoints/new", "do=bin", ["bin.create"]),
        (f"{endpoint}/edit", f"url={RECEIVER}&event_types=*&name=N", ["endpoint.update"]),
        (f"{endpoint}/edit", f"url={RECEIVER}&event_types=*&name=N", []),
        (f"{base}/rate", "rate_limit=5&burst=", ["account.update"]),
        (f"{endpoint}/rotate", "", ["secret.rotate"]),
        (f"{base}/replays/{ids['rpl']}/cancel", "", []),
        (f"{endpoint}/replay", f"what=event&event={ids['evt']}", ["replay.start"]),
        (f"{base}/deliveries/{ids['dlv']}/resend", "", ["delivery.resend"]),
        (f"{base}/deliveries/{ids['dlv']}/retry", "", ["delivery.retry"]),
        (f"{base}/deliveries/{ids['dlv']}/stop", "", ["delivery.stop"]),
        (f"{base}/jobs/{ids['job']}/cancel", "", []),
        (f"{base}/deliveries/all?state=failed", "do=resend", ["delivery_job.start"]),
        (f"{endpoint}/disable", "", ["endpoint.disable"]),
        (f"{endpoint}/disable", "", []),
        (f"{endpoint}/enable", "", ["endpoint.enable"]),
        (f"{endpoint}/resume", "", []),
        (f"{endpoint}/delete", "confirmation=delete", ["endpoint.delete"]),
    ):
        before = await entries(site)
        answer = await site.client("").call("POST", path, body=body.encode(), headers=FORM)
        assert answer.status in (200, 303), (path, answer.body[-2000:])
        after = await entries(site)
        new = after[: len(after) - len(before)]
        assert [each.action for each in new] == leaves, path
        assert {(each.actor, each.source) for each in new} <= {("portal of acme", "portal")}


@pytest.mark.both_databases
async def test_a_bins_page_leaves_entries_and_no_token(site: Site) -> None:
    made = (await site.operator.post("/v1/bins", {})).ok(201)
    page = "/bins/" + made["page_url"].rpartition("/")[2]
    for path, body in (("answers", b"status-1=500"), ("clear", b"")):
        answer = await site.client("").call("POST", f"{page}/{path}", body=body, headers=FORM)
        assert answer.status == 303, answer.body
    newest = (await entries(site))[:2]
    assert [(each.action, each.source) for each in newest] == [
        ("bin.clear", "bin_page"),
        ("bin.update", "bin_page"),
    ]
    assert made["id"].removeprefix("bin_") not in str(newest)
    assert page.rpartition("/")[2] not in str(newest)


@pytest.mark.both_databases
async def test_a_login_leaves_one_entry_and_a_wrong_one_none(site: Site, owner: Seat) -> None:
    before = len(await entries(site))
    for key in (site.operator.key, "htk_" + "x" * 43):
        body = f"key={key}".encode()
        await site.client("").call("POST", "/dashboard/login", body=body, headers=FORM)
        assert len(await entries(site)) == before + 1, key
    newest = (await entries(site))[0]
    assert (newest.action, newest.actor) == ("user.login", "key …oooo (from the settings)")
    assert newest.target.startswith("key_")
