"""The OpenAPI and AsyncAPI documents are valid, and their examples match their schemas."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema_rs
import msgspec
import pytest
from docskit import SCHEMAS, SIGNATURES, subject_of, with_schema, with_signature

from hooktide.dialects import load, shipped
from hooktide.domain.delivery.compose import compile_dialect
from hooktide.domain.model import Event
from hooktide.domain.project.project import Project
from hooktide.domain.project.reading import parse_project
from hooktide.web.pages.guide.asyncapi import make_asyncapi
from hooktide.web.pages.guide.openapi import make_openapi
from hooktide.web.pages.guide.subject import Subject

VENDORED = Path(__file__).parents[1] / "data" / "vendored"
BARE = 'name = "acme"\n[dialect]\nstandard_headers = false\n[event_types."a"]\nexample = "[1.10]"'
ODD = r"""
name = "acme"
[dialect.envelope]
"{event.type|upper} ~/%{{}}" = ["{event.id}", 1.5, true, {}, [], "x-{event.id}", "{{}}", ""]
"{event.transition}" = "{event.occurred_at|unix_ms}"
at = "{event.occurred_at|z}"
id = "{payload.id}"
twice = { a = "{payload}", b = "{payload}" }
[event_types."a_b.C-d.e"]
transition = "GO"
example = '{"id": 12345678901234567890123, "total": 1.10}'
"""

PROJECTS: dict[str, Project] = {
    **{name: load(name) for name in shipped()},
    **{f"signed like {name}": with_signature(table) for name, table in SIGNATURES.items()},
    **{f"schema {name}": with_schema(schema) for name, schema in SCHEMAS.items()},
    "bare": parse_project(BARE),
    "odd": parse_project(ODD),
    "empty": parse_project('name = "acme"'),
}

Make = Callable[[Subject, str], dict[str, Any]]
KINDS: dict[str, tuple[Make, str]] = {
    "openapi": (make_openapi, "openapi-3.1.json"),
    "asyncapi": (make_asyncapi, "asyncapi-3.0.json"),
}

every_project = pytest.mark.parametrize("project", PROJECTS.values(), ids=PROJECTS)
both_kinds = pytest.mark.parametrize("kind", KINDS)


def made(kind: str, project: Project) -> dict[str, Any]:
    make, _ = KINDS[kind]
    document: dict[str, Any] = json.loads(msgspec.json.encode(make(subject_of(project), "1")))
    return document


@both_kinds
@every_project
def test_a_document_is_what_its_specification_says(kind: str, project: Project) -> None:
    schema = json.loads((VENDORED / KINDS[kind][1]).read_text())
    found = jsonschema_rs.validator_for(schema).iter_errors(made(kind, project))
    assert [error.message for error in found] == []


@both_kinds
@every_project
def test_every_reference_leads_somewhere(kind: str, project: Project) -> None:
    document = made(kind, project)
    for pointer in _references(document):
        value = document
        for step in pointer.removeprefix("#/").split("/"):
            value = value[unquote(step).replace("~1", "/").replace("~0", "~")]


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$id" in value:
            return  # an embedded schema, whose references start there
        found = value.get("$ref")
        if isinstance(found, str):
            yield found
        for key, each in value.items():
            yield from _references(each) if key != "examples" else ()
    elif isinstance(value, list):
        for each in value:
            yield from _references(each)


@both_kinds
@every_project
def test_an_example_is_the_body_that_is_sent_and_fits_its_schema(
    kind: str, project: Project
) -> None:
    document = made(kind, project)
    for type_name, (place, example) in _examples(kind, document).items():
        _check(document, place).validate(example)
        assert example == json.loads(_sent(project, type_name, example))
    assert set(_examples(kind, document)) == {each.name for each in project.event_types}


def _check(document: dict[str, Any], place: str) -> Any:
    """Return a validator for the object at a pointer in the document.

    It resolves named schemas where schemas are, which ``components`` is not.
    """
    parts = document["components"]
    schema = {"$ref": place, "components": parts, "$defs": parts["schemas"]}
    if "asyncapi" in document:
        schema["$defs"] = {name: each["schema"] for name, each in parts["schemas"].items()}
    return jsonschema_rs.Draft202012Validator(schema)


def _examples(kind: str, document: dict[str, Any]) -> dict[str, tuple[str, Any]]:
    """Return the location of each type's schema, and its example."""
    if kind == "asyncapi":
        return {
            name: (f"{message['payload']['$ref']}/schema", message["examples"][0]["payload"])
            for name, message in document["components"]["messages"].items()
        }
    found = {}
    for name, operation in document["webhooks"].items():
        content = operation["post"]["requestBody"]["content"]["application/json"]
        found[name] = (content["schema"]["$ref"], content["examples"]["example"]["value"])
    return found


def _sent(project: Project, type_name: str, like: Any) -> bytes:
    """Compose a type's example with the time and the id that the document uses."""
    [kind] = [each for each in project.event_types if each.name == type_name]
    event = Event(
        id=int("3266832c45c0f000", 16),
        account_id=1,
        type=kind.name,
        payload=kind.example.encode(),
        occurred_at=1_773_307_800_631_326,
        transition=kind.transition,
    )
    return compile_dialect(project.dialect).body(event)


@both_kinds
def test_a_body_that_breaks_the_types_schema_breaks_the_documents_too(kind: str) -> None:
    for name, schema in SCHEMAS.items():
        document = made(kind, with_schema(schema))
        place, example = _examples(kind, document)["invoice.paid"]
        check = _check(document, place)
        assert check.is_valid(example), name
        assert not check.is_valid({**example, "payload": {"lines": [{"n": "no number"}]}}), name
        assert not check.is_valid({**example, "type": "invoice.created"}), name
        assert not check.is_valid({"payload": example["payload"]}), name


@both_kinds
def test_numbers_stay_as_they_are_written(kind: str) -> None:
    text = msgspec.json.encode(KINDS[kind][0](subject_of(PROJECTS["odd"]), "1"))
    assert b'{"id": 12345678901234567890123, "total": 1.10}' in text


@every_project
def test_the_documents_name_the_headers_that_are_sent(project: Project) -> None:
    dialect = project.dialect
    own = dialect.signature
    wanted = {name for name, _ in dialect.headers}
    wanted |= {own.header, own.timestamp_header} - {""} if own else set()
    if dialect.standard_headers:
        wanted |= {"webhook-id", "webhook-timestamp", "webhook-signature"}
    if "{event.type" not in dialect.envelope:
        wanted.add("hooktide-event-type")
    for operation in made("openapi", project)["webhooks"].values():
        told = operation["post"]["parameters"]
        assert {each["name"] for each in told} == wanted
        for each in told:
            jsonschema_rs.Draft202012Validator(each["schema"]).validate(each["example"])
    for message in made("asyncapi", project)["components"]["messages"].values():
        assert set(message["headers"]["properties"]) == wanted
        jsonschema_rs.Draft202012Validator(message["headers"]).validate(
            message["examples"][0]["headers"]
        )
