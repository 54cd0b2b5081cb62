"""Projects, and their event types."""

from collections.abc import Sequence
from typing import Any, cast

from msgspec import UNSET, UnsetType

from hooktide.client.publishing import raw_json
from hooktide.client.requests import Request, call, command
from hooktide.client.transport import Area, X, operation
from hooktide.wire.projects import (
    ApplyQuery,
    DeleteEventTypeQuery,
    EventType,
    EventTypeIn,
    EventTypes,
    Project,
    ProjectApplied,
    ProjectQuery,
    Projects,
    SearchIndex,
    Wording,
    WordingIn,
)


class ProjectsArea(Area[X]):
    """Projects, each defined by its file."""

    @operation
    def apply(
        self, name: str, file: str, *, remove_event_types: bool = False, dry_run: bool = False
    ) -> Request[ProjectApplied]:
        """Create or update a project from its file (TOML text). The call is idempotent.

        ``remove_event_types``: also remove event types missing from the file that endpoints
        subscribe to by name. ``dry_run``: only return what would change.
        """
        query = ApplyQuery(remove_event_types=remove_event_types, dry_run=dry_run)
        path = "/v1/projects/{name}"
        return call("PUT", path, ProjectApplied, query=query, body=file, name=name)

    @operation
    def list(self) -> Request[Sequence[Project]]:
        """List the projects."""
        return call("GET", "/v1/projects", Projects).then(lambda found: found.items)

    @operation
    def get(self, name: str) -> Request[Project]:
        """Get a project."""
        return call("GET", "/v1/projects/{name}", Project, name=name)

    @operation
    def delete(self, name: str) -> Request[None]:
        """Delete a project that has no accounts."""
        return command("DELETE", "/v1/projects/{name}", name=name)

    @operation
    def index(self, name: str) -> Request[SearchIndex]:
        """Get how far a project's events are indexed for search."""
        return call("GET", "/v1/projects/{name}/index", SearchIndex, name=name)

    @operation
    def reindex(self, name: str) -> Request[SearchIndex]:
        """Index a project's older events, in the background. The call is idempotent."""
        path = "/v1/projects/{name}/reindex"
        return call("POST", path, SearchIndex, repeatable=True, name=name)


class EventTypesArea(Area[X]):
    """A project's event types. ``project`` is required with an operator's key."""

    @operation
    def list(self, *, project: str | None = None) -> Request[Sequence[EventType]]:
        """List the event types; with an account's key, those offered to the account."""
        query = ProjectQuery(project=project)
        return call("GET", "/v1/event-types", EventTypes, query=query).then(lambda them: them.items)

    @operation
    def get(self, name: str, *, project: str | None = None) -> Request[EventType]:
        """Get an event type."""
        query = ProjectQuery(project=project)
        return call("GET", "/v1/event-types/{name}", EventType, query=query, name=name)

    @operation
    def put(  # noqa: PLR0913  # one for each field of the event type
        self,
        name: str,
        *,
        project: str | None = None,
        description: str = "",
        example: Any = UNSET,
        schema: Any = UNSET,
        transition: str = "",
        accounts: Sequence[str] = (),
        message: WordingIn | Wording | UnsetType = UNSET,
        retry_delays: Sequence[int] | None = None,
        timeout_seconds: float | None = None,
        retention_days: int | None = None,
    ) -> Request[EventType]:
        """Create an event type, or replace it. ``message``: the text for chats.

        ``retry_delays`` (in seconds) and ``timeout_seconds`` replace those of project and plan.
        After ``retention_days`` payloads are erased.
        """
        body = EventTypeIn(
            description=description,
            example=raw_json(example, "/example"),
            schema=raw_json(schema, "/schema"),
            transition=transition,
            accounts=cast("list[str]", accounts),
            message=cast("WordingIn", WordingIn() if message is UNSET else message),
            retry_delays=cast("list[int] | None", retry_delays),
            timeout_seconds=timeout_seconds,
            retention_days=retention_days,
        )
        query = ProjectQuery(project=project)
        return call("PUT", "/v1/event-types/{name}", EventType, query=query, body=body, name=name)

    @operation
    def delete(
        self, name: str, *, project: str | None = None, remove_event_types: bool = False
    ) -> Request[None]:
        """Delete an event type; its events stay.

        ``remove_event_types``: even if endpoints subscribe to it by name.
        """
        query = DeleteEventTypeQuery(project=project, remove_event_types=remove_event_types)
        return command("DELETE", "/v1/event-types/{name}", query=query, name=name)
