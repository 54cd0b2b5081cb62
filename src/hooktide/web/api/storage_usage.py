"""``/v1/storage-usage``: how much each project stores, for the operator."""

from hooktide.domain.ids import show
from hooktide.store.base import ProjectUsage
from hooktide.web.operations.operation import OPERATOR, Call, operation
from hooktide.web.operations.response_values import instant
from hooktide.wire import projects as wire


@operation("GET", "/v1/storage-usage", who=OPERATOR)
async def list_storage_usage(call: Call) -> wire.StorageUsageList:
    """Get how much each project stores.

    This reads the whole log: on a large database it takes a while, but blocks nothing.
    """
    return wire.StorageUsageList(
        [_shown(size) for size in await call.services.store.storage_usage()]
    )


def _shown(size: ProjectUsage) -> wire.StorageUsage:
    """Return a project's storage usage for the API."""
    return wire.StorageUsage(
        project=size.name,
        id=show("prj", size.project_id),
        events=size.events,
        deliveries=size.deliveries,
        attempts=size.attempts,
        payload_bytes=size.payload_bytes,
        oldest_event_at=instant(size.oldest_at),
    )


OPERATIONS = (list_storage_usage,)
