"""API keys: made, and revoked. A key's text is shown once, in the answer to making it."""

from dataclasses import dataclass

from hooktide.domain.errors import RefusedError
from hooktide.domain.model import ApiKey, KeyScope, Role
from hooktide.web.pages.framework.page import act, page
from hooktide.web.pages.framework.request import PageRequest
from hooktide.web.pages.framework.view import View

PAGE_SIZE = 50


@page("/keys")
async def keys(request: PageRequest) -> View:
    """``GET /dashboard/keys``."""
    return await show_keys(request)


async def show_keys(request: PageRequest, made: str = "", kept: ApiKey | None = None) -> View:
    """Show the keys; ``made`` is the text of one that was just made."""
    listed = await request.services.store.list_keys(request.scope, request.before("key"), PAGE_SIZE)
    accounts = [each.account_id for each in listed.items if each.account_id is not None]
    return request.show(
        "keys.html",
        rows=listed.items,
        more=listed.next_before,
        projects=await request.projects(),
        accounts=await request.accounts(accounts),
        made=made,
        kept=kept,
    )


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key to make: for what, and for which ``project`` or ``account``."""

    scope: KeyScope
    name: str
    project: str
    account: str


@act("/keys", back=keys)
async def add_key(request: PageRequest, form: NewKey) -> View:
    """``POST /dashboard/keys``: the answer shows the key, this once."""
    kind = form.scope
    if kind is KeyScope.OPERATOR:
        _check_owner(request)
    text, key = await request.services.keys.add(
        request.actor,
        request.scope,
        kind,
        form.name,
        (form.project or None) if kind is not KeyScope.OPERATOR else None,
        (form.account or None) if kind is KeyScope.ACCOUNT else None,
    )
    return await show_keys(request, text, key)


def _check_owner(request: PageRequest) -> None:
    if not request.may(Role.OWNER):
        raise RefusedError(
            "forbidden", "only an owner can make or revoke an operator's key", status=403
        )


@act("/keys/{id}/revoke", back=keys)
async def revoke_key(request: PageRequest) -> View:
    """``POST /dashboard/keys/{id}/revoke``."""
    store, number = request.services.store, request.id("key")
    key = await store.get_key(request.scope, number)
    if key.scope is KeyScope.OPERATOR:
        _check_owner(request)
    await request.services.keys.revoke(request.actor, request.scope, number)
    return request.go("/keys", "key.revoked")


PAGES = (keys, add_key, revoke_key)
