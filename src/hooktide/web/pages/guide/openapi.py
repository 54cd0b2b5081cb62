"""A project's webhooks as an OpenAPI 3.1 document: one entry of ``webhooks`` an event type."""

from typing import Any

from hooktide.domain.project.project import EventType
from hooktide.web.pages.framework import formats
from hooktide.web.pages.guide.envelope import body_schema, pointed
from hooktide.web.pages.guide.example import make_example
from hooktide.web.pages.guide.facts import base, description, header_facts, sent_body
from hooktide.web.pages.guide.subject import Subject

_PLACE = "#/components/schemas/{}"


def make_openapi(subject: Subject, version: str) -> dict[str, Any]:
    """Return the document. ``version`` tells one state of the project from another."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{subject.title} webhooks",
            "version": version,
            "description": description(subject),
        },
        "externalDocs": {"description": "The guide", "url": base(subject)},
        "webhooks": {kind.name: {"post": _operation(subject, kind)} for kind in subject.types},
        "components": {"schemas": {kind.name: _body(subject, kind) for kind in subject.types}},
    }


def _body(subject: Subject, kind: EventType) -> Any:
    place = _PLACE.format(pointed(kind.name))
    return body_schema(subject.dialect, kind, place, f"{base(subject)}/schemas")


def _operation(subject: Subject, kind: EventType) -> dict[str, Any]:
    example = make_example(subject.project, kind)
    headers = header_facts(subject, example)
    return {
        "operationId": kind.name,
        "summary": formats.one_line(kind.description) or kind.name,
        "parameters": [
            {
                "name": name,
                "in": "header",
                "required": True,
                "description": fact.description,
                "schema": fact.schema,
                "example": fact.example,
            }
            for name, fact in headers.items()
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": _PLACE.format(pointed(kind.name))},
                    "examples": {"example": {"value": sent_body(example)}},
                }
            },
        },
        "responses": _responses(subject),
    }


def _responses(subject: Subject) -> dict[str, Any]:
    timeout = formats.span(subject.project.sure_timeout)
    failed = "The attempt has failed."
    if any(plan.retries for plan in subject.project.plans):
        failed += " It is made again later, a limited number of times."
    return {
        "2XX": {"description": f"It has arrived. Answer within {timeout}."},
        "410": {"description": "It is wanted no more: the endpoint is disabled."},
        "default": {"description": failed},
    }
