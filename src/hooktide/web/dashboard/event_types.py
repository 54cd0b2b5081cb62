"""Event types: each with its example, its schema, and what receivers get of it."""

from contextlib import suppress

import msgspec
from starlette.responses import Response

from hooktide.actions.projects import find_type
from hooktide.actions.texts import check_text
from hooktide.domain.errors import HooktideError, InvalidError, NotFoundError
from hooktide.domain.message import Wording
from hooktide.domain.model import Scope
from hooktide.domain.project import EventType, Project
from hooktide.store.base import ProjectRow
from hooktide.web.dashboard.page import act, page
from hooktide.web.dashboard.visit import Visit
from hooktide.web.docs.example import Example, indented, make_example


@page("/projects/{name}/event-type")
async def event_type(visit: Visit) -> Response:
    """``GET /dashboard/projects/{name}/event-type``: ``?type=`` one of them; without, a new one."""
    row = await _find(visit)
    name = visit.query.text("type")
    kind = find_type(row.project.event_types, name) if name else None
    return visit.show(
        "event_type.html",
        row=row,
        kind=kind,
        example=None if kind is None else _example(row.project, kind),
        pretty=indented,
    )


async def _find(visit: Visit) -> ProjectRow:
    return await visit.services.store.get_project(visit.scope, visit.path("name"))


def _example(project: Project, kind: EventType) -> Example | None:
    """Compose what a receiver would get; None: the example does not bring all that is told."""
    with suppress(HooktideError):
        return make_example(project, kind)
    return None


@act("/projects/{name}/event-type", back=event_type)
async def put_event_type(visit: Visit) -> Response:
    """``POST /dashboard/projects/{name}/event-type``: add one, or change it."""
    row = await _find(visit)
    old = visit.query.text("type")
    kind = _filled_in(visit, old)
    if not old:
        _check_new(row.project, kind.name)
    await visit.services.projects.put_type(row.id, kind)
    await visit.note("event_type.put", kind.name, row.project.name, Scope(project_id=row.id))
    path = f"/projects/{row.project.name}/event-type"
    return visit.go(path, "type.saved", type=kind.name)


def _filled_in(visit: Visit, old: str) -> EventType:
    form = visit.form
    schema = form.text("schema")
    references = [line.strip() for line in form.raw("accounts").splitlines()]
    return EventType(
        name=old or form.text("name"),
        description=check_text(form.text("description"), "/description", 1000, lines=True),
        example=_json(form.text("example") or "{}", "/example"),
        schema=_json(schema, "/schema") if schema else None,
        transition=check_text(form.text("transition"), "/transition", 200),
        accounts=tuple(each for each in references if each),
        message=Wording(
            text=check_text(form.text("message/text"), "/message/text", 1000),
            link=check_text(form.text("message/link"), "/message/link", 1000),
            fields=tuple(form.text("message/fields").replace(",", " ").split()),
        ),
    )


def _json(text: str, pointer: str) -> str:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise InvalidError("invalid_json", f"this is not JSON: {error}", pointer=pointer) from None
    return text


def _check_new(project: Project, name: str) -> None:
    with suppress(NotFoundError):
        find_type(project.event_types, name)
        raise InvalidError("type_exists", "there is an event type of this name", pointer="/name")


@act("/projects/{name}/event-type/remove", back=event_type)
async def remove_event_type(visit: Visit) -> Response:
    """``POST /dashboard/projects/{name}/event-type/remove``: ``?type=`` says which."""
    row = await _find(visit)
    kind = find_type(row.project.event_types, visit.query.text("type"))
    await visit.services.projects.remove_type(row.id, kind.name)
    await visit.note("event_type.remove", kind.name, row.project.name, Scope(project_id=row.id))
    return visit.go(f"/projects/{row.project.name}", "type.removed")


PAGES = (event_type, put_event_type, remove_event_type)
