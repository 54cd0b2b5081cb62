"""A project's webhooks as an AsyncAPI 3 document: one channel, and a message an event type."""

from typing import Any

from hooktide.domain.project.project import EventType
from hooktide.web.pages.framework import formats
from hooktide.web.pages.guide.envelope import body_schema, pointed
from hooktide.web.pages.guide.example import make_example
from hooktide.web.pages.guide.facts import base, description, header_facts, sent_body
from hooktide.web.pages.guide.subject import Subject

_CHANNEL = "endpoint"
_HTTP = "0.3.0"
"""The version of the HTTP binding."""
_FORMAT = "application/schema+json;version=2020-12"


def make_asyncapi(subject: Subject, version: str) -> dict[str, Any]:
    """Return the document. ``version`` tells one state of the project from another."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": f"{subject.title} webhooks",
            "version": version,
            "description": description(subject),
            "externalDocs": {"description": "The guide", "url": base(subject)},
        },
        "defaultContentType": "application/json",
        "channels": {
            _CHANNEL: {
                "address": None,
                "title": "Your endpoint",
                "description": "The URL that you registered.",
                "messages": {
                    kind.name: {"$ref": f"#/components/messages/{pointed(kind.name)}"}
                    for kind in subject.types
                },
            }
        },
        "operations": {
            "deliver": {
                "action": "send",
                "title": "Deliver an event",
                "channel": {"$ref": f"#/channels/{_CHANNEL}"},
                "messages": [
                    {"$ref": f"#/channels/{_CHANNEL}/messages/{pointed(kind.name)}"}
                    for kind in subject.types
                ],
                "bindings": {"http": {"method": "POST", "bindingVersion": _HTTP}},
            }
        },
        "components": {
            "messages": {kind.name: _message(subject, kind) for kind in subject.types},
            "schemas": {kind.name: _body(subject, kind) for kind in subject.types},
        },
    }


def _body(subject: Subject, kind: EventType) -> Any:
    place = f"#/components/schemas/{pointed(kind.name)}/schema"
    schema = body_schema(subject.dialect, kind, place, f"{base(subject)}/schemas")
    return {"schemaFormat": _FORMAT, "schema": schema}


def _message(subject: Subject, kind: EventType) -> dict[str, Any]:
    example = make_example(subject.project, kind)
    facts = header_facts(subject, example)
    headers = {
        name: {**fact.schema, "description": fact.description} for name, fact in facts.items()
    }
    return {
        "name": kind.name,
        "title": kind.name,
        "summary": formats.one_line(kind.description) or kind.name,
        "contentType": "application/json",
        "headers": {"type": "object", "properties": headers, "required": list(headers)},
        "payload": {"$ref": f"#/components/schemas/{pointed(kind.name)}"},
        "examples": [
            {
                "name": "example",
                "headers": {name: fact.example for name, fact in facts.items()},
                "payload": sent_body(example),
            }
        ],
    }
