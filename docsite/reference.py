"""The reference pages' tables and lists, generated from the code that they describe."""

import asyncio
import inspect
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import MISSING, Field, fields
from enum import Enum
from pathlib import Path
from typing import Any

import httpx

from hooktide.cli import app as command_line
from hooktide.domain.delivery.backoff import Retry
from hooktide.domain.dialect.dialect import Dialect, Signature
from hooktide.domain.messages.message import Wording
from hooktide.domain.project.portal import Portal, PortalWords
from hooktide.domain.project.project import EventType, Fields, NewAccounts, Plan, Project
from hooktide.domain.time.spans import show_span
from hooktide.library import Hooktide
from hooktide.runtime.metrics import Counter, Metrics
from hooktide.runtime.settings import Settings
from hooktide.web.api import events
from hooktide.web.operations.openapi import make_openapi
from hooktide.web.problems.problem_table import PROBLEMS
from hooktide.web.routes import OPERATIONS

ROOT = Path(__file__).parents[1]
URL = "https://hooks.example.com"


def part(name: str) -> str:
    """Return the Markdown that stands in a page under this name."""
    kind, _, rest = name.partition(" ")
    return PARTS[kind](*rest.split()).strip()


def settings() -> str:
    """Describe each setting of ``hooktide serve``."""
    told = parameters(Settings)
    lines = []
    for field in fields(Settings):
        option = field.name.replace("_", "-")
        variable = f"HOOKTIDE_{field.name.upper()}"
        lines += [
            f"### `--{option}` {{ #{option} }}",
            "",
            f"`{variable}` · default: {_default(field)}",
            "",
            told[field.name],
            "",
        ]
    return "\n".join(lines)


def keys(name: str) -> str:
    """Describe the keys of one table of a project file."""
    kind = TABLES[name]
    told = parameters(kind)
    rows = [
        (f"`{field.name}`", _default(field), told[field.name])
        for field in fields(kind)
        if field.name in told
    ]
    return _table(("key", "default", "meaning"), rows)


SPANS = {"first", "max", "timeout", "max_timeout", "retention", "rotation_overlap"}
"""The keys of a project file that are spans, which the code keeps in microseconds."""
FROM_OTHERS = {"title"}
"""The keys that may be left out although their default depends on another key."""
TABLES = {
    kind.__name__: kind
    for kind in (
        Project,
        NewAccounts,
        Retry,
        Plan,
        EventType,
        Wording,
        Fields,
        Portal,
        PortalWords,
        Dialect,
        Signature,
    )
}


def parameters(kind: type) -> dict[str, str]:
    """Return what a class's docstring says of each parameter, as Markdown."""
    section = (inspect.getdoc(kind) or "").partition("Parameters\n----------\n")[2]
    found = re.findall(r"^(\w+)\n((?: {4}.*\n?|\n(?= {4}))+)", section + "\n", re.MULTILINE)
    return {name: _prose(text) for name, text in found}


def _prose(text: str) -> str:
    return " ".join(text.split()).replace("``", "`")


def _default(field: "Field[Any]") -> str:
    value = field.default
    if value is MISSING:
        needed = field.default_factory is MISSING and field.name not in FROM_OTHERS
        return "required" if needed else "none"
    if isinstance(value, Enum):
        return f'`"{value.value}"`'
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if value is None or value == () or value == "":
        return "none"
    if isinstance(value, tuple):
        return ", ".join(f"`{each}`" for each in value)
    if field.name in SPANS:
        return f'`"{show_span(value)}"`'
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def commands() -> str:
    """Describe every command and its options."""
    text = command_line.generate_docs(output_format="markdown", recursive=True)
    _, _, text = text.partition("\n## hooktide ")
    text = f"## hooktide {text}"
    text = re.sub(r"\*\*(Parameters|Commands)\*\*:", r"\1:", text)
    text = re.sub(r"\n {4,}(?=\S)(?!\* )", " ", text)  # what goes on on another line
    text = re.sub(r"\*\[(\w+): (.*?)\]\*", r"(\1: `\2`)", text)
    text = re.sub(r"(?<!`)``(?!`)", "`", text).replace("```console", "```text")
    text = text.replace(" **[required]**", " (required)")
    return _SERVE.sub(r"\1The options are the [settings](settings.md).\n", text)


_SERVE = re.compile(r"(## hooktide serve\n.*?)Parameters:\n.*?(?=\n## )", re.DOTALL)


def operations() -> str:
    """Describe every operation of the API, by area."""
    document = _document()
    told: dict[str, list[str]] = {tag["name"]: [] for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            told[operation["tags"][0]] += _operation(f"{method.upper()} {path}", operation)
    lines = []
    for tag in document["tags"]:
        name = tag["name"]
        lines += [f"## {name[0].upper()}{name[1:]}", "", tag["description"], "", *told[name]]
    return "\n".join(lines)


def _operation(line: str, operation: dict[str, Any]) -> Iterator[str]:
    yield from (f"### {operation['summary']}", "", f"`{line}`", "")
    yield from (operation.get("description", ""), "")
    rows = [
        (
            f"`{each['name']}`",
            each["in"],
            _type(each["schema"]),
            each.get("description", "") + (" Required." if each.get("required") else ""),
        )
        for each in operation.get("parameters", ())
    ]
    if rows:
        yield from (_table(("parameter", "in", "type", "meaning"), rows), "")
    for media, body in operation.get("requestBody", {}).get("content", {}).items():
        yield from (f"Body (`{media}`): {_type(body['schema'])}.", "")
    answers = [
        line for status, each in operation["responses"].items() if (line := _answer(status, each))
    ]
    yield from ("", *answers, "")


_ALWAYS = {"unauthorized", "invalid_query", "internal", "unavailable"}
"""Problems of every operation, which the page names once."""


def _answer(status: str, answer: dict[str, Any]) -> str:
    """Describe an answer in a line of a list; empty: it is one that every operation has."""
    if status >= "400":
        codes = [code for code in _CODE.findall(answer["description"]) if code not in _ALWAYS]
        links = [f"[`{code}`](errors.md#{code})" for code in codes]
        return f"- {status}: {', '.join(links)}" if links else ""
    schemas = [each["schema"] for each in answer.get("content", {}).values()]
    return f"- {status}: {', '.join(map(_type, schemas)) or 'no body'}"


_CODE = re.compile(r"`(\w+)`: ")


def models() -> str:
    """Describe every object that the API takes or answers with."""
    lines = []
    for name, schema in _document()["components"]["schemas"].items():
        lines += [f"## {name}", "", _prose(schema.get("description", "")), ""]
        if "enum" in schema:
            lines += ["One of " + ", ".join(f"`{each}`" for each in schema["enum"]) + ".", ""]
        required = schema.get("required", ())
        rows = [
            (
                f"`{member}`",
                _type(inner, "#"),
                "yes" if member in required else "",
                _prose(inner.get("description", "")),
            )
            for member, inner in schema.get("properties", {}).items()
        ]
        if rows:
            lines += [_table(("member", "type", "required", "meaning"), rows), ""]
    return "\n".join(lines)


def _type(schema: dict[str, Any], models: str = "models.md#") -> str:
    if reference := schema.get("$ref"):
        name = reference.rpartition("/")[2]
        return f"[{name}]({models}{name.lower()})"
    if several := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(_type(each, models) for each in several))
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    kind = schema.get("format") or schema.get("type", "any JSON")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}), models)}"
    inner = schema.get("additionalProperties")
    if kind == "object" and isinstance(inner, dict):
        return f"object of {_type(inner, models)}"
    return str(kind)


def errors() -> str:
    """Describe every problem: its status and what to do."""
    lines = []
    for code, problem in PROBLEMS.items():
        lines += [f"### `{code}` {{ #{code} }}", "", f"{problem.status} · {problem.title}.", ""]
        lines += [problem.remedy, ""]
    return "\n".join(lines)


def metrics() -> str:
    """Describe every metric that a server shows."""
    page = asyncio.run(_metrics_page())
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)", page, re.MULTILINE))
    told = re.findall(r"^# HELP (\w+) (.*)", page, re.MULTILINE)
    labels = {
        f"{each.name}_total": f"{{{each.label}}}"
        for each in vars(Metrics()).values()
        if isinstance(each, Counter) and each.label
    }
    rows = [(f"`{name}{labels.get(name, '')}`", kinds[name], text) for name, text in sorted(told)]
    return _table(("name", "type", "meaning"), rows)


async def _metrics_page() -> str:
    with tempfile.TemporaryDirectory() as folder:
        server = Hooktide(database=f"{folder}/hooktide.db", public_url=URL, operator_key="k" * 32)
        transport = httpx.ASGITransport(app=server)
        async with server.running(), httpx.AsyncClient(transport=transport, base_url=URL) as client:
            return (await client.get("/metrics")).text


def decisions() -> str:
    """List the decisions, newest first."""
    pages = sorted((ROOT / "docs/decisions").glob("0*.md"), reverse=True)
    titles = [page.read_text("utf-8").partition("\n")[0].lstrip("# ") for page in pages]
    return "\n".join(f"- [{title}]({page.name})" for title, page in zip(titles, pages, strict=True))


def _document() -> dict[str, Any]:
    return make_openapi([*(each.document for each in OPERATIONS), events.PUBLISH], URL)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.strip().replace("|", "\\|") for cell in row) + " |" for row in lines
    )


PARTS: dict[str, Callable[..., str]] = {
    "settings": settings,
    "keys": keys,
    "commands": commands,
    "operations": operations,
    "models": models,
    "errors": errors,
    "metrics": metrics,
    "decisions": decisions,
}
