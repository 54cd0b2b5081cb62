"""Accounts: found, added, moved to another plan; what they use, and the way into their portal."""

from dataclasses import dataclass

from hooktide.actions.access.portal_links import create_portal_link
from hooktide.domain.ids import show
from hooktide.domain.model import DAY, HOUR, Account, ApiKey, Scope
from hooktide.domain.project.project import plan_of
from hooktide.store.base import Page as Listed
from hooktide.web.pages.framework.fields import OptionalText
from hooktide.web.pages.framework.page import act, page
from hooktide.web.pages.framework.request import PageRequest
from hooktide.web.pages.framework.view import View
from hooktide.web.pages.views.chart import HOURLY, figures_facts
from hooktide.web.pages.views.endpoint_form import metadata_lines, read_metadata
from hooktide.web.pages.views.rate_form import RateForm

PAGE_SIZE = 50


@page("/accounts")
async def accounts(request: PageRequest) -> View:
    """``GET /dashboard/accounts``; ``?q=`` the beginning of a reference or a name."""
    scope, text, store = await request.within(), request.query.text("q"), request.services.store
    if text:
        listed = Listed(await store.search_accounts(scope, text, PAGE_SIZE), None)
    else:
        listed = await store.list_accounts(scope, request.before("acc"), PAGE_SIZE)
    return request.show(
        "accounts.html",
        projects=await request.projects(),
        rows=listed.items,
        more=listed.next_before,
    )


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account to add. ``project`` empty: the session's own; ``plan`` empty: the project's."""

    project: str
    reference: str
    name: str
    plan: str


@act("/accounts", back=accounts)
async def create_account(request: PageRequest, form: NewAccount) -> View:
    """``POST /dashboard/accounts``."""
    made = await request.services.accounts.create(
        request.actor,
        request.scope,
        form.project or None,
        form.reference,
        form.name,
        form.plan or None,
    )
    return request.go(f"/accounts/{show('acc', made.id)}", "account.added")


def scope_of(account: Account) -> Scope:
    """Return whose things are an account's."""
    return Scope(project_id=account.project_id, account_id=account.id)


async def find(request: PageRequest) -> Account:
    """Find the account in the path."""
    return await request.services.store.get_account(request.scope, request.id("acc"))


@page("/accounts/{id}")
async def account(request: PageRequest) -> View:
    """``GET /dashboard/accounts/{id}``; ``?made=portal-link``: one is shown, once."""
    found, store = await find(request), request.services.store
    made = request.query.text("made")
    row = await request.project(found.project_id)
    listed = await store.list_endpoints(scope_of(found), request.before("ep"), PAGE_SIZE)
    span = HOURLY.get(request.query.text("range"), HOURLY["day"])
    statistics = request.services.statistics
    figures = await statistics.of(scope_of(found), span.period(request.now), request.now)
    return request.show(
        "account.html",
        account=found,
        project=row.project,
        metadata=metadata_lines(found.metadata),
        plan=plan_of(row.project, found.plan),
        usage=await store.account_usage(request.scope, found.id, request.now),
        endpoints=listed.items,
        more=listed.next_before,
        health=await store.health(request.scope, [e.id for e in listed.items], request.now - DAY),
        keys=[key for key in await _keys(request, found) if key.revoked_at is None],
        **figures_facts(figures, span),
        made=made,
        link=await request.once() if made else None,
    )


async def _keys(request: PageRequest, found: Account) -> list[ApiKey]:
    page = await request.services.store.list_keys(scope_of(found), None, PAGE_SIZE)
    return list(page.items)


@dataclass(frozen=True, slots=True)
class AccountUpdate:
    """What an account is called, its plan, and its metadata in lines; None: as it was."""

    name: str
    plan: str
    metadata: OptionalText


@act("/accounts/{id}/update", back=account)
async def update_account(request: PageRequest, form: AccountUpdate) -> View:
    """``POST /dashboard/accounts/{id}/update``."""
    text = show("acc", (await find(request)).id)
    metadata = None if form.metadata is None else read_metadata(form.metadata)
    await request.services.accounts.update(
        request.actor, request.scope, text, name=form.name, plan=form.plan, metadata=metadata
    )
    return request.go(f"/accounts/{text}", "account.updated")


@act("/accounts/{id}/rate", back=account)
async def set_rate(request: PageRequest, form: RateForm) -> View:
    """``POST /dashboard/accounts/{id}/rate``."""
    found = await find(request)
    await form.save(request, found)
    return request.go(f"/accounts/{show('acc', found.id)}", "account.paced")


@dataclass(frozen=True, slots=True)
class Deletion:
    """``erase``: nothing that is kept of the account stays."""

    erase: bool


@act("/accounts/{id}/delete", back=account)
async def delete_account(request: PageRequest, form: Deletion) -> View:
    """``POST /dashboard/accounts/{id}/delete``: with all that it has."""
    found = await find(request)
    request.check_confirmed(found.reference)
    text = show("acc", found.id)
    if form.erase:
        await request.services.accounts.erase(request.actor, request.scope, text)
        return request.go(f"/erasures/{text}", "account.deleted")
    await request.services.accounts.delete(request.actor, request.scope, text)
    return request.go("/accounts", "account.deleted")


@page("/erasures/{id}")
async def erasure(request: PageRequest) -> View:
    """``GET /dashboard/erasures/{id}``: the progress of an account's erasure."""
    found = await request.services.store.get_erasure(request.scope, request.id("acc"))
    return request.show("erasure.html", erasure=found)


@dataclass(frozen=True, slots=True)
class NewPortalLink:
    """``read_only``: a link that changes nothing."""

    read_only: bool


@act("/accounts/{id}/portal-link", back=account)
async def new_portal_link(request: PageRequest, form: NewPortalLink) -> View:
    """``POST /dashboard/accounts/{id}/portal-link``: good for an hour."""
    services, found = request.services, await find(request)
    link = await create_portal_link(
        services.portal_links,
        services.audit_log,
        request.actor,
        found,
        request.now + HOUR,
        form.read_only,
    )
    return await request.go_once(
        f"/accounts/{show('acc', found.id)}", link.url(services.public_url), made="portal-link"
    )


@act("/accounts/{id}/portal-links/revoke", back=account)
async def revoke_portal_links(request: PageRequest) -> View:
    """``POST /dashboard/accounts/{id}/portal-links/revoke``: of all that were made so far."""
    found = await find(request)
    text = show("acc", found.id)
    await request.services.accounts.revoke_portal_links(request.actor, request.scope, text)
    return request.go(f"/accounts/{text}", "portal_links.revoked")


PAGES = (
    accounts,
    create_account,
    account,
    update_account,
    set_rate,
    delete_account,
    erasure,
    new_portal_link,
    revoke_portal_links,
)
