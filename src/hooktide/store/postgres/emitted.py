"""Events that applications on the same database have written, taken over: each exactly once.

A row and the event that it becomes change places in one transaction. Servers that look at the same
rows take turns; the second finds that there is nothing left to do, and what it takes is accepted
after what the first took, whatever their clocks say.
"""

from collections.abc import Callable, Mapping, Sequence

from hooktide.domain.ids import made_at
from hooktide.domain.model import Micros
from hooktide.store.base import Accepted, AddResult, Emitted, NewEvent, Why
from hooktide.store.postgres.connection import Link
from hooktide.store.postgres.part import Part
from hooktide.store.postgres.writer import Writer


class TakesOver(Part):
    """The store's methods for events that were emitted."""

    _writer: Writer
    clock: Callable[[], Micros]

    async def emitted(self, limit: int) -> Sequence[Emitted]:
        found = await self._read(lambda link: link.rows(self._sql["emitted"], {"limit": limit}))
        return [Emitted(*row) for row in found]

    async def accept_emitted(
        self, events: Mapping[int, NewEvent], refused: Mapping[int, str], why: Why
    ) -> Mapping[int, AddResult]:
        taking = Taking(self._sql, self.clock, events, refused, why)
        await self._writer.take(taking)
        return taking.results


class Taking:
    """A batch of rows on its way to events (see ``Writer.take``); it may have to be begun again."""

    def __init__(
        self,
        sql: Mapping[str, str],
        clock: Callable[[], Micros],
        events: Mapping[int, NewEvent],
        refused: Mapping[int, str],
        why: Why,
    ) -> None:
        self._sql = sql
        self._clock = clock
        self._events = events
        self._refused = refused
        self._why = why
        self._held: list[int] = []
        self.now: Micros = 0
        self.results: dict[int, AddResult] = {}

    async def events(self, link: Link) -> list[NewEvent]:
        """Hold the rows that are still there; return the events of those that were not refused."""
        until = await link.value(self._sql["lock_emitted"])
        self.now = max(self._clock(), until + 1)
        ids = [*self._events, *self._refused]
        self._held = [id_ for (id_,) in await link.rows(self._sql["hold_emitted"], {"ids": ids})]
        return [self._events[id_] for id_ in self._held if id_ in self._events]

    async def settle(self, link: Link, results: Sequence[AddResult]) -> None:
        """Remove the rows whose events were accepted, and set the others aside."""
        ids = [id_ for id_ in self._held if id_ in self._events]
        self.results = dict(zip(ids, results, strict=True))
        last = [each.event_id for each in results if isinstance(each, Accepted)]
        if last:
            at = max(self.now, made_at(max(last)))
            await link.run(self._sql["emitted_until"], {"at": at})
        reasons = {id_: self._why(result) for id_, result in self.results.items()}
        aside = {id_: reason for id_, reason in reasons.items() if reason}
        done = [id_ for id_ in ids if id_ not in aside]
        aside |= {id_: self._refused[id_] for id_ in self._held if id_ in self._refused}
        await link.run(self._sql["drop_emitted"], {"ids": done})
        if aside:
            await link.many(self._sql["refuse_emitted"], list(aside.items()))
