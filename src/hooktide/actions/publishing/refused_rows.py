"""Refused rows: events in the database's own outbox that were not accepted."""

from collections.abc import Callable

from hooktide.domain.audit_log import Actor
from hooktide.domain.model import Micros
from hooktide.store.contract import Store


class RefusedRows:
    """Retries and discards refused rows."""

    def __init__(self, store: Store, clock: Callable[[], Micros]) -> None:
        self._store = store
        self._clock = clock

    async def retry(self, actor: Actor, row_id: int) -> None:
        """Retry a row.

        :raises NotFoundError: there is no such refused row.
        """
        action = actor.does("emitted_row.retry")
        await self._store.retry_refused_row(row_id, self._clock(), action)

    async def discard(self, actor: Actor, row_id: int) -> None:
        """Discard a row: its event is never accepted.

        :raises NotFoundError: there is no such refused row.
        """
        action = actor.does("emitted_row.discard")
        await self._store.discard_refused_row(row_id, self._clock(), action)
