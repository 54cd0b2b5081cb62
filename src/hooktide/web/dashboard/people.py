"""People: who may log in, as what, and the links that let them in."""

from starlette.responses import Response

from hooktide.domain.errors import InvalidError
from hooktide.domain.model import Person, Role, Scope
from hooktide.web.dashboard.page import act, page
from hooktide.web.dashboard.visit import Visit


@page("/people", who=Role.OWNER)
async def people(visit: Visit) -> Response:
    """``GET /dashboard/people``: all; for an owner of one project, those who see only that."""
    return await show_people(visit)


async def show_people(visit: Visit, person: Person | None = None, link: str = "") -> Response:
    """Show the people; ``link``: the one that was just made for ``person``."""
    return visit.show(
        "people.html",
        rows=await visit.desk.people.everybody(visit.scope),
        projects=await visit.projects(),
        roles=[each.value for each in (Role.VIEWER, Role.MEMBER, Role.OWNER)],
        person=person,
        link=link,
    )


async def _find(visit: Visit) -> Person:
    return await visit.desk.people.get(visit.scope, visit.id("usr"))


@act("/people", back=people, who=Role.OWNER)
async def add_person(visit: Visit) -> Response:
    """``POST /dashboard/people``: the answer shows a link that lets them in, once."""
    form = visit.form
    person = await visit.desk.people.add(
        visit.scope, form.text("name"), _role(form.text("role")), form.text("project") or None
    )
    await _note(visit, "person.add", person, person.role.value)
    link = await visit.desk.people.make_link(visit.scope, person.id)
    return await show_people(visit, person, link.url)


def _role(text: str) -> Role:
    try:
        return Role(text)
    except ValueError:
        raise InvalidError("invalid_role", "choose one", pointer="/role") from None


async def _note(visit: Visit, what: str, person: Person, detail: str = "") -> None:
    await visit.note(what, person.name, detail, Scope(project_id=person.project_id))


@act("/people/{id}/role", back=people, who=Role.OWNER)
async def change_role(visit: Visit) -> Response:
    """``POST /dashboard/people/{id}/role``: it holds at once."""
    person, role = await _find(visit), _role(visit.form.text("role"))
    await visit.desk.people.change(visit.scope, person.id, {"role": role})
    await _note(visit, "person.change", person, f"{person.role.value} -> {role.value}")
    return visit.go("/people", "person.changed")


@act("/people/{id}/link", back=people, who=Role.OWNER)
async def make_link(visit: Visit) -> Response:
    """``POST /dashboard/people/{id}/link``: for somebody who has no password, or forgot it."""
    person = await _find(visit)
    link = await visit.desk.people.make_link(visit.scope, person.id)
    await _note(visit, "login_link.make", person)
    return await show_people(visit, person, link.url)


@act("/people/{id}/remove", back=people, who=Role.OWNER)
async def remove_person(visit: Visit) -> Response:
    """``POST /dashboard/people/{id}/remove``."""
    person = await _find(visit)
    await visit.desk.people.remove(visit.scope, person.id)
    await _note(visit, "person.remove", person)
    return visit.go("/people", "person.removed")


PAGES = (people, add_person, change_role, make_link, remove_person)
