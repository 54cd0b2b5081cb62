"""A project: the configuration of one sending product, and its rules.

A project is plain data: the database keeps it as JSON (``msgspec.json.encode``, and back by
``msgspec.json.decode(..., type=Project)``), people write it as TOML (``reading``).
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec

from hooktide.domain.delivery.backoff import Retry
from hooktide.domain.delivery.compose import check_event
from hooktide.domain.dialect.dialect import Dialect
from hooktide.domain.errors import InvalidError, RefusedError
from hooktide.domain.filtering.filter import MAX_CONDITIONS
from hooktide.domain.json.payload import check_schema
from hooktide.domain.labels import MAX_CHANNELS, MAX_METADATA_BYTES
from hooktide.domain.messages.message import Wording
from hooktide.domain.model import DAY, SECOND, Micros
from hooktide.domain.phrase import phrase
from hooktide.domain.project.portal import Portal
from hooktide.domain.time.spans import show_span
from hooktide.domain.toml_table import nearest

MAX_PATTERN_LENGTH = 128
"""Maximum length of an event type's name or of a pattern."""
MAX_EVENT_TYPES = 1000
MAX_PLANS = 100
MAX_RETRIES = 20
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


EVENT_TYPE_NAME = re.compile(r"(?=.{1,128}$)[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_PATTERN = re.compile(r"(?=.{1,128}$)([A-Za-z0-9_-]+\.)*([A-Za-z0-9_-]+|\*)")


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
