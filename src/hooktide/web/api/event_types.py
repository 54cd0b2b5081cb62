"""``/v1/event-types``: what a project's events may be."""

from collections.abc import Iterable
from typing import Annotated

import msgspec

from hooktide.actions.projects import find_type
from hooktide.actions.texts import check_text
from hooktide.domain.errors import InvalidError
from hooktide.domain.message import Wording
from hooktide.domain.project import EventType, offered
from hooktide.web.operation import ANYONE, MANAGERS, Call, operation

NULL = msgspec.Raw(b"null")


class ProjectQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Whose event types."""

    project: (
        Annotated[str, msgspec.Meta(description="Its name; needed with an operator's key.")] | None
    ) = None


class WordingIn(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A chat's message in the project's own words, with slots like `{payload.customer.name}`.

    `fields` are paths into the payload. What is empty is found by itself.
    """

    text: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    link: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    fields: Annotated[list[str], msgspec.Meta(max_length=10)] = []


class EventTypeIn(msgspec.Struct, forbid_unknown_fields=True):
    """An event type. `accounts` are the references it is limited to; none: all may use it."""

    description: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    example: Annotated[
        msgspec.Raw | msgspec.UnsetType,
        msgspec.Meta(description="A payload, as a test event has it."),
    ] = msgspec.UNSET
    schema: Annotated[
        msgspec.Raw | msgspec.UnsetType,
        msgspec.Meta(description="A JSON Schema 2020-12 for payloads, or null."),
    ] = msgspec.UNSET
    transition: Annotated[str, msgspec.Meta(max_length=200)] = ""
    accounts: Annotated[list[str], msgspec.Meta(max_length=1000)] = []
    message: WordingIn = WordingIn()


class WordingOut(msgspec.Struct):
    """A chat's message in the project's own words; what is empty is found by itself."""

    text: str
    link: str
    fields: list[str]


class EventTypeOut(msgspec.Struct):
    """An event type."""

    name: str
    description: str
    example: msgspec.Raw
    schema: msgspec.Raw
    transition: str
    message: WordingOut


class EventTypes(msgspec.Struct):
    """Event types, in the project's order."""

    items: list[EventTypeOut]


@operation("GET", "/v1/event-types", who=ANYONE, problems=("not_found", "project_missing"))
async def list_event_types(call: Call, query: ProjectQuery) -> EventTypes:
    """List the event types; an account's key sees those that are offered to the account."""
    return EventTypes([_shown(kind) for kind in await _types(call, query)])


@operation("GET", "/v1/event-types/{name}", who=ANYONE, problems=("project_missing",))
async def get_event_type(call: Call, name: str, query: ProjectQuery) -> EventTypeOut:
    """Get an event type."""
    return _shown(find_type(await _types(call, query), name))


@operation(
    "PUT",
    "/v1/event-types/{name}",
    who=MANAGERS,
    problems=("project_missing", "invalid_event_type", "invalid_text"),
)
async def put_event_type(
    call: Call, name: str, query: ProjectQuery, body: EventTypeIn
) -> EventTypeOut:
    """Add an event type, or replace it.

    Applying the project's file makes the event types what the file says again.
    """
    row = await call.services.accounts.project(call.scope, query.project)
    kind = EventType(
        name=name,
        description=check_text(body.description, "/description", 1000, lines=True),
        example="{}" if body.example is msgspec.UNSET else json_text(body.example),
        schema=_schema_text(body.schema),
        transition=check_text(body.transition, "/transition", 200),
        accounts=tuple(body.accounts),
        message=_wording(body.message),
    )
    return _shown(await call.services.projects.put_type(row.id, kind))


@operation(
    "DELETE",
    "/v1/event-types/{name}",
    who=MANAGERS,
    status=204,
    problems=("project_missing",),
)
async def remove_event_type(call: Call, name: str, query: ProjectQuery) -> None:
    """Remove an event type; what was published stays."""
    row = await call.services.accounts.project(call.scope, query.project)
    await call.services.projects.remove_type(row.id, name)


async def _types(call: Call, query: ProjectQuery) -> Iterable[EventType]:
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


def _wording(given: WordingIn) -> Wording:
    return Wording(
        text=check_text(given.text, "/message/text", 1000),
        link=check_text(given.link, "/message/link", 1000),
        fields=tuple(given.fields),
    )


def _shown(kind: EventType) -> EventTypeOut:
    return EventTypeOut(
        name=kind.name,
        description=kind.description,
        example=msgspec.Raw(kind.example.encode()),
        schema=NULL if kind.schema is None else msgspec.Raw(kind.schema.encode()),
        transition=kind.transition,
        message=WordingOut(kind.message.text, kind.message.link, list(kind.message.fields)),
    )


OPERATIONS = (list_event_types, get_event_type, put_event_type, remove_event_type)
