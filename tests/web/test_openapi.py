"""The OpenAPI document is correct: generated requests get only documented responses, and no 5xx."""

import asyncio
import re
import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from apikit import Api, api_of
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import CHECKS
from webkit import RECEIVER, Site

from hooktide.cli.demo.server import DemoServer

EXAMPLES = 6
WANTED = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
)


@schemathesis.serializer("application/toml")
def _toml(_: Any, value: Any) -> bytes:
    return str(value).encode()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[DemoServer]:
    async with DemoServer(tmp_path) as running:
        yield running


async def test_made_up_requests_get_only_answers_that_the_document_has(server: DemoServer) -> None:
    await api_of(server).put_toml("/v1/projects/invoice-maker", GOOD["put_project"])
    account = {"project": "invoice-maker", "reference": "acme"}
    account_id = (await api_of(server).post("/v1/accounts", account))["id"]
    keys = {"operator": server.key}
    for scope, name in (("project", "invoice-maker"), ("account", "acme")):
        made = await api_of(server).post("/v1/keys", {"scope": scope, scope: name, "name": "k"})
        keys[scope] = made["key"]
    ann = await api_of(server).post("/v1/users", {"name": "ann", "role": "viewer"})
    known = await _fill(Api(server.url, keys["project"]), account_id)
    known["/v1/users/{id}"] = ann["id"]
    gone = await api_of(server).post("/v1/accounts", account | {"reference": "gone"})
    await api_of(server).delete("/v1/accounts/gone?erase=true")
    known = {"/v1/accounts/{account}/erasure": gone["id"], **known}
    document = await api_of(server).get("/openapi.json")
    met = await asyncio.to_thread(_walk, document, server.url, keys, known)
    # Nearly every operation also received valid requests.
    good = {name for name, status in met if status < 300}
    assert {name for name, _ in met} - good <= NEVER_GOOD


HOOK = {"url": RECEIVER, "event_types": ["*"]}
EVENT = {"account": "acme", "type": "invoice.paid", "payload": {"id": 1.10}}
GOOD: dict[str, Any] = {
    "put_project": """
        name = "invoice-maker"
        title = "Invoice Maker"
        index = ["id"]
        [event_types."invoice.paid"]
        example = '{"id": 1}'
    """,
    "put_event_type": {"description": "x", "schema": {"type": "object"}},
    "create_endpoint": {"account": "acme", **HOOK},
    "check_endpoint": {"account": "new", **HOOK},
    "preview_filter": {"account": "acme", "filter": {"total": {"$gte": 100}}},
    "publish_event": [EVENT, EVENT | {"type": "x"}],
    "test_endpoint": {},
    "start_replay": {"what": "missed", "since": "2026-01-01T00:00:00Z"},
    "start_delivery_job": {"act": "retry", "filter": {"state": "held"}},
    "create_webhook": HOOK,
    "update_webhook": {"enabled": True},
    "create_key": {"scope": "account", "account": "acme", "name": "k"},
    "update_user": {"role": "member"},
}
"""Bodies that are hardly found by chance."""

NEVER_GOOD = {
    "create_account",
    "get_bin_request",
    "update_bin_request",
    "get_bin_request_body",
    "delete_project",
}
"""A new account needs a new reference, the bin was sent nothing, the project has accounts."""


async def _fill(api: Api, account_id: str) -> dict[str, str]:
    """Create one object of each kind, and return the values for each path."""
    endpoint = await api.post("/v1/endpoints", GOOD["create_endpoint"])
    webhook = await api.post("/v1/endpoints", GOOD["create_endpoint"])
    told = await api.post("/v1/events", EVENT)
    delivery = (await api.get("/v1/deliveries"))["items"][0]
    await api.post("/v1/events", EVENT)
    waiting = (await api.get("/v1/deliveries"))["items"][0]
    one = {"what": "event", "event": told["id"]}
    started = await api.post(f"/v1/endpoints/{webhook['id']}/replays", one)
    nothing = {"act": "stop", "filter": {"account": "acme", "text": "nothing has this"}}
    job = (await api.post("/v1/delivery-jobs", nothing))["job"]
    key = await api.post("/v1/keys", {"scope": "project", "name": "spare"})
    made = await api.post("/v1/bins", {})
    return {
        "/v1/projects/{name}": "invoice-maker",
        "/v1/event-types/{name}": "invoice.paid",
        "/v1/accounts/{account}": account_id,
        "/v1/endpoints/{id}": endpoint["id"],
        "/webhooks/{id}": webhook["id"],
        "/v1/events/{id}": told["id"],
        "/v1/deliveries/{id}/stop": waiting["id"],  # the other may have failed after its last retry
        "/v1/deliveries/{id}": delivery["id"],
        "/v1/replays/{id}": started["replay"]["id"],
        "/v1/delivery-jobs/{id}": job["id"],
        "/v1/keys/{id}": key["id"],
        "/v1/bins/{id}": made["id"],
    }


def _walk(
    document: dict[str, Any], url: str, keys: dict[str, str], known: dict[str, str]
) -> set[tuple[str, int]]:
    """Call each operation with random values, then with existing objects. Return the responses."""
    met: set[tuple[str, int]] = set()
    schema = schemathesis.openapi.from_dict(document)
    results: list[Any] = list(schema.get_all_operations())
    # Operations that delete come last, after those that disable, so that the others find objects.
    for found in sorted((result.ok() for result in results), key=_turn):
        description = str(found.definition.raw["description"])
        who = description.rpartition("Keys: ")[2].removesuffix(".").split(", ")
        place = next((id_ for path, id_ in known.items() if found.path.startswith(path)), None)
        met |= _try(found, url, keys[who[0]], None, None)
        wider = keys["project" if "project" in who else who[0]]
        met |= _try(found, url, wider, place, GOOD.get(found.definition.raw["operationId"]))
    return met


def _turn(operation: Any) -> tuple[bool, bool, bool, int]:
    path: str = operation.path
    removes = operation.method == "delete"
    within_first = -len(path) if removes else 0
    return removes, path.startswith("/v1/accounts/"), path.endswith("disable"), within_first


def _try(operation: Any, url: str, key: str, place: str | None, body: Any) -> set[tuple[str, int]]:
    checks = [CHECKS.get_one(name) for name in WANTED]
    met: set[tuple[str, int]] = set()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        case.headers.pop("Hooktide-Project", None)  # a random project does not exist
        if place is not None:
            [first, *_] = case.path_parameters
            case.path_parameters[first] = place
        if body is not None:
            case.body = body
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answer = case.call_and_validate(
                base_url=url, headers={"authorization": f"Bearer {key}"}, checks=checks
            )
        met.add((operation.definition.raw["operationId"], answer.status_code))

    ask()
    return met


async def test_the_document_names_every_operation_once(operator_document: dict[str, Any]) -> None:
    names = [
        operation["operationId"]
        for methods in operator_document["paths"].values()
        for operation in methods.values()
    ]
    assert len(names) == len(set(names)) > 30


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("post", "/v1/endpoints"),
        ("patch", "/v1/endpoints/{id}"),
        ("post", "/v1/endpoint-checks"),
        ("post", "/webhooks"),
        ("patch", "/webhooks/{id}"),
    ],
)
async def test_the_document_has_the_problem_of_each_field_of_an_endpoint(
    operator_document: dict[str, Any], method: str, path: str
) -> None:
    said = operator_document["paths"][path][method]["responses"]["422"]["description"]
    codes = ("channels", "metadata", "reference", "rate", "schedule")
    assert [code for code in codes if f"`invalid_{code}`" not in said] == []


async def test_every_reference_of_the_document_leads_somewhere(
    operator_document: dict[str, Any],
) -> None:
    schemas = operator_document["components"]["schemas"]
    for name in _references(operator_document):
        assert name.removeprefix("#/components/schemas/") in schemas


async def test_schemas_have_names_that_may_be_classes(operator_document: dict[str, Any]) -> None:
    schemas = operator_document["components"]["schemas"]
    assert {"Account", "AccountList", "Problem", "WebhookList", "Bin"} <= set(schemas)
    for name, schema in schemas.items():
        assert re.fullmatch("([A-Z][a-z]+)+", name), name
        assert schema["title"] == name


async def test_every_instant_says_that_it_is_one(operator_document: dict[str, Any]) -> None:
    members = [
        (f"{name}.{member}", schema)
        for name, found in operator_document["components"]["schemas"].items()
        for member, schema in found.get("properties", {}).items()
        if member.endswith(("_at", "_until")) or member in {"since", "until"}
    ]
    assert len(members) > 20
    for name, schema in members:
        assert [
            each for each in schema.get("anyOf", [schema]) if each.get("format") == "date-time"
        ], name


def _references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [found for each in value for found in _references(each)]
    if not isinstance(value, dict):
        return []
    here = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
    return here + [found for each in value.values() for found in _references(each)]


async def test_a_path_allows_just_the_methods_that_the_document_has(
    site: Site, operator_document: dict[str, Any]
) -> None:
    for path, methods in operator_document["paths"].items():
        answer = await site.operator.call("PROPFIND", path)
        assert answer.code == "method_not_allowed"
        allowed = {method.lower() for method in answer.headers["allow"].split(", ")}
        assert allowed - {"head"} == set(methods), path


@pytest.fixture
async def operator_document(site: Site) -> dict[str, Any]:
    document: dict[str, Any] = (await site.operator.get("/openapi.json")).ok()
    return document
