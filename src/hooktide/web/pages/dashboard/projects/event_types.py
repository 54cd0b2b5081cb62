"""Event types: each with its example, its schema, and what receivers get of it."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from hooktide.actions.projects import find_type
from hooktide.domain.errors import HooktideError, InvalidError
from hooktide.domain.messages.message import Wording
from hooktide.domain.model import Micros
from hooktide.domain.project.project import EventType, Project, fingerprint
from hooktide.domain.time.spans import read_delay
from hooktide.web.pages.framework.fields import (
    Limit,
    Lines,
    OptionalTimeSpan,
    Words,
    read_time_span,
)
from hooktide.web.pages.framework.page import act, page
from hooktide.web.pages.framework.request import PageRequest
from hooktide.web.pages.framework.view import View
from hooktide.web.pages.guide.example import Example, indented, make_example
from hooktide.web.reading import MAX_LARGE_BODY


@page("/projects/{name}/event-type")
async def event_type(request: PageRequest) -> View:
    """``GET /dashboard/projects/{name}/event-type``: ``?type=`` one of them; without, a new one."""
    row = await request.services.store.get_project(request.scope, request.path("name"))
    name = request.query.text("type")
    kind = find_type(row.project.event_types, name) if name else None
    return request.show(
        "event_type.html",
        row=row,
        kind=kind,
        example=None if kind is None else _example(row.project, kind),
        pretty=indented,
        seen=kind and fingerprint(kind),
    )


def _example(project: Project, kind: EventType) -> Example | None:
    """Compose what a receiver would get; None: the example lacks a required value."""
    with suppress(HooktideError):
        return make_example(project, kind)
    return None


@dataclass(frozen=True, slots=True)
class EventTypeForm:
    """An event type as it is filled in; ``name`` is asked for only where it is a new one."""

    name: str
    description: str
    example: str
    schema: str
    transition: str
    accounts: Lines
    retry_delays: Words
    timeout: OptionalTimeSpan
    retention_days: Limit
    message__text: str
    message__link: str
    message__fields: Words

    def event_type(self, old: str) -> EventType:
        """Return the event type; ``old``: the name of the one that is changed.

        :raises InvalidError: the example or the schema is not JSON.
        """
        return EventType(
            name=old or self.name,
            description=self.description,
            example=_json(self.example or "{}", "/example"),
            schema=_json(self.schema, "/schema") if self.schema else None,
            transition=self.transition,
            accounts=self.accounts,
            retry_delays=_delays(self.retry_delays),
            timeout=self.timeout,
            retention_days=self.retention_days,
            message=Wording(
                text=self.message__text,
                link=self.message__link,
                fields=self.message__fields,
            ),
        )


@act("/projects/{name}/event-type", back=event_type, max_body=MAX_LARGE_BODY)
async def put_event_type(request: PageRequest, form: EventTypeForm) -> View:
    """``POST /dashboard/projects/{name}/event-type``: add one, or change it."""
    name, old = request.path("name"), request.query.text("type")
    kind = form.event_type(old)
    await request.services.projects.put_type(
        request.actor, request.scope, name, kind, new=not old, seen=request.seen
    )
    return request.go(f"/projects/{name}/event-type", "type.saved", type=kind.name)


def _delays(words: Sequence[str]) -> tuple[Micros, ...] | None:
    if not words:
        return None
    if words == ("none",):
        return ()
    return tuple(read_time_span(each, "retry_delays", read_delay) for each in words)


def _json(text: str, pointer: str) -> str:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise InvalidError("invalid_json", f"this is not JSON: {error}", pointer=pointer) from None
    return text


@dataclass(frozen=True, slots=True)
class EventTypeRemoval:
    """``remove_event_types``: also where endpoints want it."""

    remove_event_types: bool


@act("/projects/{name}/event-type/delete", back=event_type)
async def delete_event_type(request: PageRequest, form: EventTypeRemoval) -> View:
    """``POST /dashboard/projects/{name}/event-type/delete``: ``?type=`` says which."""
    name, kind = request.path("name"), request.query.text("type")
    await request.services.projects.delete_type(
        request.actor,
        request.scope,
        name,
        kind,
        seen=request.seen,
        remove_event_types=form.remove_event_types,
    )
    return request.go(f"/projects/{name}", "type.deleted")


PAGES = (event_type, put_event_type, delete_event_type)
