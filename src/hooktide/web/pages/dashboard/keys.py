"""API keys: made, and revoked. A key's text is shown once, on the page that follows."""

from dataclasses import dataclass

from hooktide.domain.errors import RefusedError
from hooktide.domain.ids import read, show
from hooktide.domain.model import ApiKey, KeyScope, Role
from hooktide.web.pages.framework.page import act, page
from hooktide.web.pages.framework.request import PageRequest
from hooktide.web.pages.framework.view import View

PAGE_SIZE = 50


@page("/keys")
async def keys(request: PageRequest) -> View:
    """``GET /dashboard/keys``; ``?made=`` the id of one whose text is shown, once."""
    made = await _made(request)
    listed = await request.services.store.list_keys(request.scope, request.before("key"), PAGE_SIZE)
    accounts = [each.account_id for each in listed.items if each.account_id is not None]
    return request.show(
        "keys.html",
        rows=listed.items,
        more=listed.next_before,
        projects=await request.projects(),
        accounts=await request.accounts(accounts),
        made=made,
        text=None if made is None else await request.once(),
    )


async def _made(request: PageRequest) -> ApiKey | None:
    text = request.query.text("made")
    return await request.services.store.get_key(request.scope, read("key", text)) if text else None


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key to make: for what, and for which ``project`` or ``account``."""

    scope: KeyScope
    name: str
    project: str
    account: str


@act("/keys", back=keys)
async def create_key(request: PageRequest, form: NewKey) -> View:
    """``POST /dashboard/keys``: the page that it leads to shows the key, once."""
    kind = form.scope
    if kind is KeyScope.OPERATOR:
        _check_owner(request)
    text, key = await request.services.keys.create(
        request.actor,
        request.scope,
        kind,
        form.name,
        (form.project or None) if kind is not KeyScope.OPERATOR else None,
        (form.account or None) if kind is KeyScope.ACCOUNT else None,
    )
    return await request.go_once("/keys", text, made=show("key", key.id))


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


PAGES = (keys, create_key, revoke_key)
