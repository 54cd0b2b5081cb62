"""Events that applications have written into the database themselves, accepted like any other."""

from collections.abc import Callable, Sequence

import msgspec

from hooktide.actions.publish import EventIn, Publisher, why_refused
from hooktide.domain.errors import HooktideError, NotFoundError, UnavailableError
from hooktide.domain.model import Micros, Scope
from hooktide.store.base import Accepted, Emitted, NewEvent, Store

MOST = 500


class TakeOver:
    """Takes rows over, in order.

    ``accepted`` hears how many were, ``refused`` which was not, and why.
    """

    def __init__(
        self,
        store: Store,
        publisher: Publisher,
        clock: Callable[[], Micros],
        accepted: Callable[[int], None],
        refused: Callable[[Emitted, str], None],
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._clock = clock
        self._accepted = accepted
        self._refused = refused

    async def run(self) -> int:
        """Take a batch over; return how many rows it had.

        :raises UnavailableError: the database did not answer; what waits goes on waiting.
        """
        rows = await self._store.emitted(MOST)
        if not rows:
            return 0
        good, bad = await self._checked(rows)
        results = await self._store.accept_emitted(good, bad, why_refused)
        now = self._clock()
        for id_, result in results.items():
            if isinstance(result, Accepted):
                self._publisher.told(good[id_].project_id, result, now)
            else:
                bad[id_] = why_refused(result)
        self._accepted(sum(type(each) is Accepted for each in results.values()))
        for row in rows:
            if row.id in bad:
                self._refused(row, bad[row.id])
        return len(rows)

    async def _checked(self, rows: Sequence[Emitted]) -> tuple[dict[int, NewEvent], dict[int, str]]:
        good: dict[int, NewEvent] = {}
        bad: dict[int, str] = {}
        scopes: dict[str, Scope] = {}
        for row in rows:
            try:
                if row.project not in scopes:
                    scopes[row.project] = await self._scope(row.project)
                good[row.id] = await self._publisher.check(scopes[row.project], event_in(row))
            except UnavailableError:
                raise
            except HooktideError as error:
                bad[row.id] = str(error)
        return good, bad

    async def _scope(self, project: str) -> Scope:
        try:
            found = await self._store.get_project(Scope(), project)
        except NotFoundError:
            raise NotFoundError(f"project: {project}") from None
        return Scope(project_id=found.id)


def event_in(row: Emitted) -> EventIn:
    """Return a row as if it had been published."""
    return EventIn(
        account=row.account,
        type=row.type,
        payload=msgspec.Raw(row.payload.encode()),
        occurred_at=row.occurred_at or None,
        transition=row.transition,
        idempotency_key=row.key,
        test=row.test,
    )
