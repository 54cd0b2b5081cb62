"""The first page: is all well, and if not, where not."""

from starlette.responses import Response

from hooktide.domain.model import DAY, Role
from hooktide.web.dashboard.chart import SPANS, Series, make_chart
from hooktide.web.dashboard.page import page
from hooktide.web.dashboard.visit import Visit

SHOWN = 6
DELIVERED = Series("delivered", "good", lambda point: point.delivered)
FAILED = Series("failed", "bad", lambda point: point.failed)
ACCEPTED = Series("accepted", "plain", lambda point: point.accepted)


@page("")
async def overview(visit: Visit) -> Response:
    """``GET /dashboard``; ``?range=`` hour, day or week, ``?project=`` one of them."""
    projects = await visit.projects()
    if not projects:
        return visit.show("welcome.html", may_make=visit.everywhere and visit.may(Role.OWNER))
    span = SPANS.get(visit.query.text("range"), SPANS["hour"])
    scope, store = await visit.within(), visit.services.store
    since, until = span.around(visit.now)
    points = await store.chart(scope, since, until, span.step_minutes)
    troubled = await store.troubled(scope, SHOWN)
    busiest = await store.busiest(scope, since, SHOWN)
    slowest = await store.slowest(scope, since, SHOWN)
    ids = [each.id for each in troubled]
    return visit.show(
        "overview.html",
        projects=projects,
        span=span,
        spans=SPANS.values(),
        accepted=sum(each.accepted for each in points),
        delivered=sum(each.delivered for each in points),
        failed=sum(each.failed for each in points),
        waiting=await visit.desk.queue.waiting(scope),
        charts=(
            make_chart("accepted", "Events accepted", span, points, (ACCEPTED,)),
            make_chart("deliveries", "Deliveries ended", span, points, (DELIVERED, FAILED)),
        ),
        troubled=troubled,
        health=await store.health(scope, ids, visit.now - DAY) if ids else {},
        slowest=slowest,
        slow=await visit.endpoints(each.endpoint_id for each in slowest),
        busiest=busiest,
        accounts=await visit.accounts(
            [
                *(each.account_id for each in troubled),
                *(each.account_id for each in busiest),
                *(each.account_id for each in slowest),
            ]
        ),
    )


PAGES = (overview,)
