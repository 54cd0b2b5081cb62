"""The log of changes: every request that changes something is in it, with who and to what."""

from typing import Any

import pytest
from webkit import RECEIVER, Client, Site

from hooktide.actions.changes import Chronicle
from hooktide.domain.errors import UnavailableError
from hooktide.domain.model import Scope


async def changes(client: Client, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get(f"/v1/changes{query}")).ok()["items"]
    return found


async def whats(client: Client, query: str = "") -> list[str]:
    return [each["what"] for each in await changes(client, query)][::-1]


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
    told = await changes(operator)
    assert [(each["what"], each["subject"], each["detail"]) for each in told[::-1]] == [
        (
            "project.put",
            "invoice-maker",
            "project added; plan basic added; plan pro added; and 3 more",
        ),
        ("account.add", account["id"], "acme"),
        ("endpoint.add", endpoint["id"], ""),
        ("endpoint.change", endpoint["id"], "url, name"),
        ("endpoint.disable", endpoint["id"], ""),
        ("endpoint.enable", endpoint["id"], ""),
        ("secret.rotate", endpoint["id"], ""),
        ("event_type.put", "a.b", ""),
        ("event_type.remove", "a.b", ""),
        ("endpoint.remove", endpoint["id"], ""),
        ("account.remove", account["id"], ""),
    ]
    assert {each["who"] for each in told} == {"key …oooo (from the settings)"}
    assert {each["project"] for each in told} == {"invoice-maker"}
    of_endpoint = await changes(operator, f"?subject={endpoint['id']}")
    assert [each for each in told if each["subject"] == endpoint["id"]] == of_endpoint
    assert {each["account"] for each in of_endpoint} == {account["id"]}
    assert "canary" not in str(told)


async def test_what_only_asks_or_is_refused_changes_nothing(site: Site) -> None:
    await site.account()
    endpoint = await site.endpoint()
    before = await whats(site.operator)
    for method, path, body in (
        ("GET", "/v1/accounts", None),
        ("POST", f"/v1/endpoints/{endpoint['id']}/test", {}),
        ("POST", "/v1/events", {"account": "acme", "type": "invoice.paid", "payload": {}}),
        ("POST", "/v1/bins", {}),
        ("PATCH", "/v1/accounts/nobody", {"name": "x"}),
        ("DELETE", "/v1/endpoints/ep_0000000000000001", None),
        ("POST", "/v1/accounts", {"project": "invoice-maker", "reference": "acme"}),
    ):
        await site.operator.call(method, path, body)
    (await site.operator.apply("invoice-maker")).ok()
    assert await whats(site.operator) == before


async def test_a_projects_key_sees_its_own_projects_changes(site: Site) -> None:
    await site.account()
    (await site.operator.apply("invoice-ahoy")).ok()
    client = await site.key("project", project="invoice-maker")
    made = (await site.operator.post("/v1/people", {"name": "Ann", "role": "viewer"})).ok(201)
    (await site.operator.post(f"/v1/people/{made['id']}/login-links")).ok(201)
    assert await whats(client) == ["project.put", "account.add", "key.add"]
    assert (await whats(site.operator))[-3:] == ["key.add", "person.add", "login_link.make"]
    customer = await site.key("account", account="acme")
    assert (await customer.get("/v1/changes")).code == "forbidden"
    hook = {"url": RECEIVER, "event_types": ["*"]}
    (await customer.post("/webhooks", hook)).ok(201)
    newest = (await changes(client))[0]
    assert (newest["what"], newest["who"]) == ("endpoint.add", f"key …{customer.key[-4:]} (test)")
    assert newest["subject"].startswith("ep_")


async def test_what_was_done_stays_done_where_the_log_cannot_be_written(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await site.account()

    async def away(*_: object) -> None:
        raise UnavailableError("the database is away")

    monkeypatch.setattr(site.app.store, "add_change", away)
    assert (await site.operator.patch("/v1/accounts/acme", {"name": "x"})).ok()["name"] == "x"
    assert "account.change" in caplog.text


async def test_long_names_are_cut_and_texts_stay_texts(site: Site) -> None:
    await Chronicle(site.app.store, site.app.clock).write("<b>" * 200, "a.b", "", "x" * 900)
    [newest, *_] = (await site.app.store.list_changes(Scope(), None, 10)).items
    assert (len(newest.who), len(newest.detail)) == (200, 500)
