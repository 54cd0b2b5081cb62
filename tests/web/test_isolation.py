"""Objects of other customers return 404, on every route of the OpenAPI document.

The routes come from the document, so a new one is tested here or makes this file fail.
"""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from webkit import OPERATOR, RECEIVER, Answer, Client, Site, running

from hooktide.dialects import read_shipped

pytestmark = pytest.mark.asyncio(loop_scope="module")

KINDS = {
    "/v1/projects/{name}": "project",
    "/v1/accounts/{account}": "account",
    "/v1/endpoints/{id}": "endpoint",
    "/webhooks/{id}": "endpoint",
    "/v1/events/{id}": "event",
    "/v1/deliveries/{id}": "delivery",
    "/v1/replays/{id}": "replay",
    "/v1/delivery-jobs/{id}": "job",
    "/v1/keys/{id}": "key",
    "/v1/bins/{id}": "bin",
    "/v1/users/{id}": "user",
}
"""Whose id a path takes; below it, the same."""

NOBODYS = {
    "project": "nobody",
    "account": "acc_0000000000000001",
    "reference": "nobody",
    "endpoint": "ep_0000000000000001",
    "event": "evt_0000000000000001",
    "delivery": "dlv_0000000000000001",
    "replay": "rpl_0000000000000001",
    "job": "job_0000000000000001",
    "key": "key_0000000000000001",
    "bin": "bin_" + "A" * 24,
    "user": "usr_0000000000000001",
}

SHIPPED = read_shipped("invoice-maker")

BODIES: dict[str, Any] = {
    "update_bin": {"script": []},
    "put_rate_limit": {"rate_limit": None},
    "update_bin_request": {"note": "mine"},
    "update_user": {"role": "owner"},
    "start_replay": {"what": "missed", "since": "2026-01-01T00:00:00Z"},
}
"""The smallest good body of those operations that do not take ``{}``."""


@dataclass
class Two:
    """Two customers of one project, and one of another project."""

    site: Site
    ours: dict[str, Client]
    theirs: dict[str, dict[str, str]]


UNKNOWN = {"deliveries": 0, "account": "unknown"}
"""What publishing for an account that does not exist is answered."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def two(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Two]:
    async with running(tmp_path_factory.mktemp("isolation")) as site:
        await site.account("invoice-maker", "ours")
        ours = {
            "project": await site.key("project", project="invoice-maker"),
            "account": await site.key("account", account="ours"),
        }
        theirs = {
            "project": await _filled(site, "invoice-ahoy", "theirs"),
            "account": await _filled(site, "invoice-maker", "neighbour"),
        }
        unhurried = re.sub(r"(\[plans\..*\]\n)", r"\1changes_per_second = 1000\n", SHIPPED)
        (await site.operator.apply("invoice-maker", unhurried)).ok()
        yield Two(site, ours, theirs)


async def _filled(site: Site, project: str, reference: str) -> dict[str, str]:
    """Create one object of each kind in an account, and return their ids."""
    account = await site.account(project, reference)
    endpoint = await site.endpoint(reference)
    event = {"account": reference, "type": "invoice.created", "payload": {"id": 1}}
    told = (await site.operator.post("/v1/events", event)).ok(202)
    listed = (await site.operator.get(f"/v1/deliveries?endpoint={endpoint['id']}")).ok()
    wanted = {"what": "event", "event": told["id"]}
    path = f"/v1/endpoints/{endpoint['id']}/replays"
    replay = (await site.operator.post(path, wanted)).ok(202)["replay"]
    asked = {"act": "stop", "filter": {"account": account["id"], "text": "nothing has this"}}
    job = (await site.operator.post("/v1/delivery-jobs", asked)).ok(202)["job"]
    named = {"name": "k", "scope": "account", "account": reference}
    key = (await site.operator.post("/v1/keys", named)).ok(201)
    made = (await site.client(key["key"]).post("/v1/bins", {})).ok(201)
    somebody = {"name": reference, "role": "viewer", "project": project}
    user = (await site.operator.post("/v1/users", somebody)).ok(201)
    return {
        "project": project,
        "reference": reference,
        "account": account["id"],
        "endpoint": endpoint["id"],
        "event": told["id"],
        "delivery": listed["items"][0]["id"],
        "replay": replay["id"],
        "job": job["id"],
        "key": key["id"],
        "bin": made["id"],
        "user": user["id"],
    }


async def test_every_route_answers_alike_for_foreign_and_missing_objects(two: Two) -> None:
    document = (await two.site.operator.get("/openapi.json")).ok()
    walked = 0
    for path, methods in document["paths"].items():
        if "{" not in path or path.startswith("/v1/event-types/"):
            continue
        kind = next(kind for prefix, kind in KINDS.items() if path.startswith(prefix))
        for method, operation in methods.items():
            for who, client in two.ours.items():
                if who == "account" and kind == "project":
                    continue
                creates = operation["operationId"] == "put_account"  # always our own account
                for known in {kind, "reference" if kind == "account" and not creates else kind}:
                    await _compare(client, method, path, operation, two.theirs[who][known], known)
                    walked += 1
    assert walked > 40


async def _compare(
    client: Client, method: str, path: str, operation: Any, theirs: str, kind: str
) -> None:
    found = await _ask(client, method, path, operation, theirs)
    missing = await _ask(client, method, path, operation, NOBODYS[kind])
    where = (method, path, kind, found.status, found.body)
    assert found.status in {403, 404}, where
    assert found.status == missing.status, where
    assert _without_instance(found.body) == _without_instance(missing.body), where
    assert _without_length(found) == _without_length(missing), where


async def _ask(client: Client, method: str, path: str, operation: Any, id_: str) -> Answer:
    target = path.replace("{request_id}", "req_0000000000000001")
    target = re.sub(r"\{[a-z]+\}", id_, target)
    if "application/toml" in operation.get("requestBody", {}).get("content", {}):
        return await client.apply(id_, f'name = "{id_}"\n')
    body = BODIES.get(operation["operationId"], {}) if "requestBody" in operation else None
    return await client.call(method.upper(), target, body)


def _without_instance(body: bytes) -> bytes:
    return re.sub(rb'"instance":"[^"]*"', b"", body)


def _without_length(answer: Answer) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name != "content-length"}


@pytest.mark.parametrize("kind", ["account", "reference"])
@pytest.mark.parametrize("who", ["project", "account"])
async def test_their_account_in_a_body_or_a_query_is_not_there(
    two: Two, who: str, kind: str
) -> None:
    client = two.ours[who]
    hook = {"url": RECEIVER, "event_types": ["*"]}
    event = {"type": "invoice.paid", "payload": {}}
    for method, path, body in (
        ("POST", "/v1/endpoints", hook),
        ("POST", "/v1/events", event),
        ("POST", "/v1/keys", {"scope": "account", "name": "x"}),
        ("GET", "/v1/endpoints?account=", None),
        ("GET", "/v1/events?account=", None),
        ("GET", "/v1/deliveries?account=", None),
    ):
        answers = []
        for known in (two.theirs[who][kind], NOBODYS[kind]):
            target = path + known if path.endswith("=") else path
            given = None if body is None else {**body, "account": known}
            answers.append(await client.call(method, target, given))
        refused = answers[0].status in {403, 404}
        assert refused or answers[0].json == UNKNOWN, (path, answers[0].body)
        assert _without_instance(answers[0].body) == _without_instance(answers[1].body)


async def test_their_project_is_not_there_either(two: Two) -> None:
    client = two.ours["project"]
    for method, path, body in (
        ("GET", "/v1/event-types?project={}", None),
        ("GET", "/v1/event-types/invoice.paid?project={}", None),
        ("PUT", "/v1/event-types/invoice.paid?project={}", {}),
        ("DELETE", "/v1/event-types/invoice.paid?project={}", None),
        ("GET", "/v1/accounts?project={}", None),
    ):
        answers = [
            await client.call(method, path.format(known), body)
            for known in (two.theirs["project"]["project"], NOBODYS["project"])
        ]
        assert [answer.code for answer in answers] == ["not_found", "not_found"]
    for known in (two.theirs["project"]["project"], NOBODYS["project"]):
        given = {"project": known, "reference": "mine"}
        assert (await client.post("/v1/accounts", given)).code == "not_found"


@pytest.mark.parametrize("who", ["project", "account"])
async def test_no_list_shows_anything_of_theirs(two: Two, who: str) -> None:
    theirs = two.theirs[who]
    document = (await two.site.operator.get("/openapi.json")).ok()
    lists = [path for path, methods in document["paths"].items() if "get" in methods]
    for path in lists:
        if "{" not in path:
            body = (await two.ours[who].get(path)).body.decode()
            shown = [kind for kind, id_ in theirs.items() if f'"{id_}"' in body]
            assert set(shown) <= ({"project"} if who == "account" else set()), path


@pytest.mark.parametrize("who", ["project", "account"])
async def test_filters_with_their_ids_find_nothing(two: Two, who: str) -> None:
    theirs = two.theirs[who]
    for query in (f"endpoint={theirs['endpoint']}", f"event={theirs['event']}"):
        assert (await two.ours[who].get(f"/v1/deliveries?{query}")).ok()["items"] == []


async def test_after_all_that_theirs_is_as_it_was(two: Two) -> None:
    operator = two.site.client(OPERATOR)
    for theirs in two.theirs.values():
        hook = (await operator.get(f"/v1/endpoints/{theirs['endpoint']}")).ok()
        assert (hook["enabled"], hook["url"]) == (True, RECEIVER)
        assert (await operator.get(f"/v1/accounts/{theirs['account']}")).status == 200
        keys = (await operator.get("/v1/keys")).ok()["items"]
        assert [key["revoked_at"] for key in keys if key["id"] == theirs["key"]] == [None]
