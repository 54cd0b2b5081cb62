"""The audit log: who did what to which thing, from where, and what that changed.

An entry is stored in the same transaction as the change it records (``store``). ``snapshot``
defines what is shown for each kind of object. Secrets are never shown: a header's value, a password
or a URL's query is compared, so that a change is visible, but shown masked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import singledispatch
from typing import Any

import msgspec

from hooktide.domain.counting import count_of
from hooktide.domain.http.headers import MASK
from hooktide.domain.ids import show
from hooktide.domain.model import (
    Account,
    ApiKey,
    Bin,
    Delivery,
    DeliveryJob,
    Endpoint,
    Replay,
    User,
)
from hooktide.domain.project.project import Project, changes
from hooktide.domain.time.spans import show_span
from hooktide.domain.time.times import show_time

MAX_ACTOR_LENGTH = 200
MAX_DETAIL_LENGTH = 500
MAX_VALUE_LENGTH = 200
MAX_FACTS = 100
"""Maximum facts that an entry shows of an object: a large project has thousands."""
MAX_LINES = 3
"""Maximum lines in the detail of a project's change."""


class Source(StrEnum):
    """The interface through which a change was made."""

    API = "api"
    WEBHOOKS = "webhooks"
    PORTAL = "portal"
    DASHBOARD = "dashboard"
    BIN_PAGE = "bin_page"
    LIBRARY = "library"
    COMMAND_LINE = "command_line"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Action:
    """An action by an actor: passed to the store with each change, to write its entry.

    ``name`` is noun.verb. ``target`` and ``detail``, if given, replace those of the object's
    snapshot.
    """

    actor: "Actor"
    name: str
    target: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who makes a change ("ann", "key …1a2b (ci)"), and from which address (empty if unknown)."""

    name: str
    source: Source
    address: str = ""

    def does(self, action: str, target: str = "", detail: str = "") -> Action:
        """Return the action with this name by this actor."""
        return Action(self, action, target, detail)


SERVER = Actor(name="hooktide", source=Source.SERVER)
"""Hooktide itself: actions by a rule, or at startup."""


def key_name(key: ApiKey) -> str:
    """Return the display name of a key: ``key …1a2b (ci)``."""
    return f"key …{key.last4}" + (f" ({key.name})" if key.name else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """A line of the audit log.

    ``before`` and ``after`` hold the facts that differ; ``before`` is empty for a new object,
    ``after`` for a deleted one.
    """

    id: int
    project_id: int | None
    account_id: int | None
    actor: str
    source: str
    address: str
    action: str
    target: str
    detail: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A value to compare, and how it is shown."""

    value: Any
    shown: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """An object at one moment, as the audit log sees it: its owner, its id and facts about it.

    ``label`` says in a few words which one it is.
    """

    project_id: int | None
    account_id: int | None
    target: str
    label: str = ""
    facts: Mapping[str, Fact]


def entry_of(action: Action, before: Snapshot | None, after: Snapshot | None) -> AuditEntry | None:
    """Return the entry for an action, or ``None`` if it changed nothing.

    ``before`` is None for a new object, ``after`` for a deleted one.
    """
    known = after or before
    if known is None:
        return None
    had, has = _facts(before), _facts(after)
    differing = [name for name in {**had, **has} if _value(had, name) != _value(has, name)]
    if before is not None and after is not None and not differing:
        return None
    changed = before is not None and after is not None and action.name.endswith(".update")
    return _entry(
        action,
        known,
        ", ".join(differing) if changed else known.label,
        _shown(had, differing),
        _shown(has, differing),
    )


def note_of(action: Action, about: Snapshot) -> AuditEntry:
    """Return the entry for an action that does not change its target, such as a login."""
    return _entry(action, about, about.label, {}, {})


def _entry(
    action: Action,
    about: Snapshot,
    detail: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> AuditEntry:
    return AuditEntry(
        id=0,
        project_id=about.project_id,
        account_id=about.account_id,
        actor=action.actor.name[:MAX_ACTOR_LENGTH],
        source=action.actor.source.value,
        address=action.actor.address,
        action=action.name,
        target=action.target or about.target,
        detail=(action.detail or detail)[:MAX_DETAIL_LENGTH],
        before=before,
        after=after,
    )


def _facts(of: Snapshot | None) -> Mapping[str, Fact]:
    return {} if of is None else of.facts


def _value(facts: Mapping[str, Fact], name: str) -> Any:
    """Return a fact's value; absent and empty values are the same."""
    return (facts[name].value if name in facts else None) or None


def _shown(facts: Mapping[str, Fact], names: list[str]) -> dict[str, Any]:
    shown = {name: facts[name].shown for name in names if name in facts}
    if len(shown) <= MAX_FACTS:
        return shown
    return {**dict(list(shown.items())[:MAX_FACTS]), "...": f"and {len(shown) - MAX_FACTS} more"}


@singledispatch
def snapshot(thing: Any) -> Snapshot:
    """Return what the audit log shows of a domain object."""
    raise TypeError(f"the audit log knows nothing of {type(thing)}")


@snapshot.register
def _endpoint(thing: Endpoint) -> Snapshot:
    facts = _plain(
        event_types=list(thing.event_types),
        kind=thing.kind.value,
        name=thing.name,
        description=thing.description,
        filter=thing.filter,
        channels=list(thing.channels),
        reference=thing.reference,
        metadata=dict(thing.metadata),
        rate_limit=thing.rate_limit,
        burst=thing.burst,
        retry_delays=None
        if thing.retry_delays is None
        else [show_span(each) for each in thing.retry_delays],
        timeout=None if thing.timeout is None else show_span(thing.timeout),
        enabled=thing.enabled,
        disabled_reason=thing.disabled_reason,
    )
    url = Fact(value=thing.address, shown=place(thing.url))
    headers = Fact(value=thing.headers, shown={name: MASK for name, _ in thing.headers})
    created = [each.created_at for each in thing.secrets]
    secrets = Fact(value=created, shown=[show_time(each) for each in created])
    return Snapshot(
        project_id=thing.project_id,
        account_id=thing.account_id,
        target=show("ep", thing.id),
        label=thing.name or place(thing.url),
        facts={"url": url, **facts, "headers": headers, "secrets": secrets},
    )


@snapshot.register
def _account(thing: Account) -> Snapshot:
    return Snapshot(
        project_id=thing.project_id,
        account_id=thing.id,
        target=show("acc", thing.id),
        label=thing.reference,
        facts=_plain(
            reference=thing.reference,
            name=thing.name,
            plan=thing.plan,
            metadata=dict(thing.metadata),
            rate_limit=thing.rate_limit,
            burst=thing.burst,
        ),
    )


@snapshot.register
def _key(thing: ApiKey) -> Snapshot:
    return Snapshot(
        project_id=thing.project_id,
        account_id=thing.account_id,
        target=show("key", thing.id),
        label=f"…{thing.last4}, of scope {thing.scope.value}"
        + (f", {thing.name}" if thing.name else ""),
        facts=_plain(
            scope=thing.scope.value,
            name=thing.name,
            last4=thing.last4,
            revoked=thing.revoked_at is not None,
        ),
    )


@snapshot.register
def _user(thing: User) -> Snapshot:
    project = None if thing.project_id is None else show("prj", thing.project_id)
    facts = _plain(name=thing.name, role=thing.role.value, project=project)
    return Snapshot(
        project_id=thing.project_id,
        account_id=None,
        target=show("usr", thing.id),
        label=thing.name,
        facts={
            **facts,
            "password": Fact(value=thing.password, shown=MASK if thing.password else None),
        },
    )


@snapshot.register
def _bin(thing: Bin) -> Snapshot:
    facts = _plain(expires_at=show_time(thing.expires_at))
    return Snapshot(
        project_id=thing.project_id,
        account_id=thing.account_id,
        target=f"bin_{thing.token[:6]}...",  # not the whole token: a reader of the log could use it
        facts={"script": Fact(value=thing.script, shown=_cut(thing.script)), **facts},
    )


@snapshot.register
def _replay(thing: Replay) -> Snapshot:
    return Snapshot(
        project_id=thing.project_id,
        account_id=thing.account_id,
        target=show("rpl", thing.id),
        label=f"{thing.what.value}, to {show('ep', thing.endpoint_id)}",
        facts=_plain(
            endpoint=show("ep", thing.endpoint_id),
            what=thing.what.value,
            event=None if thing.event_id is None else show("evt", thing.event_id),
            since=None if thing.since is None else show_time(thing.since),
            until=None if thing.until is None else show_time(thing.until),
            state=thing.state.value,
            reason=thing.reason,
        ),
    )


@snapshot.register
def _delivery_job(thing: DeliveryJob) -> Snapshot:
    more = "at least " if thing.at_least else ""
    return Snapshot(
        project_id=thing.project_id,
        account_id=thing.account_id,
        target=show("job", thing.id),
        label=f"{thing.act.value}, {more}{count_of(thing.counted, 'delivery', 'deliveries')}",
        facts={
            "filter": Fact(value=thing.filter, shown=_filter_shown(thing.filter)),
            **_plain(
                act=thing.act.value,
                counted=thing.counted,
                active=thing.is_active,
                reason=thing.reason,
            ),
        },
    )


def _filter_shown(stored: str) -> dict[str, Any]:
    """Return a job's filter, without the text that is searched for: it may name a person."""
    found: dict[str, Any] = msgspec.json.decode(stored)
    shown = {name: value for name, value in found.items() if value not in (None, "")}
    return {name: MASK if name == "text" else value for name, value in shown.items()}


@snapshot.register
def _delivery(thing: Delivery) -> Snapshot:
    return Snapshot(
        project_id=thing.project_id,
        account_id=thing.account_id,
        target=show("dlv", thing.id),
        facts=_plain(
            event=show("evt", thing.event_id),
            endpoint=show("ep", thing.endpoint_id),
            state=thing.state.value,
            reason=thing.reason,
        ),
    )


def project_snapshot(project_id: int, project: Project) -> Snapshot:
    """Return what the audit log shows of a project: its settings, plans and event types."""
    tree = msgspec.to_builtins(project)
    plans, types = tree.pop("plans"), tree.pop("event_types")
    tree |= {
        "plans": {each.pop("name"): each for each in plans},
        "event_types": {each.pop("name"): each for each in types},
        "order": [[each.name for each in project.plans], [t.name for t in project.event_types]],
    }
    return Snapshot(
        project_id=project_id,
        account_id=None,
        target=project.name,
        label=project.name,
        facts={
            key: Fact(value=(value,), shown=_cut(value)) for key, value in _flat(tree, "").items()
        },
    )


def project_detail(before: Project | None, after: Project) -> str:
    """Summarise in a few lines what an edit of a project changed."""
    lines = changes(before, after)
    more = len(lines) - MAX_LINES
    return "; ".join(lines[:MAX_LINES]) + (f"; and {more} more" if more > 0 else "")


def disabled_snapshots(
    project_id: int | None, account_id: int, endpoint_id: int, reason: str
) -> tuple[Snapshot, Snapshot]:
    """Return an endpoint's snapshots before and after a rule disabled it, from its id alone."""

    def snapshot_of(disabled_reason: str) -> Snapshot:
        return Snapshot(
            project_id=project_id,
            account_id=account_id,
            target=show("ep", endpoint_id),
            label=disabled_reason,
            facts=_plain(enabled=not disabled_reason, disabled_reason=disabled_reason),
        )

    return snapshot_of(""), snapshot_of(reason)


def place(url: str) -> str:
    """Return a URL without the parts that may be secret."""
    path = url.partition("#")[0].partition("?")[0]
    return path if path == url else f"{path}?..."


def _plain(**values: Any) -> dict[str, Fact]:
    return {name: Fact(value=value, shown=_cut(value)) for name, value in values.items()}


def _flat(tree: Mapping[str, Any], path: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{path}{key}.")
        else:
            found[f"{path}{key}"] = value
    return found


def _cut(value: Any) -> Any:
    """Return a value as it is, or the beginning of its text where it is long."""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return value if len(text) <= MAX_VALUE_LENGTH else text[: MAX_VALUE_LENGTH - 3] + "..."
