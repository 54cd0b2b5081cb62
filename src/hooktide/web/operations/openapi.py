"""The OpenAPI 3.1 document, made from what the operations declare."""

import inspect
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from hooktide import __version__
from hooktide.actions.deliveries.held_back import HeldBackRule
from hooktide.domain.model import (
    DeliveryState,
    EndpointKind,
    JobAct,
    JobState,
    KeyScope,
    Origin,
    ReplayState,
    ReplayWhat,
    Role,
    SignatureVerdict,
)
from hooktide.web.auth import PROJECT_HEADER
from hooktide.web.health import JSON
from hooktide.web.operations.operation import ANYONE, TOML, Documented
from hooktide.web.problems.problem_table import PROBLEMS
from hooktide.web.problems.problems import MEDIA_TYPE
from hooktide.wire.fields import ENUMERATION, PageQuery, PeriodQuery
from hooktide.wire.problems import Problem

_REF = "#/components/schemas/{name}"
_ALWAYS = ("unauthorized", "invalid_query", "internal", "unavailable")
_WITH_BODY = ("body_too_large", "unsupported_media_type", "unsupported_encoding")
_WITH_JSON = ("invalid_json", "duplicate_key", "invalid_body", "too_deep")
_PLACE = re.compile(r"\{([a-z_]+)\}")


def make_openapi(documents: Iterable[Documented], public_url: str) -> dict[str, Any]:
    """Return the document of these operations."""
    listed = list(documents)
    schemas = _Schemas(listed)
    paths: dict[str, dict[str, Any]] = {}
    for document in listed:
        paths.setdefault(document.path, {})[document.method.lower()] = _operation(document, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Hooktide",
            "version": __version__,
            "description": "Send webhooks: manage projects, accounts and endpoints, publish "
            "events, see what was delivered. Every error is a problem (RFC 9457); its type leads "
            "to what to do about it.",
            "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": public_url}],
        "security": [{"key": []}],
        "tags": [
            {"name": tag, "description": TAGS[tag]}
            for tag in dict.fromkeys(each.tag for each in listed)
        ],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key: `htk_...`. Its scope is an operator, a project or an "
                    "account.",
                }
            },
        },
    }


TAGS = {
    "accounts": "The customers of a project.",
    "bins": "URLs of this server that show what they are sent.",
    "audit log": "What was done, by whom and when.",
    "delivery jobs": "Jobs that do one thing with every delivery that matches a filter.",
    "deliveries": "One event for one endpoint, and its attempts.",
    "endpoints": "URLs, and the event types that each of them gets.",
    "event types": "What a project's events are called, with examples, schemas and messages.",
    "events": "Publishing events, and reading what was published.",
    "keys": "API keys of the operator, of projects and of accounts.",
    "users": "Users of the dashboard, and their roles.",
    "portal links": "Links that open the portal for an account's customers.",
    "projects": "Sending products: wire format, event types and plans.",
    "replays": "Jobs that send an endpoint old events again.",
    "statistics": "How deliveries went: outcomes, causes of failures and percentiles.",
    "storage usage": "What is stored of each project.",
    "webhooks": "The API for a project's customers, with an account's key.",
}
"""What each area of the API is about."""


class _Schemas:
    """The schemas of every type that the operations name, each written once."""

    def __init__(self, documents: list[Documented]) -> None:
        kinds = [
            kind
            for each in documents
            for value in (each.body, *each.answers.values())
            for kind in _kinds(value)
        ]
        found, components = msgspec.json.schema_components([Problem, *kinds], ref_template=_REF)
        names = {name: _schema_name(name) for name in components}
        if len(set(names.values())) < len(names):
            raise AssertionError(f"two schemas of the OpenAPI document have one name: {names}")
        wanted = [_renamed(each, names) for each in found]
        self._of = dict(zip([id(Problem), *map(id, kinds)], wanted, strict=True))
        self._keep = kinds  # an id is a type's only as long as the type is there
        models = {
            names[name]: _without_defaults(_renamed(schema, names)) | {"title": names[name]}
            for name, schema in components.items()
        }
        self.components: dict[str, Any] = dict(sorted((models | _ENUMERATIONS).items()))

    def of(self, value: Any) -> dict[str, Any]:
        """Return the schema of a type, or of any of several."""
        found = [self._of[id(kind)] for kind in _kinds(value)]
        return found[0] if len(found) == 1 else {"anyOf": found}


def _schema_name(name: str) -> str:
    """Return what the document calls a type of ours: generated clients name their classes so."""
    page = _PAGE.fullmatch(name)
    return f"{page[1]}List" if page else name


_PAGE = re.compile("Listed_([A-Za-z]+)_")


_ENUMERATIONS: dict[str, dict[str, Any]] = {
    kind.__name__: {
        "title": kind.__name__,
        "description": inspect.cleandoc(kind.__doc__ or ""),
        "enum": sorted(kind),
    }
    for kind in (
        DeliveryState,
        EndpointKind,
        HeldBackRule,
        JobAct,
        JobState,
        KeyScope,
        Origin,
        ReplayState,
        ReplayWhat,
        Role,
        SignatureVerdict,
    )
}


def _renamed(schema: Any, names: dict[str, str]) -> Any:
    """Return a schema whose references lead to the documented names.

    A value of an enumeration refers to that. Pairs are lists of two for generators, most of which
    do not know ``prefixItems``.
    """
    if isinstance(schema, list):
        return [_renamed(each, names) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if ENUMERATION in schema:
        schema = dict(schema)
        name = schema.pop(ENUMERATION)
        values = schema.pop("enum", _ENUMERATIONS[name]["enum"])
        if values != _ENUMERATIONS[name]["enum"]:
            raise AssertionError(f"hooktide.wire does not have the values of {name}: {values}")
        schema.pop("type", None)
        return schema | {"$ref": _REF.format(name=name)}
    if "prefixItems" in schema:
        schema = dict(schema)
        schema["items"] = schema.pop("prefixItems")[0]
    return {
        key: _REF.format(name=names[value.rpartition("/")[2]])
        if key == "$ref"
        else _renamed(value, names)
        for key, value in schema.items()
    }


def _without_defaults(schema: dict[str, Any]) -> dict[str, Any]:
    """Return an object's schema in which a default is part of its member's description.

    Generators take a member with a ``default`` for one that is always there.
    """
    for member in schema.get("properties", {}).values():
        default = member.pop("default", None)
        if default:
            text = f"Default: `{msgspec.json.encode(default).decode()}`."
            member["description"] = f"{member.get('description', '')} {text}".strip()
    return schema


def _kinds(value: Any) -> tuple[Any, ...]:
    if value is None:
        return ()
    return value if isinstance(value, tuple) else (value,)


def _operation(document: Documented, schemas: _Schemas) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": document.name,
        "tags": [document.tag],
        "summary": document.summary,
        "description": _description(document),
        "parameters": [
            *_path_parameters(document),
            *_query_parameters(document),
            *_headers(document),
        ],
        "responses": {
            **{
                str(code): _answer(document, value, schemas)
                for code, value in document.answers.items()
            },
            **_problems(document, schemas),
        },
    }
    if document.body is not None:
        # A file goes out as the bytes that it has.
        file = {} if document.body_kind == JSON else {"format": "binary"}
        made["requestBody"] = {
            "required": document.body_required,
            "content": {document.body_kind: {"schema": schemas.of(document.body) | file}},
        }
    return made


def _description(document: Documented) -> str:
    keys = ", ".join(each.value for each in KeyScope if each in document.who)
    return f"{document.description}\n\nKeys: {keys}.".strip()


def _path_parameters(document: Documented) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PLACE.findall(document.path)
    ]


def _query_parameters(document: Documented) -> list[dict[str, Any]]:
    [top], components = msgspec.json.schema_components([document.query], ref_template="{name}")
    schema = components[top["$ref"]]
    return [
        _parameter(name, _inline(of, components), name in schema.get("required", ()))
        for name, of in schema["properties"].items()
    ]


def _parameter(name: str, schema: dict[str, Any], required: bool) -> dict[str, Any]:
    described = schema.pop("description", "")
    schema.pop("default", None) if schema.get("default", 0) is None else None
    made = {"name": name, "in": "query", "required": required, "schema": schema}
    return made | ({"description": described} if described else {})


def _inline(schema: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter, which may be absent but never null."""
    if ENUMERATION in schema:
        return dict(_ENUMERATIONS[schema[ENUMERATION]])
    values = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    return _inline(values[0], components) if values else dict(schema)


def _headers(document: Documented) -> list[dict[str, Any]]:
    named = [
        {"name": name, "in": "header", "required": False, "schema": {"type": "string"}}
        for name in document.headers
    ]
    if KeyScope.OPERATOR not in document.who:
        return named
    return [*named, _PROJECT]


_PROJECT = {
    "name": PROJECT_HEADER,
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "A project's name. It narrows an operator's key to that project, where "
    "several have an account of the same reference.",
}


def _answer(document: Documented, value: Any, schemas: _Schemas) -> dict[str, Any]:
    if value is None:
        return {"description": "Done."}
    content = {document.answer_kind: {"schema": schemas.of(value)}}
    return {"description": document.summary + ".", "content": content}


def _problems(document: Documented, schemas: _Schemas) -> dict[str, Any]:
    by_status: dict[int, list[str]] = {}
    for code in dict.fromkeys(_codes(document)):
        by_status.setdefault(PROBLEMS[code].status, []).append(code)
    if document.limited:
        by_status.setdefault(429, []).append("plan_limit_reached")
    return {str(status): _problem(codes, schemas) for status, codes in sorted(by_status.items())}


def _codes(document: Documented) -> Iterable[str]:
    yield from _ALWAYS
    if document.who != ANYONE:
        yield "forbidden"
    if "{" in document.path or KeyScope.OPERATOR in document.who:
        yield "not_found"
    if issubclass(document.query, PageQuery):
        yield "invalid_cursor"
    if issubclass(document.query, PeriodQuery):
        yield "invalid_time"
    if document.body is not None:
        yield from _WITH_BODY
        yield from _WITH_JSON if document.body_kind == JSON else ()
    if document.body_kind == TOML:
        yield "invalid_project"
    yield from document.problems


def _problem(codes: list[str], schemas: _Schemas) -> dict[str, Any]:
    return {
        "description": "; ".join(f"`{code}`: {PROBLEMS[code].title}" for code in codes),
        "content": {MEDIA_TYPE: {"schema": schemas.of(Problem)}},
    }
