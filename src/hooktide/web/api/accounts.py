"""``/v1/accounts``: the customers of a project, by id or by the product's own reference."""

from typing import Annotated

import msgspec

from hooktide.domain.ids import show
from hooktide.domain.model import Account, Scope
from hooktide.domain.times import show_time
from hooktide.web.api.shapes import Instant
from hooktide.web.operation import MANAGERS, Call, operation
from hooktide.web.pages import Listed, PageQuery

Named = Annotated[str, msgspec.Meta(max_length=200)]


class AccountIn(msgspec.Struct, forbid_unknown_fields=True):
    """A new account. `project` is needed with an operator's key."""

    reference: Annotated[
        str, msgspec.Meta(min_length=1, max_length=200, description="The product's own id for it.")
    ]
    project: str | None = None
    name: Named = ""
    plan: Annotated[str, msgspec.Meta(description="Default: the project's.")] | None = None


class AccountChange(msgspec.Struct, forbid_unknown_fields=True):
    """What to change of an account; what is absent stays."""

    name: Named | msgspec.UnsetType = msgspec.UNSET
    plan: str | msgspec.UnsetType = msgspec.UNSET


class AccountOut(msgspec.Struct):
    """An account."""

    id: str
    project: str
    reference: str
    name: str
    plan: str
    created_at: Instant


class AccountQuery(PageQuery):
    """Which accounts."""

    project: str | None = None


@operation(
    "POST",
    "/v1/accounts",
    who=MANAGERS,
    status=201,
    problems=(
        "not_found",
        "account_exists",
        "project_missing",
        "invalid_reference",
        "invalid_text",
        "unknown_plan",
    ),
)
async def add_account(call: Call, body: AccountIn) -> AccountOut:
    """Add an account."""
    accounts = call.services.accounts
    made = await accounts.add(call.scope, body.project, body.reference, body.name, body.plan)
    return await _shown(call, made)


@operation("GET", "/v1/accounts", who=MANAGERS, problems=("not_found",))
async def list_accounts(call: Call, query: AccountQuery) -> Listed[AccountOut]:
    """List the accounts, newest first."""
    scope = call.scope
    if query.project is not None:
        scope = Scope(project_id=(await call.services.accounts.project(scope, query.project)).id)
    page = await call.services.store.list_accounts(scope, call.before(query), query.limit)
    return call.listed(page, [await _shown(call, each) for each in page.items])


@operation("GET", "/v1/accounts/{account}", who=MANAGERS, problems=("ambiguous_account",))
async def get_account(call: Call, account: str) -> AccountOut:
    """Get an account, by its id or its reference."""
    return await _shown(call, await call.services.accounts.find(call.scope, account))


@operation(
    "PATCH",
    "/v1/accounts/{account}",
    who=MANAGERS,
    problems=("ambiguous_account", "invalid_text", "unknown_plan"),
)
async def change_account(call: Call, account: str, body: AccountChange) -> AccountOut:
    """Change an account's name or plan."""
    given = {
        name: getattr(body, name)
        for name in ("name", "plan")
        if getattr(body, name) is not msgspec.UNSET
    }
    return await _shown(call, await call.services.accounts.change(call.scope, account, **given))


@operation(
    "DELETE",
    "/v1/accounts/{account}",
    who=MANAGERS,
    status=204,
    problems=("ambiguous_account",),
)
async def remove_account(call: Call, account: str) -> None:
    """Remove an account with its endpoints and keys; nothing more is sent for it."""
    await call.services.accounts.remove(call.scope, account)


async def _shown(call: Call, account: Account) -> AccountOut:
    row = await call.services.directory.project(account.project_id)
    return AccountOut(
        id=show("acc", account.id),
        project=row.project.name,
        reference=account.reference,
        name=account.name,
        plan=account.plan,
        created_at=show_time(account.created_at),
    )


OPERATIONS = (add_account, list_accounts, get_account, change_account, remove_account)
