"""Accounts: found, added, moved to another plan; what they use, and the way into their portal."""

from starlette.responses import Response

from hooktide.domain.ids import show
from hooktide.domain.model import DAY, Account, ApiKey, Scope
from hooktide.domain.project import plan_of
from hooktide.store.base import Page as Listed
from hooktide.web.dashboard.page import act, page
from hooktide.web.dashboard.sure import check_sure
from hooktide.web.dashboard.visit import Visit

A_PAGE = 50


@page("/accounts")
async def accounts(visit: Visit) -> Response:
    """``GET /dashboard/accounts``; ``?q=`` the beginning of a reference or a name."""
    scope, text, store = await visit.within(), visit.query.text("q"), visit.services.store
    if text:
        listed = Listed(await store.search_accounts(scope, text, A_PAGE), None)
    else:
        listed = await store.list_accounts(scope, visit.before("acc"), A_PAGE)
    return visit.show(
        "accounts.html", projects=await visit.projects(), rows=listed.items, more=listed.next_before
    )


@act("/accounts", back=accounts)
async def add_account(visit: Visit) -> Response:
    """``POST /dashboard/accounts``."""
    form = visit.form
    made = await visit.services.accounts.add(
        visit.scope,
        form.text("project") or None,
        form.text("reference"),
        form.text("name"),
        form.text("plan") or None,
    )
    await visit.note("account.add", show("acc", made.id), made.reference, scope_of(made))
    return visit.go(f"/accounts/{show('acc', made.id)}", "account.added")


def scope_of(account: Account) -> Scope:
    """Return whose things are an account's."""
    return Scope(project_id=account.project_id, account_id=account.id)


async def find(visit: Visit) -> Account:
    """Find the account in the path."""
    return await visit.services.store.get_account(visit.scope, visit.id("acc"))


@page("/accounts/{id}")
async def account(visit: Visit) -> Response:
    """``GET /dashboard/accounts/{id}``."""
    return await show_account(visit)


async def show_account(visit: Visit, link: str = "") -> Response:
    """Show an account; ``link``: the way into its portal that was just made."""
    found, store = await find(visit), visit.services.store
    row = await visit.project(found.project_id)
    listed = await store.list_endpoints(scope_of(found), visit.before("ep"), A_PAGE)
    return visit.show(
        "account.html",
        account=found,
        project=row.project,
        plan=plan_of(row.project, found.plan),
        usage=await store.account_usage(visit.scope, found.id, visit.now),
        endpoints=listed.items,
        more=listed.next_before,
        health=await store.health(visit.scope, [e.id for e in listed.items], visit.now - DAY),
        keys=[key for key in await _keys(visit, found) if key.revoked_at is None],
        link=link,
    )


async def _keys(visit: Visit, found: Account) -> list[ApiKey]:
    page = await visit.services.store.list_keys(scope_of(found), None, A_PAGE)
    return list(page.items)


@act("/accounts/{id}/change", back=account)
async def change_account(visit: Visit) -> Response:
    """``POST /dashboard/accounts/{id}/change``: its name or plan."""
    found = await find(visit)
    name, plan = visit.form.text("name"), visit.form.text("plan")
    text = show("acc", found.id)
    await visit.services.accounts.change(visit.scope, text, name=name, plan=plan)
    changed = [
        f"{what} is {new!r}"
        for what, old, new in (("name", found.name, name), ("plan", found.plan, plan))
        if old != new
    ]
    if changed:
        await visit.note("account.change", text, ", ".join(changed), scope_of(found))
    return visit.go(f"/accounts/{text}", "account.changed")


@act("/accounts/{id}/remove", back=account)
async def remove_account(visit: Visit) -> Response:
    """``POST /dashboard/accounts/{id}/remove``: with all that it has."""
    found = await find(visit)
    check_sure(visit, found.reference)
    await visit.services.accounts.remove(visit.scope, show("acc", found.id))
    await visit.note(
        "account.remove", show("acc", found.id), found.reference, Scope(project_id=found.project_id)
    )
    return visit.go("/accounts", "account.removed")


PAGES = (accounts, add_account, account, change_account, remove_account)
