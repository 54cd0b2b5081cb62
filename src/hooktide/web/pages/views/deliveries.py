"""The log of deliveries: filters, the open delivery next to the list, and resending."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from hooktide.actions.deliveries.delivery_log import Found, Line
from hooktide.domain import ids
from hooktide.domain.errors import NotFoundError
from hooktide.domain.ids import show
from hooktide.domain.model import Account, Delivery, Endpoint, Scope
from hooktide.domain.project.project import offered, plan_of
from hooktide.store.base import ProjectRow
from hooktide.web.pages.framework.page import act, page
from hooktide.web.pages.framework.request import PageRequest
from hooktide.web.pages.framework.view import View
from hooktide.web.pages.views.delivery import (
    DeliveryRow,
    OpenedDelivery,
    endpoint_name,
    open_delivery,
    read_filters,
    row_of,
)

PAGE_SIZE = 50
MAX_ENDPOINTS = 200
"""Endpoints that a filter offers."""


@page("/deliveries")
async def deliveries(request: PageRequest) -> View:
    """Show a page of the log; ``?delivery=`` opens one of them."""
    given = read_filters(request.query_string)
    chosen, account = await request.chosen(), await _account(request)
    scope = request.scope if chosen is None else replace(request.scope, project_id=chosen.id)
    if account is not None:
        scope = Scope(project_id=account.project_id, account_id=account.id)
    found = Found([], None, None)
    if request.wrong is None and not given.faults:
        log = request.services.delivery_log
        found = await log.search(scope, given.wanted, given.before, PAGE_SIZE)
    projects = await request.projects()
    opened = await _opened(request)
    before = request.query.text("before") or None
    return request.show(
        "deliveries.html",
        projects=projects,
        chosen=chosen.project.name if chosen else "",
        account=account,
        endpoint=await _endpoint(request, given.wanted.endpoint_id),
        endpoints=await _own_endpoints(request),
        given=given,
        types=_types([row for row in projects.values() if chosen in (None, row)], account),
        rows=await rows_of(request, found.lines),
        opens=opens(request),
        next=found.next_before,
        looked_to=found.looked_to,
        opened=opened,
        close=request.link(delivery=None, before=before)
        + (f"#row-{opened.row.id}" if opened else ""),
        may_resend=request.may("member")
        and opened is not None
        and bool(opened.url)
        and opened.row.word != "Held",
    )


async def _account(request: PageRequest) -> Account | None:
    """Return the account that the list is narrowed to."""
    if request.scope.account_id is not None:
        return await request.services.directory.account(request.scope.account_id)
    return await request.account()


async def _endpoint(request: PageRequest, number: int | None) -> Endpoint | None:
    """Return the endpoint that the list is narrowed to, if there still is one that may be seen."""
    if number is None:
        return None
    with suppress(NotFoundError):
        return await request.services.store.get_endpoint(request.scope, number)
    return None


async def _own_endpoints(request: PageRequest) -> list[tuple[str, str]]:
    """Return the endpoints to choose from, where all of them are one account's."""
    if request.scope.account_id is None:
        return []
    listed = await request.services.store.list_endpoints(request.scope, None, MAX_ENDPOINTS)
    return [(show("ep", each.id), endpoint_name(each)) for each in listed.items]


def _types(rows: Sequence[ProjectRow], account: Account | None) -> list[tuple[str, str]]:
    """Return the event types to choose from: an account's, or all of the projects in sight."""
    if account is not None:
        rows = [row for row in rows if row.id == account.project_id]
        kinds = [kind for row in rows for kind in offered(row.project, account.reference)]
        return [(kind.name, kind.name) for kind in kinds]
    names = {kind.name for row in rows for kind in row.project.event_types}
    return [(name, name) for name in sorted(names)]


def opens(request: PageRequest, endpoint: str = "") -> Callable[[str], str]:
    """Return where a delivery opens: over the list that it is in, or over that of an endpoint."""
    path = f"{request.session.base}/deliveries"

    def href(delivery: str) -> str:
        if request.place == path:
            return request.link(delivery=delivery, before=request.query.text("before") or None)
        narrowed = f"endpoint={endpoint}&" if endpoint else ""
        return f"{path}?{narrowed}delivery={delivery}"

    return href


async def rows_of(request: PageRequest, lines: Sequence[Line]) -> list[DeliveryRow]:
    """Show deliveries as lines of the log."""
    endpoints = await request.endpoints(line.delivery.endpoint_id for line in lines)
    accounts = await request.accounts(line.delivery.account_id for line in lines)
    one_account = request.scope.account_id is not None
    names = {
        number: endpoint_name(each) if one_account else _name(each, accounts)
        for number, each in endpoints.items()
    }
    rows = []
    for line in lines:
        row = await request.project(line.delivery.project_id)
        account = accounts.get(line.delivery.account_id)
        plan = plan_of(row.project, account.plan if account else row.project.default_plan)
        rows.append(row_of(line, plan, names, request.now))
    return rows


def _name(endpoint: Endpoint, accounts: Mapping[int, Account]) -> str:
    """Name the endpoint and its account."""
    account = accounts.get(endpoint.account_id)
    return f"{account.reference} · {endpoint_name(endpoint)}" if account else ""


async def with_attempts(request: PageRequest, listed: Sequence[Delivery]) -> list[DeliveryRow]:
    """Show deliveries, each with its last attempt."""
    last = await request.services.store.last_attempts(request.scope, [each.id for each in listed])
    return await rows_of(request, [Line(each, last.get(each.id)) for each in listed])


async def _opened(request: PageRequest) -> OpenedDelivery | None:
    """Show the delivery that is opened; None: none is.

    :raises NotFoundError: the session may see no delivery with this id.
    """
    text = request.query.text("delivery") or request.params.get("id", "")
    if not text:
        return None
    store, scope = request.services.store, request.scope
    delivery = await store.get_delivery(scope, ids.read("dlv", text))
    attempts = await store.list_attempts(scope, delivery.id)
    row = await store.get_event(scope, delivery.event_id)
    project = (await request.project(delivery.project_id)).project
    endpoints = await request.endpoints([delivery.endpoint_id])
    accounts = await request.accounts([delivery.account_id])
    plan = project.default_plan
    with suppress(KeyError):
        plan = accounts[delivery.account_id].plan
    return open_delivery(
        delivery,
        attempts,
        row.event,
        endpoints.get(delivery.endpoint_id),
        project,
        plan_of(project, plan),
        request.now,
    )


@act("/deliveries/{id}/resend", back=deliveries, leads_to="/deliveries?delivery={id}")
async def resend(request: PageRequest) -> View:
    """Send the same event to the same endpoint again, and open the new delivery."""
    made = await request.services.replays.resend(request.actor, request.scope, request.id("dlv"))
    return request.go("/deliveries", "delivery.resent", delivery=show("dlv", made.id))


PAGES = (deliveries, resend)
