"""Events: what was published, and publishing one by hand."""

import asyncio
from dataclasses import dataclass

import msgspec

from hooktide.actions.publishing.publish_by_hand import publish_by_hand
from hooktide.domain.errors import InvalidError
from hooktide.domain.ids import show
from hooktide.domain.json.payload import UnusableSchemaError, check_schema
from hooktide.domain.model import Role, Scope
from hooktide.domain.project.project import EventType, SchemaPolicy, offered, wants
from hooktide.domain.searching.index import title_of
from hooktide.store.base import EventRow
from hooktide.store.base import Page as Listed
from hooktide.web.pages.framework.fields import Words
from hooktide.web.pages.framework.page import act, page
from hooktide.web.pages.framework.request import PageRequest
from hooktide.web.pages.framework.view import View, attachment
from hooktide.web.pages.framework.wrong import wrong_of
from hooktide.web.pages.guide.example import indented
from hooktide.web.pages.views import replays
from hooktide.web.pages.views.deliveries import opens, with_attempts
from hooktide.web.pages.views.delivery import body_of
from hooktide.web.pages.views.search import titles_of
from hooktide.web.reading import MAX_LARGE_BODY
from hooktide.wire.events import EventIn

PAGE_SIZE = 50


@page("/events")
async def events(request: PageRequest) -> View:
    """``GET /dashboard/events``; ``?account=`` an id or a reference, ``?type=``, ``?tag=``,
    ``?search=``."""
    scope, account = await request.within(), await request.account()
    if account is not None:
        scope = Scope(project_id=account.project_id, account_id=account.id)
    listed = Listed([], None)
    if request.wrong is None:
        listed = await _listed(request, scope)
    return request.show(
        "events.html",
        projects=await request.projects(),
        rows=listed.items,
        titles=await titles_of(request, listed.items),
        more=listed.next_before,
        accounts=await request.accounts(each.event.account_id for each in listed.items),
    )


async def _listed(request: PageRequest, scope: Scope) -> Listed:
    """Return a page of the events that are asked for; none where ``request.wrong`` says why."""
    names = ("search", "type", "tag")
    text, kind, tag = (request.query.text(name) or None for name in names)
    bounds = None, request.before("evt")
    try:
        return await request.services.event_search.list(
            scope, text, kind, bounds, PAGE_SIZE, tag=tag
        )
    except InvalidError as error:
        request.wrong = wrong_of(error)
        return Listed([], None)


@page("/events/{id}")
async def event(request: PageRequest) -> View:
    """``GET /dashboard/events/{id}``: its payload, and which endpoints got it, or why not."""
    row = await request.services.store.get_event(request.scope, request.id("evt"))
    project = (await request.project(row.project_id)).project
    found = await request.services.event_recipients.page(row.event, request.before("ep"), PAGE_SIZE)
    sent = [each.delivery for each in found.items if each.delivery is not None]
    return request.show(
        "event.html",
        row=row,
        event=row.event,
        title=title_of(project.index, row.event.payload),
        payload=body_of(row.event.payload),
        violation=await _violation(request, row),
        accounts=await request.accounts([row.event.account_id]),
        recipients=found.items,
        deliveries={each.id: each for each in await with_attempts(request, sent)},
        opens=opens(request),
        more=found.next_before,
        missing=sum(
            each.can_be_sent and wants(each.endpoint.event_types, row.event.type)
            for each in found.items
        ),
    )


async def _violation(request: PageRequest, row: EventRow) -> str:
    """Say how a payload breaks the schema that its type has today; empty: it does not."""
    project = (await request.project(row.project_id)).project
    kind = next((each for each in project.event_types if each.name == row.event.type), None)
    if kind is None or project.schema_policy is SchemaPolicy.OFF:
        return ""
    try:
        await asyncio.to_thread(check_schema, kind, row.event.payload)
    except UnusableSchemaError:
        return ""
    except InvalidError as error:
        return error.detail
    return ""


@act("/events/{id}/erase", back=event)
async def erase_payload(request: PageRequest) -> View:
    """``POST /dashboard/events/{id}/erase``: its payload, for good."""
    number = request.id("evt")
    await request.services.store.erase_payload(
        request.scope, number, request.now, request.actor.does("event.erase")
    )
    return request.go(f"/events/{show('evt', number)}", "event.erased")


@page("/events/{id}/payload")
async def payload(request: PageRequest) -> View:
    """``GET /dashboard/events/{id}/payload``: the whole payload, as a file."""
    row = await request.services.store.get_event(request.scope, request.id("evt"))
    return attachment(row.event.payload, f"{show('evt', row.event.id)}.json")


@act("/events/{id}/send", back=event)
async def send_to_missing(request: PageRequest) -> View:
    """``POST /dashboard/events/{id}/send``: to the endpoints that did not get it."""
    row = await request.services.store.get_event(request.scope, request.id("evt"))
    sent = await request.services.event_recipients.send(request.actor, row.event)
    did = "event.sent" if sent else "event.sent_to_none"
    return request.go(f"/events/{show('evt', row.event.id)}", did)


@page("/publish", who=Role.MEMBER)
async def new_event(request: PageRequest) -> View:
    """``GET /dashboard/publish``: ``?account=``, then ``?type=``, whose example is filled in."""
    account = await request.account()
    types: tuple[EventType, ...] = ()
    project = None
    if account is not None:
        project = (await request.project(account.project_id)).project
        types = offered(project, account.reference)
    wanted = request.query.text("type")
    kind = next((each for each in types if each.name == wanted), None)
    recent = await request.services.store.list_accounts(request.scope, None, 20)
    return request.show(
        "publish.html",
        account=account,
        project=project,
        types=types,
        kind=kind,
        payload="" if kind is None else indented(kind.example),
        recent=recent.items,
    )


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to publish; the query says of which account and type."""

    payload: str
    transition: str
    channels: Words
    tags: Words
    test: bool


@act("/publish", back=new_event, max_body=MAX_LARGE_BODY)
async def publish_event(request: PageRequest, form: NewEvent) -> View:
    """``POST /dashboard/publish``: accepted when this answers, like any other."""
    services, text = request.services, request.query.text("account")
    if not text:
        raise InvalidError("account_missing", "choose an account", pointer="/account")
    account = await services.accounts.find(request.scope, text)
    wanted = EventIn(
        account=show("acc", account.id),
        type=request.query.text("type"),
        payload=msgspec.Raw(form.payload.encode()),
        transition=form.transition,
        test=form.test,
        channels=form.channels,
        tags=form.tags,
    )
    accepted = await publish_by_hand(
        services.publisher, services.audit_log, request.actor, account, wanted
    )
    did = "event.published" if accepted.deliveries else "event.unsubscribed"
    if accepted.deliveries and accepted.held == accepted.deliveries:
        did = "event.held"
    return request.go(f"/events/{show('evt', accepted.event_id)}", did)


replay_event = act("/events/{id}/replay", back=event)(replays.replay_event)

PAGES = (
    events,
    event,
    erase_payload,
    payload,
    send_to_missing,
    replay_event,
    new_event,
    publish_event,
)
