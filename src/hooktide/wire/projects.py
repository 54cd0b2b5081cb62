"""Projects, their event types, and their storage usage."""

from typing import Annotated

import msgspec

from hooktide.wire.events import MAX_TRANSITION_LENGTH
from hooktide.wire.fields import Instant, RequestModel, ResponseModel

MAX_TEXT_LENGTH = 1000
"""Characters of an event type's description, and of a message's text and its link."""


class ApplyQuery(RequestModel, frozen=True):
    """How to apply a project file."""

    remove_event_types: Annotated[
        bool,
        msgspec.Meta(description="Also remove event types that endpoints subscribe to by name."),
    ] = False
    dry_run: Annotated[
        bool, msgspec.Meta(description="Return what would change, without changing it.")
    ] = False


class ProjectApplied(ResponseModel, frozen=True):
    """A project, and the changes made by applying its file, one per line; empty if none."""

    name: str
    id: Annotated[str | None, msgspec.Meta(description="null in a dry run for a new project.")]
    mode: str
    changes: list[str]


class Plan(ResponseModel, frozen=True):
    """The limits of an account on this plan; null if unlimited."""

    name: str
    endpoints: int | None
    deliveries_per_hour: int | None
    retries: int
    timeout_seconds: float
    changes_per_second: int
    tests_per_second: int
    filter_conditions: int
    channels: int
    metadata_bytes: int
    rate_limit: int | None
    endpoint_rate_limit: int | None
    max_timeout_seconds: float


class Project(ResponseModel, frozen=True):
    """A project."""

    name: str
    id: str
    title: str
    mode: Annotated[str, msgspec.Meta(description="`live`, or `test` for test events only.")]
    plans: list[Plan]
    default_plan: str
    event_types: list[str]
    header_prefix: Annotated[
        str | None,
        msgspec.Meta(
            description="What the names of the Standard Webhooks headers begin with: `webhook`, or "
            "another sender's; null if they are not sent."
        ),
    ]
    docs_url: Annotated[
        str | None,
        msgspec.Meta(description="The URL of its public guide; null if it has none."),
    ]
    created_at: Instant
    updated_at: Instant


class Projects(ResponseModel, frozen=True):
    """All projects that the key has access to, by name."""

    items: list[Project]


class SearchIndex(ResponseModel, frozen=True):
    """How far a project's events are indexed by the values at `paths` in their payloads.

    Events accepted from `complete_since` on are (null: all that are kept). `filling`: older ones
    are being indexed; `events` counts those of the last time.
    """

    project: str
    paths: list[str]
    state: Annotated[str, msgspec.Meta(description="`complete`, `partial` or `filling`.")]
    complete_since: Instant | None
    events: int
    started_at: Instant | None
    ended_at: Instant | None


class ProjectQuery(RequestModel, frozen=True):
    """Whose event types."""

    project: (
        Annotated[str, msgspec.Meta(description="Its name; required with an operator's key.")]
        | None
    ) = None


class DeleteEventTypeQuery(ProjectQuery, frozen=True):
    """How to remove it, and from which project."""

    remove_event_types: Annotated[
        bool, msgspec.Meta(description="Even if endpoints subscribe to it by name.")
    ] = False


class WordingIn(RequestModel, frozen=True):
    """A chat's message in the project's own words, with slots like `{payload.customer.name}`.

    `fields` are paths into the payload. Empty parts are generated.
    """

    text: Annotated[str, msgspec.Meta(max_length=MAX_TEXT_LENGTH)] = ""
    link: Annotated[str, msgspec.Meta(max_length=MAX_TEXT_LENGTH)] = ""
    fields: Annotated[list[str], msgspec.Meta(max_length=10)] = []


class EventTypeIn(RequestModel, frozen=True):
    """An event type.

    `accounts` are the references of the accounts that may use it; empty: all accounts.
    """

    description: Annotated[str, msgspec.Meta(max_length=MAX_TEXT_LENGTH)] = ""
    example: Annotated[
        msgspec.Raw | msgspec.UnsetType,
        msgspec.Meta(description="An example payload, used by test events."),
    ] = msgspec.UNSET
    schema: Annotated[
        msgspec.Raw | msgspec.UnsetType,
        msgspec.Meta(description="A JSON Schema 2020-12 for payloads, or null."),
    ] = msgspec.UNSET
    transition: Annotated[str, msgspec.Meta(max_length=MAX_TRANSITION_LENGTH)] = ""
    accounts: Annotated[list[str], msgspec.Meta(max_length=1000)] = []
    message: WordingIn = WordingIn()
    retry_delays: Annotated[
        Annotated[list[Annotated[int, msgspec.Meta(ge=1, le=604_800)]], msgspec.Meta(max_length=20)]
        | None,
        msgspec.Meta(description="Seconds before each retry; null: those of the project."),
    ] = None
    timeout_seconds: Annotated[
        Annotated[float, msgspec.Meta(ge=1, le=30)] | None,
        msgspec.Meta(description="The longest time for an attempt; null: that of the plan."),
    ] = None
    retention_days: Annotated[
        int | None,
        msgspec.Meta(
            description="After so many days payloads are erased, and the record stays: 5 to 90, "
            "and at most the project's `retention`; null: they are kept with their record."
        ),
    ] = None


class Wording(ResponseModel, frozen=True):
    """A chat's message in the project's own words; empty parts are generated."""

    text: str
    link: str
    fields: list[str]


class EventType(ResponseModel, frozen=True):
    """An event type."""

    name: str
    description: str
    example: msgspec.Raw
    schema: msgspec.Raw
    transition: str
    message: Wording
    retry_delays: list[int] | None
    timeout_seconds: float | None
    retention_days: int | None


class EventTypes(ResponseModel, frozen=True):
    """Event types, in the project's order."""

    items: list[EventType]


class StorageUsage(ResponseModel, frozen=True):
    """What a project stores. A deleted project is listed until its log is past retention."""

    project: str
    id: str
    events: int
    deliveries: int
    attempts: int
    payload_bytes: int
    oldest_event_at: Instant | None


class StorageUsageList(ResponseModel, frozen=True):
    """What all projects store, by name."""

    items: list[StorageUsage]
