"""Reads a project file; ``project_file`` writes one."""

import re
from collections.abc import Callable
from typing import TypeVar

from hooktide.domain.delivery.backoff import Retry, read_retry
from hooktide.domain.delivery.compose import compile_dialect
from hooktide.domain.dialect.dialect import Dialect, read_dialect
from hooktide.domain.errors import ConfigError, InvalidError
from hooktide.domain.filtering.filter import MAX_CONDITIONS
from hooktide.domain.json.payload import check_payload, compile_schema
from hooktide.domain.labels import MAX_CHANNELS, MAX_METADATA_BYTES
from hooktide.domain.messages.message import Wording, check_wording
from hooktide.domain.model import DAY, SECOND, Micros
from hooktide.domain.project.portal import Portal, read_portal
from hooktide.domain.project.project import (
    EVENT_TYPE_NAME,
    MAX_EVENT_TYPES,
    MAX_PLANS,
    MAX_RETRIES,
    MAX_TIMEOUT,
    EventType,
    Fields,
    Mode,
    NewAccounts,
    Plan,
    Project,
    SchemaPolicy,
    check_example,
)
from hooktide.domain.project.retention_days import MAX_DAYS, MIN_DAYS, why_not
from hooktide.domain.project.schedule import why_too_long
from hooktide.domain.searching.index import check_indexable, check_paths
from hooktide.domain.throttling.rate import MAX_RATE
from hooktide.domain.toml_table import Table, read_toml

MAX_ACCOUNTS = 1000
"""Maximum references in a project's or an event type's list of accounts."""
MAX_CUSTOMER_RATE = 1000
MAX_DELAY: Micros = 7 * DAY


def parse_project(text: str, file: str = "") -> Project:
    """Read a project file (TOML; ``docs/project-file.md`` documents every key).

    :raises ConfigError: the file is invalid; carries the line, the key and the reason, and in
    ``others`` further errors.
    """
    try:
        table = read_toml(text)
        project = table.problems.attempt(lambda: _read_project(table), None)
    except ConfigError as error:
        raise ConfigError(error.reason, key=error.key, line=error.line, file=file) from None
    except RecursionError:
        raise ConfigError("nested too deep to be read", line=1, file=file) from None
    if project is None or table.problems:
        raise table.problems.error(text, file)
    return project


def _read_project(table: Table) -> Project:
    attempt = table.problems.attempt
    name = attempt(
        lambda: _read_name(table, "name", _SLUG, "lower case letters, digits and hyphens"), ""
    )
    plans = _read_all(table, "plans", _read_plan, MAX_PLANS) or (Plan(name="default"),)
    nobody: tuple[tuple[str, ...], NewAccounts] = (), NewAccounts()
    accounts, new_accounts = attempt(lambda: _read_accounts(table), nobody)
    mode = table.choice("mode", Mode, Mode.LIVE)
    test = mode is Mode.TEST
    project = Project(
        name=name,
        title=table.text("title", name),
        mode=mode,
        dialect=attempt(lambda: _read_dialect(table), Dialect()),
        event_types=_read_all(table, "event_types", _read_type, MAX_EVENT_TYPES),
        plans=plans,
        default_plan=table.text("default_plan", plans[0].name),
        schema_policy=table.choice("schema_policy", SchemaPolicy, SchemaPolicy.OFF),
        retry=attempt(lambda: read_retry(table.table("retry")), Retry()),
        disable_after=table.count("disable_after", 100, 0, 10**6),
        rotation_overlap=table.span("rotation_overlap", 0, 0, 30 * DAY),
        retention=table.span("retention", 30 * DAY, DAY, 3650 * DAY),
        accounts=accounts,
        new_accounts=new_accounts,
        fields=attempt(lambda: _read_fields(table.table("fields")), Fields()),
        public_docs=table.flag("public_docs", True),
        portal=attempt(lambda: read_portal(table.table("portal"), test=test), Portal()),
        index=attempt(lambda: _read_index(table), ()),
    )
    table.done()
    if not table.problems:
        _check(project, table)
    return project


Named = TypeVar("Named", Plan, EventType)


def _read_all(
    table: Table, key: str, read: Callable[[str, Table], Named], most: int
) -> tuple[Named, ...]:
    """Read a table of tables; those with errors are left out."""
    found: list[Named] = []
    for number, (name, inner) in enumerate(table.tables(key)):
        if number == most:
            table.problems.add(table.wrong(key, f"{most:,} at most"))
        if table.problems.full or number == most:
            break
        try:
            found.append(read(name, inner))
        except ConfigError as error:
            table.problems.add(error)
    return tuple(found)


def _read_dialect(table: Table) -> Dialect:
    dialect = read_dialect(table.table("dialect"))
    compile_dialect(dialect).envelope.check_limits()
    return dialect


def _read_index(table: Table) -> tuple[str, ...]:
    paths = table.texts("index")
    try:
        check_paths(paths)
    except ConfigError as error:
        raise table.wrong("index", error.reason) from None
    return paths


def _read_references(table: Table, key: str) -> tuple[str, ...]:
    references = table.texts(key)
    if len(references) > MAX_ACCOUNTS:
        raise table.wrong(key, f"{MAX_ACCOUNTS:,} references at most")
    return references


def _read_name(table: Table, key: str, form: re.Pattern[str], allowed: str) -> str:
    name = table.text(key)
    if not form.fullmatch(name):
        raise table.wrong(key, f"use {allowed}")
    return name


def _read_accounts(table: Table) -> tuple[tuple[str, ...], NewAccounts]:
    """Read ``accounts``: a table, or just the list that is its ``only``."""
    if not isinstance(table.anything("accounts"), dict):
        return _read_references(table, "accounts"), NewAccounts()
    inner = table.table("accounts")
    only = _read_references(inner, "only")
    new = NewAccounts(
        create_on_publish=inner.flag("create_on_publish", False), plan=inner.text("plan", "")
    )
    inner.done()
    return only, new


def _read_plan(name: str, table: Table) -> Plan:
    if not _SLUG.fullmatch(name):
        raise table.wrong("", "name a plan with lower case letters, digits and hyphens")
    plan = Plan(
        name=name,
        endpoints=table.limit("endpoints"),
        deliveries_per_hour=table.limit("deliveries_per_hour"),
        retries=table.count("retries", 5, 0, MAX_RETRIES),
        timeout=table.span("timeout", 10 * SECOND, SECOND, MAX_TIMEOUT),
        changes_per_second=table.count("changes_per_second", 20, 1, MAX_CUSTOMER_RATE),
        tests_per_second=table.count("tests_per_second", 1, 1, MAX_CUSTOMER_RATE),
        filter_conditions=table.count("filter_conditions", MAX_CONDITIONS, 0, MAX_CONDITIONS),
        channels=table.count("channels", MAX_CHANNELS, 0, MAX_CHANNELS),
        metadata_bytes=table.count("metadata_bytes", MAX_METADATA_BYTES, 0, MAX_METADATA_BYTES),
        rate_limit=table.limit("rate_limit", MAX_RATE),
        endpoint_rate_limit=table.limit("endpoint_rate_limit", MAX_RATE),
        max_timeout=table.span("max_timeout", MAX_TIMEOUT, SECOND, MAX_TIMEOUT),
    )
    table.done()
    return plan


def _read_type(name: str, table: Table) -> EventType:
    if not EVENT_TYPE_NAME.fullmatch(name):
        raise table.wrong("", 'name an event type like "invoice.paid", in quotes')
    if nested := table.first_table(but=EventType.__slots__):
        raise table.wrong(nested, f'put the whole name in quotes: [event_types."{name}.{nested}"]')
    kind = EventType(
        name=name,
        description=table.text("description", ""),
        example=_read_example(table),
        schema=_read_schema(table),
        transition=table.text("transition", ""),
        accounts=_read_references(table, "accounts"),
        message=_read_message(table.table("message")),
        retry_delays=_read_delays(table),
        timeout=table.span("timeout", 0, SECOND, MAX_TIMEOUT) or None,
        retention_days=_read_days(table),
    )
    table.done()
    try:
        check_wording(kind.message, kind.example)
    except ConfigError as error:
        raise table.table("message").wrong(error.key, error.reason) from None
    return kind


def _read_delays(table: Table) -> tuple[Micros, ...] | None:
    found = table.spans("retry_delays", SECOND, MAX_DELAY)
    if len(found) > MAX_RETRIES:
        raise table.wrong("retry_delays", f"{MAX_RETRIES} delays at most")
    return found if "retry_delays" in table else None


def _read_days(table: Table) -> int | None:
    if "retention_days" not in table:
        return None
    return table.count("retention_days", MIN_DAYS, MIN_DAYS, MAX_DAYS)


def _read_message(table: Table) -> Wording:
    wording = Wording(
        text=table.text("text", ""), link=table.text("link", ""), fields=table.texts("fields")
    )
    table.done()
    return wording


def _read_example(table: Table) -> str:
    example = table.text("example", "{}").strip()
    try:
        check_payload(example.encode())
    except InvalidError as error:
        raise table.wrong("example", f"give a payload as JSON text: {error.detail}") from None
    return example


def _read_schema(table: Table) -> str | None:
    if "schema" not in table:
        return None
    schema = table.text("schema").strip()
    try:
        compile_schema(schema)
    except ConfigError as error:
        raise table.wrong("schema", error.reason) from None
    return schema


def _read_fields(table: Table) -> Fields:
    names = {key: table.text(key, getattr(Fields(), key)) for key in Fields.__slots__}
    table.done()
    for key, name in names.items():
        if not _FIELD.fullmatch(name) or list(names.values()).count(name) > 1:
            raise table.wrong(key, "name each field apart, with letters, digits and underscores")
    return Fields(**names)


def _check(project: Project, table: Table) -> None:
    """Check the rules that span several parts of the file."""
    names = [plan.name for plan in project.plans]
    if project.default_plan not in names:
        raise table.wrong("default_plan", f"no such plan; use {', '.join(names)}")
    if project.new_accounts.plan not in ("", *names):
        raise table.table("accounts").wrong("plan", f"no such plan; use {', '.join(names)}")
    try:
        check_indexable(project.index, [kind.example for kind in project.event_types])
    except ConfigError as error:
        table.problems.add(table.wrong("index", error.reason))
    types = table.table("event_types")
    for kind in project.event_types:
        try:
            check_example(project, kind)
        except InvalidError as error:
            key = "transition" if error.code == "transition_missing" else "example"
            table.problems.add(types.table(kind.name).wrong(key, error.detail))
        if kind.retention_days and (reason := why_not(kind.retention_days, project.retention)):
            table.problems.add(types.table(kind.name).wrong("retention_days", reason))
        if reason := why_too_long(project, kind.retry_delays):
            table.problems.add(types.table(kind.name).wrong("retry_delays", reason))


_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
