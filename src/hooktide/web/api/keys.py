"""``/v1/keys``: what opens this API, how far, and when it was last used."""

from typing import Annotated, Any

import msgspec

from hooktide.domain.ids import read, show
from hooktide.domain.model import ApiKey, KeyScope
from hooktide.domain.times import show_time
from hooktide.web.api.shapes import AccountName, Instant, instant, maybe
from hooktide.web.operation import MANAGERS, Call, operation
from hooktide.web.pages import Listed, PageQuery


class KeyIn(msgspec.Struct, forbid_unknown_fields=True):
    """A new key. `project` is a project's name, `account` an account's id or reference."""

    scope: KeyScope
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    project: str | None = None
    account: AccountName | None = None


class KeyOut(msgspec.Struct, kw_only=True):
    """A key; of its text only the last 4 characters are known."""

    id: str
    scope: KeyScope
    name: str
    project: str | None
    account: str | None
    last4: str
    created_at: Instant
    used_at: Instant | None
    revoked_at: Instant | None


class KeyMade(KeyOut, kw_only=True):
    """A new key, with its text, which is shown this once."""

    key: str


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
async def add_key(call: Call, body: KeyIn) -> KeyMade:
    """Make a key; the answer shows its text, this once.

    A project's key makes keys for its project and for its accounts.
    """
    text, key = await call.services.keys.add(
        call.scope, body.scope, body.name, body.project, body.account
    )
    return KeyMade(**await _fields(call, key), key=text)


@operation("GET", "/v1/keys", who=MANAGERS)
async def list_keys(call: Call, query: PageQuery) -> Listed[KeyOut]:
    """List the keys, newest first, revoked ones included."""
    page = await call.services.store.list_keys(call.scope, call.before(query), query.limit)
    return call.listed(page, [KeyOut(**await _fields(call, each)) for each in page.items])


@operation("DELETE", "/v1/keys/{id}", who=MANAGERS, status=204)
async def revoke_key(call: Call, id: str) -> None:
    """Revoke a key, at once and for good."""
    await call.services.store.revoke_key(call.scope, read("key", id), call.now)


async def _fields(call: Call, key: ApiKey) -> dict[str, Any]:
    return {
        "id": show("key", key.id),
        "scope": key.scope,
        "name": key.name,
        "project": await call.services.accounts.project_name(key.project_id),
        "account": maybe("acc", key.account_id),
        "last4": key.last4,
        "created_at": show_time(key.created_at),
        "used_at": instant(key.used_at),
        "revoked_at": instant(key.revoked_at),
    }


OPERATIONS = (add_key, list_keys, revoke_key)
