"""The audit log, for what goes with no stored change: a link that was made, an event sent by hand.

Everything else is written by the store, in the transaction of the change.
"""

from collections.abc import Callable

from hooktide.domain.audit_log import Action, Snapshot, note_of
from hooktide.domain.model import Micros
from hooktide.store.contract import Store


class AuditLog:
    """Writes entries that belong to no change in the database."""

    def __init__(self, store: Store, clock: Callable[[], Micros]) -> None:
        self._store = store
        self._clock = clock

    async def note(self, action: Action, about: Snapshot) -> None:
        """Record an action that leaves its target unchanged.

        :raises UnavailableError: it could not be written; then it must not be done either.
        """
        await self._store.add_audit_entry(note_of(action, about), self._clock())
