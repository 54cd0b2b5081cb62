"""A project: the configuration of one sending product, its rules and its file.

A project is plain data: the database keeps it as JSON (``msgspec.json.encode``, and back by
``msgspec.json.decode(..., type=Project)``), people write it as TOML (``parse_project``).
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

import msgspec

from hooktide.domain.delivery.backoff import Retry, delays, read_retry
from hooktide.domain.delivery.compose import check_event, compile_dialect
from hooktide.domain.dialect.dialect import Dialect, read_dialect
from hooktide.domain.errors import ConfigError, InvalidError, RefusedError
from hooktide.domain.filtering.filter import MAX_CONDITIONS
from hooktide.domain.json.payload import check_payload, check_schema, compile_schema
from hooktide.domain.labels import MAX_CHANNELS, MAX_METADATA_BYTES
from hooktide.domain.messages.message import Wording, check_wording
from hooktide.domain.model import DAY, SECOND, Micros
from hooktide.domain.phrase import phrase
from hooktide.domain.project.portal import Portal, read_portal
from hooktide.domain.project.retention_days import MAX_DAYS, MIN_DAYS, why_not
from hooktide.domain.searching.index import check_indexable, check_paths
from hooktide.domain.throttling.rate import MAX_RATE
from hooktide.domain.time.spans import show_span
from hooktide.domain.toml_table import Table, nearest, read_toml

MAX_PATTERN_LENGTH = 128
"""Maximum length of an event type's name or of a pattern."""
MAX_CUSTOMER_RATE = 1000
MAX_EVENT_TYPES = 1000
MAX_PLANS = 100
MAX_ACCOUNTS = 1000
"""Maximum references in a project's or an event type's list of accounts."""
MAX_RETRIES = 20
MAX_DELAY: Micros = 7 * DAY
MAX_TIMEOUT: Micros = 30 * SECOND
"""A claim's lease must outlive its attempt, so every plan bounds the attempt's time."""


class Mode(StrEnum):
    """Whether a project sends: a project in test mode takes only test events."""

    LIVE = "live"
    TEST = "test"


class SchemaPolicy(StrEnum):
    """What happens to an event whose payload violates its type's schema."""

    OFF = "off"
    WARN = "warn"
    REJECT = "reject"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """A kind of event, like ``invoice.paid``.

    Parameters
    ----------
    description
        A sentence for the catalogue.
    example
        A payload, as JSON text; test events send it.
    schema
        A JSON Schema 2020-12, as JSON text. A ``$ref`` to another document is refused, never
        fetched.
    transition
        The transition of the example, for an envelope that contains one.
    accounts
        The references of the only accounts that may use the type; empty: all.
    message
        What a chat shows for such an event: the table below.
    retry_delays
        The delay before each retry instead of the project's. A plan uses as many as it has
        retries, and together those are at most as long as the project's. An endpoint's own come
        first.
    timeout
        The timeout instead of the plan's; ``"1s"`` to ``"30s"``. An endpoint's own comes first.
    retention_days
        The payload of such an event is erased after so many days; 5 to 90, and at most the
        project's ``retention``. The event's own come first.
    """

    name: str
    description: str = ""
    example: str = "{}"
    schema: str | None = None
    transition: str = ""
    accounts: tuple[str, ...] = ()
    message: Wording = field(default_factory=Wording)
    retry_delays: tuple[Micros, ...] | None = None
    timeout: Micros | None = None
    retention_days: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The limits of an account on this plan; None: no limit.

    Parameters
    ----------
    endpoints
        How many endpoints an account may have; without it, any number.
    deliveries_per_hour
        Deliveries above it are held and sent once the hour allows more; without it, any number.
    retries
        Attempts after the first; 0 to 20.
    timeout
        For a whole attempt, from name lookup to response; ``"1s"`` to ``"30s"``.
    max_timeout
        The longest timeout that an endpoint can have of its own, likewise.
    changes_per_second
        Requests that change something, by an account's own key or its portal, per process; bursts
        may be twice that. Requests above it are answered 429 with ``Retry-After``. 1 to 1000.
    tests_per_second
        Tests of endpoints and of filters, likewise.
    filter_conditions
        How many conditions an endpoint's filter may have; 0 to 50. 0: endpoints cannot have one.
    channels
        How many channels an endpoint may have; 0 to 10. 0: endpoints cannot have any.
    metadata_bytes
        How large an endpoint's metadata may be, as JSON; 0 to 4096. 0: endpoints cannot have any.
    rate_limit
        Requests a second to all endpoints of an account together; an account can set less. Without
        it, none but what the account sets; 1 to 10000.
    endpoint_rate_limit
        Requests a second to each endpoint, likewise.
    """

    name: str
    endpoints: int | None = None
    deliveries_per_hour: int | None = None
    retries: int = 5
    timeout: Micros = 10 * SECOND
    changes_per_second: int = 20
    tests_per_second: int = 1
    filter_conditions: int = MAX_CONDITIONS
    channels: int = MAX_CHANNELS
    metadata_bytes: int = MAX_METADATA_BYTES
    rate_limit: int | None = None
    endpoint_rate_limit: int | None = None
    max_timeout: Micros = MAX_TIMEOUT


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """What the customer-facing ``/webhooks`` API calls the fields of an endpoint."""

    id: str = "id"
    url: str = "url"
    event_types: str = "event_types"
    name: str = "name"
    description: str = "description"
    headers: str = "headers"
    filter: str = "filter"
    channels: str = "channels"
    reference: str = "reference"
    metadata: str = "metadata"
    rate_limit: str = "rate_limit"
    burst: str = "burst"
    retry_delays: str = "retry_delays"
    timeout_seconds: str = "timeout_seconds"
    enabled: str = "enabled"
    resting_until: str = "resting_until"
    resting_reason: str = "resting_reason"
    created_at: str = "created_at"
    kind: str = "kind"
    secret: str = "secret"  # noqa: S105  # a field's name


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccounts:
    """What happens to an event for an account that does not exist.

    Parameters
    ----------
    create_on_publish
        Whether an event for a reference without an account creates the account. Otherwise the event
        is not stored.
    plan
        The plan of accounts created in this way; by default the project's default plan.
    """

    create_on_publish: bool = False
    plan: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """One sending product. ``plans`` is never empty and holds ``default_plan``.

    Parameters
    ----------
    name
        Lower case letters, digits and hyphens. It identifies the project and never changes.
    title
        The display name; without it, the name.
    mode
        In mode ``"test"`` a project can be set up and tested, and accepts only test events.
    accounts
        The references of the only accounts that are offered webhooks (a closed beta); empty: all.
        May be a table instead.
    default_plan
        The plan of accounts created without one; by default the first plan.
    schema_policy
        Payloads that violate their schema: ``"off"`` does not check, ``"warn"`` accepts and logs,
        ``"reject"`` refuses them.
    disable_after
        An endpoint is disabled after this many failed deliveries in a row; ``0``: never.
    rotation_overlap
        How long the old secret remains valid after a rotation (in the Standard Webhooks header
        only); up to ``"30d"``.
    retention
        How long events and their log are kept; ``"1d"`` to ``"3650d"``.
    public_docs
        Whether anyone may read how the project's webhooks work, at ``/docs/NAME``.
    index
        Up to 3 paths into payloads, like ``["invoice.number", "customer.name"]``: search finds
        events by the values there, and pages name events after them.
    """

    name: str
    title: str
    mode: Mode = Mode.LIVE
    dialect: Dialect = field(default_factory=Dialect)
    event_types: tuple[EventType, ...] = ()
    plans: tuple[Plan, ...] = (Plan(name="default"),)
    default_plan: str = "default"
    schema_policy: SchemaPolicy = SchemaPolicy.OFF
    retry: Retry = field(default_factory=Retry)
    disable_after: int = 100
    rotation_overlap: Micros = 0
    retention: Micros = 30 * DAY
    accounts: tuple[str, ...] = ()
    new_accounts: NewAccounts = field(default_factory=NewAccounts)
    fields: Fields = field(default_factory=Fields)
    public_docs: bool = True
    portal: Portal = field(default_factory=Portal)
    index: tuple[str, ...] = ()

    @property
    def sure_timeout(self) -> Micros:
        """The shortest timeout of all plans."""
        return min(plan.timeout for plan in self.plans)


def wants(patterns: tuple[str, ...], event_type: str) -> bool:
    """Return whether one of the patterns (``invoice.paid``, ``invoice.*``, ``*``) matches."""
    return any(_means(pattern, event_type) for pattern in patterns)


def _means(pattern: str, event_type: str) -> bool:
    if pattern.endswith("*"):
        return event_type.startswith(pattern[:-1])
    return pattern == event_type


def check_patterns(project: Project, patterns: tuple[str, ...], account: str) -> None:
    """Check the event types that an endpoint of an account (its reference) subscribes to.

    :raises InvalidError: there is no pattern, or one matches none of the types offered to it.
    """
    if not patterns:
        raise InvalidError(
            "event_types_missing",
            phrase('give at least one event type, or "*" for all'),
            pointer="/event_types",
        )
    known = [kind.name for kind in offered(project, account)]
    for index, pattern in enumerate(patterns):
        if not _PATTERN.fullmatch(pattern) or not any(_means(pattern, name) for name in known):
            raise InvalidError(
                "unknown_event_type",
                phrase(
                    "{pattern} is not an event type{hint}",
                    pattern=repr(pattern[:100]),
                    hint=nearest(pattern[:100], known),
                ),
                pointer=f"/event_types/{index}",
            )


def check_named(project: Project, patterns: Iterable[str]) -> None:
    """Check, when patterns are stored, that the project still has the types that they name.

    :raises InvalidError: ``unknown_event_type``: it was deleted meanwhile.
    """
    known = {kind.name for kind in project.event_types}
    for pattern in patterns:
        if not pattern.endswith("*") and pattern not in known:
            raise InvalidError(
                "unknown_event_type",
                f"{pattern[:100]!r} is not an event type" + nearest(pattern[:100], known),
                pointer="/event_types",
            )


def offered(project: Project, account: str) -> tuple[EventType, ...]:
    """Return the event types that an account (its reference) may use."""
    if project.accounts and account not in project.accounts:
        return ()
    return tuple(
        kind for kind in project.event_types if not kind.accounts or account in kind.accounts
    )


def check_offered(project: Project, account: str) -> None:
    """Check that an account (its reference) is offered webhooks.

    :raises RefusedError: ``webhooks_not_offered`` (403).
    """
    if project.accounts and account not in project.accounts:
        raise RefusedError(
            "webhooks_not_offered",
            f"{project.title} offers webhooks to selected accounts only, and this account is not "
            "one of them",
            status=403,
        )


def types_by_name(project: Project) -> dict[str, EventType]:
    """Return a project's event types, for ``type_of``."""
    return {kind.name: kind for kind in project.event_types}


def type_of(project: Project, types: Mapping[str, EventType], name: str, account: str) -> EventType:
    """Find the type of an event for an account (its reference).

    ``types`` are ``types_by_name`` of the project, made once for many events.

    :raises InvalidError: the project has no such type; names the nearest.
    :raises RefusedError: the account is not offered it, or no webhooks at all (403).
    """
    check_offered(project, account)
    kind = types.get(name)
    if kind is None:
        raise InvalidError(
            "unknown_event_type",
            f"{project.title} has no event type {name[:100]!r}" + nearest(name[:100], [*types]),
            pointer="/type",
        )
    if kind.accounts and account not in kind.accounts:
        raise RefusedError(
            "event_type_not_offered", f"{name} is not offered to this account", status=403
        )
    return kind


def check_example(project: Project, kind: EventType) -> None:
    """Check that an event type's example is a payload that the project would accept.

    :raises InvalidError: it is not valid; ``transition_missing``: the type lacks its transition.
    """
    example = kind.example.encode()
    check_event(project.dialect, kind.transition, example)
    if project.schema_policy is not SchemaPolicy.OFF:
        check_schema(kind, example)


def plan_of(project: Project, name: str) -> Plan:
    """Return a plan by name; the default plan if it no longer exists."""
    plans = {plan.name: plan for plan in project.plans}
    return plans.get(name) or plans[project.default_plan]


def check_plan(project: Project, name: str) -> str:
    """Return the name of one of the project's plans.

    :raises InvalidError: it has no such plan.
    """
    names = [plan.name for plan in project.plans]
    if name not in names:
        raise InvalidError("unknown_plan", f"no such plan; use {', '.join(names)}", pointer="/plan")
    return name


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


def why_too_long(project: Project, given: tuple[Micros, ...] | None) -> str:
    """Return why an event type cannot have these delays; empty if it can.

    Each plan uses as many of them as it has retries, and together those may be at most as long as
    the plan's own.
    """
    for plan in project.plans:
        span = sum((given or ())[: plan.retries])
        most = sum(delays(project.retry, plan.retries))
        if span > most:
            return (
                f"on the plan {plan.name} the delays are together {show_span(span)}; "
                f"at most {show_span(most)}, as long as the project's"
            )
    return ""


_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
EVENT_TYPE_NAME = re.compile(r"(?=.{1,128}$)[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_PATTERN = re.compile(r"(?=.{1,128}$)([A-Za-z0-9_-]+\.)*([A-Za-z0-9_-]+|\*)")
_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


def fingerprint(thing: Project | Plan | EventType) -> str:
    """Return a short text that changes whenever any of this changes."""
    return hashlib.sha256(msgspec.json.encode(thing)).hexdigest()[:16]


def changes(old: Project | None, new: Project) -> list[str]:
    """Describe the differences, one per line; empty if there are none."""
    first = ["project added"] if old is None else _changed("", _settings(old), _settings(new))
    return [
        *first,
        *_changed_named("plan", old.plans if old else (), new.plans),
        *_changed_named("event type", old.event_types if old else (), new.event_types),
    ]


def _changed_named(
    noun: str,
    old: tuple[Plan, ...] | tuple[EventType, ...],
    new: tuple[Plan, ...] | tuple[EventType, ...],
) -> Iterator[str]:
    before = {each.name: each for each in old}
    after = {each.name: each for each in new}
    yield from (f"{noun} {name} removed" for name in before if name not in after)
    for name, each in after.items():
        if name not in before:
            yield f"{noun} {name} added"
        elif each != before[name]:
            facts = msgspec.to_builtins(before[name]), msgspec.to_builtins(each)
            yield from _changed(f"{noun} {name}: ", *facts)
    if list(before) != list(after) and before.keys() == after.keys():
        yield f"{noun}s: another order"


def _settings(project: Project) -> dict[str, Any]:
    """Return all but plans and event types, under the dotted keys of the file."""
    tree = msgspec.to_builtins(project)
    del tree["plans"], tree["event_types"]
    tree["accounts"] = {"only": tree["accounts"], **tree.pop("new_accounts")}
    return dict(_flat(tree, ""))


def _flat(tree: dict[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def _changed(prefix: str, old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return [
        f"{prefix}{key}: {_show(key, old.get(key))} -> {_show(key, new.get(key))}"
        for key in {**old, **new}
        if old.get(key) != new.get(key)
    ]


def _show(key: str, value: Any) -> str:
    if value is None:
        return "none"
    if key in _SPANS:
        return "[" + ", ".join(map(show_span, value)) + "]" if key in _LISTS else show_span(value)
    text = repr(value) if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else text[:57] + "..."


_LISTS = {"retry.delays", "retry_delays"}
_SPANS = {
    "retry.first",
    "retry.max",
    "rotation_overlap",
    "retention",
    "timeout",
    "max_timeout",
    *_LISTS,
}
