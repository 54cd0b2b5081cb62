"""People: who may log in, as what, and the links that let them in."""

from dataclasses import dataclass

from hooktide.domain.ids import read, show
from hooktide.domain.model import Person, Role
from hooktide.web.pages.framework.page import act, page
from hooktide.web.pages.framework.request import PageRequest
from hooktide.web.pages.framework.view import View


@page("/people", who=Role.OWNER)
async def people(request: PageRequest) -> View:
    """``GET /dashboard/people``: all; for an owner of one project, those who see only that.

    ``?made=`` the id of somebody whose login link is shown, once.
    """
    made = request.query.text("made")
    person = await request.services.people.get(request.scope, read("usr", made)) if made else None
    return request.show(
        "people.html",
        rows=await request.services.people.everybody(request.scope),
        projects=await request.projects(),
        roles=[each.value for each in (Role.VIEWER, Role.MEMBER, Role.OWNER)],
        person=person,
        link=None if person is None else await request.once(),
    )


async def _find(request: PageRequest) -> Person:
    return await request.services.people.get(request.scope, request.id("usr"))


@dataclass(frozen=True, slots=True)
class NewPerson:
    """Somebody to add; ``project`` empty: they see all that the session sees."""

    name: str
    role: Role
    project: str


@act("/people", back=people, who=Role.OWNER)
async def add_person(request: PageRequest, form: NewPerson) -> View:
    """``POST /dashboard/people``: the page that it leads to shows a link that lets them in."""
    person = await request.services.people.add(
        request.actor, request.scope, form.name, form.role, form.project or None
    )
    return await _show_link(request, person)


async def _show_link(request: PageRequest, person: Person) -> View:
    link = await request.services.people.make_link(request.actor, request.scope, person.id)
    return await request.go_once("/people", link.url, made=show("usr", person.id))


@dataclass(frozen=True, slots=True)
class RoleChange:
    """What somebody may do from now on."""

    role: Role


@act("/people/{id}/role", back=people, who=Role.OWNER)
async def change_role(request: PageRequest, form: RoleChange) -> View:
    """``POST /dashboard/people/{id}/role``: it holds at once."""
    person = await _find(request)
    await request.services.people.change(
        request.actor, request.scope, person.id, {"role": form.role}
    )
    return request.go("/people", "person.changed")


@act("/people/{id}/link", back=people, who=Role.OWNER)
async def make_link(request: PageRequest) -> View:
    """``POST /dashboard/people/{id}/link``: for somebody who has no password, or forgot it."""
    return await _show_link(request, await _find(request))


@act("/people/{id}/remove", back=people, who=Role.OWNER)
async def remove_person(request: PageRequest) -> View:
    """``POST /dashboard/people/{id}/remove``."""
    person = await _find(request)
    await request.services.people.remove(request.actor, request.scope, person.id)
    return request.go("/people", "person.removed")


PAGES = (people, add_person, change_role, make_link, remove_person)
