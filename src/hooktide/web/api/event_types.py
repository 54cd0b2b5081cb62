"""``/v1/event-types``: a project's event types."""

from collections.abc import Iterable

import msgspec

from hooktide.actions.projects import find_type
from hooktide.domain.errors import InvalidError
from hooktide.domain.messages.message import Wording
from hooktide.domain.model import SECOND
from hooktide.domain.project.project import EventType, offered
from hooktide.web.operations.operation import ANYONE, MANAGERS, Call, operation
from hooktide.web.operations.response_values import schedule_shown
from hooktide.web.reading import MAX_LARGE_BODY
from hooktide.wire import projects as wire

NULL = msgspec.Raw(b"null")


@operation("GET", "/v1/event-types", who=ANYONE, problems=("not_found", "project_missing"))
async def list_event_types(call: Call, query: wire.ProjectQuery) -> wire.EventTypes:
    """List the event types; with an account's key, those offered to the account."""
    return wire.EventTypes([_shown(kind) for kind in await _types(call, query)])


@operation("GET", "/v1/event-types/{name}", who=ANYONE, problems=("project_missing",))
async def get_event_type(call: Call, name: str, query: wire.ProjectQuery) -> wire.EventType:
    """Get an event type."""
    return _shown(find_type(await _types(call, query), name))


@operation(
    "PUT",
    "/v1/event-types/{name}",
    who=MANAGERS,
    problems=(
        "project_missing",
        "invalid_event_type",
        "invalid_retention",
        "too_many_event_types",
        "invalid_text",
        "edit_conflict",
    ),
    max_body=MAX_LARGE_BODY,
)
async def put_event_type(
    call: Call, name: str, query: wire.ProjectQuery, body: wire.EventTypeIn
) -> wire.EventType:
    """Create an event type, or replace it.

    Applying the project's file later resets the event types to those in the file.
    """
    row = await call.services.accounts.project(call.scope, query.project)
    kind = EventType(
        name=name,
        description=body.description,
        example="{}" if body.example is msgspec.UNSET else json_text(body.example),
        schema=_schema_text(body.schema),
        transition=body.transition,
        accounts=tuple(body.accounts),
        message=Wording(
            text=body.message.text, link=body.message.link, fields=tuple(body.message.fields)
        ),
        retry_delays=None
        if body.retry_delays is None
        else tuple(each * SECOND for each in body.retry_delays),
        timeout=None if body.timeout_seconds is None else round(body.timeout_seconds * SECOND),
        retention_days=body.retention_days,
    )
    await call.services.projects.put_type(call.actor, call.scope, row.project.name, kind)
    return _shown(kind)


@operation(
    "DELETE",
    "/v1/event-types/{name}",
    who=MANAGERS,
    status=204,
    problems=("project_missing", "event_types_in_use", "edit_conflict"),
)
async def delete_event_type(call: Call, name: str, query: wire.DeleteEventTypeQuery) -> None:
    """Delete an event type; published events stay.

    If endpoints subscribe to it by name, this requires `remove_event_types=true`.
    """
    row = await call.services.accounts.project(call.scope, query.project)
    await call.services.projects.delete_type(
        call.actor,
        call.scope,
        row.project.name,
        name,
        remove_event_types=query.remove_event_types,
    )


async def _types(call: Call, query: wire.ProjectQuery) -> Iterable[EventType]:
    row = await call.services.accounts.project(call.scope, query.project)
    if call.scope.account_id is None:
        return row.project.event_types
    return offered(row.project, await call.services.accounts.reference(call.scope.account_id))


def json_text(value: msgspec.Raw) -> str:
    """Return the text of a JSON value.

    :raises InvalidError: its bytes are not UTF-8.
    """
    try:
        return bytes(value).decode()
    except UnicodeDecodeError as error:
        raise InvalidError("invalid_json", f"the body is not UTF-8: {error}", status=400) from None


def _schema_text(value: msgspec.Raw | msgspec.UnsetType) -> str | None:
    text = "null" if value is msgspec.UNSET else json_text(value)
    return None if text == "null" else text


def _shown(kind: EventType) -> wire.EventType:
    return wire.EventType(
        name=kind.name,
        description=kind.description,
        example=msgspec.Raw(kind.example.encode()),
        schema=NULL if kind.schema is None else msgspec.Raw(kind.schema.encode()),
        transition=kind.transition,
        message=wire.Wording(kind.message.text, kind.message.link, list(kind.message.fields)),
        **schedule_shown(kind.retry_delays, kind.timeout),
        retention_days=kind.retention_days,
    )


OPERATIONS = (list_event_types, get_event_type, put_event_type, delete_event_type)
