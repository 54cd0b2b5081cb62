"""``/v1/people``: who may log in to the dashboard, and the links that log them in."""

from typing import Any

import msgspec

from hooktide.domain.ids import read, show
from hooktide.domain.model import Person, Role
from hooktide.web.operation import OPERATOR, Call, operation
from hooktide.web.response_values import instant
from hooktide.wire import access as wire


@operation(
    "POST",
    "/v1/people",
    who=OPERATOR,
    status=201,
    problems=("not_found", "person_exists", "invalid_text"),
)
async def add_person(call: Call, body: wire.PersonIn) -> wire.Person:
    """Add somebody to the dashboard; a login link lets them in."""
    made = await call.services.people.add(
        call.actor, call.scope, body.name, Role(body.role), body.project
    )
    return await _shown(call, made)


@operation("GET", "/v1/people", who=OPERATOR)
async def list_people(call: Call) -> wire.People:
    """List everybody who may log in to the dashboard, by name."""
    found = await call.services.people.everybody(call.scope)
    return wire.People([await _shown(call, each) for each in found])


@operation("GET", "/v1/people/{id}", who=OPERATOR)
async def get_person(call: Call, id: str) -> wire.Person:
    """Get somebody."""
    return await _shown(call, await call.services.people.get(call.scope, read("usr", id)))


@operation(
    "PATCH",
    "/v1/people/{id}",
    who=OPERATOR,
    problems=("person_exists", "last_owner", "invalid_text"),
)
async def change_person(call: Call, id: str, body: wire.PersonChange) -> wire.Person:
    """Change somebody's name, role or project; it holds at once."""
    given: dict[str, Any] = {
        name: getattr(body, name)
        for name in ("name", "role", "project")
        if getattr(body, name) is not msgspec.UNSET
    }
    if "role" in given:
        given["role"] = Role(given["role"])
    return await _shown(
        call, await call.services.people.change(call.actor, call.scope, read("usr", id), given)
    )


@operation("DELETE", "/v1/people/{id}", who=OPERATOR, status=204, problems=("last_owner",))
async def remove_person(call: Call, id: str) -> None:
    """Remove somebody; they are logged out at once."""
    await call.services.people.remove(call.actor, call.scope, read("usr", id))


@operation("POST", "/v1/people/{id}/login-links", who=OPERATOR, status=201)
async def make_login_link(call: Call, id: str) -> wire.LoginLink:
    """Make a link that logs somebody in, once and within a day; also who forgot a password."""
    link = await call.services.people.make_link(call.actor, call.scope, read("usr", id))
    return wire.LoginLink(link.url, instant(link.expires_at))


async def _shown(call: Call, person: Person) -> wire.Person:
    return wire.Person(
        id=show("usr", person.id),
        name=person.name,
        role=person.role,
        project=await call.services.accounts.project_name(person.project_id),
        has_password=bool(person.password),
        created_at=instant(person.created_at),
        seen_at=instant(person.seen_at),
    )


OPERATIONS = (
    add_person,
    list_people,
    get_person,
    change_person,
    remove_person,
    make_login_link,
)
