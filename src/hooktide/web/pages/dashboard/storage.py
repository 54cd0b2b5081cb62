"""What is kept of each project, and for how long."""

from hooktide.domain.errors import UnavailableError
from hooktide.web.pages.framework.page import page
from hooktide.web.pages.framework.request import PageRequest
from hooktide.web.pages.framework.view import View


@page("/storage")
async def storage(request: PageRequest) -> View:
    """``GET /dashboard/storage``: retention and storage usage."""
    projects = await request.projects()
    try:
        counted = await request.services.storage_usage.get(request.now)
    except UnavailableError:
        counted = None
    at, found = counted or (None, ())
    shown = [each for each in found if request.everywhere or each.project_id in projects]
    known = {each.project_id for each in shown}
    return request.show(
        "storage.html",
        projects=projects,
        counted_at=at,
        rows=shown,
        uncounted=[row for row in projects.values() if row.id not in known],
    )


PAGES = (storage,)
