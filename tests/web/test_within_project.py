"""Two projects with accounts of the same reference: a request can name its project."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from apikit import api_of
from commandkit import hooktide
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from webkit import RECEIVER, Client, Site

from hooktide import Client as HooktideClient
from hooktide.cli.demo.server import DemoServer
from hooktide.client import ConflictError
from hooktide.domain.errors import ConfigError
from hooktide.domain.model import Scope
from hooktide.sqlalchemy import emit, outbox
from hooktide.store.base import ProjectRow

PROJECTS = ("first", "second")
SMALL = 'name = "%s"\n[event_types."invoice.paid"]\n'


@pytest.fixture
async def accounts(site: Site) -> dict[str, str]:
    """Create an account ``acme`` in each of two projects. Return their ids."""
    found = {}
    for name in PROJECTS:
        (await site.operator.apply(name, SMALL % name)).ok()
        given = {"project": name, "reference": "acme"}
        found[name] = (await site.operator.post("/v1/accounts", given)).ok(201)["id"]
    return found


async def ask(
    client: Client, method: str, path: str, project: str | None, value: Any = None
) -> Any:
    headers = {} if project is None else {"hooktide-project": project}
    return await client.call(method, path, value, headers=headers)


@pytest.mark.both_databases
async def test_each_operation_takes_the_account_of_the_project_that_is_named(
    site: Site, accounts: dict[str, str]
) -> None:
    operator = site.operator
    for name in PROJECTS:
        hook = {"account": "acme", "url": RECEIVER, "event_types": ["*"]}
        event = {"account": "acme", "type": "invoice.paid", "payload": {"of": name}}
        key = {"scope": "account", "account": "acme", "name": "k"}
        made = (await ask(operator, "POST", "/v1/endpoints", name, hook)).ok(201)
        assert made["account"] == accounts[name]
        assert (await ask(operator, "POST", "/v1/keys", name, key)).ok(201)["account"] == (
            accounts[name]
        )
        told = (await ask(operator, "POST", "/v1/events", name, event)).ok(202)
        [one] = (await ask(operator, "POST", "/v1/events", name, [event])).ok(202)["results"]
        found = (await ask(operator, "GET", "/v1/events?account=acme", name)).ok()["items"]
        assert [each["id"] for each in found] == [one["id"], told["id"]]
        for path in ("/v1/endpoints", "/v1/events", "/v1/deliveries"):
            for filtered in (f"{path}?account=acme", path):
                items = (await ask(operator, "GET", filtered, name)).ok()["items"]
                assert {each["account"] for each in items} == {accounts[name]}, filtered
        for method, path, value in ON_ACCOUNT:
            answer = await ask(operator, method, path, name, value)
            assert answer.status < 300, (path, answer.body)
            if answer.body and "id" in answer.json:
                assert answer.json["id"] == accounts[name]


ON_ACCOUNT: tuple[tuple[str, str, Any], ...] = (
    ("GET", "/v1/accounts/acme", None),
    ("PUT", "/v1/accounts/acme", {"name": "Acme"}),
    ("PATCH", "/v1/accounts/acme", {"name": "Acme, Inc."}),
    ("POST", "/v1/accounts/acme/portal-links", {}),
    ("DELETE", "/v1/accounts/acme", None),
)


@pytest.mark.usefixtures("accounts")
async def test_without_a_name_the_reference_is_refused_and_the_error_says_what_to_do(
    site: Site,
) -> None:
    event = {"account": "acme", "type": "invoice.paid", "payload": {}}
    for answer in (
        await site.operator.get("/v1/accounts/acme"),
        await site.operator.post("/v1/events", event),
    ):
        assert answer.code == "ambiguous_account"
        assert "Hooktide-Project" in answer.json["detail"]


@pytest.mark.usefixtures("accounts")
async def test_a_key_is_narrowed_and_never_widened(site: Site) -> None:
    key = await site.key("project", project="first")
    event = {"account": "acme", "type": "invoice.paid", "payload": {}}
    for client, project, status in (
        (key, "first", 200),
        (key, "second", 404),
        (key, "none", 404),
        (site.operator, "none", 404),
        (site.operator, "", 404),
    ):
        assert (await ask(client, "GET", "/v1/accounts/acme", project)).status == status
        told = await ask(client, "POST", "/v1/events", project, event)
        assert told.status == (202 if status == 200 else status)
    twice = [("hooktide-project", name) for name in PROJECTS]
    answer = await site.operator.call("GET", "/v1/accounts/acme", more=twice)
    assert answer.code == "invalid_query"


async def test_an_account_key_stays_the_accounts_own(site: Site, accounts: dict[str, str]) -> None:
    other = {"project": "first", "reference": "other"}
    (await site.operator.post("/v1/accounts", other)).ok(201)
    await site.endpoint(account=accounts["first"])
    key = await site.key("account", project="first", account="other")
    assert (await ask(key, "GET", "/v1/endpoints", "first")).ok()["items"] == []


async def test_the_client_and_the_command_line_name_a_project(tmp_path: Path) -> None:
    async with DemoServer(tmp_path) as server:
        for name in PROJECTS:
            await api_of(server).put_toml(f"/v1/projects/{name}", SMALL % name)
            await api_of(server).post("/v1/accounts", {"project": name, "reference": "acme"})
        await asyncio.to_thread(_ask_by_client_and_command, server)


def _ask_by_client_and_command(server: DemoServer) -> None:
    with HooktideClient(server.url, server.key) as client:
        with pytest.raises(ConflictError, match="Hooktide-Project"):
            client.accounts.get("acme")
        told = client.within("second").publish("acme", "invoice.paid", {"id": 1})
        assert client.within("second").accounts.get("acme").project == "second"
        assert client.events.get(told.id).account == client.within("second").accounts.get("acme").id
        with pytest.raises(ConflictError):  # the original client is not changed
            client.accounts.get("acme")
    with HooktideClient(server.url, server.key, project="first") as client:
        assert client.accounts.get("acme").project == "first"
        with pytest.raises(ConfigError, match="not a project's name"):
            client.within("a\nb")
    words = ("--account", "acme", "--project", "first", "--server", server.url, "--key", server.key)
    sent = hooktide("send", "invoice.paid", *words, "--json").ok().one
    listed = hooktide("events", *words, "--json").ok().json
    assert [each["id"] for each in listed] == [sent["id"]]


async def test_a_relay_moves_the_events_of_the_given_project(tmp_path: Path) -> None:
    async with DemoServer(tmp_path) as server:
        for name in PROJECTS:
            await api_of(server).put_toml(f"/v1/projects/{name}", SMALL % name)
            await api_of(server).post("/v1/accounts", {"project": name, "reference": "acme"})
        engine = create_engine(f"sqlite:///{tmp_path / 'app.db'}")
        outbox.metadata.create_all(engine)
        with Session(engine) as session, session.begin():
            emit(session, "invoice.paid", {"id": 1}, account="acme")
        engine.dispose()
        words = ("--from", str(tmp_path / "app.db"), "--server", server.url, "--key", server.key)
        command = ["-m", "hooktide", "relay", *words, "--project", "second", "--once"]
        process = await asyncio.create_subprocess_exec(sys.executable, *command)
        assert await process.wait() == 0
        [event] = (await api_of(server).get("/v1/events"))["items"]
        account = await api_of(server).get(f"/v1/accounts/{event['account']}")
        assert account["project"] == "second"


@pytest.mark.both_databases
async def test_a_project_that_requests_name_is_read_once_and_again_when_it_changed(
    site: Site, accounts: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every publish may name a project, so the check is on the hot path."""
    read, reads = site.app.store.get_project, list[str]()

    async def counted(scope: Scope, name: str) -> ProjectRow:
        reads.append(name)
        return await read(scope, name)

    monkeypatch.setattr(site.app.store, "get_project", counted)
    event = {"account": "acme", "type": "invoice.paid", "payload": {}}
    for name in PROJECTS * 3:
        (await ask(site.operator, "POST", "/v1/events", name, event)).ok(202)
    assert reads == list(PROJECTS)
    first = await site.key("project", project="first")
    assert (await ask(first, "POST", "/v1/events", "second", event)).code == "not_found"
    (await site.operator.delete(f"/v1/accounts/{accounts['second']}")).ok(204)
    (await site.operator.delete("/v1/projects/second")).ok(204)
    assert (await ask(site.operator, "POST", "/v1/events", "second", event)).code == "not_found"
    (await site.operator.apply("second", SMALL % "second")).ok()
    told = (await ask(site.operator, "POST", "/v1/events", "second", event)).ok(202)
    assert told == {"deliveries": 0, "account": "unknown"}, "the new project has no accounts yet"
