"""Endpoints: how each is doing, and all that can be done with it."""

from typing import Any

from starlette.responses import Response

from hooktide.actions.endpoints import Tested, Wanted
from hooktide.domain.hints import hint
from hooktide.domain.ids import show
from hooktide.domain.model import DAY, Endpoint, EndpointKind, Micros, Role, Scope
from hooktide.domain.project import offered, plan_of
from hooktide.domain.signing import whsec
from hooktide.store.base import Page as Listed
from hooktide.web.dashboard.accounts import find as find_account
from hooktide.web.dashboard.deliveries import opens, with_attempts
from hooktide.web.dashboard.page import act, page
from hooktide.web.dashboard.sure import check_sure
from hooktide.web.dashboard.visit import Visit
from hooktide.web.delivery_view import answer_words

A_PAGE = 50
RECENT = 10


@page("/endpoints")
async def endpoints(visit: Visit) -> Response:
    """``GET /dashboard/endpoints``; ``?only=trouble``: those that fail, or were disabled for it."""
    scope, store = await visit.within(), visit.services.store
    if visit.query.text("only") == "trouble":
        listed = Listed(await store.troubled(scope, A_PAGE), None)
    else:
        listed = await store.list_endpoints(scope, visit.before("ep"), A_PAGE)
    return visit.show(
        "endpoints.html",
        projects=await visit.projects(),
        rows=listed.items,
        more=listed.next_before,
        accounts=await visit.accounts(each.account_id for each in listed.items),
        health=await store.health(scope, [each.id for each in listed.items], visit.now - DAY),
    )


# -- a new one -------------------------------------------------------------------------------------


@page("/accounts/{id}/endpoints", who=Role.MEMBER)
async def new_endpoint(visit: Visit) -> Response:
    """``GET /dashboard/accounts/{id}/endpoints``: the form for another one."""
    account = await find_account(visit)
    project = (await visit.project(account.project_id)).project
    return visit.show(
        "endpoint_new.html",
        account=account,
        project=project,
        types=offered(project, account.reference),
    )


@act("/accounts/{id}/endpoints", back=new_endpoint)
async def add_endpoint(visit: Visit) -> Response:
    """``POST /dashboard/accounts/{id}/endpoints``: the answer shows the secret, this once."""
    account = await find_account(visit)
    made, secret = await visit.services.endpoints.add(
        visit.scope, show("acc", account.id), _filled_in(visit)
    )
    await visit.note("endpoint.add", show("ep", made.id), _place(made.url), scope_of(made))
    if made.kind is not EndpointKind.WEBHOOK:  # nothing that it is sent is signed
        return visit.go(f"/endpoints/{show('ep', made.id)}", "endpoint.added")
    return visit.show(
        "endpoint_secret.html", endpoint=made, secret=secret.text, whsec=whsec(secret), old=None
    )


def _filled_in(visit: Visit) -> Wanted:
    form = visit.form
    return Wanted(
        url=form.text("url"),
        event_types=_types(visit),
        name=form.text("name"),
        description=form.text("description"),
    )


def _types(visit: Visit) -> tuple[str, ...]:
    """Return the chosen event types, and those that were written as patterns."""
    written = visit.form.raw("patterns").replace(",", " ").split()
    return tuple(dict.fromkeys((*visit.form.all("event_types"), *written)))


def _place(url: str) -> str:
    """Return a URL without what may be secret in it."""
    return url.partition("?")[0].partition("#")[0]


def scope_of(endpoint: Endpoint) -> Scope:
    """Return whose things an endpoint is."""
    return Scope(project_id=endpoint.project_id, account_id=endpoint.account_id)


# -- one of them -----------------------------------------------------------------------------------


async def find(visit: Visit) -> Endpoint:
    """Find the endpoint in the path."""
    return await visit.services.store.get_endpoint(visit.scope, visit.id("ep"))


@page("/endpoints/{id}")
async def endpoint(visit: Visit) -> Response:
    """``GET /dashboard/endpoints/{id}``: what it is, how it does, what was sent to it."""
    return await show_endpoint(visit)


async def show_endpoint(visit: Visit, **more: Any) -> Response:
    """Show an endpoint; ``tested`` and ``counted`` are what was just asked for."""
    found, store = await find(visit), visit.services.store
    account = await visit.services.directory.account(found.account_id)
    project = (await visit.project(found.project_id)).project
    health = await store.health(visit.scope, [found.id], visit.now - DAY)
    recent = await store.list_deliveries(visit.scope, None, RECENT, endpoint_id=found.id)
    replays = await store.list_replays(visit.scope, found.id, None, RECENT)
    types = offered(project, account.reference)
    facts = {"tested": None, "counted": None} | more
    return visit.show(
        "endpoint.html",
        endpoint=found,
        account=account,
        project=project,
        types=types,
        patterns=[each for each in found.event_types if each not in {t.name for t in types}],
        health=health.get(found.id),
        recent=await with_attempts(visit, recent.items),
        opens=opens(visit),
        replays=replays.items,
        **facts,
    )


@act("/endpoints/{id}/change", back=endpoint)
async def change_endpoint(visit: Visit) -> Response:
    """``POST /dashboard/endpoints/{id}/change``."""
    found = await find(visit)
    wanted = _filled_in(visit)
    given = {
        name: getattr(wanted, name)
        for name in ("url", "event_types", "name", "description")
        if getattr(wanted, name) != getattr(found, name)
    }
    await visit.services.endpoints.change(visit.scope, found.id, given)
    return await _done(visit, found, "endpoint.change", ", ".join(given), "endpoint.changed")


async def _done(visit: Visit, found: Endpoint, what: str, detail: str, did: str) -> Response:
    text = show("ep", found.id)
    if did != "endpoint.changed" or detail:
        await visit.note(what, text, detail, scope_of(found))
    return visit.go(f"/endpoints/{text}", did)


@act("/endpoints/{id}/disable", back=endpoint)
async def disable_endpoint(visit: Visit) -> Response:
    """``POST /dashboard/endpoints/{id}/disable``."""
    found = await find(visit)
    await visit.services.endpoints.disable(visit.scope, found.id)
    return await _done(visit, found, "endpoint.disable", _place(found.url), "endpoint.disabled")


@act("/endpoints/{id}/enable", back=endpoint)
async def enable_endpoint(visit: Visit) -> Response:
    """``POST /dashboard/endpoints/{id}/enable``."""
    found = await find(visit)
    await visit.services.endpoints.enable(visit.scope, found.id)
    return await _done(visit, found, "endpoint.enable", _place(found.url), "endpoint.enabled")


@act("/endpoints/{id}/rotate", back=endpoint)
async def rotate_secret(visit: Visit) -> Response:
    """``POST /dashboard/endpoints/{id}/rotate``: the answer shows the new secret, this once."""
    found = await find(visit)
    rotated = await visit.services.endpoints.rotate(visit.scope, found.id)
    await visit.note("secret.rotate", show("ep", found.id), "", scope_of(found))
    return visit.show(
        "endpoint_secret.html",
        endpoint=found,
        secret=rotated.secret.text,
        whsec=whsec(rotated.secret),
        old=rotated.old_stops_at,
    )


@act("/endpoints/{id}/test", back=endpoint)
async def test_endpoint(visit: Visit) -> Response:
    """``POST /dashboard/endpoints/{id}/test``: send a test event, and say what came back."""
    found = await find(visit)
    tested = await visit.services.endpoints.test(
        visit.scope, found.id, visit.form.text("type") or None
    )
    account = await visit.services.directory.account(found.account_id)
    timeout = plan_of(tested.project, account.plan).timeout
    return await show_endpoint(visit, tested=_shown(tested, timeout))


def _shown(tested: Tested, timeout: Micros) -> dict[str, Any]:
    attempt, claim = tested.attempt, tested.claim
    word, tone = answer_words(attempt)
    return {
        "fine": tone == "good",
        "word": word,
        "tone": tone,
        "took": attempt.duration,
        "detail": attempt.detail,
        "hint": hint(attempt, timeout),
        "delivery": show("dlv", claim.delivery_id),
    }


@act("/endpoints/{id}/remove", back=endpoint)
async def remove_endpoint(visit: Visit) -> Response:
    """``POST /dashboard/endpoints/{id}/remove``."""
    found = await find(visit)
    check_sure(visit, "remove")
    await visit.services.endpoints.remove(visit.scope, found.id)
    await visit.note("endpoint.remove", show("ep", found.id), _place(found.url), scope_of(found))
    return visit.go(f"/accounts/{show('acc', found.account_id)}", "endpoint.removed")


PAGES = (
    endpoints,
    new_endpoint,
    add_endpoint,
    endpoint,
    change_endpoint,
    disable_endpoint,
    enable_endpoint,
    rotate_secret,
    test_endpoint,
    remove_endpoint,
)
