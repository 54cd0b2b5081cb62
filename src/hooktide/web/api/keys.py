"""``/v1/keys``: API keys, their scopes, and when they were last used."""

from typing import Any

from hooktide.domain.ids import read, show
from hooktide.domain.model import ApiKey, KeyScope
from hooktide.web.operations.operation import MANAGERS, Call, operation
from hooktide.web.operations.response_values import instant, optional_id
from hooktide.wire import access as wire
from hooktide.wire.fields import Listed, PageQuery


@operation(
    "POST",
    "/v1/keys",
    who=MANAGERS,
    status=201,
    problems=(
        "not_found",
        "project_missing",
        "ambiguous_account",
        "invalid_key_scope",
        "invalid_text",
    ),
)
async def create_key(call: Call, body: wire.KeyIn) -> wire.KeyCreated:
    """Create a key; only this response shows its text.

    A project's key can create keys for its project and its accounts.
    """
    text, key = await call.services.keys.create(
        call.actor, call.scope, KeyScope(body.scope), body.name, body.project, body.account
    )
    return wire.KeyCreated(**await _fields(call, key), key=text)


@operation("GET", "/v1/keys", who=MANAGERS)
async def list_keys(call: Call, query: PageQuery) -> Listed[wire.Key]:
    """List the keys, newest first, revoked ones included."""
    page = await call.services.store.list_keys(call.scope, call.before(query), query.limit)
    return call.listed(page, [wire.Key(**await _fields(call, each)) for each in page.items])


@operation("DELETE", "/v1/keys/{id}", who=MANAGERS, status=204, problems=("last_operator_key",))
async def revoke_key(call: Call, id: str, query: wire.RevokeQuery) -> None:
    """Revoke a key permanently: immediately in this process, and within seconds in all others.

    Revoking the last operator key requires `force=true`.
    """
    await call.services.keys.revoke(call.actor, call.scope, read("key", id), force=query.force)


async def _fields(call: Call, key: ApiKey) -> dict[str, Any]:
    return {
        "id": show("key", key.id),
        "scope": key.scope,
        "name": key.name,
        "project": await call.services.accounts.project_name(key.project_id),
        "account": optional_id("acc", key.account_id),
        "last4": key.last4,
        "created_at": instant(key.created_at),
        "used_at": instant(key.used_at),
        "revoked_at": instant(key.revoked_at),
    }


OPERATIONS = (create_key, list_keys, revoke_key)
