"""API keys: made, and revoked. A key's text is shown once, in the answer to making it."""

from starlette.responses import Response

from hooktide.domain.errors import InvalidError, RefusedError
from hooktide.domain.ids import show
from hooktide.domain.model import ApiKey, KeyScope, Role, Scope
from hooktide.web.dashboard.page import act, page
from hooktide.web.dashboard.visit import Visit

A_PAGE = 50


@page("/keys")
async def keys(visit: Visit) -> Response:
    """``GET /dashboard/keys``."""
    return await show_keys(visit)


async def show_keys(visit: Visit, made: str = "", kept: ApiKey | None = None) -> Response:
    """Show the keys; ``made`` is the text of one that was just made."""
    listed = await visit.services.store.list_keys(visit.scope, visit.before("key"), A_PAGE)
    accounts = [each.account_id for each in listed.items if each.account_id is not None]
    return visit.show(
        "keys.html",
        rows=listed.items,
        more=listed.next_before,
        projects=await visit.projects(),
        accounts=await visit.accounts(accounts),
        made=made,
        kept=kept,
    )


@act("/keys", back=keys)
async def add_key(visit: Visit) -> Response:
    """``POST /dashboard/keys``: the answer shows the key, this once."""
    form = visit.form
    kind = _kind(form.text("scope"))
    if kind is KeyScope.OPERATOR:
        _check_owner(visit)
    name = form.text("name")
    if not name:
        raise InvalidError("name_missing", "say what the key is for", pointer="/name")
    account = form.text("account") or None
    text, key = await visit.services.keys.add(
        visit.scope,
        kind,
        name,
        form.text("project") or None if kind is not KeyScope.OPERATOR else None,
        account if kind is KeyScope.ACCOUNT else None,
    )
    detail = f"of scope {kind.value}, {name}"
    await visit.note("key.add", show("key", key.id), detail, _scope_of(key))
    return await show_keys(visit, text, key)


def _scope_of(key: ApiKey) -> Scope:
    return Scope(project_id=key.project_id, account_id=key.account_id)


def _kind(text: str) -> KeyScope:
    try:
        return KeyScope(text)
    except ValueError:
        raise InvalidError("invalid_key_scope", "choose one", pointer="/scope") from None


def _check_owner(visit: Visit) -> None:
    if not visit.may(Role.OWNER):
        raise RefusedError("forbidden", "an operator's key takes an owner", status=403)


@act("/keys/{id}/revoke", back=keys)
async def revoke_key(visit: Visit) -> Response:
    """``POST /dashboard/keys/{id}/revoke``."""
    store, number = visit.services.store, visit.id("key")
    key = await store.get_key(visit.scope, number)
    if key.scope is KeyScope.OPERATOR:
        _check_owner(visit)
    await store.revoke_key(visit.scope, number, visit.now)
    detail = f"…{key.last4}, {key.name}"
    await visit.note("key.revoke", show("key", number), detail, _scope_of(key))
    return visit.go("/keys", "key.revoked")


PAGES = (keys, add_key, revoke_key)
