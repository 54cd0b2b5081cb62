"""The log of deliveries: filters, the open delivery next to the list, and resending."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from hooktide.actions.deliveries.delivery_log import Found, Line
from hooktide.domain import ids
from hooktide.domain.errors import InvalidError, NotFoundError
from hooktide.domain.ids import show
from hooktide.domain.model import Account, Delivery, DeliveryState, Endpoint, Scope
from hooktide.domain.phrase import phrase
from hooktide.domain.project.project import offered, plan_of
from hooktide.domain.project.schedule import schedule_of
from hooktide.domain.searching.index import title
from hooktide.domain.time.times import show_time
from hooktide.store.base import ProjectRow
from hooktide.web.pages.framework.messages import counted
from hooktide.web.pages.framework.page import Page, Run, act, page
from hooktide.web.pages.framework.request import PageRequest
from hooktide.web.pages.framework.view import View, attachment
from hooktide.web.pages.views.comparison import comparison
from hooktide.web.pages.views.delivery import (
    DeliveryRow,
    Filters,
    OpenedDelivery,
    chips_of,
    endpoint_name,
    open_delivery,
    read_filters,
    row_of,
    sent_body,
)

PAGE_SIZE = 50
PASSING = frozenset({"did", "delivery", "compare", "with", "again", "enable"})
"""What a log's address says for one look at it; the rest of its query filters."""
MAX_OFFERED = 50
"""Endpoints that a filter offers to choose from; of more, one is found by its name or host."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which deliveries a page's query asks for: within a scope, those that the filters let pass.

    ``chosen`` is the project and ``account`` the account that it is narrowed to (None: to none).
    """

    given: Filters
    scope: Scope
    chosen: ProjectRow | None
    account: Account | None

    def is_wrong(self, request: PageRequest) -> bool:
        """Whether one of the filters cannot be read, or names what is not there."""
        no_account = request.wrong is not None and "account" in request.wrong.at
        return bool(self.given.faults) or no_account

    def check(self, request: PageRequest) -> None:
        """Check that all filters can be read.

        :raises InvalidError: one cannot.
        """
        if self.is_wrong(request):
            detail = phrase("a filter cannot be read; correct it first")
            raise InvalidError("invalid_choice", detail)


async def asked_for(request: PageRequest) -> Asked:
    """Read which deliveries a page's query asks for."""
    chosen, account = await request.chosen(), await _account(request)
    scope = await request.within()
    if account is not None:
        scope = Scope(project_id=account.project_id, account_id=account.id)
    read = read_filters(request.query_string, request.now)
    given = await _with_endpoint(request, read, scope)
    return Asked(given, scope, chosen, account)


@page("/deliveries")
async def deliveries(request: PageRequest) -> View:
    """Show a page of the log; ``?delivery=`` opens one of them."""
    asked = await asked_for(request)
    given, chosen, account = asked.given, asked.chosen, asked.account
    found = Found([], None, None)
    if not asked.is_wrong(request):
        log = request.services.delivery_log
        found = await log.search(asked.scope, given.wanted, given.before, PAGE_SIZE)
    projects = await request.projects()
    endpoint = await _endpoint(request, given.wanted.endpoint_id)
    opened = await _opened(request)
    rows = await rows_of(request, found.lines)
    before = request.query.text("before") or None
    return request.show(
        "deliveries.html",
        projects=projects,
        chosen=chosen.project.name if chosen else "",
        account=account,
        endpoint=endpoint,
        replay=await _replay(request, given, endpoint),
        endpoints=await _own_endpoints(request),
        given=given,
        types=_types([row for row in projects.values() if chosen in (None, row)], account),
        rows=rows,
        chips=chips_of(given),
        newer=_beside(rows, opened, -1),
        older=_beside(rows, opened, 1),
        opens=opens(request),
        next=found.next_before,
        looked_to=found.looked_to,
        opened=opened,
        close=request.link(delivery=None, compare=None, before=before, **{"with": None})
        + (f"#row-{opened.row.id}" if opened else ""),
        acts=_acts(request, opened),
        exports=f"{request.session.base}/deliveries/export{_query(request) or '?'}",
        all_matching=f"{request.session.base}/deliveries/all{_query(request)}",
        chosen_act=f"{request.session.base}/deliveries/chosen{_query(request)}"
        if request.may("member")
        else "",
        compared=await comparison(request, opened),
    )


def _acts(request: PageRequest, opened: OpenedDelivery | None) -> list[tuple[str, str, str]]:
    """Return the possible actions on a delivery, as (path, label, kind of button)."""
    if opened is None or not request.may("member"):
        return []
    path, query = f"{request.session.base}/deliveries/{opened.row.id}", _query(request)
    found = []
    if opened.state is DeliveryState.PENDING and not opened.row.sending:
        found.append((f"{path}/retry{query}", phrase("Retry now"), "main"))
    if opened.state in (DeliveryState.PENDING, DeliveryState.HELD):
        return [*found, (f"{path}/stop{query}", phrase("Stop"), "")]
    if not opened.url:
        return []
    if opened.disabled_reason:
        if request.one_account and not opened.may_enable:
            return []
        enable = f"{query}&enable=1" if query else "?enable=1"
        return [(f"{path}/resend{enable}", phrase("Enable and send"), "main")]
    return [(f"{path}/resend{query}", phrase("Send again"), "main")]


def _query(request: PageRequest) -> str:
    """Return the filters of the list as the query of an act, which goes back to it."""
    kept = _filters(request)
    return f"?{urlencode(kept)}" if kept else ""


async def _account(request: PageRequest) -> Account | None:
    """Return the account that the list is filtered by."""
    if request.scope.account_id is not None:
        return await request.services.directory.account(request.scope.account_id)
    return await request.account()


async def _with_endpoint(request: PageRequest, given: Filters, scope: Scope) -> Filters:
    """Find the endpoint that a filter names by a part of its name or URL."""
    text = given.typed["endpoint"]
    if "endpoint" not in given.faults:
        return given
    faults = {name: fault for name, fault in given.faults.items() if name != "endpoint"}
    listed = await request.services.store.list_endpoints(scope, None, 2, text)
    if len(listed.items) == 1:
        [found] = listed.items
        wanted = replace(given.wanted, endpoint_id=found.id)
        return replace(given, wanted=wanted, faults=faults)
    how = phrase("several endpoints have this in their name or URL; be more specific")
    none = phrase("no endpoint has this in its name or URL")
    return replace(given, faults={**faults, "endpoint": how if listed.items else none})


def _beside(rows: Sequence[DeliveryRow], opened: OpenedDelivery | None, step: int) -> str:
    """Return the id of the delivery next to the open one in the list; empty if there is none."""
    ids = [row.id for row in rows]
    if opened is None or opened.row.id not in ids:
        return ""
    at = ids.index(opened.row.id) + step
    return ids[at] if 0 <= at < len(ids) else ""


async def _endpoint(request: PageRequest, number: int | None) -> Endpoint | None:
    """Return the endpoint that the list is filtered by, if it exists and is visible."""
    if number is None:
        return None
    with suppress(NotFoundError):
        return await request.services.store.get_endpoint(request.scope, number)
    return None


async def _replay(request: PageRequest, given: Filters, endpoint: Endpoint | None) -> str:
    """Return where all that failed of an endpoint, in the filters' span, is sent again."""
    if endpoint is None or not request.may("member"):
        return ""
    since, until = given.wanted.since, given.wanted.until
    if since is None:
        since = request.now - (await request.project(endpoint.project_id)).project.retention
    fields = {"what": "failed", "since": show_time(since)[:19]}
    if until is not None:
        fields["until"] = show_time(until)[:19]
    path = f"{request.session.base}/endpoints/{show('ep', endpoint.id)}/replay"
    return f"{path}?{urlencode(fields)}"


async def _own_endpoints(request: PageRequest) -> list[tuple[str, str]]:
    """Return the endpoints to choose from, if the session has a single account."""
    if request.scope.account_id is None:
        return []
    listed = await request.services.store.list_endpoints(request.scope, None, MAX_OFFERED)
    if listed.next_before is not None:
        return []
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
    """Return the link that opens a delivery: in its list, or in that of its endpoint."""
    path = f"{request.session.base}/deliveries"

    def href(delivery: str) -> str:
        if request.place == path:
            before = request.query.text("before") or None
            return request.link(delivery=delivery, before=before, compare=None, **{"with": None})
        narrowed = f"endpoint={endpoint}&" if endpoint else ""
        return f"{path}?{narrowed}delivery={delivery}"

    return href


async def rows_of(request: PageRequest, lines: Sequence[Line]) -> list[DeliveryRow]:
    """Return deliveries as rows of the log."""
    endpoints = await request.endpoints(line.delivery.endpoint_id for line in lines)
    accounts = await request.accounts(line.delivery.account_id for line in lines)
    titles = await _titles(request, lines)
    rows = []
    for line in lines:
        row = await request.project(line.delivery.project_id)
        account = accounts.get(line.delivery.account_id)
        plan = plan_of(row.project, account.plan if account else row.project.default_plan)
        endpoint = endpoints.get(line.delivery.endpoint_id)
        called = account.reference if account and not request.one_account else ""
        named = title(titles.get(line.delivery.event_id, ()))
        schedule = schedule_of(row.project, plan, endpoint, line.delivery.event_type)
        rows.append(row_of(line, len(schedule.delays), endpoint, request.now, called, named))
    return rows


async def _titles(request: PageRequest, lines: Sequence[Line]) -> Mapping[int, Sequence[str]]:
    """Return the indexed values of the events of deliveries, where a project has any."""
    wanted = [
        line.delivery.event_id
        for line in lines
        if (await request.project(line.delivery.project_id)).project.index
    ]
    return await request.services.store.titles_of(wanted) if wanted else {}


async def with_attempts(request: PageRequest, listed: Sequence[Delivery]) -> list[DeliveryRow]:
    """Show deliveries, each with its last attempt."""
    last = await request.services.store.last_attempts(request.scope, [each.id for each in listed])
    return await rows_of(request, [Line(each, last.get(each.id)) for each in listed])


async def _opened(request: PageRequest) -> OpenedDelivery | None:
    """Return the open delivery, or ``None``.

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
    account = accounts.get(delivery.account_id)
    plan = account.plan if account else project.default_plan
    return open_delivery(
        delivery,
        attempts,
        row.event,
        endpoints.get(delivery.endpoint_id),
        project,
        plan_of(project, plan),
        request.now,
        account.reference if account and not request.one_account else "",
    )


@page("/deliveries/{id}/body")
async def body(request: PageRequest) -> View:
    """Return the whole body of a delivery's request, as a file."""
    store, scope = request.services.store, request.scope
    delivery = await store.get_delivery(scope, request.id("dlv"))
    event = (await store.get_event(scope, delivery.event_id)).event
    endpoints = await request.endpoints([delivery.endpoint_id])
    project = (await request.project(delivery.project_id)).project
    sent = sent_body(event, endpoints.get(delivery.endpoint_id), project)
    return attachment(sent, f"{show('dlv', delivery.id)}.json")


def _act(path: str) -> Callable[[Run], Page]:
    return act(f"/deliveries/{{id}}/{path}", back=deliveries, leads_to="/deliveries?delivery={id}")


@_act("resend")
async def resend(request: PageRequest) -> View:
    """Send the same event to the same endpoint again, and open the new delivery."""
    actions, number = request.services.delivery_actions, request.id("dlv")
    enable = "enable" in request.query
    made = await actions.resend(request.actor, request.scope, number, enable=enable)
    did = "delivery.enabled_and_resent" if enable else "delivery.resent"
    return _opened_again(request, did, made)


@_act("retry")
async def retry(request: PageRequest) -> View:
    """Make the next attempt at once."""
    actions, number = request.services.delivery_actions, request.id("dlv")
    found = await actions.retry_now(request.actor, request.scope, number)
    return _opened_again(request, "delivery.retried", found)


@_act("stop")
async def stop(request: PageRequest) -> View:
    """Stop a delivery."""
    actions, number = request.services.delivery_actions, request.id("dlv")
    found = await actions.stop(request.actor, request.scope, number)
    return _opened_again(request, "delivery.stopped", found)


def _opened_again(request: PageRequest, did: str, delivery: Delivery) -> View:
    """Return to the filtered list, with a delivery open."""
    return request.go("/deliveries", did, **_filters(request), delivery=show("dlv", delivery.id))


def _filters(request: PageRequest) -> dict[str, str]:
    return {name: text for name, text in request.query if name not in PASSING}


@dataclass(frozen=True, slots=True)
class Chosen:
    """The selected deliveries, and the action."""

    delivery: tuple[str, ...]
    do: str


@act("/deliveries/chosen", back=deliveries)
async def act_on_chosen(request: PageRequest, form: Chosen) -> View:
    """Retry, stop or resend the selected deliveries, as far as possible.

    :raises InvalidError: there are more than a page shows.
    """
    actions, actor, scope = request.services.delivery_actions, request.actor, request.scope
    if len(form.delivery) > PAGE_SIZE:
        detail = phrase(
            "{count} deliveries are selected; select {most} at most",
            count=len(form.delivery),
            most=PAGE_SIZE,
        )
        raise InvalidError("invalid_choice", detail)
    chosen = list(dict.fromkeys(ids.read("dlv", text) for text in form.delivery))
    if not chosen:
        return request.go("/deliveries", "deliveries.none", **_filters(request))
    match form.do:
        case "retry":
            did = "deliveries.retried"
            await actions.retry_all(actor, scope, chosen)
        case "stop":
            did = "deliveries.stopped"
            await actions.stop_all(actor, scope, chosen)
        case _:
            await request.services.limits.more_changes(scope, len(chosen) - 1)
            sent = await actions.resend_all(actor, scope, chosen)
            did = "deliveries.resent"
            if sent < len(chosen):
                did = counted("deliveries.resent_of", sent, len(chosen))
    return request.go("/deliveries", did, **_filters(request))


PAGES = (deliveries, body, act_on_chosen, resend, retry, stop)
