"""``/v1/sizes``: how much is kept of each project, for the operator."""

from hooktide.domain.ids import show
from hooktide.store.base import ProjectSize
from hooktide.web.operation import OPERATOR, Call, operation
from hooktide.web.response_values import instant
from hooktide.wire import projects as wire


@operation("GET", "/v1/sizes", who=OPERATOR)
async def list_sizes(call: Call) -> wire.Sizes:
    """Say how much is kept of each project.

    Reads the whole log, which takes a while on a large database and holds nothing up.
    """
    return wire.Sizes([_shown(size) for size in await call.services.store.sizes()])


def _shown(size: ProjectSize) -> wire.Size:
    """Return what the API shows of a project's size."""
    return wire.Size(
        project=size.name,
        id=show("prj", size.project_id),
        events=size.events,
        deliveries=size.deliveries,
        attempts=size.attempts,
        payload_bytes=size.payload_bytes,
        oldest_event_at=instant(size.oldest_at),
    )


OPERATIONS = (list_sizes,)
