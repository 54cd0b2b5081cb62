"""What is kept of each project, and for how long."""

from starlette.responses import Response

from hooktide.domain.errors import UnavailableError
from hooktide.web.dashboard.page import page
from hooktide.web.dashboard.visit import Visit


@page("/storage")
async def storage(visit: Visit) -> Response:
    """``GET /dashboard/storage``: retention, and sizes."""
    projects = await visit.projects()
    try:
        counted = await visit.desk.sizes.sizes(visit.now)
    except UnavailableError:
        counted = None
    at, found = counted or (None, ())
    shown = [each for each in found if visit.everywhere or each.project_id in projects]
    known = {each.project_id for each in shown}
    return visit.show(
        "storage.html",
        projects=projects,
        counted_at=at,
        rows=shown,
        uncounted=[row for row in projects.values() if row.id not in known],
    )


PAGES = (storage,)
