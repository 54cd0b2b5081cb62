"""The log of deliveries: filtered, one of them opened beside it, and sent again."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from starlette.responses import Response

from hooktide.actions.delivery_log import DeliveryLog, Line
from hooktide.domain import ids
from hooktide.domain.errors import NotFoundError
from hooktide.domain.ids import show
from hooktide.domain.model import Account, Delivery, Endpoint, Scope
from hooktide.domain.project import plan_of
from hooktide.web.dashboard.page import act, page
from hooktide.web.dashboard.visit import Visit
from hooktide.web.delivery_view import (
    Opened,
    Row,
    endpoint_name,
    open_delivery,
    read_filters,
    row_of,
)
from hooktide.web.docs.render import shown

A_PAGE = 50


@page("/deliveries")
async def deliveries(visit: Visit) -> Response:
    """``GET /dashboard/deliveries``: filters as the portal has them; ``?delivery=`` opens one."""
    given = read_filters(visit.request.scope["query_string"])
    chosen, account = await visit.chosen(), await _account(visit)
    scope = visit.scope if chosen is None else Scope(project_id=chosen.id)
    if account is not None:
        scope = Scope(project_id=account.project_id, account_id=account.id)
    found = await DeliveryLog(visit.services.store).search(
        scope, given.wanted, given.before, A_PAGE
    )
    projects = await visit.projects()
    names = [row.project for row in projects.values() if chosen in (None, row)]
    types = sorted({kind.name for project in names for kind in project.event_types})
    return visit.show(
        "deliveries.html",
        projects=projects,
        chosen=chosen.project.name if chosen else "",
        account=account,
        endpoint=await _endpoint(visit, given.wanted.endpoint_id),
        given=given,
        types=[(name, name) for name in types],
        rows=await rows_of(visit, found.lines),
        opens=opens(visit),
        next=found.next_before,
        looked_to=found.looked_to,
        opened=await _opened(visit),
    )


async def _account(visit: Visit) -> Account | None:
    text = visit.query.text("account")
    return await visit.services.accounts.find(visit.scope, text) if text else None


async def _endpoint(visit: Visit, number: int | None) -> Endpoint | None:
    """Return the endpoint that the list is narrowed to, if there still is one that may be seen."""
    if number is None:
        return None
    with suppress(NotFoundError):
        return await visit.services.store.get_endpoint(visit.scope, number)
    return None


def opens(visit: Visit) -> Callable[[str], str]:
    """Return where a delivery opens: over the list that it is in, or over the list of all."""
    listed = visit.place.endswith("/deliveries")

    def href(delivery: str) -> str:
        if listed:
            before = visit.query.text("before") or None
            return visit.link(delivery=delivery, before=before)
        return f"/dashboard/deliveries?delivery={delivery}"

    return href


async def rows_of(visit: Visit, lines: Sequence[Line]) -> list[Row]:
    """Show deliveries as lines of the log."""
    endpoints = await visit.endpoints(line.delivery.endpoint_id for line in lines)
    accounts = await visit.accounts(line.delivery.account_id for line in lines)
    names = {number: _name(each, accounts) for number, each in endpoints.items()}
    rows = []
    for line in lines:
        row = await visit.project(line.delivery.project_id)
        account = accounts.get(line.delivery.account_id)
        plan = plan_of(row.project, account.plan if account else row.project.default_plan)
        rows.append(row_of(line, plan, names, visit.now))
    return rows


def _name(endpoint: Endpoint, accounts: Mapping[int, Account]) -> str:
    """Say which endpoint, and whose."""
    account = accounts.get(endpoint.account_id)
    return f"{shown(account.reference)} · {endpoint_name(endpoint)}" if account else ""


async def with_attempts(visit: Visit, listed: Sequence[Delivery]) -> list[Row]:
    """Show deliveries, each with its last attempt."""
    last = await visit.services.store.last_attempts(visit.scope, [each.id for each in listed])
    return await rows_of(visit, [Line(each, last.get(each.id)) for each in listed])


async def _opened(visit: Visit) -> Opened | None:
    """Show the delivery that is opened; None: none is, or it is not there."""
    text = visit.query.text("delivery")
    if not text:
        return None
    store, scope = visit.services.store, visit.scope
    delivery = await store.get_delivery(scope, ids.read("dlv", text))
    attempts = await store.list_attempts(scope, delivery.id)
    row = await store.get_event(scope, delivery.event_id)
    project = (await visit.project(delivery.project_id)).project
    endpoints = await visit.endpoints([delivery.endpoint_id])
    accounts = await visit.accounts([delivery.account_id])
    plan = project.default_plan
    with suppress(KeyError):
        plan = accounts[delivery.account_id].plan
    return open_delivery(
        Line(delivery, attempts[-1] if attempts else None),
        attempts,
        row.event,
        endpoints.get(delivery.endpoint_id),
        project,
        plan_of(project, plan),
        visit.now,
    )


@act("/deliveries/{id}/resend", back=deliveries)
async def resend(visit: Visit) -> Response:
    """``POST /dashboard/deliveries/{id}/resend``: the same event to the same endpoint again."""
    made = await visit.services.store.resend(visit.scope, visit.id("dlv"), visit.now)
    scope = Scope(project_id=made.project_id, account_id=made.account_id)
    await visit.note("delivery.resend", visit.path(), "", scope)
    return visit.go("/deliveries", "delivery.resent", delivery=show("dlv", made.id))


PAGES = (deliveries, resend)
