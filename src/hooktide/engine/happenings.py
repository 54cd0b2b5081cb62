"""What happened, made into operational events: each exactly once, whoever dies meanwhile.

A happening is stored in the transaction that it happened in. Here it becomes an event for its
project's account, and one for the account that hears of all; their idempotency keys are its own, so
telling it twice is telling it once. Then it is forgotten. What the built-in project has no event
type for is forgotten untold.
"""

from collections.abc import Callable

from hooktide.domain.errors import NotFoundError, RefusedError
from hooktide.domain.model import Account, Micros, Scope
from hooktide.domain.operations import EVERYTHING, PROJECT, Happening, listener_of, payload
from hooktide.engine.upkeep import BATCH
from hooktide.store.base import NewEvent, ProjectRow, Store
from hooktide.store.directory import Directory


class Teller:
    """Makes the accounts of the built-in project, and the events of what happened."""

    def __init__(self, store: Store, directory: Directory, clock: Callable[[], Micros]) -> None:
        self._store = store
        self._directory = directory
        self._clock = clock

    async def tell(self) -> int:
        """Tell of what happened since; how much. Nothing without the built-in project."""
        try:
            own = await self._store.get_project(Scope(), PROJECT)
        except NotFoundError:
            return 0
        projects = await self._store.list_projects(Scope())
        names = {row.id: row.project.name for row in projects if row.id != own.id}
        listeners = {name: await self._listener(own, listener_of(name)) for name in names.values()}
        everything = await self._listener(own, EVERYTHING)
        wanted = {kind.name for kind in own.project.event_types}
        found = await self._store.happenings(BATCH)
        events: list[NewEvent] = []
        for project_id, happening in found:
            name = names.get(project_id)
            if name is not None and happening.type in wanted:
                body = await self._payload(happening, name)
                both = (listeners[name], everything)
                events += [_event(own, each, happening, body) for each in both]
        if events:
            await self._store.add_events(events, self._clock())
        await self._store.forget_happenings([each.key for _, each in found])
        return len(found)

    async def _listener(self, own: ProjectRow, reference: str) -> Account:
        """Return the account of this reference, made where there is none."""
        try:
            return await self._directory.account_by_reference(own.id, reference)
        except NotFoundError:
            plan, now = own.project.default_plan, self._clock()
        try:
            return await self._store.add_account(own.id, reference, "", plan, now)
        except RefusedError:  # another process was faster
            return await self._store.find_account(Scope(project_id=own.id), reference)

    async def _payload(self, happening: Happening, project: str) -> bytes:
        account = endpoint = None
        try:
            account = await self._directory.account(happening.account_id)
            if happening.endpoint_id is not None:
                endpoint = await self._directory.endpoint(happening.endpoint_id)
        except NotFoundError:
            pass
        return payload(happening, project, account, endpoint)


def _event(own: ProjectRow, account: Account, happening: Happening, body: bytes) -> NewEvent:
    return NewEvent(
        project_id=own.id,
        account_id=account.id,
        type=happening.type,
        payload=body,
        occurred_at=happening.at,
        idempotency_key=f"{happening.key}:{account.id:x}",
    )
