"""Publishes operational events, each exactly once, even if a process dies.

The store writes an operational event in the transaction that caused it. Here it is published to its
project's account and to the one for all projects, with fixed idempotency keys, so that publishing
it again changes nothing. Then it is deleted. An event without an event type in the built-in project
is deleted unpublished, as is, with a line in the log, one that cannot be published because of a
bug.
"""

from collections.abc import Callable, Sequence

from hooktide.domain.errors import NotFoundError, RefusedError
from hooktide.domain.model import Account, Micros, Scope
from hooktide.domain.operational_events import (
    EVERYTHING,
    PROJECT,
    OperationalEvent,
    listener_of,
    payload,
)
from hooktide.engine.periodic.maintenance import BATCH
from hooktide.store.base import NewEvent, ProjectRow
from hooktide.store.contract import Store
from hooktide.store.directory import Directory
from hooktide.store.writing.batch import run_batch, skipped_on_error


class OperationalEventPublisher:
    """Publishes operational events, to accounts of the built-in project that it creates."""

    def __init__(self, store: Store, directory: Directory, clock: Callable[[], Micros]) -> None:
        self._store = store
        self._directory = directory
        self._clock = clock

    async def publish(self) -> int:
        """Publish the stored events, if the built-in project exists; return how many."""
        try:
            own = await self._store.get_project(Scope(), PROJECT)
        except NotFoundError:
            return 0
        projects = await self._store.list_projects(Scope())
        names = {row.id: row.project.name for row in projects if row.id != own.id}
        listeners: dict[str, Account] = {}
        for reference in (*map(listener_of, names.values()), EVERYTHING):
            with skipped_on_error(f"create the account {reference}"):
                listeners[reference] = await self._listener(own, reference)
        wanted = {kind.name for kind in own.project.event_types}
        found = await self._store.operational_events(BATCH)
        events: list[NewEvent] = []
        for project_id, event in found:
            name = names.get(project_id)
            if name is not None and event.type in wanted:
                with skipped_on_error(f"publish {event.type} of the project {name}"):
                    body = await self._payload(event, name)
                    both = (listeners.get(each) for each in (listener_of(name), EVERYTHING))
                    events += [_new_event(own, each, event, body) for each in both if each]
        await run_batch(events, self._add, lambda event: f"publish {event.type}")
        await self._store.delete_operational_events([each.key for _, each in found])
        return len(found)

    async def _add(self, events: Sequence[NewEvent]) -> None:
        await self._store.add_events(events, self._clock())

    async def _listener(self, own: ProjectRow, reference: str) -> Account:
        """Return the account of this reference, creating it if needed."""
        try:
            return await self._directory.account_by_reference(Scope(project_id=own.id), reference)
        except NotFoundError:
            plan, now = own.project.default_plan, self._clock()
        try:
            return await self._store.create_account(own.id, reference, "", plan, now)
        except RefusedError:  # another process was faster
            return await self._store.find_account(Scope(project_id=own.id), reference)

    async def _payload(self, event: OperationalEvent, project: str) -> bytes:
        account = endpoint = None
        try:
            account = await self._directory.account(event.account_id)
            if event.endpoint_id is not None:
                endpoint = await self._directory.endpoint(event.endpoint_id)
        except NotFoundError:
            pass
        return payload(event, project, account, endpoint)


def _new_event(own: ProjectRow, account: Account, event: OperationalEvent, body: bytes) -> NewEvent:
    return NewEvent(
        project_id=own.id,
        account_id=account.id,
        type=event.type,
        payload=body,
        occurred_at=event.at,
        idempotency_key=f"{event.key}:{account.id:x}",
    )
