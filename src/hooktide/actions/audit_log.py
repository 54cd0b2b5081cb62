"""Audit log entries for actions without a stored change: a link created, an event sent by hand.

All other entries are written by the store, in the transaction of the change.
"""

from collections.abc import Callable

from hooktide.domain.audit_log import Action, Snapshot, note_of
from hooktide.domain.model import Micros
from hooktide.store.contract import Store


class AuditLog:
    """Writes entries for actions that change nothing in the database."""

    def __init__(self, store: Store, clock: Callable[[], Micros]) -> None:
        self._store = store
        self._clock = clock

    async def note(self, action: Action, about: Snapshot) -> None:
        """Record an action that leaves its target unchanged.

        :raises UnavailableError: it could not be written, so the action must not be done.
        """
        await self._store.add_audit_entry(note_of(action, about), self._clock())
