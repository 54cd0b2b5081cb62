"""The users page: roles, and login links."""

from dataclasses import dataclass

from hooktide.domain.ids import read, show
from hooktide.domain.model import Role, User
from hooktide.web.pages.framework.page import act, page
from hooktide.web.pages.framework.request import PageRequest
from hooktide.web.pages.framework.view import View


@page("/users", who=Role.OWNER)
async def users(request: PageRequest) -> View:
    """``GET /dashboard/users``: all; for an owner of one project, those who see only that.

    ``?made=`` the id of somebody whose login link is shown, once.
    """
    made = request.query.text("made")
    user = await request.services.users.get(request.scope, read("usr", made)) if made else None
    return request.show(
        "users.html",
        rows=await request.services.users.everybody(request.scope),
        projects=await request.projects(),
        roles=[each.value for each in (Role.VIEWER, Role.MEMBER, Role.OWNER)],
        user=user,
        link=None if user is None else await request.once(),
    )


async def _find(request: PageRequest) -> User:
    return await request.services.users.get(request.scope, request.id("usr"))


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user to create; ``project`` empty: they see all that the session sees."""

    name: str
    role: Role
    project: str


@act("/users", back=users, who=Role.OWNER)
async def create_user(request: PageRequest, form: NewUser) -> View:
    """``POST /dashboard/users``: the page that it leads to shows a link that lets them in."""
    user = await request.services.users.create(
        request.actor, request.scope, form.name, form.role, form.project or None
    )
    return await _show_link(request, user)


async def _show_link(request: PageRequest, user: User) -> View:
    link = await request.services.users.make_link(request.actor, request.scope, user.id)
    return await request.go_once("/users", link.url, made=show("usr", user.id))


@dataclass(frozen=True, slots=True)
class RoleChange:
    """A user's new role."""

    role: Role


@act("/users/{id}/role", back=users, who=Role.OWNER)
async def change_role(request: PageRequest, form: RoleChange) -> View:
    """``POST /dashboard/users/{id}/role``: it holds at once."""
    user = await _find(request)
    await request.services.users.update(request.actor, request.scope, user.id, {"role": form.role})
    return request.go("/users", "user.updated")


@act("/users/{id}/link", back=users, who=Role.OWNER)
async def make_link(request: PageRequest) -> View:
    """``POST /dashboard/users/{id}/link``: for a user without a password, or who forgot it."""
    return await _show_link(request, await _find(request))


@act("/users/{id}/delete", back=users, who=Role.OWNER)
async def delete_user(request: PageRequest) -> View:
    """``POST /dashboard/users/{id}/delete``."""
    user = await _find(request)
    await request.services.users.delete(request.actor, request.scope, user.id)
    return request.go("/users", "user.deleted")


PAGES = (users, create_user, change_role, make_link, delete_user)
