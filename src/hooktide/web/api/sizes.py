"""``/v1/sizes``: how much is kept of each project, for the operator."""

import msgspec

from hooktide.domain.ids import show
from hooktide.store.base import ProjectSize
from hooktide.web.api.shapes import Instant, instant
from hooktide.web.operation import OPERATOR, Call, operation


class SizeOut(msgspec.Struct):
    """What is kept of a project. A removed project is here until its log is past retention."""

    project: str
    id: str
    events: int
    deliveries: int
    attempts: int
    payload_bytes: int
    oldest_event_at: Instant | None


class Sizes(msgspec.Struct):
    """What is kept of all projects, by name."""

    items: list[SizeOut]


@operation("GET", "/v1/sizes", who=OPERATOR)
async def list_sizes(call: Call) -> Sizes:
    """Say how much is kept of each project.

    Reads the whole log, which takes a while on a large database and holds nothing up.
    """
    return Sizes([shown(size) for size in await call.services.store.sizes()])


def shown(size: ProjectSize) -> SizeOut:
    """Return what the API shows of a project's size."""
    return SizeOut(
        project=size.name,
        id=show("prj", size.project_id),
        events=size.events,
        deliveries=size.deliveries,
        attempts=size.attempts,
        payload_bytes=size.payload_bytes,
        oldest_event_at=instant(size.oldest_at),
    )


OPERATIONS = (list_sizes,)
