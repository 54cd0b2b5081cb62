"""Projects for the documentation tests: the shipped ones, and many other wire formats."""

import json
from typing import Any

from hooktide.domain.dialect.dialect import Dialect
from hooktide.domain.project.project import EventType, Project
from hooktide.domain.project.reading import parse_project
from hooktide.web.pages.guide.subject import Served, Subject, make_subject

SERVED = Served(public_url="https://hooks.example.com", allow_http=False, only_port_443=False)

SIGNATURES = {
    "github": """
        header = "X-Acme-Signature-256"
        value = "sha256={signature}"
    """,
    "stripe": """
        header = "Acme-Signature"
        content = "{timestamp}.{body}"
        value = "t={timestamp},v1={signature}"
    """,
    "slack": """
        header = "X-Acme-Signature"
        content = "v0:{timestamp}:{body}"
        value = "v0={signature}"
        timestamp_header = "X-Acme-Request-Timestamp"
    """,
    "base64": """
        header = "X-Acme-Hmac"
        algorithm = "hmac-sha512"
        encoding = "base64"
        content = "{id}.{timestamp}.{body}"
    """,
    "told": """
        header = "X-Acme"
        algorithm = "hmac-sha1"
        encoding = "base64"
        content = "{body}|{id}"
        value = "{timestamp}{id}{signature}"
    """,
    "hostile": r'''
        header = "X--1"
        content = """ '"`\\${timestamp}#{{x}}/*{body}*/%s"""
        value = """'"`\\$^.|?*+()[]{{}}/#{{x}}{signature}{timestamp}"""
    ''',
}
"""Signature tables of project files; what is odd in the last one is odd in every language."""


def with_signature(table: str, envelope: str = "", standard: bool = True) -> Project:
    return parse_project(
        f'name = "acme"\n[dialect]\nstandard_headers = {str(standard).lower()}\n'
        f"[dialect.signature]\n{table}\n{envelope}\n"
        '[event_types."invoice.paid"]\nexample = \'{"id": 1}\'\n'
    )


LINE = {"type": "object", "properties": {"n": {"type": "integer"}}}
SCHEMAS: dict[str, dict[str, Any]] = {
    "plain": {"properties": {"lines": {"items": LINE}}},
    "local": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "properties": {"lines": {"items": {"$ref": "#/$defs/a~1%20b"}}},
        "$defs": {"a/ b": LINE},
    },
    "to itself": {
        "properties": {"lines": {"items": LINE}, "more": {"$ref": "#"}},
        "examples": [{"$ref": "#/nowhere"}],
    },
    "named": {
        "$id": "https://schemas.example.com/invoice",
        "properties": {"lines": {"items": {"$ref": "invoice#/$defs/line"}}},
        "$defs": {"line": LINE},
    },
    "anchored": {
        "properties": {"lines": {"items": {"$ref": "#line"}}},
        "$defs": {"line": {"$anchor": "line", **LINE}},
    },
}
"""JSON Schemas of payloads whose ``lines`` hold objects with an integer ``n``, in many ways."""


def with_schema(schema: dict[str, Any]) -> Project:
    kind = EventType(
        name="invoice.paid", example='{"lines": [{"n": 1}]}', schema=json.dumps(schema)
    )
    envelope = '{"type": "{event.type}", "payload": "{payload}"}'
    return Project(
        name="acme", title="Acme", dialect=Dialect(envelope=envelope), event_types=(kind,)
    )


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</pre></title></script><svg onload=alert(1)>",
    "{{7*7}}${7*7}{% raw %}<%= 7 %>",
    "[click](javascript:alert(1)) ![x](https://evil.example/x) <https://evil.example>",
    "`</code>` **bold** _it_ ~~no~~ | cell | &lt;b&gt;",
    "<!-- \u202e\u200b\x1b[31m -->",
    "# heading\n\n- item\n\n```\n<b>\n```\n\n---\n1. one",
    "https://evil.example www.evil.example a@evil.example $x$",
    ":::details Open\n\n:::/said\n\n> quote\n\n=cmd()\n\n]( `` | `\n\n![x][y]\n\n[y]: https://evil.example",
]


def hostile_project(text: str) -> Project:
    kind = EventType(
        name="a.b",
        description=text,
        example=json.dumps({"id": text, text: [text]}, ensure_ascii=False),
        schema=json.dumps({"title": text, "description": text}, ensure_ascii=False),
        transition=text,
    )
    envelope = {text.replace("{", "{{").replace("}", "}}"): "{payload}", "t": "{event.transition}"}
    return Project(
        name="acme",
        title=text,
        dialect=Dialect(envelope=json.dumps(envelope), headers=(("X-Odd", "<b>`|*"),)),
        event_types=(kind,),
    )


def hostile_file(name: str) -> str:
    """Return a project file in which every text is hostile."""
    text = "\n\n".join(HOSTILE)
    quoted = json.dumps(text).replace("\\u001b", "\\u001B")
    example = json.dumps(json.dumps({"id": text, text: [text]}, ensure_ascii=False))
    schema = json.dumps(json.dumps({"title": text}))
    key = json.dumps(text.replace("{", "{{").replace("}", "}}"))
    return (
        f'name = "{name}"\ntitle = {json.dumps(HOSTILE[0])}\n'
        f'[dialect.envelope]\n{key} = "{{payload}}"\n'
        f'[event_types."a.b"]\ndescription = {quoted}\nexample = {example}\nschema = {schema}\n'
    )


def subject_of(project: Project) -> Subject:
    return make_subject(project, SERVED)
