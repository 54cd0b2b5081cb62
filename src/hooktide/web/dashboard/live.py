"""``/dashboard/live``: tells open pages that something is new; they fetch themselves again."""

from typing import Any

from starlette.responses import Response

from hooktide.domain.model import MINUTE, Scope
from hooktide.web.dashboard.page import page
from hooktide.web.dashboard.visit import Visit

NEWEST = 20


@page("/live")
async def live(visit: Visit) -> Response:
    """``GET /dashboard/live``: of all that may be seen, or of one project."""
    scope = await visit.within()

    async def look() -> Any:
        return await _look(visit, scope)

    return visit.desk.live.stream(("dashboard", scope), look)


async def _look(visit: Visit, scope: Scope) -> Any:
    """Return what changes whenever something happens: the newest, and the last minutes' numbers."""
    store, minute = visit.services.store, visit.now // MINUTE * MINUTE
    newest = await store.list_deliveries(scope, None, NEWEST)
    numbers = await store.chart(scope, minute - MINUTE, minute + MINUTE, 1)
    return [(each.id, each.state, each.attempts) for each in newest.items], list(numbers)


PAGES = (live,)
