"""Events: what was published, and publishing one by hand."""

from collections.abc import Sequence

import msgspec
from starlette.responses import Response

from hooktide.actions.publish import EventIn
from hooktide.domain.errors import InvalidError
from hooktide.domain.ids import show
from hooktide.domain.model import Account, Endpoint, Role, Scope
from hooktide.domain.project import EventType, offered
from hooktide.web.dashboard.accounts import scope_of
from hooktide.web.dashboard.deliveries import opens, with_attempts
from hooktide.web.dashboard.page import act, page
from hooktide.web.dashboard.visit import Visit
from hooktide.web.docs.example import indented

A_PAGE = 50


@page("/events")
async def events(visit: Visit) -> Response:
    """``GET /dashboard/events``; ``?account=`` an id or a reference, ``?type=``."""
    scope = await visit.within()
    account = visit.query.text("account")
    if account:
        scope = await visit.services.accounts.narrowed(scope, account)
    kind = visit.query.text("type") or None
    listed = await visit.services.store.list_events(scope, visit.before("evt"), A_PAGE, kind)
    return visit.show(
        "events.html",
        projects=await visit.projects(),
        rows=listed.items,
        more=listed.next_before,
        accounts=await visit.accounts(each.event.account_id for each in listed.items),
    )


@page("/events/{id}")
async def event(visit: Visit) -> Response:
    """``GET /dashboard/events/{id}``: its payload, and what became of it."""
    store = visit.services.store
    row = await store.get_event(visit.scope, visit.id("evt"))
    listed = await store.list_deliveries(
        visit.scope, visit.before("dlv"), A_PAGE, event_id=row.event.id
    )
    return visit.show(
        "event.html",
        row=row,
        event=row.event,
        payload=indented(row.event.payload.decode("utf-8", "backslashreplace")),
        accounts=await visit.accounts([row.event.account_id]),
        deliveries=await with_attempts(visit, listed.items),
        opens=opens(visit),
        more=listed.next_before,
        endpoints=await _endpoints(visit, row.event.account_id),
    )


async def _endpoints(visit: Visit, account_id: int) -> Sequence[Endpoint]:
    """Return the account's endpoints that it can be sent to again."""
    if not visit.may(Role.MEMBER):
        return ()
    scope = Scope(project_id=visit.scope.project_id, account_id=account_id)
    listed = await visit.services.store.list_endpoints(scope, None, A_PAGE)
    return [each for each in listed.items if each.enabled]


# -- by hand ---------------------------------------------------------------------------------------


@page("/publish", who=Role.MEMBER)
async def new_event(visit: Visit) -> Response:
    """``GET /dashboard/publish``: ``?account=``, then ``?type=``, whose example is filled in."""
    account = await _account(visit)
    types: tuple[EventType, ...] = ()
    project = None
    if account is not None:
        project = (await visit.project(account.project_id)).project
        types = offered(project, account.reference)
    wanted = visit.query.text("type")
    kind = next((each for each in types if each.name == wanted), None)
    recent = await visit.services.store.list_accounts(visit.scope, None, 20)
    return visit.show(
        "publish.html",
        account=account,
        project=project,
        types=types,
        kind=kind,
        payload="" if kind is None else indented(kind.example),
        recent=recent.items,
    )


async def _account(visit: Visit) -> Account | None:
    text = visit.query.text("account")
    return await visit.services.accounts.find(visit.scope, text) if text else None


@act("/publish", back=new_event)
async def publish_event(visit: Visit) -> Response:
    """``POST /dashboard/publish``: accepted when this answers, like any other."""
    form, account = visit.form, await _account(visit)
    if account is None:
        raise InvalidError("account_missing", "say whose event it is", pointer="/account")
    wanted = EventIn(
        account=show("acc", account.id),
        type=visit.query.text("type"),
        payload=msgspec.Raw(form.text("payload").encode()),
        transition=form.text("transition"),
        test="test" in form,
    )
    accepted = await visit.desk.publisher.publish(_reach(account), wanted)
    text = show("evt", accepted.event_id)
    await visit.note("event.publish", text, f"{wanted.type}, by hand", scope_of(account))
    return visit.go(f"/events/{text}", "event.published")


def _reach(account: Account) -> Scope:
    return Scope(project_id=account.project_id)


PAGES = (events, event, new_event, publish_event)
