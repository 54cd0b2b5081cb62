"""``/v1/users``: the dashboard's users and their login links."""

from typing import Any

import msgspec

from hooktide.domain.ids import read, show
from hooktide.domain.model import Role, User
from hooktide.web.operations.operation import OPERATOR, Call, operation
from hooktide.web.operations.response_values import instant
from hooktide.wire import access as wire


@operation(
    "POST",
    "/v1/users",
    who=OPERATOR,
    status=201,
    problems=("not_found", "user_exists", "invalid_text"),
)
async def create_user(call: Call, body: wire.UserIn) -> wire.User:
    """Create a dashboard user. They log in with a login link first."""
    made = await call.services.users.create(
        call.actor, call.scope, body.name, Role(body.role), body.project
    )
    return await _shown(call, made)


@operation("GET", "/v1/users", who=OPERATOR)
async def list_users(call: Call) -> wire.Users:
    """List the users of the dashboard, by name."""
    found = await call.services.users.everybody(call.scope)
    return wire.Users([await _shown(call, each) for each in found])


@operation("GET", "/v1/users/{id}", who=OPERATOR)
async def get_user(call: Call, id: str) -> wire.User:
    """Get a user."""
    return await _shown(call, await call.services.users.get(call.scope, read("usr", id)))


@operation(
    "PATCH",
    "/v1/users/{id}",
    who=OPERATOR,
    problems=("user_exists", "last_owner", "invalid_text"),
)
async def update_user(call: Call, id: str, body: wire.UserUpdate) -> wire.User:
    """Update a user's name, role or project, with immediate effect."""
    given: dict[str, Any] = {
        name: getattr(body, name)
        for name in ("name", "role", "project")
        if getattr(body, name) is not msgspec.UNSET
    }
    if "role" in given:
        given["role"] = Role(given["role"])
    return await _shown(
        call, await call.services.users.update(call.actor, call.scope, read("usr", id), given)
    )


@operation("DELETE", "/v1/users/{id}", who=OPERATOR, status=204, problems=("last_owner",))
async def delete_user(call: Call, id: str) -> None:
    """Delete a user, and log them out at once."""
    await call.services.users.delete(call.actor, call.scope, read("usr", id))


@operation("POST", "/v1/users/{id}/login-links", who=OPERATOR, status=201)
async def create_login_link(call: Call, id: str) -> wire.LoginLink:
    """Create a link that logs a user in, once and within a day, also without their password."""
    link = await call.services.users.make_link(call.actor, call.scope, read("usr", id))
    return wire.LoginLink(link.url, instant(link.expires_at))


async def _shown(call: Call, user: User) -> wire.User:
    return wire.User(
        id=show("usr", user.id),
        name=user.name,
        role=user.role,
        project=await call.services.accounts.project_name(user.project_id),
        has_password=bool(user.password),
        created_at=instant(user.created_at),
        seen_at=instant(user.seen_at),
    )


OPERATIONS = (
    create_user,
    list_users,
    get_user,
    update_user,
    delete_user,
    create_login_link,
)
