"""Ingests events that applications have written into the database themselves."""

import logging
from collections.abc import Callable, Mapping, Sequence

import msgspec

from hooktide.actions.publishing.publish import Publisher, Unknown, why_refused
from hooktide.domain.errors import HooktideError, InvalidError, NotFoundError, is_lasting
from hooktide.domain.model import Micros, Scope
from hooktide.store.base import Accepted, AddResult, Emitted, NewEvent
from hooktide.store.contract import Store
from hooktide.store.directory import Directory
from hooktide.store.writing.batch import in_halves
from hooktide.wire.events import EventIn

log = logging.getLogger("hooktide.actions")

BATCH_SIZE = 500
NOT_WRITTEN = "the database refuses to store this event; the server's log says why"
BUG = "a bug in Hooktide prevented this event from being accepted; see the server's log"


class OutboxIngest:
    """Accepts waiting rows in order.

    ``accepted`` is called with the number accepted, ``refused`` with each refused row and the
    reason.
    """

    def __init__(
        self,
        store: Store,
        directory: Directory,
        publisher: Publisher,
        clock: Callable[[], Micros],
        accepted: Callable[[int], None],
        refused: Callable[[Emitted, str], None],
    ) -> None:
        self._store = store
        self._directory = directory
        self._publisher = publisher
        self._clock = clock
        self._accepted = accepted
        self._refused = refused

    async def run(self) -> int:
        """Process a batch; return its number of rows.

        :raises UnavailableError: the database did not answer; waiting rows stay in the outbox.
        """
        rows = await self._store.emitted(BATCH_SIZE)
        if not rows:
            return 0
        good, bad, ignored = await self._checked(rows)
        results = await self._accept(good, bad, ignored)
        now = self._clock()
        for id_, result in results.items():
            if isinstance(result, Accepted):
                self._publisher.tell(good[id_].project_id, result, now)
            elif reason := why_refused(result):
                bad[id_] = reason
        self._accepted(sum(type(each) is Accepted for each in results.values()))
        for row in rows:
            if row.id in bad:
                self._refused(row, bad[row.id])
        return len(rows)

    async def _accept(
        self, good: Mapping[int, NewEvent], bad: dict[int, str], ignored: Sequence[int]
    ) -> dict[int, AddResult]:
        """Replace rows by events in one transaction; a row whose event cannot be written is set
        aside, and its reason is added to ``bad``.

        Rows set aside or ignored are handled with the first part.
        """
        others = (dict(bad), ignored)

        async def accept(ids: Sequence[int]) -> Mapping[int, AddResult]:
            nonlocal others
            events = {id_: good[id_] for id_ in ids}
            results = await self._store.accept_emitted(events, *others, why_refused)
            others = ({}, ())
            return results

        if not good:
            return dict(await accept(()))
        results: dict[int, AddResult] = {}
        async for ids, added in in_halves(list(good), accept):
            if isinstance(added, Exception):
                log.error("could not accept emitted event %d", ids[0], exc_info=added)
                others[0][ids[0]] = bad[ids[0]] = NOT_WRITTEN
                added = await accept(())
            results |= added
        return results

    async def _checked(
        self, rows: Sequence[Emitted]
    ) -> tuple[dict[int, NewEvent], dict[int, str], list[int]]:
        """Sort rows into events, refused ones with the reason, and those for no known account."""
        good: dict[int, NewEvent] = {}
        ignored: list[int] = []
        bad: dict[int, str] = {}
        scopes: dict[str, Scope] = {}
        for row in rows:
            try:
                if row.project not in scopes:
                    scopes[row.project] = await self._scope(row.project)
                checked = await self._publisher.check(scopes[row.project], event_in(row))
            except HooktideError as error:
                if not is_lasting(error):
                    raise
                bad[row.id] = str(error)
            except Exception:
                log.exception("a bug stopped row %d of the emitted events", row.id)
                bad[row.id] = BUG
            else:
                if isinstance(checked, Unknown):
                    ignored.append(row.id)
                else:
                    good[row.id] = checked
        return good, bad, ignored

    async def _scope(self, project: str) -> Scope:
        try:
            found = await self._directory.project_by_name(Scope(), project)
        except NotFoundError:
            raise NotFoundError(f"project: {project}") from None
        return Scope(project_id=found.id)


def event_in(row: Emitted) -> EventIn:
    """Return a row as a publish request.

    :raises InvalidError: its channels or its tags are not arrays of strings.
    """
    return EventIn(
        account=row.account,
        type=row.type,
        payload=msgspec.Raw(row.payload.encode()),
        occurred_at=row.occurred_at or None,
        transition=row.transition,
        idempotency_key=row.key,
        test=row.test,
        channels=_labels(row.channels, "channels"),
        tags=_labels(row.tags, "tags"),
    )


def _labels(text: str, name: str) -> tuple[str, ...]:
    if not text:
        return ()
    try:
        return msgspec.json.decode(text, type=tuple[str, ...])
    except msgspec.MsgspecError as error:
        raise InvalidError(
            f"invalid_{name}", f"this is not a JSON array of strings: {error}", pointer=f"/{name}"
        ) from None
