"""The first page: is all well, and if not, where not; and what tells open pages of news."""

from typing import Any

from hooktide.domain.model import DAY, MINUTE, Role, Scope
from hooktide.web.pages.dashboard.chart import SPANS, Series, make_chart
from hooktide.web.pages.framework.page import page
from hooktide.web.pages.framework.request import PageRequest
from hooktide.web.pages.framework.view import Stream, View

SHOWN = 6
NEWEST = 20
DELIVERED = Series("delivered", "good", lambda point: point.delivered)
FAILED = Series("failed", "bad", lambda point: point.failed)
ACCEPTED = Series("accepted", "plain", lambda point: point.accepted)


@page("")
async def overview(request: PageRequest) -> View:
    """``GET /dashboard``; ``?range=`` hour, day or week, ``?project=`` one of them."""
    projects = await request.projects()
    if not projects:
        return request.show("welcome.html", may_make=request.everywhere and request.may(Role.OWNER))
    span = SPANS.get(request.query.text("range"), SPANS["hour"])
    scope, store = await request.within(), request.services.store
    since, until = span.around(request.now)
    points = await store.chart(scope, since, until, span.step_minutes)
    troubled = await store.troubled(scope, SHOWN)
    busiest = await store.busiest(scope, since, SHOWN)
    slowest = await store.slowest(scope, since, SHOWN)
    ids = [each.id for each in troubled]
    return request.show(
        "overview.html",
        projects=projects,
        span=span,
        spans=SPANS.values(),
        accepted=sum(each.accepted for each in points),
        delivered=sum(each.delivered for each in points),
        failed=sum(each.failed for each in points),
        waiting=await request.services.queue.waiting(scope),
        charts=(
            make_chart("accepted", "Events accepted", span, points, (ACCEPTED,)),
            make_chart("deliveries", "Deliveries ended", span, points, (DELIVERED, FAILED)),
        ),
        troubled=troubled,
        health=await store.health(scope, ids, request.now - DAY) if ids else {},
        slowest=slowest,
        slow=await request.endpoints(each.endpoint_id for each in slowest),
        busiest=busiest,
        accounts=await request.accounts(
            [
                *(each.account_id for each in troubled),
                *(each.account_id for each in busiest),
                *(each.account_id for each in slowest),
            ]
        ),
    )


@page("/live")
async def live(request: PageRequest) -> View:
    """``GET /dashboard/live``: tell open pages that something is new, in a project or in all."""
    scope = await request.within()

    async def look() -> Any:
        return await _look(request, scope)

    return Stream(scope, look)


async def _look(request: PageRequest, scope: Scope) -> Any:
    """Return what changes whenever something happens: the newest, and the last minutes' numbers."""
    store, minute = request.services.store, request.now // MINUTE * MINUTE
    newest = await store.list_deliveries(scope, None, NEWEST)
    numbers = await store.chart(scope, minute - MINUTE, minute + MINUTE, 1)
    return [(each.id, each.state, each.attempts) for each in newest.items], list(numbers)


PAGES = (overview, live)
