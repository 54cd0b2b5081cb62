"""``/v1/accounts``: the customers of a project, by id or by the product's own reference."""

import msgspec

from hooktide.domain.ids import read, show
from hooktide.domain.labels import read_metadata_filter
from hooktide.domain.model import Account, Erasure, Scope
from hooktide.domain.throttling.rate import effective_rate
from hooktide.web.operations.operation import ANYONE, MANAGERS, Call, operation
from hooktide.web.operations.response_values import instant
from hooktide.wire import accounts as wire
from hooktide.wire.fields import Listed


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
        "invalid_metadata",
        "unknown_plan",
    ),
)
async def create_account(call: Call, body: wire.AccountIn) -> wire.Account:
    """Create an account."""
    accounts = call.services.accounts
    made = await accounts.create(
        call.actor, call.scope, body.project, body.reference, body.name, body.plan, body.metadata
    )
    return await _shown(call, made)


@operation("GET", "/v1/accounts", who=MANAGERS, problems=("not_found",))
async def list_accounts(call: Call, query: wire.AccountQuery) -> Listed[wire.Account]:
    """List the accounts, newest first."""
    scope = call.scope
    if query.project is not None:
        scope = Scope(project_id=(await call.services.accounts.project(scope, query.project)).id)
    metadata = None if query.metadata is None else read_metadata_filter(query.metadata)
    page = await call.services.store.list_accounts(scope, call.before(query), query.limit, metadata)
    return call.listed(page, [await _shown(call, each) for each in page.items])


@operation("GET", "/v1/accounts/{account}", who=MANAGERS, problems=("ambiguous_account",))
async def get_account(call: Call, account: str) -> wire.Account:
    """Get an account, by its id or its reference."""
    return await _shown(call, await call.services.accounts.find(call.scope, account))


@operation(
    "PUT",
    "/v1/accounts/{account}",
    who=MANAGERS,
    problems=(
        "not_found",
        "ambiguous_account",
        "project_missing",
        "invalid_reference",
        "invalid_text",
        "invalid_metadata",
        "unknown_plan",
    ),
)
async def put_account(call: Call, account: str, body: wire.AccountPut) -> wire.Account:
    """Create the account with a reference, or update it.

    The call is idempotent, so a product may repeat it whenever it sees a customer.
    """
    accounts = call.services.accounts
    found = await accounts.put(
        call.actor,
        call.scope,
        body.project,
        account,
        name=body.name,
        plan=body.plan,
        metadata=body.metadata,
    )
    return await _shown(call, found)


@operation(
    "PATCH",
    "/v1/accounts/{account}",
    who=MANAGERS,
    problems=("ambiguous_account", "invalid_text", "invalid_metadata", "unknown_plan"),
)
async def update_account(call: Call, account: str, body: wire.AccountUpdate) -> wire.Account:
    """Update an account's name, plan or metadata."""
    given = {
        name: getattr(body, name)
        for name in ("name", "plan", "metadata")
        if getattr(body, name) is not msgspec.UNSET
    }
    return await _shown(
        call, await call.services.accounts.update(call.actor, call.scope, account, **given)
    )


@operation("GET", "/v1/accounts/{account}/rate-limit", who=ANYONE, problems=("ambiguous_account",))
async def get_rate_limit(call: Call, account: str) -> wire.AccountRateLimit:
    """Get how many requests a second all endpoints of an account get together."""
    return await _rate_shown(call, await call.services.accounts.find(call.scope, account))


@operation(
    "PUT",
    "/v1/accounts/{account}/rate-limit",
    who=ANYONE,
    problems=("ambiguous_account", "invalid_rate"),
)
async def put_rate_limit(call: Call, account: str, body: wire.RateLimitIn) -> wire.AccountRateLimit:
    """Limit how many requests a second all endpoints of an account get together.

    An account's own key can do it, too, within what its plan allows. What is above the limit waits.
    """
    changed = await call.services.accounts.set_rate(
        call.actor, call.scope, account, body.rate_limit, body.burst
    )
    return await _rate_shown(call, changed)


async def _rate_shown(call: Call, account: Account) -> wire.AccountRateLimit:
    allowed = (await call.services.accounts.plan(account)).rate_limit
    rate = effective_rate(account.rate_limit, account.burst, allowed)
    return wire.AccountRateLimit(
        rate_limit=account.rate_limit,
        burst=account.burst,
        allowed=allowed,
        requests_per_second=None if rate is None else rate.per_second,
    )


@operation(
    "DELETE",
    "/v1/accounts/{account}",
    who=MANAGERS,
    status=204,
    problems=("ambiguous_account",),
    also={202: wire.Erasure},
)
async def delete_account(
    call: Call, account: str, query: wire.DeleteAccountQuery
) -> wire.Erasure | None:
    """Delete an account with its endpoints and keys; nothing is sent for it afterwards.

    With `erase=true` its data is erased too: its reference and names immediately; payloads,
    attempts' bodies and headers, URLs and bins in the background. The response is 202 with the
    account's id; `GET /v1/accounts/{account}/erasure` with that id returns the progress. An account
    that was deleted earlier can still be erased. Ids, counts and times stay.
    """
    accounts = call.services.accounts
    if query.erase:
        return _erasure(await accounts.erase(call.actor, call.scope, account))
    await accounts.delete(call.actor, call.scope, account)
    return None


@operation("GET", "/v1/accounts/{account}/erasure", who=MANAGERS)
async def get_erasure(call: Call, account: str) -> wire.Erasure:
    """Get the progress of an account's erasure, by the account's id."""
    return _erasure(await call.services.store.get_erasure(call.scope, read("acc", account)))


def _erasure(found: Erasure) -> wire.Erasure:
    return wire.Erasure(
        account=show("acc", found.account_id),
        state="running" if found.ended_at is None else "done",
        events=found.events,
        attempts=found.attempts,
        erased_to=instant(found.erased_to),
        started_at=instant(found.started_at),
        ended_at=instant(found.ended_at),
    )


async def _shown(call: Call, account: Account) -> wire.Account:
    row = await call.services.directory.project(account.project_id)
    return wire.Account(
        id=show("acc", account.id),
        project=row.project.name,
        reference=account.reference,
        name=account.name,
        plan=account.plan,
        metadata=dict(account.metadata),
        rate_limit=account.rate_limit,
        burst=account.burst,
        created_at=instant(account.created_at),
    )


OPERATIONS = (
    create_account,
    list_accounts,
    get_account,
    put_account,
    update_account,
    get_rate_limit,
    put_rate_limit,
    delete_account,
    get_erasure,
)
