"""Writes a project as a file from which ``parse_project`` reads the same project.

Only values that differ from the defaults are written. Comments are not part of a project, so those
of the original file are lost.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import fields, replace
from itertools import chain
from typing import Any

from hooktide.domain.delivery.backoff import Retry
from hooktide.domain.dialect.dialect import BARE_PAYLOAD, Dialect, Signature
from hooktide.domain.messages.message import Wording
from hooktide.domain.model import Micros
from hooktide.domain.project.portal import Portal, PortalWords
from hooktide.domain.project.project import EventType, Fields, NewAccounts, Plan, Project
from hooktide.domain.time.spans import show_span


def write_project(project: Project) -> str:
    """Write a project as the text of a file."""
    parts = [_lines(_first(project)), *_dialect(project.dialect)]
    parts += [
        _table("accounts", _accounts(project)),
        _table("retry", _retry(project.retry)),
        _table("fields", _changed(project.fields, Fields())),
        *_portal(project.portal),
    ]
    if project.plans != (Plan(name="default"),):
        parts += [_headed(f"plans.{plan.name}", _plan(plan)) for plan in project.plans]
    parts += [
        _headed(f"event_types.{_quoted(kind.name)}", _type(kind)) for kind in project.event_types
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _first(project: Project) -> Iterator[tuple[str, str]]:
    plain = Project(name=project.name, title=project.name)
    yield "name", _text(project.name)
    yield "title", _text(project.title)
    if project.mode != plain.mode:
        yield "mode", _text(project.mode)
    if project.accounts and project.new_accounts == NewAccounts():
        yield "accounts", _value(project.accounts)
    if project.default_plan != project.plans[0].name:
        yield "default_plan", _text(project.default_plan)
    if project.schema_policy != plain.schema_policy:
        yield "schema_policy", _text(project.schema_policy)
    if project.disable_after != plain.disable_after:
        yield "disable_after", str(project.disable_after)
    if project.rotation_overlap != plain.rotation_overlap:
        yield "rotation_overlap", _span(project.rotation_overlap)
    if project.retention != plain.retention:
        yield "retention", _span(project.retention)
    if not project.public_docs:
        yield "public_docs", "false"
    if project.index:
        yield "index", _value(project.index)


def _dialect(dialect: Dialect) -> Iterator[str]:
    own = Dialect(header_prefix=dialect.header_prefix, user_agent=dialect.user_agent)
    off = () if dialect.standard_headers else (("standard_headers", "false"),)
    yield _table("dialect", chain(off, _changed(own, Dialect())))
    yield _table("dialect.headers", ((_key(name), _text(text)) for name, text in dialect.headers))
    if dialect.signature is not None:
        yield _headed("dialect.signature", _changed(dialect.signature, Signature(header="")))
    if dialect.envelope != BARE_PAYLOAD:
        members = json.loads(dialect.envelope)
        yield _headed("dialect.envelope", ((_key(each), _value(members[each])) for each in members))


def _accounts(project: Project) -> Iterator[tuple[str, str]]:
    new = list(_changed(project.new_accounts, NewAccounts()))
    if new and project.accounts:
        yield "only", _value(project.accounts)
    yield from new


def _portal(portal: Portal) -> Iterator[str]:
    plain = replace(portal, en=PortalWords(), de=PortalWords())
    yield _table("portal", _changed(plain, Portal()))
    yield _table("portal.en", _changed(portal.en, PortalWords()))
    yield _table("portal.de", _changed(portal.de, PortalWords()))


def _retry(retry: Retry) -> Iterator[tuple[str, str]]:
    plain = Retry()
    if retry.delays:
        yield "delays", "[" + ", ".join(map(_span, retry.delays)) + "]"
        return
    if retry.first != plain.first:
        yield "first", _span(retry.first)
    if retry.factor != plain.factor:
        yield "factor", repr(retry.factor)
    if retry.max != plain.max:
        yield "max", _span(retry.max)


def _changed(of: Any, plain: Any) -> Iterator[tuple[str, str]]:
    """Write the texts and lists of texts that differ from the defaults."""
    for each in fields(of):
        found = getattr(of, each.name)
        if found != getattr(plain, each.name):
            yield each.name, _value(found)


_PLAIN_PLAN = Plan(name="")


def _plan(plan: Plan) -> Iterator[tuple[str, str]]:
    if plan.endpoints is not None:
        yield "endpoints", str(plan.endpoints)
    if plan.deliveries_per_hour is not None:
        yield "deliveries_per_hour", str(plan.deliveries_per_hour)
    for name in ("rate_limit", "endpoint_rate_limit"):
        if (limit := getattr(plan, name)) is not None:
            yield name, str(limit)
    yield "retries", str(plan.retries)
    yield "timeout", _span(plan.timeout)
    if plan.max_timeout != _PLAIN_PLAN.max_timeout:
        yield "max_timeout", _span(plan.max_timeout)
    for name in (
        "changes_per_second",
        "tests_per_second",
        "filter_conditions",
        "channels",
        "metadata_bytes",
    ):
        if (rate := getattr(plan, name)) != getattr(_PLAIN_PLAN, name):
            yield name, str(rate)


def _type(kind: EventType) -> Iterator[tuple[str, str]]:
    if kind.description:
        yield "description", _text(kind.description)
    if kind.transition:
        yield "transition", _text(kind.transition)
    if kind.accounts:
        yield "accounts", _value(kind.accounts)
    if kind.example != "{}":
        yield "example", _block(kind.example)
    if kind.schema is not None:
        yield "schema", _block(kind.schema)
    if kind.retry_delays is not None:
        yield "retry_delays", _value([show_span(each) for each in kind.retry_delays])
    if kind.timeout is not None:
        yield "timeout", _span(kind.timeout)
    if kind.retention_days is not None:
        yield "retention_days", str(kind.retention_days)
    if kind.message != Wording():
        yield "message", _inline(_changed(kind.message, Wording()))


def _table(name: str, pairs: Iterator[tuple[str, str]]) -> str:
    """Write a table; nothing if it is empty."""
    lines = _lines(pairs)
    return f"[{name}]\n{lines}" if lines else ""


def _headed(name: str, pairs: Iterator[tuple[str, str]]) -> str:
    return f"[{name}]\n{_lines(pairs)}".rstrip("\n")


def _lines(pairs: Iterator[tuple[str, str]]) -> str:
    return "\n".join(f"{key} = {value}" for key, value in pairs)


def _value(value: Any) -> str:
    """Write a value of an envelope. Tables are written inline, which keeps their order."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        return _inline((_key(name), _value(each)) for name, each in value.items())
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value)


def _inline(pairs: Iterator[tuple[str, str]]) -> str:
    inner = ", ".join(f"{key} = {value}" for key, value in pairs)
    return f"{{ {inner} }}" if inner else "{}"


def _span(span: Micros) -> str:
    return _text(show_span(span))


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _quoted(name)


def _block(text: str) -> str:
    """Write JSON as a multi-line literal if TOML allows it."""
    if "'''" in text or _ESCAPED.search(text.replace("\n", "")):
        return _text(text)
    return f"'''\n{text}\n'''"


def _text(text: str) -> str:
    return _quoted(str(text))


def _quoted(text: str) -> str:
    return '"' + _ESCAPED.sub(_escape, re.sub(r'(["\\])', r"\\\1", text)) + '"'


def _escape(found: re.Match[str]) -> str:
    return _SHORT.get(found[0], f"\\u{ord(found[0]):04x}")


_SHORT = {"\n": "\\n", "\t": "\\t"}
_BARE = re.compile(r"[A-Za-z0-9_-]+")

# Characters that TOML requires to be escaped, and invisible or bidirectional ones.
_ESCAPED = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)
