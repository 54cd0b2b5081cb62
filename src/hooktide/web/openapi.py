"""The OpenAPI 3.1 document, made from what the operations declare."""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from hooktide import __version__
from hooktide.domain.model import KeyScope
from hooktide.web.operation import ANYONE, JSON, TOML, Documented
from hooktide.web.pages import PageQuery
from hooktide.web.problem_table import PROBLEMS
from hooktide.web.problems import MEDIA_TYPE, ProblemOut

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
        },
        "servers": [{"url": public_url}],
        "security": [{"key": []}],
        "tags": [{"name": tag} for tag in dict.fromkeys(each.tag for each in listed)],
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


class _Schemas:
    """The schemas of every type that the operations name, each written once."""

    def __init__(self, documents: list[Documented]) -> None:
        kinds = [
            kind
            for each in documents
            for value in (each.body, *each.answers.values())
            for kind in _kinds(value)
        ]
        found, components = msgspec.json.schema_components([ProblemOut, *kinds], ref_template=_REF)
        self._of = dict(zip([id(ProblemOut), *map(id, kinds)], found, strict=True))
        self._keep = kinds  # an id is a type's only as long as the type is there
        self.components: dict[str, Any] = dict(components)

    def of(self, value: Any) -> dict[str, Any]:
        """Return the schema of a type, or of any of several."""
        found = [self._of[id(kind)] for kind in _kinds(value)]
        return found[0] if len(found) == 1 else {"anyOf": found}


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
        made["requestBody"] = {
            "required": document.body_required,
            "content": {document.body_kind: {"schema": schemas.of(document.body)}},
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
    """Return the schema of a parameter: absent is absent, so null is no value of it."""
    if "$ref" in schema:
        return dict(components[schema["$ref"]])
    values = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    return _inline(values[0], components) if values else dict(schema)


def _headers(document: Documented) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "header", "required": False, "schema": {"type": "string"}}
        for name in document.headers
    ]


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
    if "{" in document.path:
        yield "not_found"
    if issubclass(document.query, PageQuery):
        yield "invalid_cursor"
    if document.body is not None:
        yield from _WITH_BODY
        yield from _WITH_JSON if document.body_kind == JSON else ()
    if document.body_kind == TOML:
        yield "invalid_project"
    yield from document.problems


def _problem(codes: list[str], schemas: _Schemas) -> dict[str, Any]:
    return {
        "description": "; ".join(f"`{code}`: {PROBLEMS[code].title}" for code in codes),
        "content": {MEDIA_TYPE: {"schema": schemas.of(ProblemOut)}},
    }
