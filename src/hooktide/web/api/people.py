"""``/v1/people``: who may log in to the dashboard, and the links that log them in."""

from typing import Annotated, Any

import msgspec

from hooktide.domain.ids import read, show
from hooktide.domain.model import Person, Role
from hooktide.domain.times import show_time
from hooktide.web.api.shapes import Instant, instant
from hooktide.web.operation import OPERATOR, Call, operation

Name = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=100,
        description="What they log in with; unique, however it is capitalised.",
    ),
]
RoleName = Annotated[
    Role,
    msgspec.Meta(
        description="`viewer` looks, `member` works, `owner` also manages people and what cannot "
        "be undone."
    ),
]


class PersonIn(msgspec.Struct, forbid_unknown_fields=True):
    """Somebody new. `project` is a project's name; without it all projects are theirs."""

    name: Name
    role: RoleName
    project: str | None = None


class PersonChange(msgspec.Struct, forbid_unknown_fields=True):
    """What to change of somebody; what is absent stays. `project` null: all projects."""

    name: Name | msgspec.UnsetType = msgspec.UNSET
    role: RoleName | msgspec.UnsetType = msgspec.UNSET
    project: str | msgspec.UnsetType | None = msgspec.UNSET


class PersonOut(msgspec.Struct, kw_only=True):
    """Somebody who may log in to the dashboard."""

    id: str
    name: str
    role: Role
    project: str | None
    has_password: bool
    created_at: Instant
    seen_at: Instant | None


class PeopleOut(msgspec.Struct):
    """Everybody, by name."""

    items: list[PersonOut]


class LoginLinkOut(msgspec.Struct):
    """A URL that logs somebody in once, until `expires_at`; shown this once."""

    url: str
    expires_at: Instant


@operation(
    "POST",
    "/v1/people",
    who=OPERATOR,
    status=201,
    problems=("not_found", "person_exists", "invalid_text"),
)
async def add_person(call: Call, body: PersonIn) -> PersonOut:
    """Add somebody to the dashboard; a login link lets them in."""
    made = await call.services.people.add(call.scope, body.name, body.role, body.project)
    return await _shown(call, made)


@operation("GET", "/v1/people", who=OPERATOR)
async def list_people(call: Call) -> PeopleOut:
    """List everybody who may log in to the dashboard, by name."""
    found = await call.services.people.everybody(call.scope)
    return PeopleOut([await _shown(call, each) for each in found])


@operation("GET", "/v1/people/{id}", who=OPERATOR)
async def get_person(call: Call, id: str) -> PersonOut:
    """Get somebody."""
    return await _shown(call, await call.services.people.get(call.scope, read("usr", id)))


@operation(
    "PATCH",
    "/v1/people/{id}",
    who=OPERATOR,
    problems=("person_exists", "last_owner", "invalid_text"),
)
async def change_person(call: Call, id: str, body: PersonChange) -> PersonOut:
    """Change somebody's name, role or project; it holds at once."""
    given: dict[str, Any] = {
        name: getattr(body, name)
        for name in ("name", "role", "project")
        if getattr(body, name) is not msgspec.UNSET
    }
    return await _shown(call, await call.services.people.change(call.scope, read("usr", id), given))


@operation("DELETE", "/v1/people/{id}", who=OPERATOR, status=204, problems=("last_owner",))
async def remove_person(call: Call, id: str) -> None:
    """Remove somebody; they are logged out at once."""
    await call.services.people.remove(call.scope, read("usr", id))


@operation("POST", "/v1/people/{id}/login-links", who=OPERATOR, status=201)
async def make_login_link(call: Call, id: str) -> LoginLinkOut:
    """Make a link that logs somebody in, once and within a day; also who forgot a password."""
    link = await call.services.people.make_link(call.scope, read("usr", id))
    return LoginLinkOut(link.url, show_time(link.expires_at))


async def _shown(call: Call, person: Person) -> PersonOut:
    return PersonOut(
        id=show("usr", person.id),
        name=person.name,
        role=person.role,
        project=await call.services.accounts.project_name(person.project_id),
        has_password=bool(person.password),
        created_at=show_time(person.created_at),
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
